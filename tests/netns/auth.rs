//! `auth_hmac` with real packets: the trailer, replays, a rotation of keys, and a peer without it.

use crate::lab::capture::Capture;
use crate::lab::daemon::Tandemd;
use crate::lab::inject::{self, Raw};
use crate::lab::{Lab, VIP, VIP6, isolated, run, secs, wait_until};
use crate::{simple, simple6};
use std::os::unix::fs::PermissionsExt;

const ONE: &str = "0123456789abcdefghijklmnopqrstuvwxyz";
const TWO: &str = "hex:5ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2e75ec2";

/// The paths of two key files.
fn keys(lab: &Lab) -> [String; 2] {
    [("one.key", ONE), ("two.key", TWO)].map(|(name, key)| {
        let path = lab.path(name);
        std::fs::write(&path, key).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o600)).unwrap();
        path.display().to_string()
    })
}

fn auth(keys: &[(u8, &str)], more: &str) -> String {
    let keys: Vec<_> = keys.iter().map(|(id, path)| format!("{{ id = {id}, file = \"{path}\" }}")).collect();
    format!("auth_hmac = {{ keys = [{}], {more} }}\n", keys.join(", "))
}

/// Everything refused for its trailer, its lack, or its length.
fn refused(t: &Tandemd, instance: &str) -> u64 {
    let kinds = ["missing", "trailer", "stale", "key", "mac", "replay"];
    let all = kinds.iter().map(|k| t.counter(instance, &format!("auth_{k}_errors"))).sum::<u64>();
    all + t.counter(instance, "length_errors")
}

#[test]
fn a_signed_pair_and_a_replay_that_changes_nothing() {
    isolated("auth::a_signed_pair_and_a_replay_that_changes_nothing", || {
        let lab = Lab::new();
        let [one, _] = keys(&lab);
        let auth = auth(&[(1, &one)], "active_key = 1");
        let six = simple6("", 200, &auth).split_once("[[vrrp_instance]]").unwrap().1.replace("web", "six");
        let config = |node: &str, p: u8| {
            let six = six.replace("= 200", &format!("= {p}"));
            simple(node, p, &auth) + "[[vrrp_instance]]" + &six
        };
        let b = Tandemd::start(&lab, "b", &config("b", 100));
        let capture = Capture::start("c");
        let mut a = Tandemd::start(&lab, "a", &config("a", 200));
        lab.wait_holder("a", VIP, secs(3));
        lab.wait_holder("a", VIP6, secs(3));
        wait_until(secs(5), "b hears a in both families", || {
            ["web", "six"].iter().all(|i| b.instance(i)["master_priority"] == 200)
        });
        assert_eq!((refused(&b, "web"), refused(&b, "six")), (0, 0));
        a.process.kill9();
        b.wait_state("web", "MASTER", secs(3));
        let seen = capture.stop().adverts_from("192.0.2.1");
        assert!(seen.iter().all(|x| x.payload.len() == 8 + 4 + 28), "{seen:?}");
        // Somebody at a's address sends again what a sent, and what nobody signed.
        run("ip -n c addr del 192.0.2.9/24 dev eth0");
        run("ip -n c addr add 192.0.2.1/24 dev eth0");
        let raw = |payload| Raw { destination: "224.0.0.18".parse().unwrap(), ttl: 255, payload };
        let replays: Vec<Raw> = seen.iter().map(|x| raw(x.payload.clone())).collect();
        let unsigned = inject::with_checksum(seen[0].payload[..12].to_vec());
        let sent = replays.len() as u64 + 1;
        let since = b.instance("web")["last_transition"].clone();
        inject::send("c", [replays, vec![raw(unsigned)]].concat());
        wait_until(secs(3), "all of them are refused", || refused(&b, "web") == sent);
        assert_eq!(b.counter("web", "auth_missing_errors"), 1);
        assert!(b.counter("web", "auth_replay_errors") + b.counter("web", "auth_stale_errors") == sent - 1);
        assert_eq!(b.instance("web")["last_transition"], since);
        assert_eq!(b.state("web"), "MASTER");
    });
}

#[test]
fn keys_are_rotated_by_reload_and_nobody_notices() {
    isolated("auth::keys_are_rotated_by_reload_and_nobody_notices", || {
        let lab = Lab::new();
        let [one, two] = keys(&lab);
        let (both, first, second) =
            ([(1, one.as_str()), (2, two.as_str())], [(1, one.as_str())], [(2, two.as_str())]);
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        let a = Tandemd::start(&lab, "a", &simple("a", 200, ""));
        lab.wait_holder("a", VIP, secs(3));
        let since = |t: &Tandemd| t.instance("web")["last_transition"].clone();
        wait_until(secs(3), "b follows a", || b.instance("web")["master_priority"] == 200);
        let before = (since(&a), since(&b));
        for keys in [
            auth(&first, "active_key = 1, mode = \"receive-only\""),
            auth(&first, "active_key = 1, mode = \"permissive\""),
            auth(&first, "active_key = 1"),
            auth(&both, "active_key = 1"),
            auth(&both, "active_key = 2"),
            auth(&second, "active_key = 2"),
        ] {
            for (t, node, priority) in [(&a, "a", 200), (&b, "b", 100)] {
                t.reload(&simple(node, priority, &keys));
                let heard = b.counter("web", "adverts_received");
                wait_until(secs(3), "b has heard more", || b.counter("web", "adverts_received") > heard + 2);
                assert_eq!((refused(&a, "web"), refused(&b, "web")), (0, 0), "{node}: {keys}");
            }
        }
        assert_eq!((since(&a), since(&b)), before);
        let status = b.adm_text("status");
        assert!(
            status.contains("auth_hmac: enforce, signs with key 2; 192.0.2.1 signs with key 2"),
            "{status}"
        );
        let shown = b.adm_text("config show");
        assert!(shown.contains("id = 2, ascii = \"***\""), "{shown}");
        let all = format!("{status}{shown}{}{}", b.process.log(), b.adm_text("status --json"));
        assert!(!all.contains(&ONE[..8]) && !all.contains("5ec2e7"), "a key is shown");
        // A key file that others can read: the reload is refused, what runs goes on.
        std::fs::set_permissions(&two, std::fs::Permissions::from_mode(0o644)).unwrap();
        let out = b.adm("reload");
        let text = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.code() == Some(78) && text.contains("mode 0644"), "{text}");
        assert_eq!(b.state("web"), "BACKUP");
    });
}

#[test]
fn each_side_says_that_only_one_of_them_signs() {
    isolated("auth::each_side_says_that_only_one_of_them_signs", || {
        let lab = Lab::new();
        let [one, _] = keys(&lab);
        let a = Tandemd::start(&lab, "a", &simple("a", 200, &auth(&[(1, &one)], "active_key = 1")));
        let b = Tandemd::start(&lab, "b", &simple("b", 100, ""));
        wait_until(secs(5), "b says so", || b.process.log().contains("the peer seems to use auth_hmac"));
        wait_until(secs(5), "a says so", || a.process.log().contains("the peer does not use auth_hmac"));
        let lines = b.process.log().matches("seems to use auth_hmac").count();
        wait_until(secs(5), "many are refused", || refused(&b, "web") > 20);
        assert_eq!((lines, b.process.log().matches("seems to use auth_hmac").count()), (1, 1));
    });
}
