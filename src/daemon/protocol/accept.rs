//! `accept = false`: packets to the virtual addresses are dropped, from before an address comes until after
//! it has gone (RFC 9568 6.1 Accept_Mode).

use super::claims::Place;
use super::{Protocol, TOKEN_GUARD};
use crate::net::NetError;
use crate::net::nft::{Guard, GuardMonitor, Guarded};
use crate::net::poller::Poller;
use crate::vrrp::RouterId;
use nix::errno::Errno;
use std::path::{Path, PathBuf};

/// The comment of this run directory's nft table.
pub(in crate::daemon) fn tag(run_dir: &Path) -> String {
    format!("tandemd {}", run_dir.display())
}

/// Says that there may be a table: without it a start does not even ask, which would load nf_tables.
pub(in crate::daemon) fn mark(run_dir: &Path) -> PathBuf {
    run_dir.join("nft")
}

/// The packet filter, opened when the first instance needs it.
#[derive(Debug)]
pub(super) struct Filter {
    run_dir: PathBuf,
    open: Option<(Guard, GuardMonitor)>,
    /// Why it cannot be used.
    error: Option<String>,
}

impl Filter {
    pub(super) fn new(run_dir: &Path) -> Self {
        Filter { run_dir: run_dir.to_owned(), open: None, error: None }
    }

    /// Opens it and tries it out, unless that has succeeded before.
    fn prepare(&mut self, poller: &Poller) -> Result<(), NetError> {
        if self.open.is_some() && self.error.is_none() {
            return Ok(());
        }
        if let Err(e) = std::fs::write(mark(&self.run_dir), "") {
            let file = mark(&self.run_dir).display().to_string();
            return Err(NetError::from_io("write", file, &e));
        }
        if self.open.is_none() {
            let guard = Guard::open(&tag(&self.run_dir))?;
            let monitor = GuardMonitor::open()?;
            poller.add(&monitor, TOKEN_GUARD)?;
            self.open = Some((guard, monitor));
        }
        self.guard().map_or(Ok(()), Guard::probe)
    }

    fn guard(&mut self) -> Option<&mut Guard> {
        self.open.as_mut().map(|(guard, _)| guard)
    }

    /// Why instances with `accept = false` cannot run.
    pub(super) fn problem(&self) -> Option<String> {
        self.error.as_ref().map(|e| format!("accept = false is not possible: {e}"))
    }
}

impl Protocol {
    /// Tries the filter out as soon as an instance needs it; closes it when none does any more.
    pub(super) fn refresh_filter(&mut self) {
        let needed = self.instances.values().any(|r| r.config.drops_packets() || !r.guarded.is_empty());
        if needed {
            self.filter.error = self.filter.prepare(&self.poller).err().map(|e| e.to_string());
        } else if self.filter.open.is_some() || self.filter.error.is_some() {
            if let Some((_, monitor)) = self.filter.open.take() {
                // Closing takes it out of epoll as well.
                let _ = self.poller.remove(&monitor);
            }
            // One that is left makes the next start look for a table that is not there.
            let _ = std::fs::remove_file(mark(&self.filter.run_dir));
            self.filter.error = None;
        }
    }

    /// Guards addresses of an instance before they come.
    pub(super) fn guard(
        &mut self,
        id: RouterId,
        places: impl Iterator<Item = Place>,
    ) -> Result<(), NetError> {
        let Some(r) = self.instances.get_mut(&id).filter(|r| r.config.drops_packets()) else { return Ok(()) };
        let fresh: Vec<Guarded> = places.map(|p| guarded(&p)).filter(|g| !r.guarded.contains(g)).collect();
        if fresh.is_empty() {
            return Ok(());
        }
        let closed = || NetError::new("open", "netfilter socket", Errno::ENOTCONN);
        self.filter.guard().ok_or_else(closed)?.add(&fresh)?;
        r.guarded.extend(fresh);
        Ok(())
    }

    /// A reload may have changed its mind about addresses that are there.
    pub(super) fn guard_present(&mut self, id: RouterId) -> Result<(), NetError> {
        let Some(r) = self.instances.get(&id) else { return Ok(()) };
        if !r.config.drops_packets() {
            self.unguard_all(id);
            return Ok(());
        }
        let places: Vec<Place> = r.claim.places().collect();
        self.guard(id, places.into_iter())
    }

    /// Addresses of an instance were taken off.
    pub(super) fn unguard(&mut self, id: RouterId, places: &[Place]) {
        let Some(r) = self.instances.get(&id).filter(|r| !r.guarded.is_empty()) else { return };
        let gone = places.iter().filter(|p| !r.claim.wants(p)).map(guarded).collect();
        self.let_go(id, gone);
    }

    /// An instance holds no addresses any more, or accepts packets to them.
    pub(super) fn unguard_all(&mut self, id: RouterId) {
        let Some(r) = self.instances.get(&id).filter(|r| !r.guarded.is_empty()) else { return };
        let gone = r.guarded.iter().copied().collect();
        self.let_go(id, gone);
    }

    fn let_go(&mut self, id: RouterId, gone: Vec<Guarded>) {
        let Some(r) = self.instances.get_mut(&id) else { return };
        let gone: Vec<Guarded> = gone.into_iter().filter(|g| r.guarded.remove(g)).collect();
        let Some(guard) = self.filter.guard().filter(|_| !gone.is_empty()) else { return };
        if let Err(e) = guard.remove(&gone) {
            self.notice(Some(id), true, e.to_string());
        }
    }

    /// Something happened to nf_tables: `nft flush ruleset`, for one, takes our table along.
    pub(super) fn filter_changed(&mut self) {
        let Some((guard, monitor)) = &mut self.filter.open else { return };
        monitor.drain();
        match guard.mend() {
            Ok(true) => {
                let text = "something else removed the nft table inet tandemd: made again".to_owned();
                self.notice(None, true, text);
            }
            Ok(false) => {}
            Err(e) => self.notice(None, true, e.to_string()),
        }
        if self.filter.error.is_some() {
            self.interfaces_changed();
        }
    }
}

fn guarded(place: &Place) -> Guarded {
    Guarded { address: place.address, ifindex: place.ifindex }
}
