//! A primary that is not registered: it serves alone, unless it hears another node that does.
//!
//! Its virtual routers are MASTER by its word alone, so it first listens as long as a BACKUP would: the other node of the pair may
//! serve, this machine may be new in the place of a dead one, and what it has is nothing then. [`Alone`] decides, without I/O.

use super::{Half, NOT_REGISTERED};
use crate::control::api::PairWait;
use crate::daemon::resources::{Place, View};
use crate::net::clock;
use crate::pair::{Order, Role, What};
use crate::time::Instant;
use std::time::Duration;
use tracing::{info, warn};

/// Whether it serves.
#[derive(Clone, PartialEq, Eq, Debug, Default)]
pub(super) enum Alone {
    /// It is registered, or nothing is decided yet.
    #[default]
    No,
    /// Not for it: the secondary, or one whose state cannot be read.
    Never,
    /// Listens until then; none: it cannot hear.
    Listens(Option<Instant>),
    /// Another node advertises this virtual router.
    Holds(String),
    /// It does.
    Serves,
}

/// What is known of its virtual routers.
#[derive(Clone, Copy, Debug)]
struct Seen<'s> {
    /// All of them listen.
    hears: bool,
    /// One is in FAULT.
    fault: bool,
    /// One that another node advertises.
    rival: Option<&'s str>,
    /// Nothing is up here.
    down: bool,
    /// So long it listens.
    listen: Duration,
}

impl Alone {
    /// What follows from what is seen.
    fn next(&self, now: Instant, seen: Seen<'_>) -> Self {
        let listens = || Alone::Listens(seen.hears.then(|| now + seen.listen));
        match self {
            Alone::No | Alone::Never => self.clone(),
            // Nobody knows who has begun to serve while it could not hear.
            Alone::Serves if seen.down && seen.fault => Alone::Listens(None),
            Alone::Serves => Alone::Serves,
            Alone::Listens(_) | Alone::Holds(_) if seen.rival.is_some() => {
                Alone::Holds(seen.rival.unwrap_or_default().to_owned())
            }
            Alone::Holds(_) | Alone::Listens(None) => listens(),
            Alone::Listens(Some(_)) if !seen.hears => Alone::Listens(None),
            Alone::Listens(Some(until)) if *until <= now => Alone::Serves,
            Alone::Listens(Some(_)) => self.clone(),
        }
    }

    /// In words, for the virtual routers that are held.
    fn why(&self) -> String {
        match self {
            Alone::Holds(router) => {
                format!(
                    "another node advertises {router}, and this one is not registered (tandemadm ha register)"
                )
            }
            Alone::Listens(_) => "it listens whether another node serves, before it serves alone".into(),
            Alone::No | Alone::Never | Alone::Serves => NOT_REGISTERED.into(),
        }
    }
}

impl Half {
    /// Not registered: the primary serves as it would without a pair.
    pub(super) fn stand_alone(&mut self, view: &View) {
        if self.alone == Alone::No {
            warn!(pair = self.name, "{}: Stand Alone: {NOT_REGISTERED}", self.name);
            if self.damaged.is_none() {
                // It does not serve by a right.
                self.tell_guardian();
            }
            let resumed = std::mem::take(&mut self.resumed);
            let up = view.place == Place::Up || !self.masters.is_empty() || resumed;
            let first = match (self.role, &self.damaged) {
                (Role::Primary, None) if up || self.instances.is_empty() => Alone::Serves,
                (Role::Primary, None) => Alone::Listens(None),
                _ => Alone::Never,
            };
            self.become_alone(first);
        }
        let seen = Seen {
            hears: self.instances.iter().all(|i| self.present.contains(i)),
            fault: !self.faults.is_empty(),
            rival: self.rivals.first().map(String::as_str),
            down: view.place == Place::Down,
            listen: self.listen,
        };
        let next = self.alone.next(clock::now(), seen);
        if next != self.alone {
            self.become_alone(next);
        }
    }

    fn become_alone(&mut self, next: Alone) {
        let why = next.why();
        match &next {
            Alone::Holds(_) => {
                warn!(pair = self.name, "{}: {why}", self.name);
                self.book.warning(&why);
            }
            Alone::Serves if matches!(self.alone, Alone::Listens(_)) => {
                info!(pair = self.name, "{}: no other node is heard: it serves alone", self.name);
            }
            _ => {}
        }
        let told = std::mem::replace(&mut self.alone, next);
        // Other words for the same order are no new order.
        let serves = self.alone == Alone::Serves;
        if told == Alone::No || serves != (told == Alone::Serves) || matches!(self.alone, Alone::Holds(_)) {
            self.tell_routers(serves, &why);
        }
    }

