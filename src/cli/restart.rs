//! `restart`: through the service manager, with a word on what it means, until the new daemon answers.

use super::exit::Failure;
use super::text::{print_done, wrap};
use crate::config;
use crate::control::api::{PairReport, Status};
use crate::control::client::{Client, ClientError};
use crate::pair::{Role, Serving};
use crate::vrrp::State;
use serde::Serialize;
use std::path::Path;
use std::process::{Output, Stdio};
use std::time::Duration;
use tokio::process::Command;

/// How it is called by the unit that comes with tandemd.
const UNIT: &str = "tandemd.service";
/// How often the new daemon is asked whether it is there.
const LOOK: Duration = Duration::from_millis(200);
/// The service manager answers a question within this.
const ANSWER: Duration = Duration::from_secs(10);

/// What was done.
#[derive(Clone, PartialEq, Eq, Debug, Serialize)]
struct Done {
    ok: bool,
    /// Of the service manager.
    unit: String,
    /// What it meant for the service, in words.
    effects: Vec<String>,
    /// Process of the daemon before and after.
    old_pid: u32,
    pid: u32,
    message: String,
}

pub(super) async fn run(client: &Client, wait: Duration, json: bool) -> Result<(), Failure> {
    print_done(restart(client, wait).await, json, |done| &done.message)
}

async fn restart(client: &Client, wait: Duration) -> Result<Done, Failure> {
    let old = client.status().await?;
    may(&old)?;
    let unit = unit(old.pid).await?;
    let effects = effects(&old);
    for effect in &effects {
        eprint!("{}", wrap("", effect));
    }
    let told = tokio::time::timeout(wait, async {
        let asked = systemctl(&["restart", &unit]).await?;
        if !asked.status.success() {
            return Err(Failure::Refused(format!(
                "systemctl restart {unit} failed: {}\nLook at: systemctl status {unit}; journalctl -u {unit}",
                last_words(&asked)
            )));
        }
        answers(client, &old).await
    });
    let late = || {
        Failure::NotThere(format!(
            "tandemd does not answer {} s after its restart began, which goes on: systemctl status {unit}",
            wait.as_secs()
        ))
    };
    let new = told.await.map_err(|_| late())??;
    let message = format!("{unit} is restarted: tandemd {} runs as process {}", new.version, new.pid);
    Ok(Done { ok: true, unit, effects, old_pid: old.pid, pid: new.pid, message })
}

/// Refuses what would leave the node without a daemon, or do more than people expect.
fn may(s: &Status) -> Result<(), Failure> {
    if s.resources.as_ref().is_some_and(|r| r.maintenance) {
        return Err(Failure::Refused(
            "maintenance is on: a restart would take the address away until it is off. \
             `tandemadm maintenance off` first; nothing was done"
                .into(),
        ));
    }
    let file = Path::new(&s.config_file);
    let why = match config::load(file) {
        Ok(loaded) => loaded.config.only_a_witness().map(str::to_owned),
        Err(mistakes) => Some(mistakes.to_string()),
    };
    match why {
        Some(why) => Err(Failure::Config(format!(
            "nothing was done: with its configuration as it is now tandemd would not start again\n{why}"
        ))),
        None => Ok(()),
    }
}

/// What it means for the service, one sentence for each thing.
fn effects(s: &Status) -> Vec<String> {
    let mut all: Vec<String> = s.pairs.iter().map(of_pair).collect();
    let paired = |name: &String| s.pairs.iter().any(|p| p.about.instances.contains(name));
    let masters: Vec<&str> = s
        .instances
        .iter()
        .filter(|i| i.state == State::Master && !paired(&i.name))
        .map(|i| i.name.as_str())
        .collect();
    if !masters.is_empty() {
        all.push(format!(
            "{}: this node is MASTER, and hands over to whoever is backup; what comes back is up to priority and preemption.",
            masters.join(", ")
        ));
    }
    if all.is_empty() {
        all.push("This node is MASTER of nothing: nothing moves.".into());
    }
    all
}

fn of_pair(p: &PairReport) -> String {
    let name = &p.name;
    match &p.status {
        None if p.about.role == Role::Primary => {
            format!("{name}: this node stands alone: the service is down for one stop and one start.")
        }
        None => format!("{name}: this node stands alone and does not serve: nothing moves."),
        Some(s) if s.serving == Serving::No => format!(
            "{name}: this node does not serve: the service is not touched, and nobody stands by until tandemd is up again."
        ),
        Some(_) if p.about.handover_on_stop => format!(
            "{name}: this node serves: the other one takes over if it can (handover_on_stop), and goes on serving."
        ),
        Some(_) => format!(
            "{name}: this node serves, and nobody takes over, as it is stopped on purpose: the service is down for one stop \
             and one start. (tandemadm ha switchover would have moved it first.)"
        ),
    }
}

