//! From mounted to nothing.

use super::device::Device;
use super::fsck::last_lines;
use super::holders::{Holder, Place, holder, holders, in_words, kernel_holders};
use super::mountinfo::Table;
use super::process::Process;
use super::{FilesystemAgent, Trouble, Try, failed, namespaces};
use crate::agents::Context;
use crate::net::clock;
use crate::process::Activity;
use crate::time::Instant;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(200);
/// How long somebody who is only passing through (a backup, `df`, a namespace that ends) is waited for; a quarter of
/// the step's limit if that is less.
const PATIENCE: Duration = Duration::from_secs(3);

/// Unmounts it, and makes sure that the kernel has let go of the device.
pub(super) async fn stop(agent: &FilesystemAgent, context: &Context) -> Try<()> {
    let point = agent.point(context).await?;
    let device = device(agent, context, &point).await?;
    let Some(device) = device else { return Ok(()) };
    let mut ending = Ending::new(context);
    let result = unmount(agent, context, &point, &device, &mut ending).await;
    ending.forget(&context.activity);
    result?;
    released(agent, context, &device).await
}

/// None: it cannot be told which device it is, but nothing is mounted there anyway.
async fn device(agent: &FilesystemAgent, context: &Context, point: &Path) -> Try<Option<Device>> {
    match agent.device_or_path(context).await {
        Err(Trouble::Failed(text)) => {
            let table = read_table(agent, context).await?;
            match table.on(point) {
                None => Ok(None),
                Some(m) => failed(format!(
                    "{} is mounted on {}, and whether that is {} cannot be told: {text}",
                    m.source.display(),
                    point.display(),
                    agent.settings.device
                )),
            }
        }
        other => other.map(Some),
    }
}

async fn read_table(agent: &FilesystemAgent, context: &Context) -> Try<Table> {
    let table = agent.ask(context, "reading the mounts", namespaces::own_table).await?;
    table.map_err(Trouble::Failed)
}

/// Where a stop stands.
#[derive(Clone, PartialEq, Eq, Debug)]
enum Down {
    /// Nothing of ours is mounted there.
    Gone,
    /// It is.
    There(Place),
    /// Something that is not ours has to go first.
    Blocked(String),
}

fn before_umount(table: &Table, device: &Device, point: &Path) -> Down {
    let Some(top) = table.on(point) else { return Down::Gone };
    if !device.is_shown_by(top, table) {
        let covered = table.all().any(|m| m.point == point && device.is_shown_by(m, table));
        return match covered {
            false => Down::Gone,
            true => Down::Blocked(format!(
                "over {} something else is mounted: {} ({}), which is not this resource's to unmount",
                point.display(),
                top.source.display(),
                top.fstype
            )),
        };
    }
    let below: Vec<String> = table.below(top.id).iter().map(|m| m.point.display().to_string()).collect();
    if !below.is_empty() {
        return Down::Blocked(format!(
            "below {} more is mounted, which is not this resource's to unmount: {}",
            point.display(),
            below.join(", ")
        ));
    }
    Down::There(Place { point: point.to_owned(), mount: top.id, device: top.device })
}

async fn unmount(
    agent: &FilesystemAgent,
    context: &Context,
    point: &Path,
    device: &Device,
    ending: &mut Ending,
) -> Try<()> {
    let mut done = None;
    loop {
        let place = match before_umount(&read_table(agent, context).await?, device, point) {
            Down::Gone => return Ok(()),
            Down::Blocked(text) => return failed(text),
            Down::There(place) => place,
        };
        if done == Some(place.mount) {
            return failed(format!("umount {} ended well, and it still is mounted", point.display()));
        }
        let said = agent.tool(context, "umount", &[&point.display().to_string()]).await?;
        if said.status == 0 {
            done = Some(place.mount);
            continue;
        }
        if !said.stderr.contains("busy") {
            return failed(format!("umount {} failed{}", point.display(), last_lines(&said.stderr)));
        }
        busy(agent, context, place, ending).await?;
        pause(context).await?;
    }
}