    /// Not registered, and an operator speaks: only that it is to serve whoever else does.
    pub(super) fn order_alone(&mut self, order: &Order) -> Result<String, String> {
        let force = matches!(order.what, What::Failover { force: true } | What::Failback { force: true });
        match &self.alone {
            Alone::Listens(_) | Alone::Holds(_) if force => {
                let text = format!(
                    "{} --force by {}: this node serves alone, whoever else does",
                    order.what, order.who
                );
                warn!(pair = self.name, "{}: {text}", self.name);
                self.alone = Alone::Serves;
                self.tell_routers(true, &text);
                Ok("this node serves alone, whoever else does".into())
            }
            Alone::Serves if force => Ok("this node serves already".into()),
            _ => Err(format!("{}: {NOT_REGISTERED}", self.state())),
        }
    }

    /// Why the primary does not serve in Stand Alone.
    pub(in crate::daemon::pair) fn waits(&self) -> Option<PairWait> {
        if let Some(what) = self.damaged.as_ref().filter(|_| self.controller.is_none()) {
            return Some(PairWait::Damaged(what.clone()));
        }
        let left = |until: &Instant| u64::try_from(until.since(clock::now()).as_millis()).unwrap_or(u64::MAX);
        match &self.alone {
            Alone::Holds(router) => Some(PairWait::Rival(router.clone())),
            Alone::Listens(Some(until)) => Some(PairWait::Listens { ms_left: left(until) }),
            Alone::Listens(None) => {
                let fault = self.faults.values().next().cloned();
                let begins = || "its virtual routers have not begun (startup_delay)".into();
                Some(PairWait::Deaf(fault.unwrap_or_else(begins)))
            }
            Alone::No | Alone::Never | Alone::Serves => None,
        }
    }

    /// When it has listened for long enough.
    pub(super) fn listens_until(&self) -> Option<Instant> {
        match self.alone {
            Alone::Listens(until) => until,
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_serves_alone_only_where_it_hears_nobody() {
        let at = |s| Instant::ZERO + Duration::from_secs(s);
        let quiet =
            Seen { hears: true, fault: false, rival: None, down: true, listen: Duration::from_secs(4) };
        let deaf = Seen { hears: false, fault: true, ..quiet };
        let rival = Seen { rival: Some("kad"), ..quiet };
        let (waits, holds) = (Alone::Listens(Some(at(10))), Alone::Holds("kad".into()));
        let table = [
            ("listens from when it hears", Alone::Listens(None), 6, quiet, waits.clone()),
            ("not yet", waits.clone(), 9, quiet, waits.clone()),
            ("long enough", waits.clone(), 10, quiet, Alone::Serves),
            ("deaf in between", waits.clone(), 9, deaf, Alone::Listens(None)),
            ("deaf at the end", waits.clone(), 10, deaf, Alone::Listens(None)),
            ("deaf still", Alone::Listens(None), 99, deaf, Alone::Listens(None)),
            ("heard", waits.clone(), 9, rival, holds.clone()),
            ("heard at the end", waits.clone(), 10, rival, holds.clone()),
            ("heard before a fault", Alone::Listens(None), 6, Seen { hears: false, ..rival }, holds.clone()),
            ("heard still", holds.clone(), 99, rival, holds.clone()),
            ("gone: it listens anew", holds.clone(), 6, quiet, waits.clone()),
            ("gone as nothing is heard", holds.clone(), 6, deaf, Alone::Listens(None)),
            (
                "it serves, and goes on beside a rival",
                Alone::Serves,
                6,
                Seen { down: false, ..rival },
                Alone::Serves,
            ),
            (
                "it serves, one router of several fails",
                Alone::Serves,
                6,
                Seen { down: false, ..deaf },
                Alone::Serves,
            ),
            ("it was away", Alone::Serves, 6, deaf, Alone::Listens(None)),
            ("it has not come up yet", Alone::Serves, 6, quiet, Alone::Serves),
            (
                "nothing is heard of its routers yet",
                Alone::Serves,
                6,
                Seen { fault: false, ..deaf },
                Alone::Serves,
            ),
            ("startup_delay", Alone::Listens(None), 99, Seen { fault: false, ..deaf }, Alone::Listens(None)),
            ("registered", Alone::No, 6, rival, Alone::No),
            ("the secondary", Alone::Never, 99, quiet, Alone::Never),
        ];
        for (what, from, now, seen, to) in table {
            assert_eq!(from.next(at(now), seen), to, "{what}");
        }
    }
}