/// The unit whose main process is this daemon or its guardian.
async fn unit(pid: u32) -> Result<String, Failure> {
    let read = |file: &str| std::fs::read_to_string(format!("/proc/{pid}/{file}")).unwrap_or_default();
    let main = [Some(pid), parent(&read("status"))];
    let cgroup = read("cgroup");
    let mut names: Vec<&str> = service_of(&cgroup).into_iter().collect();
    names.push(UNIT);
    for name in names {
        let words = ["show", "--property=MainPID", "--value", name];
        let shown = tokio::time::timeout(ANSWER, systemctl(&words)).await;
        let shown =
            shown.map_err(|_| Failure::Refused("systemctl does not answer: nothing was done".into()))??;
        let found: Option<u32> = String::from_utf8_lossy(&shown.stdout).trim().parse().ok();
        if found.is_some_and(|found| found > 0 && main.contains(&Some(found))) {
            return Ok(name.to_owned());
        }
    }
    Err(Failure::Refused(format!(
        "tandemd (process {pid}) is not run by systemd, so nothing was done: stop it and start it again as it was started, \
         or make it a service (README.md)"
    )))
}

/// The innermost service of proc_pid_cgroup(5).
fn service_of(cgroup: &str) -> Option<&str> {
    let paths = cgroup.lines().filter_map(|line| line.splitn(3, ':').nth(2));
    paths.flat_map(|path| path.rsplit('/')).find(|part| part.ends_with(".service"))
}

/// The guardian, of proc_pid_status(5).
fn parent(status: &str) -> Option<u32> {
    let line = status.lines().find_map(|l| l.strip_prefix("PPid:"))?;
    line.trim().parse().ok().filter(|pid| *pid > 1)
}

async fn systemctl(words: &[&str]) -> Result<Output, Failure> {
    let ran = Command::new("systemctl").args(words).stdin(Stdio::null()).output().await;
    ran.map_err(|e| {
        Failure::Refused(format!(
            "cannot run systemctl: {e}. Nothing was done: without systemd, stop tandemd and start it again as it was started"
        ))
    })
}

fn last_words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.lines().map(str::trim).rfind(|l| !l.is_empty());
    line.map_or_else(|| output.status.to_string(), str::to_owned)
}

/// Until another daemon is there than the old one.
async fn answers(client: &Client, old: &Status) -> Result<Status, Failure> {
    let mut tick = tokio::time::interval(LOOK);
    loop {
        tick.tick().await;
        match client.status().await {
            Ok(new) if (new.pid, new.started) != (old.pid, old.started) => return Ok(new),
            Ok(_) | Err(ClientError::NotReachable { .. } | ClientError::Refused { status: 503, .. }) => {}
            Err(e) => return Err(e.into()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::control::samples::{master, pair_report, status_of};

    #[test]
    fn the_unit_is_the_innermost_service() {
        for (cgroup, service) in [
            ("0::/system.slice/tandemd.service\n", Some("tandemd.service")),
            ("0::/system.slice/tandemd.service/daemon\n", Some("tandemd.service")),
            ("0::/user.slice/user-0.slice/user@0.service/app.slice/x.scope\n", Some("user@0.service")),
            ("12:pids:/system.slice/my.service\n1:name=systemd:/\n0::/\n", Some("my.service")),
            ("0::/\n", None),
            ("", None),
        ] {
            assert_eq!(service_of(cgroup), service, "{cgroup}");
        }
        assert_eq!(parent("Name:\tx\nPPid:\t77\n"), Some(77));
        assert_eq!(parent("PPid:\t1\n"), None, "systemd itself is no guardian");
        assert_eq!(parent(""), None);
    }

    #[test]
    fn it_says_what_becomes_of_the_service() {
        let one = |p: PairReport| {
            let mut s = status_of(vec![]);
            s.pairs.push(p);
            let all = effects(&s);
            assert_eq!(all.len(), 1, "{all:?}");
            all.concat()
        };
        let p = pair_report();
        assert!(one(p.clone()).contains("nobody takes over"), "the primary serves");
        let mut handing = p.clone();
        handing.about.handover_on_stop = true;
        assert!(one(handing).contains("the other one takes over"));
        let mut standby = p.clone();
        if let Some(s) = &mut standby.status {
            s.serving = Serving::No;
        }
        assert!(one(standby).contains("not touched"));
        let mut alone = PairReport { status: None, ..p };
        assert!(one(alone.clone()).contains("down for one stop"));
        alone.about.role = Role::Secondary;
        assert!(one(alone).contains("nothing moves"));
        assert_eq!(effects(&status_of(vec![])), ["This node is MASTER of nothing: nothing moves."]);
        assert!(effects(&status_of(vec![master()])).concat().starts_with("web: this node is MASTER"));
        let mut paired = status_of(vec![master()]);
        paired.pairs.push(pair_report());
        assert_eq!(effects(&paired).len(), 1, "the instance belongs to the pair");
    }
}
