//! Which tools of Pacemaker an agent calls, found by reading it.
//!
//! Without a cluster manager such tools do not exist, or would talk to a cluster that has nothing to do with this pair.
//! An agent that only sets its promotion score (`crm_master`, `ocf_promotion_score`) does well without: nobody here
//! reads it. One that reads or keeps the cluster's state with them does not.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What the agent calls.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) struct Calls {
    /// Commands that it cannot do without.
    pub(super) needs: BTreeSet<String>,
    /// It sets a promotion score.
    pub(super) scores: bool,
}

/// Commands that read or keep the state of a cluster.
const STATE: [&str; 18] = [
    "cibadmin",
    "attrd_updater",
    "crm_attribute",
    "crm_diff",
    "crm_failcount",
    "crm_mon",
    "crm_mon_no_validation",
    "crm_node",
    "crm_report",
    "crm_resource",
    "crm_rule",
    "crm_shadow",
    "crm_simulate",
    "crm_standby",
    "crm_ticket",
    "crm_verify",
    "crmadmin",
    "stonith_admin",
];
/// Commands that set a promotion score, unless they are asked for it.
const SCORE: [&str; 2] = ["crm_master", "ocf_promotion_score"];
/// Options that ask.
const ASKS: [&str; 3] = ["-G", "--query", "--get-value"];

/// Reads the agent and what it includes. An error: it cannot be read.
pub(super) fn scan(agent: &Path, library: &Path) -> std::io::Result<Calls> {
    let text = read(agent)?;
    let mut calls = calls(&text);
    for name in included(&text) {
        let places = [Some(library), agent.parent()];
        let found = places.into_iter().flatten().find_map(|d| read(&d.join(&name)).ok());
        let more = self::calls(&found.unwrap_or_default());
        calls.needs.extend(more.needs);
        calls.scores |= more.scores;
    }
    Ok(calls)
}

fn read(path: &Path) -> std::io::Result<String> {
    Ok(String::from_utf8_lossy(&std::fs::read(path)?).into_owned())
}

/// File names after `.` or `source`. The general library is known: it offers such calls, and needs none.
fn included(text: &str) -> Vec<PathBuf> {
    let lines = text.lines().filter_map(|line| {
        let mut words = line.split_whitespace();
        let first = words.next().filter(|w| matches!(*w, "." | "source"));
        let file = first.and_then(|_| words.next())?.trim_matches(['"', '\'']);
        Path::new(file).file_name().map(PathBuf::from)
    });
    lines.filter(|name| !name.as_os_str().as_encoded_bytes().starts_with(b"ocf-")).collect()
}

fn calls(text: &str) -> Calls {
    let mut calls = Calls::default();
    for line in code(text) {
        let words: Vec<&str> = line.split(|c: char| !is_of_word(c)).collect();
        // What stands in a path counts by its last part: ${HA_SBIN_DIR}/crm_mon.
        let named = |name: &str| words.contains(&name);
        let asks = words.iter().any(|w| ASKS.contains(w));
        for name in STATE.into_iter().filter(|n| named(n)) {
            calls.needs.insert(name.to_owned());
        }
        for name in SCORE.into_iter().filter(|n| named(n)) {
            calls.scores = true;
            if asks {
                calls.needs.insert(name.to_owned());
            }
        }
    }
    calls
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_' || c == '-'
}

/// The lines that do something: without comments, descriptions and messages.
fn code(text: &str) -> impl Iterator<Item = &str> {
    let mut described = false;
    text.lines().filter_map(move |line| {
        let (begins, ends) = (
            line.contains("<longdesc") || line.contains("<shortdesc"),
            line.contains("</longdesc>") || line.contains("</shortdesc>"),
        );
        let skip = described || begins;
        described = skip && !ends;
        let line = without_comment(line).trim();
        let message = ["ocf_log ", "ocf_exit_reason ", "echo "].iter().any(|m| line.starts_with(m));
        let called = line.contains("$(") || line.contains('`') || line.contains('|');
        // `: a comment` does nothing, `: ${x=$(crm_node)}` does.
        let idle = line.strip_prefix(": ").is_some_and(|l| l.starts_with(char::is_alphabetic));
        (!skip && !idle && (!message || called)).then_some(line)
    })
}

fn without_comment(line: &str) -> &str {
    let at = line.char_indices().find(|(at, c)| {
        *c == '#' && line.get(..*at).is_some_and(|l| l.is_empty() || l.ends_with([' ', '\t', ';']))
    });
    at.and_then(|(at, _)| line.get(..at)).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn needs(text: &str) -> Vec<String> {
        calls(text).needs.into_iter().collect()
    }

    #[test]
    fn commands_are_found_however_they_are_written() {
        assert_eq!(needs("a=$(crm_node -n)"), ["crm_node"]);
        assert_eq!(needs("  ${HA_SBIN_DIR}/crm_attribute -l reboot"), ["crm_attribute"]);
        assert_eq!(needs("UP=/usr/sbin/attrd_updater"), ["attrd_updater"]);
        assert_eq!(needs("run \"crm_resource\", \"-N\""), ["crm_resource"]);
        assert_eq!(needs("cibadmin -Q|grep x && `crm_mon -1`"), ["cibadmin", "crm_mon"]);
        assert_eq!(needs("crm_mon_no_validation -1"), ["crm_mon_no_validation"]);
        assert_eq!(needs("echo $(crm_node -i)"), ["crm_node"]);
        assert_eq!(needs(": ${NODE=$(crm_node -n)}"), ["crm_node"]);
    }

    #[test]
    fn what_is_only_said_is_no_call() {
        for text in [
            "# use crm_mon",
            "x=1 # crm_mon",
            "\t: we can check permission on crm_mon if necessary",
            "ocf_log info \"crm_attribute failed\"",
            "<longdesc lang=\"en\">\nsee crm_mon,\ncibadmin\n</longdesc>",
            "<shortdesc lang=\"en\">crm_mon in HTML</shortdesc>",
            "print_crm_mon() {",
            "OCF_RESKEY_crm_attr_timeout=5",
            "ipcrm_instance",
            "x=${#crm_y}",
        ] {
            assert!(needs(text).is_empty(), "{text}");
        }
        assert_eq!(needs("<shortdesc>x</shortdesc>\ncrm_mon"), ["crm_mon"], "only to its end");
    }

    #[test]
    fn a_score_may_be_set_and_not_asked_for() {
        let c = calls("ocf_promotion_score -v 5\n crm_master -Q -l reboot -v $1\ncrm_master -D");
        assert!(c.scores && c.needs.is_empty(), "{c:?}");
        assert_eq!(needs("ocf_promotion_score -G -N $node"), ["ocf_promotion_score"]);
        assert_eq!(needs("crm_master --query"), ["crm_master"]);
        assert!(!calls("true").scores);
    }

    #[test]
    fn what_is_included_counts_except_the_general_library() {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("x-common.sh"), "crm_node -n").unwrap();
        std::fs::write(dir.path().join("ocf-shellfuncs"), "crm_mon").unwrap();
        let agent = dir.path().join("x");
        let text = ". ${OCF_FUNCTIONS_DIR}/ocf-shellfuncs\n . ${OCF_FUNCTIONS_DIR}/x-common.sh\n. missing";
        std::fs::write(&agent, text).unwrap();
        let c = scan(&agent, dir.path()).unwrap();
        assert_eq!(c.needs.into_iter().collect::<Vec<_>>(), ["crm_node"]);
        assert!(scan(&dir.path().join("none"), dir.path()).is_err());
    }
}