/// Somebody is in the way: waits, or ends him, or gives up with his name.
async fn busy(agent: &FilesystemAgent, context: &Context, place: Place, ending: &mut Ending) -> Try<()> {
    let kill = agent.settings.kill_holders;
    let now = clock::now();
    let point = place.point.display().to_string();
    if !kill && now < ending.patience {
        return Ok(());
    }
    let (told, grace) = (ending.told.clone(), ending.grace);
    let round = move || if kill { end_holders(&place, told, grace) } else { look_around(&place) };
    let round = agent.ask(context, "looking for who keeps it busy", round).await?;
    for (holder, signal) in &round.sent {
        let text =
            format!("{point} is busy: {signal} to pid {} ({})", holder.process.pid, holder.process.command);
        // Once for each signal and process; SIGKILL is repeated.
        if ending.told.get(&holder.key()).is_none_or(|t| t.last != *signal) {
            agent.event(true, text);
        }
    }
    ending.show(&context.activity, &round);
    ending.told = round.told;
    if kill && now < ending.last {
        return Ok(());
    }
    let who = in_words(&round.holders, &round.kernel);
    let remedy =
        if kill { "what is left of them has to be ended by hand" } else { "end them, or set kill_holders" };
    failed(format!("{point} is busy: held by {who}; {remedy}"))
}

/// Ending those who hold the mount, over several rounds.
struct Ending {
    /// Until then somebody may still go by himself.
    patience: Instant,
    /// After this there is no further round.
    last: Instant,
    /// From SIGTERM to SIGKILL.
    grace: Duration,
    told: Told,
}

/// Who got which signal: by pid and start.
type Told = BTreeMap<(u32, u64), Signalled>;

/// See [`Told`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Signalled {
    /// The first signal came then.
    first: Instant,
    /// What was sent last.
    last: &'static str,
}

/// What one round found and did.
#[derive(Debug, Default)]
struct Round {
    told: Told,
    holders: Vec<Holder>,
    kernel: Vec<String>,
    sent: Vec<(Holder, &'static str)>,
}

impl Holder {
    fn key(&self) -> (u32, u64) {
        (self.process.pid, self.process.start)
    }
}

impl Ending {
    fn new(context: &Context) -> Self {
        let patience = PATIENCE.min(context.limit / 4);
        Ending {
            patience: clock::now() + patience,
            last: clock::now() + context.limit.mul_f32(0.7),
            grace: patience,
            told: Told::new(),
        }
    }

    /// Shows in the status whom the step waits for.
    fn show(&self, activity: &Activity, round: &Round) {
        self.forget(activity);
        for holder in round.holders.iter().filter(|h| round.told.contains_key(&h.key())) {
            activity.started(holder.process.pid, format!("{} ({})", holder.process.command, holder.by));
            if let Some(told) = round.told.get(&holder.key()) {
                activity.signalled(holder.process.pid, told.last);
            }
        }
    }

