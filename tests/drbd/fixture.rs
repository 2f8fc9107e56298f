//! The captured files: what was run on which node, and what it answered.

use tandemd::agents::drbd::Picture;

/// One command of a capture.
#[derive(Clone, Debug, Default)]
pub struct Answer {
    pub stdout: String,
    pub stderr: String,
    pub status: i32,
}

pub fn read(file: &str) -> String {
    let path = format!("{}/tests/drbd/fixtures/{file}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read_to_string(&path).unwrap_or_else(|e| panic!("{path}: {e}"))
}

/// What `command` answered on `host` in the capture whose name starts with `number`.
pub fn captured(number: &str, host: &str, command: &str) -> Answer {
    let dir = format!("{}/tests/drbd/fixtures", env!("CARGO_MANIFEST_DIR"));
    let names =
        std::fs::read_dir(dir).unwrap().flatten().map(|e| e.file_name().to_string_lossy().into_owned());
    let name = names.into_iter().find(|n| n.starts_with(&format!("{number}-"))).expect("a capture");
    let text = read(&name);
    let head = format!("{host}# {command}\n");
    let rest = text.split_once(&head).unwrap_or_else(|| panic!("{name}: no {head}")).1;
    let body = rest.split("\nrc=").next().unwrap();
    // Nothing printed: the status comes at once.
    let (body, status) = match rest.strip_prefix("rc=") {
        Some(after) => ("", after),
        None => (body, &rest[body.len() + 4..]),
    };
    let status = status.lines().next().unwrap().trim().parse().expect("rc");
    let (stdout, stderr) = match body.split_once("stderr: ") {
        Some((out, err)) => (out, err),
        None => (body, ""),
    };
    Answer { stdout: stdout.to_owned() + "\n", stderr: stderr.to_owned() + "\n", status }
}

/// A picture of `drbdsetup events2 --now` in a capture.
pub fn picture(number: &str, host: &str) -> Picture {
    Picture::from_now("r0", &captured(number, host, "drbdsetup events2 --now").stdout)
}

/// DRBD 9, in its documented format.
pub fn documented(name: &str) -> String {
    let text = read("v9-documented.txt");
    let rest = text.split_once(&format!("== {name}\n")).unwrap_or_else(|| panic!("no {name}")).1;
    rest.split("== ").next().unwrap().to_owned()
}

pub fn picture9(name: &str) -> Picture {
    Picture::from_now("r0", &documented(name))
}

/// The events of the whole captured run on alpha, each with its time (`03:10:45.494672`).
pub fn history() -> Vec<(String, String)> {
    let text = captured("20", "alpha", "cat /tmp/ev.log").stdout;
    let time = |l: &str| l.split('T').nth(1).unwrap_or_default().chars().take(15).collect();
    text.lines().filter(|l| l.starts_with("2026")).map(|l| (time(l), l.to_owned())).collect()
}

/// The picture that alpha's events had made by this time, that time included.
pub fn picture_at(time: &str) -> Picture {
    let mut p = Picture::new("r0");
    for (_, line) in history().iter().take_while(|(at, _)| at.as_str() <= time) {
        p.apply(line);
    }
    p
}
