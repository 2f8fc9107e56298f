//! What an agent is told besides its action: `key=value`, with secrets that do not print.

use super::verdict::Action;
use std::collections::BTreeMap;
use std::fmt;
use thiserror::Error;

/// Set by tandemd, or of no use to a daemon.
const RESERVED: [&str; 6] = ["action", "option", "nodename", "help", "version", "quiet"];
/// Parts of the names of options whose values are secret.
const SECRET: [&str; 5] = ["passw", "passphrase", "secret", "token", "api_key"];
/// More than any agent has.
const MOST: usize = 200;
/// The longest value, in bytes.
const LONGEST: usize = 4096;

/// An option that cannot be given to an agent. Without its value.
#[derive(Clone, PartialEq, Eq, Debug, Error)]
pub enum BadOption {
    /// Not a name.
    #[error("{0:?} is no name of an option: letters, digits, '_' and '-'")]
    Name(String),
    /// tandemd sets it.
    #[error("option {0} cannot be set: tandemd sets it itself, or it has no use here")]
    Reserved(String),
    /// The value would be read as something else.
    #[error("option {0}: a value is one line of 4096 bytes at most, without blanks at its ends")]
    Value(String),
    /// Too many of them.
    #[error("there are more than 200 options")]
    TooMany,
}

/// Options of one device. Printing them masks the secret ones.
#[derive(Clone, PartialEq, Eq, Default)]
pub struct Options(BTreeMap<String, String>);

impl Options {
    /// Takes names and values. Values are secret if their name says so (`password`, `passwd`, `token`, ...).
    pub fn new(all: impl IntoIterator<Item = (String, String)>) -> Result<Self, BadOption> {
        let mut options = BTreeMap::new();
        for (name, value) in all {
            let fits = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
            if name.is_empty() || !name.chars().all(fits) {
                return Err(BadOption::Name(name.chars().take(80).collect()));
            }
            if RESERVED.contains(&name.as_str()) {
                return Err(BadOption::Reserved(name));
            }
            // Agents cut lines at line ends and trim them: a value could bring another option with it.
            if value.len() > LONGEST || value.trim() != value || value.chars().any(char::is_control) {
                return Err(BadOption::Value(name));
            }
            options.insert(name, value);
            if options.len() > MOST {
                return Err(BadOption::TooMany);
            }
        }
        Ok(Options(options))
    }

    /// The names, in order.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }

    /// Whether there is such an option.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains_key(name)
    }

    /// What the agent reads. `node`: the name of the machine that is fenced, for agents that find it by that.
    pub(super) fn input(&self, action: Action, node: &str) -> Vec<u8> {
        let mut text = format!("action={}\n", action.word());
        // Its own description needs nothing, and least of all a password.
        if action != Action::MetaData {
            let node: String = node.chars().filter(|c| !c.is_control()).collect();
            text.push_str(&format!("nodename={node}\n"));
            for (name, value) in &self.0 {
                text.push_str(&format!("{name}={value}\n"));
            }
        }
        text.into_bytes()
    }

    /// The text without the secrets.
    pub(super) fn hide(&self, text: &str) -> String {
        let mut secrets: Vec<&str> =
            self.0.iter().filter(|(n, v)| is_secret(n) && !v.is_empty()).map(|(_, v)| v.as_str()).collect();
        // A secret that is part of another one would leave the rest of that.
        secrets.sort_by_key(|s| std::cmp::Reverse(s.len()));
        secrets.iter().fold(text.to_owned(), |text, secret| text.replace(secret, "****"))
    }
}

/// A path to a secret is none.
pub(super) fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    SECRET.iter().any(|s| name.contains(s)) && !name.ends_with("_script") && !name.ends_with("_file")
}

impl fmt::Debug for Options {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let shown = |(n, v): (&String, &String)| {
            let value = if is_secret(n) { "****".to_owned() } else { v.clone() };
            (n.clone(), value)
        };
        f.debug_map().entries(self.0.iter().map(shown)).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn options(all: &[(&str, &str)]) -> Result<Options, BadOption> {
        Options::new(all.iter().map(|(n, v)| (n.to_string(), v.to_string())))
    }

    #[test]
    fn an_option_cannot_bring_another_one_with_it() {
        let bad = |n: &str, v: &str| options(&[(n, v)]).unwrap_err().to_string();
        assert!(bad("ip", "1.2.3.4\naction=on").contains("option ip"));
        assert!(bad("ip", " x").contains("option ip"));
        assert!(!bad("password", "geheim\n").contains("geheim"));
        assert!(bad("ip=x\n", "").contains("no name"));
        assert!(bad("action", "on").contains("cannot be set"));
        assert!(bad("ip", &"x".repeat(5000)).contains("4096"));
    }

    #[test]
    fn secrets_are_said_to_the_agent_only() {
        let o = options(&[("ip", "10.0.0.1"), ("password", "hush"), ("passwd", "hush-hush")]).unwrap();
        let input = String::from_utf8(o.input(Action::Off, "bravo")).unwrap();
        assert_eq!(input, "action=off\nnodename=bravo\nip=10.0.0.1\npasswd=hush-hush\npassword=hush\n");
        assert_eq!(o.input(Action::MetaData, "bravo"), b"action=metadata\n");
        let shown = format!("{o:?}");
        assert!(shown.contains("10.0.0.1") && !shown.contains("hush"), "{shown}");
        assert_eq!(o.hide("login hush-hush, or hush"), "login ****, or ****");
        assert!(is_secret("snmp_priv_passwd") && is_secret("token") && !is_secret("password_script"));
    }

    proptest! {
        #[test]
        fn the_agent_reads_one_line_an_option(all in prop::collection::btree_map("\\PC{0,8}", ".{0,20}", 0..6)) {
            if let Ok(o) = Options::new(all.clone()) {
                let input = String::from_utf8(o.input(Action::On, "n")).unwrap();
                prop_assert_eq!(input.lines().count(), all.len() + 2);
                for (line, (name, value)) in input.lines().skip(2).zip(&all) {
                    prop_assert_eq!(line.split_once('='), Some((name.as_str(), value.as_str())));
                }
            }
        }
    }
}
