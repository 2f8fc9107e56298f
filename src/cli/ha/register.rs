//! `ha authkey` and `ha register`.

use super::args::{AuthkeyWish, RegisterWish};
use super::progress::{Patience, Phase, Stage, Then, stage};
use super::{PairReport, change, confirm};
use crate::cli::exit::Failure;
use crate::cli::text::{print, print_value};
use crate::control::api::{Outcome, PairAbout, PairRegistration, PairRemoval};
use crate::control::client::{Client, ClientError};
use crate::net::clock;
use crate::pair::State;
use hyper::Method;
use serde::Serialize;
use std::io::{IsTerminal, Write, stdout};
use std::net::IpAddr;
use std::os::unix::fs::MetadataExt;
use std::path::Path;
use std::time::Duration;

/// A registration is over by then, one way or the other.
const REGISTRATION: Duration = Duration::from_secs(60);
/// How often it is looked how far it is.
const LOOK: Duration = Duration::from_millis(200);
/// A name is looked up within this time.
const RESOLVER: Duration = Duration::from_secs(10);
/// A key is a line of text.
const LONGEST_KEY: u64 = 4096;
const PATH: &str = "/v1/pairs/register";

/// `ha authkey`: the other node may register, or may not any more.
pub(super) async fn wait(client: &Client, wish: AuthkeyWish) -> Result<(), Failure> {
    let AuthkeyWish { file, withdraw, replace, yes, pair, json } = wish;
    if withdraw {
        return change(client, "/v1/pairs/remove", &PairRemoval { pair, offer: true }, json).await;
    }
    let Some(file) = file else { return Err(Failure::Usage("name the file with the key".into())) };
    let key = read_key(&file).map_err(Failure::File)?;
    if replace && !yes {
        let all = super::pairs(client).await?;
        if let Some(report) = super::meant(&all, pair.as_deref()) {
            confirm(&replacement(report))?;
        }
    }
    change(client, PATH, &PairRegistration { pair, key, asks: false, replace }, json).await
}

/// What follows from letting a new node in.
fn replacement(p: &PairReport) -> String {
    let with = p.registered.as_ref().map_or_else(|| p.peer.clone(), |pin| pin.node.clone());
    format!(
        "{}: whoever registers with this key takes the place of {with}, which is then refused for good: it must be dead. This node \
         serves on.",
        p.name
    )
}

/// How it ended, for scripts.
#[derive(Debug, Serialize)]
struct Ended {
    ok: bool,
    message: String,
    whole: bool,
    percent: u8,
    state: Option<State>,
    peer_state: Option<State>,
}

/// Registers with the other node, and stays until the pair is whole.
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
    let mut shown = Shown::new(wish.json);
    let command = PairRegistration { pair: wish.pair.clone(), key, asks: true, replace: false };
    tokio::select! {
        done = join(client, &wish, &command, &mut shown) => {
            let done = done?;
            if wish.no_wait {
                let report = report(client, &wish).await;
                return shown.end(&wish, done.message, report.as_ref(), true);
            }
            settle(client, &wish, done, &mut shown).await
        }
        _ = tokio::signal::ctrl_c() => {
            let message = "interrupted; tandemd goes on with the registration: look at tandemadm ha status";
            shown.end(&wish, message.into(), None, false)
        }
    }
}

/// Until both nodes know each other.
async fn join(
    client: &Client,
    wish: &RegisterWish,
    command: &PairRegistration,
    shown: &mut Shown,
) -> Result<Outcome, Failure> {
    let patient = client.clone().patient(REGISTRATION);
    let registration = patient.change(Method::POST, PATH, command);
    tokio::pin!(registration);
    let mut tick = tokio::time::interval(LOOK);
    let done: Result<Outcome, ClientError> = loop {
        tokio::select! {
            done = &mut registration => break done,
            _ = tick.tick() => if let Some(p) = report(client, wish).await {
                shown.milestones(&p)?;
            }
        }
    };
    let done = match done {
        // The daemon cuts a connection that lasts so long, and goes on.
        Err(ClientError::NotReachable { path, source }) => match outcome(client, wish, shown).await? {
            Some(done) => Ok(done),
            None => Err(ClientError::NotReachable { path, source }),
        },
        done => done,
    };
    match done {
        Ok(done) => {
            if let Some(p) = report(client, wish).await {
                shown.milestones(&p)?;
            }
            Ok(done)
        }
        Err(e) => {
            shown.end_of_line()?;
            if let (ClientError::Refused { text, .. }, true) = (&e, wish.json) {
                print_value(&Outcome { ok: false, message: text.clone() })?;
            }
            Err(e.into())
        }
    }
}

