//! `ha authkey` and `ha register`.

use super::args::RegisterWish;
use super::change;
use crate::cli::exit::Failure;
use crate::cli::text::print;
use crate::control::api::{PairAbout, PairRegistration};
use crate::control::client::Client;
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A registration is over by then, one way or the other.
const REGISTRATION: Duration = Duration::from_secs(60);
/// How often its milestones are asked for.
const LOOK: Duration = Duration::from_millis(200);
/// A name is looked up within this time.
const RESOLVER: Duration = Duration::from_secs(10);
/// A key is a line of text.
const LONGEST_KEY: u64 = 4096;
const PATH: &str = "/v1/pairs/register";

/// The other node may register.
pub(super) async fn wait(
    client: &Client,
    file: &Path,
    pair: Option<String>,
    json: bool,
) -> Result<(), Failure> {
    let command = PairRegistration { pair, key: read_key(file).map_err(Failure::File)?, asks: false };
    change(client, PATH, &command, json).await
}

/// Registers with the other node, and prints how far it is.
pub(super) async fn ask(client: &Client, wish: RegisterWish) -> Result<(), Failure> {
    let key = read_key(&wish.authkey_file).map_err(Failure::File)?;
    let all = super::pairs(client).await?;
    if let Some(report) = super::meant(&all, wish.pair.as_deref()) {
        let found = match &wish.secondary {
            Some(host) => resolve(host).await,
            None => Ok(Vec::new()),
        };
        fits(&wish, &report.about, &found).map_err(Failure::Config)?;
    }
    let patient = client.clone().patient(REGISTRATION);
    let command = PairRegistration { pair: wish.pair.clone(), key, asks: true };
    let registration = change(&patient, PATH, &command, wish.json);
    tokio::pin!(registration);
    let mut tick = tokio::time::interval(LOOK);
    let mut seen = 0;
    loop {
        tokio::select! {
            done = &mut registration => {
                if done.is_ok() {
                    milestones(client, &wish, &mut seen).await?;
                }
                return done;
            }
            _ = tick.tick() => milestones(client, &wish, &mut seen).await?,
        }
    }
}

/// Prints those that are new. Standard output is for the answer where that is JSON.
async fn milestones(client: &Client, wish: &RegisterWish, seen: &mut usize) -> Result<(), Failure> {
    let all = super::pairs(client).await.unwrap_or_default();
    let Some(p) = super::meant(&all, wish.pair.as_deref()) else { return Ok(()) };
    for text in p.progress.iter().skip(*seen) {
        *seen += 1;
        let bar = "#".repeat((*seen).min(MILESTONES)) + &".".repeat(MILESTONES.saturating_sub(*seen));
        let line = format!("[{bar}] {text}\n");
        match wish.json {
            true => eprint!("{line}"),
            false => print(&line)?,
        }
    }
    Ok(())
}

/// So many are there.
const MILESTONES: usize = 4;

/// What a host is called in figures, as this machine's resolver says.
async fn resolve(host: &str) -> Result<Vec<IpAddr>, String> {
    if let Ok(address) = host.parse() {
        return Ok(vec![address]);
    }
    match tokio::time::timeout(RESOLVER, tokio::net::lookup_host((host, 0))).await {
        Ok(Ok(found)) => {
            let mut all: Vec<IpAddr> = found.map(|a| a.ip()).collect();
            all.dedup();
            Ok(all)
        }
        Ok(Err(e)) => Err(e.to_string()),
        Err(_) => Err(format!("no answer within {} s", RESOLVER.as_secs())),
    }
}

/// What was typed has to be what is configured: the configuration is what the pair goes by. `found` are the addresses of
/// `--secondary`.
fn fits(wish: &RegisterWish, about: &PairAbout, found: &Result<Vec<IpAddr>, String>) -> Result<(), String> {
    let mut wrong = Vec::new();
    if let Some(host) = &wish.secondary {
        if about.role != crate::pair::Role::Primary {
            wrong.push("--secondary: this node is the secondary; register on the primary".to_owned());
        }
        let peer = format!("the pair has peer = \"{}\"", about.peer);
        let is_peer = |a: &IpAddr| *a == about.peer || Some(*a) == about.direct_link;
        match found {
            Ok(all) if all.iter().any(is_peer) => {}
            Ok(all) if host.parse::<IpAddr>().is_ok() || all.is_empty() => {
                wrong.push(format!("--secondary {host}: {peer}"));
            }
            Ok(all) => {
                let all: Vec<String> = all.iter().map(ToString::to_string).collect();
                wrong.push(format!("--secondary {host}, which is {}: {peer}", all.join(", ")));
            }
            Err(e) => wrong.push(format!("--secondary {host}: the name is not known here ({e}): {peer}")),
        }
    }
    for vip in &wish.vip {
        let bare = |text: &str| text.split('/').next().unwrap_or_default().parse::<IpAddr>().ok();
        let of = |a: &String| a == vip || (!vip.contains('/') && bare(a).is_some() && bare(a) == bare(vip));
        if !about.virtual_addresses.iter().any(of) {
            let list = about.virtual_addresses.join(", ");
            wrong.push(format!("--vip {vip}: virtual_ipaddress of its vrrp_instance is {list}"));
        }
    }
    if let Some(mode) = wish.failover
        && crate::pair::Mode::from(mode) != about.failover
    {
        wrong.push(format!(
            "--failover {}: the pair has failover = \"{}\"",
            crate::pair::Mode::from(mode),
            about.failover
        ));
    }
    match wrong.is_empty() {
        true => Ok(()),
        false => Err(format!(
            "nothing was done, as the configuration says otherwise: change it on both nodes and restart tandemd, or leave the word out\n  {}",
            wrong.join("\n  ")
        )),
    }
}

