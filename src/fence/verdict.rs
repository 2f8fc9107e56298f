//! What an agent is told, and what its exit status means (fence agent API: 0 done, `status` 0 on and 2 off, else failed).

/// What an agent is told to do.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Action {
    /// Switch the machine off, or cut it off.
    Off,
    /// Switch it on.
    On,
    /// Off and on.
    Reboot,
    /// Is it on?
    Status,
    /// Could the device be used?
    Monitor,
    /// Its own description.
    MetaData,
}

impl Action {
    /// As agents know it.
    pub const fn word(self) -> &'static str {
        match self {
            Action::Off => "off",
            Action::On => "on",
            Action::Reboot => "reboot",
            Action::Status => "status",
            Action::Monitor => "monitor",
            Action::MetaData => "metadata",
        }
    }
}

/// What `status` says.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Power {
    /// The machine has power.
    On,
    /// It has none.
    Off,
}

/// How an action ended.
#[derive(Clone, PartialEq, Eq, Debug)]
pub enum Verdict {
    /// It is done.
    Done,
    /// The answer to [`Action::Status`].
    Status(Power),
    /// It is not known to be done; why, without secrets.
    Failed(String),
}

/// What an exit status means. `words`: the agent's last ones, without secrets.
pub(super) fn judge(action: Action, status: i32, stdout: &str, stderr: &str, words: &str) -> Verdict {
    let failed = |what: &str| Verdict::Failed(format!("{} {what}: {words}", action.word()));
    let said = said(stdout);
    match (action, status) {
        // 2 is also what programs end with that do not understand their arguments, and those say so.
        (Action::Status, 2) if said == Some(Power::Off) || said.is_none() && stderr.trim().is_empty() => {
            Verdict::Status(Power::Off)
        }
        (Action::Status, 0) if said != Some(Power::Off) => Verdict::Status(Power::On),
        (Action::Status, 0 | 2) => failed(&format!("ended with exit status {status} but says otherwise")),
        (_, 0) => Verdict::Done,
        _ => failed(&format!("ended with exit status {status}")),
    }
}

/// What most agents print beside their exit status: `Status: OFF`.
fn said(stdout: &str) -> Option<Power> {
    let word = stdout.lines().rev().find_map(|l| l.trim().strip_prefix("Status:"))?.trim().to_uppercase();
    match word.as_str() {
        "ON" => Some(Power::On),
        "OFF" => Some(Power::Off),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_exit_status_decides_unless_the_words_contradict() {
        use Action::{Monitor, Off, Status};
        let on = Verdict::Status(Power::On);
        let off = Verdict::Status(Power::Off);
        for (action, status, stdout, stderr, expected) in [
            (Off, 0, "Success: Powered OFF", "", Some(Verdict::Done)),
            (Off, 1, "", "Failed: timed out", None),
            (Off, 2, "", "", None),
            (Monitor, 0, "", "noise", Some(Verdict::Done)),
            (Monitor, 2, "", "", None),
            (Status, 0, "Status: ON\n", "warning", Some(on.clone())),
            (Status, 0, "", "", Some(on)),
            (Status, 2, "Status: OFF\n", "warning", Some(off.clone())),
            (Status, 2, "", "\n", Some(off)),
            (Status, 2, "", "usage: agent [-h]", None),
            (Status, 2, "Status: ON", "", None),
            (Status, 0, "Status: OFF", "", None),
            (Status, 1, "Status: OFF", "", None),
            (Status, -1, "", "", None),
        ] {
            let verdict = judge(action, status, stdout, stderr, "words");
            match expected {
                Some(expected) => assert_eq!(verdict, expected, "{action:?} {status} {stdout}"),
                None => {
                    assert!(matches!(&verdict, Verdict::Failed(w) if w.ends_with(": words")), "{verdict:?}")
                }
            }
        }
    }
}
