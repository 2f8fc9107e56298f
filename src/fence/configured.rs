//! From `[[fence]]` to a way that can be tried.

use super::{Device, Fate, Fence, Options};
use crate::config::{self, FenceAction, FenceAgent, key_file};
use std::path::{Path, PathBuf};
use std::time::Duration;

/// More are no options of an agent.
const LONGEST_FILE: u64 = 64 << 10;
/// Of one action each: the agent's description, and `off` and `status` at two attempts.
const ACTIONS: u32 = 5;
/// Pauses, and the end of what was killed.
const MORE: Duration = Duration::from_secs(30);

impl Fence {
    /// A single way with a single device, as it is configured; `node`: the name of the machine that it fences. Reads the file
    /// with secrets, so it blocks.
    ///
    /// # Errors
    /// In words, without anything that is secret.
    pub fn of(settings: &config::Fence, node: &str) -> Result<Self, String> {
        let mut all: Vec<(String, String)> = settings.options.clone().into_iter().collect();
        if let Some(file) = &settings.secrets_file {
            for (name, value) in secrets(file)? {
                if all.iter().any(|(n, _)| *n == name) {
                    return Err(format!(
                        "{}: option {name} stands there twice, or in `options` too",
                        file.display()
                    ));
                }
                all.push((name, value));
            }
        }
        let options = Options::new(all).map_err(|e| e.to_string())?;
        let mut device = Device::new(&*settings.name, agent(&settings.agent), options, node);
        device.timeout = settings.timeout;
        let fate = fate(settings.action);
        let deadline = settings.timeout.saturating_mul(ACTIONS).saturating_add(MORE);
        Ok(Fence { levels: vec![vec![device]], fate, deadline })
    }

    /// Compares a configured fence with what its agent says of itself: the warnings, or the errors.
    pub async fn check(settings: &config::Fence) -> Result<Vec<String>, Vec<String>> {
        let (settings, action) = (settings.clone(), settings.action);
        let built = tokio::task::spawn_blocking(move || Fence::of(&settings, "peer")).await;
        let fence = built.unwrap_or_else(|e| Err(e.to_string())).map_err(|e| vec![e])?;
        let mut warnings = Vec::new();
        for device in fence.levels.iter().flatten() {
            warnings.extend(super::check(device, fate(action)).await?);
        }
        Ok(warnings)
    }
}

fn fate(action: FenceAction) -> Fate {
    match action {
        FenceAction::Off => Fate::Off,
        FenceAction::Reboot => Fate::Reboot,
    }
}

fn agent(agent: &FenceAgent) -> PathBuf {
    match agent {
        FenceAgent::Named(name) => Path::new(super::check::AGENTS).join(name),
        FenceAgent::Path(path) => path.clone(),
    }
}

/// One `name=value` a line; empty lines, and those that begin with `#`, are left out.
fn secrets(file: &Path) -> Result<Vec<(String, String)>, String> {
    let shown = file.display();
    let content = key_file::guarded(file, LONGEST_FILE)
        .map_err(|f| format!("{}{}", f.message, f.help.map(|h| format!(" ({h})")).unwrap_or_default()))?;
    let text = String::from_utf8(content).map_err(|_| format!("{shown} is not text"))?;
    let mut all = Vec::new();
    for (at, line) in text.lines().enumerate().filter(|(_, l)| !l.trim().is_empty() && !l.starts_with('#')) {
        let Some((name, value)) = line.split_once('=') else {
            return Err(format!("{shown} line {}: write name=value", at + 1));
        };
        all.push((name.trim().to_owned(), value.trim().to_owned()));
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeMap;
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    fn with(text: &str, mode: u32) -> Result<Fence, String> {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("secrets");
        fs::write(&file, text).unwrap();
        fs::set_permissions(&file, Permissions::from_mode(mode)).unwrap();
        let settings = config::Fence {
            name: "ipmi".into(),
            agent: FenceAgent::Named("fence_ipmilan".into()),
            options: BTreeMap::from([("ip".to_owned(), "192.0.2.7".to_owned())]),
            secrets_file: Some(file),
            action: FenceAction::Off,
            delay: Duration::ZERO,
            timeout: Duration::from_secs(10),
        };
        Fence::of(&settings, "bravo")
    }

    #[test]
    fn secrets_join_the_options_and_are_never_shown() {
        let fence = with("# of the board\n\npassword = hush\nusername=root\n", 0o600).unwrap();
        let device = &fence.levels[0][0];
        assert_eq!(device.agent, Path::new("/usr/sbin/fence_ipmilan"));
        assert_eq!(device.options.names().collect::<Vec<_>>(), ["ip", "password", "username"]);
        assert!(!format!("{fence:?}").contains("hush"));
        assert!(fence.deadline > device.timeout * 5);
    }

    #[test]
    fn what_is_wrong_with_the_file_is_said_without_what_is_in_it() {
        for (text, mode, why) in [
            ("password=hush\n", 0o644, "chmod 600"),
            ("hush\n", 0o600, "line 1: write name=value"),
            ("ip=hush\n", 0o600, "ip stands there twice"),
            ("action=hush\n", 0o600, "action"),
        ] {
            let e = with(text, mode).unwrap_err();
            assert!(e.contains(why) && !e.contains("hush"), "{e}");
        }
    }
}
