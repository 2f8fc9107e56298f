//! Who else advertises the virtual routers of a pair: a node that is heard there is not dead, however silent it is elsewhere.

use super::Protocol;
use super::turn::News;
use crate::daemon::messages::Event;
use crate::time::Instant;
use crate::vrrp::{RouterId, VirtualRouter};

/// The routers of pairs, and until when the last advertisement of another node counts, if it does.
#[derive(Debug, Default)]
pub(super) struct Rivals(Vec<(RouterId, Option<Instant>)>);

impl Rivals {
    /// When the next one of them falls silent.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.0.iter().filter_map(|(_, until)| *until).min()
    }
}

impl Protocol {
    /// The configuration has changed.
    pub(super) fn watch_rivals(&mut self) {
        let paired = |name: &String| self.config.pairs.iter().any(|p| p.vrrp_instance.contains(name));
        let routers = self.instances.iter().filter(|(_, r)| !r.retired && paired(&r.config.name));
        let known = std::mem::take(&mut self.rivals.0);
        let heard = |id: RouterId| known.iter().find(|(k, _)| *k == id).and_then(|(_, until)| *until);
        self.rivals.0 = routers.map(|(id, _)| (*id, heard(*id))).collect();
    }

    /// Says of whom something is heard now, and of whom nothing any more.
    pub(super) fn tell_rivals(&mut self) {
        for (id, until) in &mut self.rivals.0 {
            let now = self.engine.router(*id).and_then(VirtualRouter::rival_until).filter(|t| *t > self.now);
            let changed = now.is_some() != until.is_some();
            *until = now;
            if changed && let Some(r) = self.instances.get(id) {
                let event = Event::Rival(r.config.name.clone(), now.is_some());
                self.news.push(News::Event(event));
            }
        }
    }
}
