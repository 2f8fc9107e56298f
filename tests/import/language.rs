//! Comments, quotes, includes, conditions, definitions, sequences, and what is no keepalived.conf.

use super::*;

#[test]
fn the_whole_language_in_one_fixture() {
    let read = |name: &str| std::fs::read_to_string(format!("tests/import/fixtures/{name}")).unwrap();
    let texts: Vec<(String, String)> =
        ["language.conf", "conf.d/10-a.conf", "conf.d/20-inner.txt", "conf.d/.hidden.conf", "conf.d/one.txt"]
            .map(|name| (name.to_owned(), read(name)))
            .into();
    let mut machine = Memory::default();
    for (name, text) in texts {
        let path = if name == "language.conf" { MAIN.to_owned() } else { format!("/etc/{name}") };
        machine.files.insert(path, text);
    }
    let done = import_from(&machine);
    done.has("name = \"high-/home/me-#!-${UNKNOWN}\"");
    done.has("notify_fifo = \"/etc/fifo\"");
    for (name, interface, id) in [
        ("V_10", "eth0", 10),
        ("V_20", "eth0", 20),
        ("V_30", "eth0", 30),
        ("V_40", "eth1", 40),
        ("V_50", "eth2", 50),
    ] {
        let table = done.toml.split("\n\n").find(|t| t.contains(&format!("name = \"{name}\""))).expect(name);
        for line in [
            format!("interface = \"{interface}\""),
            format!("virtual_router_id = {id}"),
            "priority = 200".to_owned(),
            format!("virtual_ipaddress = [\"192.0.2.{id}/32\"]"),
        ] {
            assert!(table.contains(&line), "{line}: {table}");
        }
    }
    done.has("name = \"included\"");
    done.has("name = \"s_a\"");
    done.has("command = [\"/bin/true\", \"b\"]");
    let missing = done.findings.iter().find(|f| f.kind == Kind::Missing).expect("the file that is not there");
    assert!(missing.message.contains("/etc/missing.txt cannot be read"), "{missing}");
    assert_eq!(done.findings.len(), 1, "who runs scripts is no finding: {:?}", done.findings);
}

#[test]
fn conditions_compare_the_id() {
    let with = |id: &str| {
        let text =
            instance("@high priority 200\n@^high priority 100\n@!other nopreempt\n@other dont_track_primary");
        let machine = Memory::with(&[(MAIN, &text)]);
        import::import(Path::new(MAIN), &machine, &Options { id: id.into() }).unwrap()
    };
    with("high").has("priority = 200");
    with("high").has("nopreempt = true");
    with("other").has("priority = 100");
    with("other").lacks("nopreempt");
    with("other").has("dont_track_primary = true");
}

#[test]
fn definitions_are_replaced_late_and_unknown_ones_stay() {
    let done = imported(
        "$A=10.${B}\n$B=1\n$IF=@high\n$IF global_defs { router_id ${A}.x-$NO-${NO} }\n\
         $B=2\nglobal_defs { script_user u${A} }\n",
    );
    done.has("name = \"10.1.x-$NO-${NO}\"");
    done.has("script_user = \"u10.2\"");
}

#[test]
fn blocks_may_begin_and_end_anywhere() {
    for text in [
        "vrrp_instance a{interface eth0 \n virtual_router_id 1 \n virtual_ipaddress{192.0.2.1}}",
        "vrrp_instance a\n{\ninterface eth0\nvirtual_router_id \\\n  1\nvirtual_ipaddress\n{ 192.0.2.1\n} }",
    ] {
        let done = imported(text);
        assert!(done.findings.is_empty(), "{:?}", done.findings);
        done.has("virtual_router_id = 1");
    }
}

#[test]
fn what_cannot_be_parsed_is_named_with_its_line() {
    for (text, want) in [
        (
            "a\nvrrp_instance x {\n b\n",
            "/etc/k.conf:2: the block of vrrp_instance is never closed: a } is missing",
        ),
        ("global_defs {\n}\n}\n", "/etc/k.conf:3: a } that closes nothing"),
        ("{\n}\n", "/etc/k.conf:1: a { without a keyword before it"),
        ("\nscript \"/bin/x\n", "/etc/k.conf:2: a double quote is never closed"),
        ("\n\n$A=$A\nx $A\n", "/etc/k.conf:4: a definition contains itself"),
        ("~SEQ(A, 1, 0, 5) x\n", "/etc/k.conf:1: ~SEQ: the step does not lead to the end"),
        (
            "~LST({A,B}, {1}) x\n",
            "/etc/k.conf:1: allowed: ~SEQ(VAR, START, STEP, END), ~SEQx(...), ~LST(VAR, VALUE",
        ),
        ("include /etc/k.conf\n", "files are included 32 deep: a file includes itself"),
        ("includea /nowhere\n", "/etc/k.conf:1: include: /nowhere cannot be read: it is not there"),
        ("includew /etc/*.no\n", "/etc/k.conf:1: include: no file matches /etc/*.no"),
        ("include_check readable\ninclude /no\n", "/etc/k.conf:2: include: /no cannot be read"),
    ] {
        let said = refused(text);
        assert!(said.contains(want), "{text}: {said}");
    }
    assert_eq!(
        try_import(&Memory::default()).unwrap_err().to_string(),
        "/etc/k.conf: cannot be read: it is not there"
    );
    assert!(refused(&"a {\n".repeat(40)).contains("nested too deep"));
}

/// A few bytes must not become gigabytes.
#[test]
fn what_explodes_is_stopped() {
    let doubling: String = (0..64).map(|n| format!("$A{n}=${{A{m}}}${{A{m}}}\n", m = n + 1)).collect();
    let said = refused(&format!("{doubling}$A64=0123456789abcdef\nx ${{A0}}\n"));
    assert!(said.contains("contains itself") || said.contains("longer than"), "{said}");
    let nested = "~SEQ(A,1,900000) ~SEQ(B,1,900000) ~SEQ(C,1,900000) x ${A}\n";
    assert!(refused(nested).contains("longer than"), "{}", refused(nested));
}

#[test]
fn findings_in_included_files_name_them() {
    let machine = Memory::with(&[
        (MAIN, "include sub/a.conf\n"),
        ("/etc/sub/a.conf", "\nnonsense\ninclude b.conf\n"),
        ("/etc/sub/b.conf", "more\n"),
    ]);
    let done = import_from(&machine);
    let places: Vec<String> = done.findings.iter().map(|f| f.at.to_string()).collect();
    assert_eq!(places, ["/etc/sub/a.conf:2", "/etc/sub/b.conf:1"]);
}
