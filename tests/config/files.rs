//! A file, `conf.d` beside it, and what cannot be read.

use crate::helpers::{instance, named};
use std::fs;
use tandemd::config::load;

#[test]
fn files_of_conf_d_are_appended_in_order_of_name() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("tandem.toml");
    let conf_d = dir.path().join("conf.d");
    fs::create_dir(&conf_d).unwrap();
    fs::write(&main, format!("[node]\nname = \"n\"\n{}", instance(""))).unwrap();
    fs::write(conf_d.join("20-c.toml"), named("c", 3, "no_virtual_ipaddress = true")).unwrap();
    fs::write(
        conf_d.join("10-b.toml"),
        format!("[node]\nstartup_delay = 5\n{}", named("b", 2, "no_virtual_ipaddress = true")),
    )
    .unwrap();
    fs::write(conf_d.join("readme.txt"), "no TOML").unwrap();
    fs::write(conf_d.join(".hidden.toml"), "no TOML").unwrap();
    let loaded = load(&main).unwrap();
    let names: Vec<_> = loaded.config.instances.iter().map(|i| i.name.as_str()).collect();
    assert_eq!(names, ["a", "b", "c"]);
    assert_eq!((loaded.config.node.name.as_str(), loaded.config.node.startup_delay.as_secs()), ("n", 5));
    assert_eq!(loaded.files, [main.clone(), conf_d.join("10-b.toml"), conf_d.join("20-c.toml")]);

    fs::write(conf_d.join("30-d.toml"), "\n[node]\nname = \"m\"\n").unwrap();
    let all = load(&main).unwrap_err();
    assert_eq!(all.0.len(), 1, "{all}");
    assert_eq!((all.0[0].line, all.0[0].column), (3, 8));
    assert_eq!(all.0[0].file, conf_d.join("30-d.toml"));
    assert!(all.0[0].message.contains(&format!("line 2 of {}", main.display())), "{all}");
}

#[test]
fn the_name_of_the_node_is_the_host_name() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("tandem.toml");
    fs::write(&main, "").unwrap();
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap();
    assert_eq!(load(&main).unwrap().config.node.name, host.trim());
}

#[test]
fn an_unreadable_file_is_one_message_and_the_others_are_still_checked() {
    let dir = tempfile::tempdir().unwrap();
    let main = dir.path().join("tandem.toml");
    let all = load(&main).unwrap_err();
    assert_eq!(all.0.len(), 1, "{all}");
    assert!(all.to_string().starts_with(&format!("{}: error: cannot be read", main.display())), "{all}");

    fs::create_dir(dir.path().join("conf.d")).unwrap();
    fs::write(dir.path().join("conf.d/x.toml"), [0xff, 0xfe]).unwrap();
    let group = "[[sync_group]]\nname = \"g\"\ngroup = [\"defined-in-x\"]\n";
    fs::write(&main, format!("{}{group}", instance("priority = 0"))).unwrap();
    let all = load(&main).unwrap_err();
    assert_eq!(all.0.len(), 2, "what x.toml may define is not reported as missing: {all}");
    assert!(all.to_string().contains("UTF-8") && all.to_string().contains("priority"), "{all}");
}