/// What becomes of a registration whose answer was lost; none: the daemon does not answer any more, or did not register.
async fn outcome(
    client: &Client,
    wish: &RegisterWish,
    shown: &mut Shown,
) -> Result<Option<Outcome>, Failure> {
    let end = clock::now() + REGISTRATION;
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        let Some(p) = report(client, wish).await else { return Ok(None) };
        shown.milestones(&p)?;
        if let Some(pin) = &p.registered {
            let message = format!("registered with {}", pin.node);
            return Ok(Some(Outcome { ok: true, message }));
        }
        if p.state != State::HaInitializing || clock::now() >= end {
            return Ok(None);
        }
    }
}

/// Until the pair is whole, which takes as long as the copy of the data does.
async fn settle(
    client: &Client,
    wish: &RegisterWish,
    done: Outcome,
    shown: &mut Shown,
) -> Result<(), Failure> {
    let mut patience = Patience::new(wish.wait.map(Duration::from_secs));
    let begun = clock::now();
    let mut tick = tokio::time::interval(LOOK);
    let mut last = None;
    loop {
        tokio::select! {
            _ = tick.tick() => {}
            _ = tokio::signal::ctrl_c() => {
                let message = format!("{}; interrupted before the pair was whole. The registration stays", done.message);
                return shown.end(wish, message, last.as_ref(), false);
            }
        }
        // A daemon that is busy for a moment has not lost the registration.
        let Some(p) = report(client, wish).await.or_else(|| last.clone()) else { continue };
        let now = stage(&p);
        shown.stage(&now)?;
        last = Some(p);
        match patience.sees(clock::now().since(begun), &now) {
            Then::Wait => {}
            Then::Warn(text) => shown.warn(&text)?,
            Then::Done => {
                let message = format!("{}: {}", done.message, now.text);
                return shown.end(wish, message, last.as_ref(), true);
            }
            Then::GiveUp(why) => {
                let message =
                    format!("{}, but the pair is not whole {why}. The registration stays", done.message);
                return shown.end(wish, message, last.as_ref(), false);
            }
        }
    }
}

async fn report(client: &Client, wish: &RegisterWish) -> Option<PairReport> {
    let all = super::pairs(client).await.ok()?;
    super::meant(&all, wish.pair.as_deref()).cloned()
}

/// What an operator has seen of it: a bar on a terminal, lines in a log. With JSON, standard output is for the end alone.
#[derive(Debug)]
struct Shown {
    json: bool,
    bar: bool,
    milestones: usize,
    last: Option<Stage>,
}

impl Shown {
    fn new(json: bool) -> Self {
        Shown { json, bar: !json && stdout().is_terminal(), milestones: 0, last: None }
    }

    /// Those that are new.
    fn milestones(&mut self, p: &PairReport) -> Result<(), Failure> {
        for text in p.progress.iter().skip(self.milestones) {
            self.milestones += 1;
            self.stage(&Stage::milestone(self.milestones, text))?;
        }
        Ok(())
    }

    fn stage(&mut self, now: &Stage) -> Result<(), Failure> {
        let differs = self.last.as_ref() != Some(now);
        match (self.bar, self.json) {
            (true, _) if differs => {
                // Whatever was there is longer at most by what the spaces cover.
                print(&format!("\r{:<79}", now.bar()))?;
                stdout().flush()?;
            }
            (true, _) => return Ok(()),
            _ if !now.is_news(self.last.as_ref()) => return Ok(()),
            (false, true) => eprintln!("{}", now.line()),
            (false, false) => print(&format!("{}\n", now.line()))?,
        }
        self.last = Some(now.clone());
        Ok(())
    }

    fn warn(&mut self, text: &str) -> Result<(), Failure> {
        self.end_of_line()?;
        eprintln!("tandemadm: {text}");
        Ok(())
    }

    /// The bar stays where it is.
    fn end_of_line(&mut self) -> Result<(), Failure> {
        if self.bar && self.last.take().is_some() {
            print("\n")?;
        }
        Ok(())
    }

    fn end(
        &mut self,
        wish: &RegisterWish,
        message: String,
        p: Option<&PairReport>,
        ok: bool,
    ) -> Result<(), Failure> {
        self.end_of_line()?;
        let stage = p.map(stage);
        let whole = stage.as_ref().is_some_and(|s| s.phase == Phase::Whole);
        let status = p.and_then(|p| p.status.as_ref());
        match wish.json {
            true => print_value(&Ended {
                ok: p.is_some(),
                message,
                whole,
                percent: stage.map_or(0, |s| s.percent),
                state: p.map(|p| p.state),
                peer_state: status.and_then(|s| s.peer.as_ref()).map(|peer| peer.state),
            })?,
            false if ok => print(&format!("{message}\n"))?,
            false => eprintln!("tandemadm: {message}"),
        }
        if ok { Ok(()) } else { Err(Failure::NotWhole) }
    }
}

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
            wait: None,
            no_wait: false,
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