/// The key, from a file that nobody else can read.
fn read_key(file: &Path) -> Result<String, String> {
    let failed = |e: std::io::Error| format!("cannot read the key from {}: {e}", file.display());
    let about = std::fs::metadata(file).map_err(failed)?;
    if about.mode() & 0o077 != 0 {
        return Err(format!(
            "others can read the key in {} (mode {:o}): chmod 600 it, and change the key",
            file.display(),
            about.mode() & 0o777
        ));
    }
    if about.len() > LONGEST_KEY {
        return Err(format!("{} is no key: it has {} bytes", file.display(), about.len()));
    }
    let text = std::fs::read_to_string(file).map_err(failed)?;
    Ok(text.trim_end_matches(['\r', '\n']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::super::args::ModeWord;
    use super::*;
    use crate::control::samples::pair_report;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn a_key_that_others_can_read_is_refused() {
        let dir = tempfile::tempdir().unwrap();
        let file = dir.path().join("key");
        std::fs::write(&file, "Secret-1\n").unwrap();
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o640)).unwrap();
        let refused = read_key(&file).unwrap_err();
        assert!(refused.contains("mode 640") && !refused.contains("Secret"), "{refused}");
        std::fs::set_permissions(&file, std::fs::Permissions::from_mode(0o600)).unwrap();
        assert_eq!(read_key(&file).as_deref(), Ok("Secret-1"));
    }

    #[test]
    fn words_that_differ_from_the_configuration_are_refused_with_what_to_change() {
        let mut about = pair_report().about;
        let wish = |secondary: &str, vip: &str, failover| RegisterWish {
            authkey_file: "key".into(),
            pair: None,
            secondary: Some(secondary.into()),
            vip: vec![vip.into()],
            failover: Some(failover),
            json: false,
        };
        let good =
            [("192.0.2.2", "192.0.2.100/24"), ("198.51.100.2", "192.0.2.100"), ("bravo", "192.0.2.100")];
        let list = |all: &[&str]| Ok(all.iter().map(|a| a.parse().unwrap()).collect::<Vec<IpAddr>>());
        for (host, vip) in good {
            let found = if host == "bravo" { list(&["2001:db8::2", "192.0.2.2"]) } else { list(&[host]) };
            assert_eq!(fits(&wish(host, vip, ModeWord::Automatic), &about, &found), Ok(()));
        }
        for (found, why) in [
            (
                list(&["192.0.2.7", "2001:db8::7"]),
                "bravo, which is 192.0.2.7, 2001:db8::7: the pair has peer = \"192.0.2.2\"",
            ),
            (list(&[]), "bravo: the pair has peer"),
            (
                Err("no such host".into()),
                "bravo: the name is not known here (no such host): the pair has peer",
            ),
        ] {
            let refused =
                fits(&wish("bravo", "192.0.2.100", ModeWord::Automatic), &about, &found).unwrap_err();
            assert!(refused.contains(why), "{refused}");
        }
        let found = list(&["192.0.2.3"]);
        let refused = fits(&wish("192.0.2.3", "192.0.2.101", ModeWord::Manual), &about, &found).unwrap_err();
        for part in ["peer = \"192.0.2.2\"", "is 192.0.2.100/24", "failover = \"automatic\""] {
            assert!(refused.contains(part), "{refused}");
        }
        about.role = crate::pair::Role::Secondary;
        let found = list(&["192.0.2.2"]);
        let refused =
            fits(&wish("192.0.2.2", "192.0.2.100", ModeWord::Automatic), &about, &found).unwrap_err();
        assert!(refused.contains("register on the primary"), "{refused}");
    }
}
