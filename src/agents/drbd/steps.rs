//! The steps: I/O around the decisions of `promotion` and `findings`.

use super::findings::health;
use super::holders;
use super::picture::Picture;
use super::promotion::{Next, Obstacle, PeerLife, Tries, after_refusal, backoff, may_promote_alone};
use super::refusal::{Kind, Refusal};
use super::state::Inner;
use super::tools::{Leash, Trouble};
use super::version::Version;
use super::words::{Connected, Role};
use crate::agents::Context;
use crate::resource::Level;
use std::time::Duration;
use tokio::time::Instant;

/// Kept from a step's time, so that it ends by itself and with words.
const MARGIN: Duration = Duration::from_secs(2);
/// Between looks at something that changes.
const POLL: Duration = Duration::from_millis(500);
/// A promotion that cannot be is not refused faster than this, so that recovery does not spin.
const REFUSED_AFTER: Duration = Duration::from_secs(5);
/// How long `drbdadm secondary` is repeated: udev and the like open a device for moments.
const HELD: Duration = Duration::from_secs(10);
/// Of a promotion's time, waiting for the peer leaves so much.
const FOR_PROMOTING: Duration = Duration::from_secs(15);

/// The end of a step's own efforts.
fn end(limit: Duration) -> Instant {
    let margin = MARGIN.min(limit / 4);
    Instant::now() + limit.saturating_sub(margin)
}

pub(super) fn leash(context: &Context) -> Leash {
    Leash { cancel: context.cancel.clone(), activity: context.activity.clone() }
}

impl Inner {
    /// Waits for so long, or until the follower has seen a change.
    async fn rest(&self, time: Duration, leash: &Leash) -> Result<(), Trouble> {
        tokio::select! {
            () = leash.cancel.cancelled() => return Err(Trouble::Cancelled),
            () = tokio::time::sleep(time) => {}
            () = self.changed.notified() => tokio::time::sleep(Duration::from_millis(20)).await,
        }
        Ok(())
    }

    pub(super) async fn start(&self, context: &Context) -> Result<(), Trouble> {
        let (leash, end) = (leash(context), end(context.limit));
        let _quiet = self.quiet();
        if !self.tools.has_module() {
            self.tools.run("modprobe", &["drbd"], &leash).await.map_err(|t| match t {
                Trouble::Cancelled => t,
                Trouble::Refused(r) => Trouble::says(format!("the kernel has no DRBD: modprobe drbd: {r}")),
            })?;
        }
        self.asked(false);
        while let Err(trouble) = self.drbdadm(&["adjust"], &leash).await {
            match trouble {
                // At boot the network or the disk may be later than we are.
                Trouble::Refused(r) if r.too_early() && Instant::now() + POLL < end => {
                    self.rest(POLL, &leash).await?;
                }
                other => return Err(explain("drbdadm adjust", other)),
            }
        }
        loop {
            let p = self.look(&leash).await?;
            let passing = p.volumes.values().any(|v| v.disk.is_passing());
            let ready = match health(&p) {
                Err(why) => Err(why),
                Ok(()) if !p.configured || p.volumes.is_empty() => Err("it has not come up".to_owned()),
                Ok(()) if passing => Err("its disk is not attached yet".to_owned()),
                Ok(()) => Ok(()),
            };
            match ready {
                Ok(()) => return Ok(()),
                Err(why) if Instant::now() + POLL > end => {
                    return Err(Trouble::says(format!("after drbdadm adjust: {why}; see dmesg")));
                }
                Err(_) => self.rest(POLL, &leash).await?,
            }
        }
    }

    pub(super) async fn stop(&self, context: &Context) -> Result<(), Trouble> {
        let leash = leash(context);
        let _quiet = self.quiet();
        let p = self.look(&leash).await?;
        if !p.configured {
            return Ok(());
        }
        self.asked(true);
        if let Err(trouble) = self.drbdadm(&["down"], &leash).await {
            self.asked(false);
            return Err(match trouble {
                Trouble::Refused(r) if r.held_open() => self.held(&r, &p).await,
                other => explain("drbdadm down", other),
            });
        }
        match self.look(&leash).await? {
            p if p.configured => {
                Err(Trouble::says("drbdadm down said yes, but the resource is still there; see dmesg"))
            }
            _ => Ok(()),
        }
    }

