//! What has to be done for a new configuration to count.

use serde::Serialize;

/// What follows.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Needs {
    /// The running daemon has this configuration already.
    Nothing,
    /// `tandemadm reload`.
    Reload,
    /// `tandemadm restart`.
    Restart,
    /// No daemon runs: what starts it reads it.
    Start,
}

/// What a reload does not change.
const FIXED: [&str; 5] = ["pair", "pair_server", "witness", "fence", "witness_server"];

/// From two effective configurations, as the daemon tells its own; none: it does not answer.
pub(super) fn needs(running: Option<&str>, wanted: &str) -> Needs {
    let Some(running) = running else { return Needs::Start };
    let parse = |text: &str| text.parse::<toml::Table>().unwrap_or_default();
    let (old, new) = (parse(running), parse(wanted));
    match FIXED.iter().all(|key| old.get(*key) == new.get(*key)) {
        true if old == new => Needs::Nothing,
        true => Needs::Reload,
        false => Needs::Restart,
    }
}

impl Needs {
    /// For people.
    pub(super) fn words(self) -> &'static str {
        match self {
            Needs::Nothing => "the running tandemd has it already",
            Needs::Reload => "to apply it: tandemadm reload, on both nodes",
            Needs::Restart => "to apply it: tandemadm restart, on both nodes, the standby first",
            Needs::Start => "tandemd does not run; it applies when it is started: systemctl start tandemd",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_pair_decides_with_needs_a_restart_and_the_rest_a_reload() {
        let node = "[node]\nname = \"a\"\n";
        let router = "[[vrrp_instance]]\nname = \"kad\"\n";
        let pair = "[[pair]]\nname = \"esc\"\n";
        for (running, wanted, what) in [
            (None, node.to_owned(), Needs::Start),
            (Some(node.to_owned()), node.to_owned(), Needs::Nothing),
            (Some(node.to_owned()), format!("{node}{router}"), Needs::Reload),
            (Some(format!("{node}{pair}")), format!("{node}{router}{pair}"), Needs::Reload),
            (Some(node.to_owned()), format!("{node}{router}{pair}"), Needs::Restart),
            (Some(format!("{node}{pair}")), format!("{node}{pair}peer = \"192.0.2.2\"\n"), Needs::Restart),
        ] {
            assert_eq!(needs(running.as_deref(), &wanted), what, "{wanted}");
        }
    }
}
