use crate::lab::daemon::Tandemd;
use crate::lab::{Lab, VIP, VIP6, isolated, run, secs, sleep};

fn dual(node: &str, priority: u8, more: &str) -> String {
    format!(
        r#"[node]
name = "{node}"
[[vrrp_instance]]
name = "four"
interface = "eth0"
virtual_router_id = 51
priority = {priority}
advert_int = "100ms"
virtual_ipaddress = ["192.0.2.100/24"]
[[vrrp_instance]]
name = "six"
interface = "eth0"
virtual_router_id = 51
priority = {priority}
advert_int = "100ms"
virtual_ipaddress = ["fe80::100/64", "2001:db8::100/64"]
[[sync_group]]
name = "web"
group = ["four", "six"]
{more}
"#
    )
}

#[test]
fn an_ipv4_and_an_ipv6_router_move_together() {
    isolated("groups::an_ipv4_and_an_ipv6_router_move_together", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &dual("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &dual("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        lab.wait_holder("a", VIP6, secs(1));
        // Only IPv6 breaks on a: both go.
        run("ip -n a addr del fe80::1/64 dev eth0");
        a.wait_state("four", "FAULT", secs(1));
        let why = a.instance("four")["reason"].as_str().unwrap().to_owned();
        assert!(why.contains("six of sync group web is in FAULT") && why.contains("link-local"), "{why}");
        lab.wait_holder("b", VIP, secs(2));
        lab.wait_holder("b", VIP6, secs(2));
        assert_eq!(b.status()["groups"][0]["state"], "MASTER");
        run("ip -n a addr add fe80::1/64 dev eth0 nodad");
        lab.wait_holder("a", VIP, secs(3));
        lab.wait_holder("a", VIP6, secs(1));
        assert_eq!(b.status()["groups"][0]["state"], "BACKUP");
    });
}

#[test]
fn a_member_does_not_become_master_alone() {
    isolated("groups::a_member_does_not_become_master_alone", || {
        let lab = Lab::new();
        let b = Tandemd::start(&lab, "b", &dual("b", 100, ""));
        let _a = Tandemd::start(&lab, "a", &dual("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        lab.wait_holder("a", VIP6, secs(1));
        // b does not hear a's IPv4 advertisements any more, but its IPv6 ones.
        run("ip netns exec sw nft add table bridge cut");
        run("ip netns exec sw nft add chain bridge cut f { type filter hook forward priority 0 ; }");
        run("ip netns exec sw nft add rule bridge cut f ether type ip oifname pb drop");
        sleep(1500);
        assert_eq!(lab.holders(VIP), ["a"]);
        assert_eq!((b.state("four"), b.state("six")), ("BACKUP".into(), "BACKUP".into()));
        assert!(b.adm_text("why four").contains("waits for the other members of sync group web"));
    });
}

#[test]
fn a_track_of_the_group_counts_for_every_member() {
    isolated("groups::a_track_of_the_group_counts_for_every_member", || {
        let lab = Lab::new();
        let file = lab.path("maintenance");
        std::fs::write(&file, "0").unwrap();
        let more = format!(
            "track_file = [\"m\"]\n[[track.file]]\nname = \"m\"\nfile = \"{}\"\nweight = -150",
            file.display()
        );
        let _b = Tandemd::start(&lab, "b", &dual("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &dual("a", 200, &more));
        lab.wait_holder("a", VIP, secs(3));
        std::fs::write(&file, "1").unwrap();
        lab.wait_holder("b", VIP, secs(3));
        lab.wait_holder("b", VIP6, secs(1));
        assert_eq!(a.instance("six")["effective_priority"], 50);
    });
}