    fn forget(&self, activity: &Activity) {
        for (pid, _) in self.told.keys() {
            activity.ended(*pid);
        }
    }
}

fn look_around(place: &Place) -> Round {
    let kernel = kernel_holders(&place.point);
    Round { holders: holders(place), kernel, ..Round::default() }
}

/// Tells everybody who holds the mount to end: SIGTERM first, and after the grace SIGKILL.
fn end_holders(place: &Place, told: Told, grace: Duration) -> Round {
    let mut round = Round { told, ..look_around(place) };
    // Between the look and the signal the world moves on. What is no mount point now holds nobody who has to go.
    let still =
        namespaces::own_table().is_ok_and(|t| t.on(&place.point).is_some_and(|m| m.id == place.mount));
    if !still {
        return round;
    }
    let now = clock::now();
    for found in &round.holders {
        if is_spared(&found.process) {
            continue;
        }
        let first = round.told.get(&found.key()).map_or(now, |t| t.first);
        let (signal, name) = match round.told.contains_key(&found.key()) && now.since(first) >= grace {
            true => (Signal::KILL, "SIGKILL"),
            false => (Signal::TERM, "SIGTERM"),
        };
        let again = round.told.get(&found.key()).is_some_and(|t| t.last == name) && name == "SIGTERM";
        if !again && tell(place, found, signal) {
            round.told.insert(found.key(), Signalled { first, last: name });
            round.sent.push((found.clone(), name));
        }
    }
    round
}

/// Who is never ended: process 1, this process, its guardian, and the kernel's threads.
fn is_spared(process: &Process) -> bool {
    let me = std::process::id();
    let guardian = std::os::unix::process::parent_id();
    process.kernel || [1, me, guardian].contains(&process.pid)
}

/// Sends the signal if the process still is the one that was found, and still holds the mount.
fn tell(place: &Place, found: &Holder, signal: Signal) -> bool {
    let Some(pid) = i32::try_from(found.process.pid).ok().and_then(Pid::from_raw) else { return false };
    // The descriptor stands for this very process, also when its number is used anew.
    let Ok(process) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
    let same = Process::read(found.process.pid).filter(|p| p.start == found.process.start);
    let holds = same.is_some_and(|p| holder(place, p).is_some());
    holds && pidfd_send_signal(process, signal).is_ok()
}

/// Unmounted here is not yet gone: others may have a copy of the mount, and keep the device busy with it.
async fn released(agent: &FilesystemAgent, context: &Context, device: &Device) -> Try<()> {
    if !device.is_exclusive(&agent.settings.options) {
        return Ok(());
    }
    let until = clock::now() + PATIENCE.min(context.limit / 4);
    loop {
        let (device_, held) = (device.clone(), agent.in_use.load(Ordering::Relaxed));
        let look = move || still_used(&device_, held);
        match agent.ask(context, "looking for who still has the device", look).await? {
            None => {
                agent.in_use.store(false, Ordering::Relaxed);
                return Ok(());
            }
            Some(text) if clock::now() >= until => return failed(text),
            Some(_) => pause(context).await?,
        }
    }
}

/// Who still has the device mounted, in words. `held`: it was this resource's until now, so that nobody else can have it yet.
fn still_used(device: &Device, held: bool) -> Option<String> {
    let path = device.path().display();
    let table = namespaces::own_table().ok()?;
    let points: Vec<PathBuf> =
        table.all().filter(|m| device.is_shown_by(m, &table)).map(|m| m.point.clone()).collect();
    if let Some(point) = points.first() {
        return Some(format!(
            "{path} is still mounted on {}, which is not this resource's mount point: umount it there",
            point.display()
        ));
    }
    let elsewhere = namespaces::elsewhere(device);
    if !elsewhere.is_empty() {
        let who: Vec<String> =
            elsewhere.iter().map(|e| format!("on {} for {}", e.point.display(), e.who())).collect();
        return Some(format!(
            "{path} is unmounted here, but still mounted in other mount namespaces: {}; end or restart them (a unit \
             with PrivateTmp= or ProtectSystem=, a container)",
            who.join(", ")
        ));
    }
    (held && namespaces::is_held(device.path())).then(|| {
        format!(
            "{path} is mounted nowhere that can be seen, but the kernel has not let go of it: something is still open \
             after an `umount -l`, or LVM, md or another program uses it"
        )
    })
}

async fn pause(context: &Context) -> Try<()> {
    tokio::select! {
        () = tokio::time::sleep(PAUSE) => Ok(()),
        () = context.cancel.cancelled() => Err(Trouble::Cancelled),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "\
22 1 254:1 / / rw - ext4 /dev/vda1 rw
40 22 147:0 / /d rw - ext4 /dev/drbd0 rw
41 40 0:51 / /d/tmp rw - tmpfs none rw
42 22 147:1 / /e rw - ext4 /dev/drbd1 rw
43 22 147:2 / /f rw - ext4 /dev/drbd2 rw
44 43 0:52 / /f rw - tmpfs cover rw";

    fn down(device: &str, point: &str) -> Down {
        before_umount(&Table::parse(TEXT), &Device::Other(device.into()), Path::new(point))
    }

    #[test]
    fn only_what_is_ours_is_unmounted() {
        assert_eq!(down("/dev/drbd1", "/x"), Down::Gone);
        assert_eq!(down("/dev/drbd1", "/d"), Down::Gone, "a stranger's");
        assert!(matches!(down("/dev/drbd1", "/e"), Down::There(p) if p.mount == 42));
        assert!(matches!(down("/dev/drbd0", "/d"), Down::Blocked(t) if t.ends_with("unmount: /d/tmp")));
        assert!(matches!(down("/dev/drbd2", "/f"), Down::Blocked(t) if t.contains("cover (tmpfs)")));
    }

    #[test]
    fn process_1_this_one_and_its_parent_are_spared() {
        let mut p = Process::read(std::process::id()).unwrap();
        assert!(is_spared(&p));
        p.pid = 1;
        assert!(is_spared(&p));
        p.pid = std::os::unix::process::parent_id();
        assert!(is_spared(&p));
        p.pid = 4_000_000;
        assert!(!is_spared(&p));
        p.kernel = true;
        assert!(is_spared(&p));
    }
}
