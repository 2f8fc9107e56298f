use super::*;
use crate::config::{AddressOrder, Options, ScriptCommand, Source, parse};

/// `kad` activates and has these scripts, `web` is a plain instance.
fn config(scripts: &[Pre], late: bool) -> Config {
    let text = "[[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
        virtual_ipaddress = [\"192.0.2.100/24\"]\n\
        [[vrrp_instance]]\nname = \"web\"\ninterface = \"eth0\"\nvirtual_router_id = 52\n\
        virtual_ipaddress = [\"192.0.2.101/24\"]\n";
    let source = Source { path: "t.toml".into(), text: text.into() };
    let mut config = parse(&[source], &Options::default()).expect("a good configuration").config;
    config.activation = Some(crate::config::Activation {
        vrrp_instance: vec![kad()],
        addresses: if late { AddressOrder::Late } else { AddressOrder::Early },
        on_stop_failure: crate::resource::StopFailure::Block,
        failure_timeout: None,
    });
    let script = || Some(ScriptCommand { program: "/bin/true".into(), args: Vec::new() });
    let instance = config.instances.first_mut().expect("kad");
    instance.router.stays = true;
    instance.notify.pre_master = script().filter(|_| scripts.contains(&Pre::Master));
    instance.notify.pre_backup = script().filter(|_| scripts.contains(&Pre::Backup));
    config
}

fn kad() -> String {
    "kad".to_owned()
}

fn raised(a: &mut Activation) {
    assert_eq!(a.gate("kad", GateNews::Waits), []);
    assert_eq!(a.changed("kad", true), [Order::Aim(Target::Raised)]);
    assert_eq!(a.reached(Target::Raised), [Order::Place(kad())]);
}

#[test]
fn resources_come_before_addresses_and_go_after_them() {
    let mut a = Activation::default();
    assert_eq!(a.configure(&config(&[], true)), []);
    assert_eq!(a.changed("kad", false), [Order::Aim(Target::Lowered)]);
    assert_eq!(a.reached(Target::Lowered), []);
    raised(&mut a);
    assert_eq!(a.changed("kad", false), [], "first the addresses");
    assert_eq!(a.gate("kad", GateNews::Off), [Order::Aim(Target::Lowered)]);
    assert_eq!(a.reached(Target::Lowered), [Order::Lowered(kad())], "and now another node may");
}

#[test]
fn a_way_down_that_is_blocked_releases_nobody() {
    let mut a = Activation::default();
    a.configure(&config(&[], true));
    raised(&mut a);
    a.changed("kad", false);
    a.gate("kad", GateNews::Off);
    a.moving();
    assert_eq!(a.gate("kad", GateNews::Off), [], "however often it is asked");
}

#[test]
fn master_again_on_the_way_down_turns_round() {
    let mut a = Activation::default();
    a.configure(&config(&[], true));
    raised(&mut a);
    a.changed("kad", false);
    a.gate("kad", GateNews::Off);
    a.gate("kad", GateNews::Waits);
    assert!(a.changed("kad", true).contains(&Order::Aim(Target::Raised)));
    assert_eq!(a.reached(Target::Lowered), [], "an old answer places nothing and releases nobody");
    assert_eq!(a.reached(Target::Raised), [Order::Place(kad())]);
}

#[test]
fn scripts_come_first_on_both_ways() {
    let mut a = Activation::default();
    a.configure(&config(&[Pre::Master, Pre::Backup], true));
    a.changed("kad", false);
    a.reached(Target::Lowered);
    a.gate("kad", GateNews::Waits);
    assert_eq!(a.changed("kad", true), [Order::Run(kad(), Pre::Master)]);
    assert_eq!(a.said("kad", Pre::Master), [Order::Aim(Target::Raised)]);
    assert_eq!(a.reached(Target::Raised), [Order::Place(kad())]);
    assert_eq!(a.gate("kad", GateNews::Leaves), [Order::Run(kad(), Pre::Backup)]);
    assert_eq!(a.changed("kad", false), []);
    assert_eq!(a.said("kad", Pre::Backup), [Order::LetGo(kad())]);
    assert_eq!(a.gate("kad", GateNews::Off), [Order::Aim(Target::Lowered)]);
    assert_eq!(a.reached(Target::Lowered), [Order::Lowered(kad())]);
}

#[test]
fn when_another_one_has_taken_over_the_script_runs_before_the_resources_go() {
    let mut a = Activation::default();
    a.configure(&config(&[Pre::Backup], true));
    raised(&mut a);
    assert_eq!(a.changed("kad", false), []);
    assert_eq!(a.gate("kad", GateNews::Off), [Order::Run(kad(), Pre::Backup)]);
    assert_eq!(a.said("kad", Pre::Backup), [Order::Aim(Target::Lowered)]);
}

#[test]
fn a_script_that_is_not_wanted_any_more_is_ended() {
    let mut a = Activation::default();
    a.configure(&config(&[Pre::Master], true));
    a.changed("kad", false);
    a.gate("kad", GateNews::Waits);
    a.changed("kad", true);
    assert_eq!(a.changed("kad", false), [Order::Cancel(kad())]);
    assert_eq!(a.said("kad", Pre::Master), [], "its end says nothing any more");
}

#[test]
fn early_addresses_wait_for_nothing_and_other_instances_decide_nothing() {
    let mut a = Activation::default();
    a.configure(&config(&[], false));
    a.changed("kad", false);
    a.reached(Target::Lowered);
    assert_eq!(a.changed("web", true), []);
    assert_eq!(a.changed("kad", true), [Order::Aim(Target::Raised)]);
    a.changed("kad", false);
    assert_eq!(a.gate("kad", GateNews::Off), [Order::Aim(Target::Lowered)], "the way down is the same");
}

#[test]
fn in_maintenance_addresses_go_without_their_resources_at_the_stop() {
    let mut a = Activation::default();
    a.configure(&config(&[], true));
    raised(&mut a);
    a.freeze(true);
    a.changed("kad", false);
    assert!(a.gate("kad", GateNews::Off).contains(&Order::Lowered(kad())));
}

#[test]
fn an_instance_that_a_reload_removes_releases_nobody_before_its_resources_are_down() {
    let mut a = Activation::default();
    a.configure(&config(&[], true));
    raised(&mut a);
    let mut without = config(&[], true);
    without.instances.retain(|i| i.name != "kad");
    without.activation = None;
    assert_eq!(a.configure(&without), [Order::Aim(Target::Lowered)]);
    a.changed("kad", false);
    assert_eq!(a.gate("kad", GateNews::Off), []);
    assert_eq!(a.reached(Target::Lowered), [Order::Lowered(kad())]);
}

/// The same configuration after a reload that took `kad` out of `[activation]`, or out of everything.
fn untied(instance_too: bool) -> Config {
    let mut config = config(&[], true);
    config.activation = None;
    match instance_too {
        true => config.instances.retain(|i| i.name != "kad"),
        false => config.instances.iter_mut().for_each(|i| i.router.stays = false),
    }
    config
}

#[test]
fn a_reload_that_unties_an_instance_on_its_way_down_lets_nobody_in_before_all_is_down() {
    for instance_too in [true, false] {
        let mut a = Activation::default();
        a.configure(&config(&[], true));
        raised(&mut a);
        a.changed("kad", false);
        assert_eq!(a.gate("kad", GateNews::Off), [Order::Aim(Target::Lowered)]);
        assert_eq!(a.configure(&untied(instance_too)), [], "its resources are up still");
        assert_eq!(a.reached(Target::Lowered), [Order::Lowered(kad())]);
    }
}

#[test]
fn resources_that_hang_on_another_instance_now_keep_nobody() {
    let mut a = Activation::default();
    a.configure(&config(&[], true));
    raised(&mut a);
    a.changed("web", true);
    let mut moved = config(&[], true);
    moved.activation.iter_mut().for_each(|tied| tied.vrrp_instance = vec!["web".to_owned()]);
    a.configure(&moved);
    a.changed("kad", false);
    assert_eq!(a.gate("kad", GateNews::Off), [Order::Lowered(kad())]);
}

/// `kad` belongs to a pair, or the pair has no virtual router.
fn paired(routed: bool) -> Config {
    let mut config = config(&[], true);
    let tied = if routed { "vrrp_instance = [\"kad\"]" } else { "" };
    let text = format!(
        "[[vrrp_instance]]\nname = \"kad\"\ninterface = \"eth0\"\nvirtual_router_id = 51\n\
         virtual_ipaddress = [\"192.0.2.100/24\"]\n\
         [[pair]]\nname = \"esc\"\nrole = \"primary\"\npeer = \"192.0.2.2\"\n{tied}\n"
    );
    let source = Source { path: "t.toml".into(), text };
    config.pairs = parse(&[source], &Options::default()).expect("a good configuration").config.pairs;
    config.activation = None;
    config
}

#[test]
fn before_its_pair_has_decided_nothing_moves() {
    let mut a = Activation::default();
    assert_eq!(a.configure(&paired(true)), []);
    assert_eq!(a.changed("kad", false), [], "what a daemon that died has left stays up");
    assert_eq!(a.gate("kad", GateNews::Waits), []);
    assert_eq!(a.changed("kad", true), [Order::Aim(Target::Raised)]);
    assert_eq!(a.reached(Target::Raised), [Order::Place(kad())]);

    let mut a = Activation::default();
    a.configure(&paired(true));
    a.changed("kad", false);
    assert_eq!(a.yielded(), [Order::Aim(Target::Lowered)]);
    assert_eq!(a.place(), Place::Moving);
    a.reached(Target::Lowered);
    assert_eq!(a.place(), Place::Down);

    let mut a = Activation::default();
    assert_eq!(a.configure(&paired(false)), []);
    assert_eq!(a.serve(true), [Order::Aim(Target::Raised)]);
}
