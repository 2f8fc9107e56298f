//! `tandemadm ha set`: the words. What it writes is tested beside it, and with real daemons in tests/netns.

use super::{adm, stderr};

/// Neither address is this machine's, so nothing is ever written; that it says so shows that the words were understood.
#[test]
fn the_list_of_nodes_may_be_written_in_four_ways() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("tandem.toml");
    std::fs::write(&main, "").unwrap();
    let set = |words: &str| {
        let out = adm(dir.path(), &format!("ha set --config {} {words}", main.display()));
        (out.status.code(), stderr(&out))
    };
    let (first, second) = ("203.0.113.77", "203.0.113.78");
    for list in [
        format!("--ha_node_list={first} {second}"),
        format!("--ha_node_list {first} {second}"),
        format!("--ha_node_list={first},{second}"),
        format!("--ha_node_list={first} {second} --kad_vif=eth0"),
        format!("--kad_vip=192.0.2.100:eth1 --kad_vif=eth0 --ha_node_list={first} {second}"),
    ] {
        let (code, text) = set(&list);
        assert_eq!(code, Some(64), "{list}: {text}");
        assert!(
            text.contains(&format!("neither {first} nor {second} is an address of this machine")),
            "{list}: {text}"
        );
    }
    for (words, why) in [
        ("", "say what"),
        ("203.0.113.77", "--ha_node_list"),
        ("--ha_node_list=203.0.113.77", "not 1"),
        ("--ha_node_list=203.0.113.77 203.0.113.78 203.0.113.79", "203.0.113.79"),
        ("--kad_vip=nowhere", "IP:IF"),
        ("--kad_vri=0", "0"),
        ("--kad_vri=256", "256"),
        ("--kad_vif=eth0", "the first time all are needed"),
    ] {
        let (code, text) = set(words);
        assert_eq!(code, Some(64), "{words}: {text}");
        assert!(text.contains(why), "{words}: {text}");
    }
    assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1, "nothing was written");
}