    pub(super) async fn promote(&self, context: &Context) -> Result<(), Trouble> {
        let (leash, end, began) = (leash(context), end(context.limit), Instant::now());
        let done = self.promote_until(end, &leash).await;
        if let Err(Trouble::Refused(_)) = &done {
            let until = (began + REFUSED_AFTER).min(end);
            while Instant::now() < until {
                self.rest(until.saturating_duration_since(Instant::now()), &leash).await?;
            }
        }
        done
    }

    async fn promote_until(&self, end: Instant, leash: &Leash) -> Result<(), Trouble> {
        self.wait_for_peer(end, leash).await?;
        let mut tries =
            Tries { refusals: 0, since: Duration::ZERO, adjusted: false, peer: PeerLife::Unknown };
        let began = Instant::now();
        loop {
            tries.since = began.elapsed();
            let p = self.look(leash).await?;
            if p.configured && p.role == Role::Primary {
                return Ok(());
            }
            let (next, why) = match may_promote_alone(&p, self.settings.on_peer_lost) {
                Ok(()) => match self.drbdadm(&["primary"], leash).await {
                    Ok(()) if self.look(leash).await?.role == Role::Primary => return Ok(()),
                    Ok(()) => (
                        Next::Retry(POLL),
                        "drbdadm primary said yes, but the role did not change".to_owned(),
                    ),
                    Err(Trouble::Refused(r)) => {
                        tries.refusals += 1;
                        (after_refusal(&r, tries), r.text)
                    }
                    Err(cancelled) => return Err(cancelled),
                },
                Err(o @ Obstacle::NotConfigured) if !tries.adjusted => (Next::Adjust, o.to_string()),
                Err(o) if o.may_pass() => (Next::Retry(Duration::from_secs(1)), o.to_string()),
                Err(o) => (Next::Never(o.to_string()), String::new()),
            };
            match next {
                Next::Never(why) => return Err(Trouble::says(format!("cannot be promoted: {why}"))),
                Next::Retry(after) if Instant::now() + after > end => {
                    let tried = began.elapsed().as_secs();
                    return Err(Trouble::says(format!("cannot be promoted, tried for {tried} s: {why}")));
                }
                Next::Retry(after) => self.rest(after, leash).await?,
                Next::Adjust => {
                    tries.adjusted = true;
                    self.drbdadm(&["adjust"], leash).await.map_err(|t| explain("drbdadm adjust", t))?;
                }
                Next::Disconnect => {
                    self.asked(true);
                    self.drbdadm(&["disconnect"], leash)
                        .await
                        .map_err(|t| explain("drbdadm disconnect", t))?;
                }
            }
        }
    }

    /// Before the first promotion since the boot: the peer may have newer data, and DRBD's record of that may be wrong
    /// where its fencing is not used. So it is given the time to say so.
    async fn wait_for_peer(&self, end: Instant, leash: &Leash) -> Result<(), Trouble> {
        let reserve = FOR_PROMOTING.min(end.saturating_duration_since(Instant::now()) / 2);
        let until = (Instant::now() + self.settings.wait_connect).min(end - reserve);
        if self.met() {
            return Ok(());
        }
        loop {
            let p = self.look(leash).await?;
            let settled = p.configured && (p.role == Role::Primary || p.is_linked());
            if settled || self.met() {
                return Ok(());
            }
            // Nobody tries to connect: waiting changes nothing.
            let hopeless = !p.configured || p.connected() == Connected::StandAlone;
            if hopeless || Instant::now() >= until {
                let text = "is promoted without its peer having been seen since the boot, if DRBD allows it";
                self.event(true, text);
                return Ok(());
            }
            self.rest(POLL, leash).await?;
        }
    }

