//! Others that use our virtual addresses without VRRP. While an instance is MASTER, it is asked who has its addresses (ARP
//! probes, RFC 5227; neighbour solicitations, RFC 4861), and listened to who says that he has. Neither question changes what
//! other hosts believe, nor does the answer, which goes to this machine alone.
//!
//! This is told and shown, and nothing else follows from it: if a node gave up, anybody on the network could end the
//! service with one packet. (RFC 5227 2.4 (c) leaves a host that has to keep its address the choice.)
//!
//! All of it runs on a thread of its own. It has no deadlines that matter: a flood keeps neither the protocol nor the main
//! thread from their work.

mod ears;
mod watch;

use crate::config::{Config, Instance};
use crate::control::api::{InstanceStatus, StrangerStatus};
use crate::net::{NetError, clock, macvlan};
use ears::Ears;
use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use tokio::sync::mpsc;
use watch::{Mac, Place, Stranger, Target};

/// Something for the log and the events, a warning.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) struct News {
    /// The instance that it is about, if one.
    pub(super) instance: Option<String>,
    pub(super) text: String,
}

/// What both threads have.
#[derive(Debug)]
struct Shared {
    /// The newest wish of each instance that the thread has yet to take.
    wishes: Mutex<BTreeMap<Arc<str>, Vec<Target>>>,
    strangers: Mutex<Vec<Stranger>>,
    news: mpsc::Sender<News>,
    /// Packets of strangers.
    packets: AtomicU64,
    /// Strangers told of.
    told: AtomicU64,
}

impl Shared {
    /// What the main thread does not take in time is shown in the status all the same.
    fn tell(&self, news: News) {
        let _ = self.news.try_send(news);
    }
}

/// The main thread's end.
#[derive(Debug)]
pub(super) struct Strangers {
    shared: Arc<Shared>,
    news: mpsc::Receiver<News>,
    /// Gone with this: the thread ends.
    waker: SyncSender<()>,
}

impl Strangers {
    /// Starts the thread, which sleeps until there is something to watch. That it cannot run is only told: the service
    /// does not depend on it.
    pub(super) fn start() -> Self {
        let (sender, news) = mpsc::channel(watch::MOST);
        let shared = Arc::new(Shared {
            wishes: Mutex::default(),
            strangers: Mutex::default(),
            news: sender,
            packets: AtomicU64::new(0),
            told: AtomicU64::new(0),
        });
        let (waker, woken) = sync_channel(1);
        let theirs = shared.clone();
        let run = move || match Ears::new(theirs.clone()) {
            Ok(mut ears) => ears.run(&woken),
            Err(e) => theirs.tell(failure(&e)),
        };
        if let Err(e) = std::thread::Builder::new().name("strangers".into()).spawn(run) {
            shared.tell(failure(&NetError::from_io("start", "a thread for it", &e)));
        }
        Strangers { shared, news, waker }
    }

    /// Looks for others that use the addresses of an instance while it is MASTER, and not otherwise.
    pub(super) fn follow(&self, instance: &Instance, is_master: bool) {
        let targets = if is_master { targets(instance) } else { Vec::new() };
        self.wish(&instance.name, targets);
    }

    /// Another configuration: `masters` are the instances that are MASTER.
    pub(super) fn reload(&self, old: &Config, new: &Config, is_master: impl Fn(&str) -> bool) {
        let stays = |name: &str| new.instances.iter().any(|i| i.name == name);
        old.instances.iter().filter(|i| !stays(&i.name)).for_each(|i| self.follow(i, false));
        new.instances.iter().for_each(|i| self.follow(i, is_master(&i.name)));
    }

    fn wish(&self, instance: &str, targets: Vec<Target>) {
        self.shared.wishes.lock().unwrap_or_else(PoisonError::into_inner).insert(instance.into(), targets);
        // Full: it is about to wake up. Gone: it has said why.
        let _ = self.waker.try_send(());
    }

    /// The next thing to say. May be dropped and called again.
    pub(super) async fn next(&mut self) -> Option<News> {
        self.news.recv().await
    }

    /// Adds what is known to the instances.
    pub(super) fn show(&self, instances: &mut [InstanceStatus]) {
        let now = clock::now();
        let strangers = self.shared.strangers.lock().unwrap_or_else(PoisonError::into_inner);
        for Stranger { instance, place, mac, last } in strangers.iter() {
            let ago = now.since(*last);
            // The thread may be a turn behind.
            let fitting = instances.iter_mut().find(|i| i.name == **instance && ago < watch::FORGET);
            let Some(status) = fitting else { continue };
            let (interface, mac) = (place.interface.to_string(), words(*mac));
            status
                .warnings
                .push(format!("another machine uses {} on {interface} too: MAC {mac}", place.address));
            status.strangers.push(StrangerStatus {
                address: place.address,
                interface,
                mac,
                heard_ms_ago: u64::try_from(ago.as_millis()).unwrap_or(u64::MAX),
            });
        }
    }

    /// Counters for `stats`.
    pub(super) fn stats(&self) -> impl Iterator<Item = (String, u64)> + use<> {
        let count = |n: &AtomicU64| n.load(Ordering::Relaxed);
        let all =
            [("strangers", count(&self.shared.told)), ("stranger_packets", count(&self.shared.packets))];
        all.into_iter().map(|(name, n)| (name.to_owned(), n))
    }
}

/// The addresses and where they are used. With a virtual MAC, too, that is the interface below: there strangers are heard, and
/// asked with its own MAC.
fn targets(instance: &Instance) -> Vec<Target> {
    let virtual_mac = macvlan::virtual_mac(instance.router.family, instance.router.vrid);
    let target = |a: &crate::config::VirtualAddress| {
        let interface = a.dev.as_deref().unwrap_or(&instance.interface).into();
        Target { place: Place { interface, address: a.address }, virtual_mac }
    };
    instance.all_addresses().map(target).collect()
}

fn failure(error: &NetError) -> News {
    News { instance: None, text: format!("cannot look for others that use virtual addresses: {error}") }
}

fn words(mac: Mac) -> String {
    mac.map(|b| format!("{b:02x}")).join(":")
}