    pub(super) async fn demote(&self, context: &Context) -> Result<(), Trouble> {
        let leash = leash(context);
        // If it cannot be read, it can still be demoted.
        match self.look(&leash).await {
            Ok(p) if !p.configured || p.role == Role::Secondary => return Ok(()),
            Err(Trouble::Cancelled) => return Err(Trouble::Cancelled),
            _ => {}
        }
        let until = Instant::now() + HELD.min(context.limit / 2);
        let mut nth = 0;
        let refusal = loop {
            nth += 1;
            match self.drbdadm(&["secondary"], &leash).await {
                Ok(()) => return self.demoted(&leash).await,
                Err(Trouble::Cancelled) => return Err(Trouble::Cancelled),
                Err(Trouble::Refused(r)) if r.not_configured() => return self.demoted(&leash).await,
                Err(Trouble::Refused(r)) if !may_pass(&r) => {
                    return Err(explain("drbdadm secondary", Trouble::Refused(r)));
                }
                Err(Trouble::Refused(r)) if Instant::now() >= until => break r,
                Err(Trouble::Refused(_)) => {
                    let rest = backoff(nth).min(until.saturating_duration_since(Instant::now()));
                    self.rest(rest.max(Duration::from_millis(50)), &leash).await?;
                }
            }
        };
        let p = self.look(&leash).await?;
        let held = self.held(&refusal, &p).await;
        if !self.settings.force_demote || self.version(&leash).await? != Version::V9 {
            return Err(held);
        }
        self.event(true, format!("{}; demoted by force now: their I/O fails", held.words()));
        let words = ["secondary", "--force", self.drbd()];
        self.tools
            .run("drbdsetup", &words, &leash)
            .await
            .map_err(|t| explain("drbdsetup secondary --force", t))?;
        self.demoted(&leash).await
    }

    async fn demoted(&self, leash: &Leash) -> Result<(), Trouble> {
        match self.look(leash).await? {
            p if p.configured && p.role == Role::Primary => {
                Err(Trouble::says("drbdadm secondary said yes, but it is still Primary; see dmesg"))
            }
            _ => Ok(()),
        }
    }

    /// The words for a device that somebody holds.
    async fn held(&self, refusal: &Refusal, p: &Picture) -> Trouble {
        let minors: Vec<u32> = p.volumes.values().filter_map(|v| v.minor).collect();
        let root = self.tools.path("/");
        let found =
            tokio::task::spawn_blocking(move || holders::find(&root, &minors)).await.unwrap_or_default();
        let mut all = refusal.more.clone();
        all.extend(found);
        let who = if all.is_empty() {
            "nobody is found that does (a client of the kernel's NFS or iSCSI server?)".to_owned()
        } else {
            all.join("; ")
        };
        Trouble::says(format!("{}: {who}", refusal.text))
    }

    pub(super) async fn monitor(&self, context: &Context) -> Result<(), Trouble> {
        let p = self.look(&leash(context)).await?;
        let found = level(&p);
        if found != context.level {
            let why = match found {
                Level::Stopped => "it is not configured in the kernel",
                Level::Started => "it is Secondary",
                Level::Promoted => "it is Primary",
            };
            return Err(Trouble::says(format!("{why}, though it should be {}", context.level)));
        }
        health(&p).map_err(Trouble::says)
    }
}

/// The level that a picture shows.
pub(super) fn level(p: &Picture) -> Level {
    match (p.configured, p.role) {
        (false, _) => Level::Stopped,
        (true, Role::Primary) => Level::Promoted,
        (true, _) => Level::Started,
    }
}

/// A demotion that may work a moment later.
fn may_pass(r: &Refusal) -> bool {
    r.held_open() || matches!(r.kind, Kind::State(-10 | -18 | -19 | -21 | -23))
}

/// Says which command it was.
pub(super) fn explain(what: &str, trouble: Trouble) -> Trouble {
    match trouble {
        Trouble::Cancelled => Trouble::Cancelled,
        Trouble::Refused(r) => Trouble::Refused(Refusal { text: format!("{what}: {}", r.text), ..r }),
    }
}
