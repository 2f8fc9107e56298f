//! What the core is told of this node.

use super::super::convert;
use super::Half;
use super::alone::Alone;
use crate::daemon::resources::{Place, View};
use crate::net::clock;
use crate::notify::Target;
use crate::pair::{Controller, Found, Input, Service};
use std::time::Duration;

impl Half {
    pub(in crate::daemon::pair) fn router_changed(&mut self, instance: &str, to: Target, reason: &str) {
        if !self.instances.iter().any(|i| i == instance) {
            return;
        }
        match to {
            Target::Fault => {
                self.faults.insert(instance.to_owned(), format!("{instance} is in FAULT: {reason}"))
            }
            Target::Master | Target::Backup | Target::Stop => self.faults.remove(instance),
        };
        match to {
            Target::Master | Target::Backup => self.present.insert(instance.to_owned()),
            Target::Fault | Target::Stop => self.present.remove(instance),
        };
        match to {
            Target::Master => self.masters.insert(instance.to_owned()),
            Target::Fault | Target::Backup | Target::Stop => self.masters.remove(instance),
        };
    }

    /// Whether that is one of its own.
    pub(in crate::daemon::pair) fn rival(&mut self, instance: &str, heard: bool) -> bool {
        if !self.instances.iter().any(|i| i == instance) {
            return false;
        }
        match heard {
            true => self.rivals.insert(instance.to_owned()),
            false => self.rivals.remove(instance),
        };
        true
    }

    pub(in crate::daemon::pair) fn paired(&mut self, instance: &str, number: u64) {
        if number == self.order {
            self.outstanding.remove(instance);
        }
    }

    /// Looks at the node, and tells the core what has changed.
    pub(in crate::daemon::pair) fn look(&mut self, view: &View) {
        self.begin(view);
        if self.controller.is_none() {
            if view.place == Place::Down && view.found_up.is_some() {
                self.tell_guardian();
            }
            return;
        }
        if view.maintenance != self.maintenance {
            self.maintenance = view.maintenance;
            self.input(Input::Maintenance(view.maintenance));
        }
        if self.rivals.is_empty() == self.rivalled {
            self.rivalled = !self.rivals.is_empty();
            self.input(Input::PeerAdvertises(self.rivalled));
        }
        let minute = convert::minute_of_day();
        let in_hours = self.hours.is_empty() || self.hours.iter().any(|h| h.contains(minute));
        if in_hours != self.in_hours {
            self.in_hours = in_hours;
            self.input(Input::FailbackHours(in_hours));
        }
        let data = convert::data(view.data.0, view.data.1.iter(), self.data.as_ref());
        let data = self.lonely.seen(clock::now(), data);
        if self.data.as_ref() != Some(&data) {
            self.data = Some(data.clone());
            self.input(Input::Data(data));
        }
        let trouble = self.faults.values().next().or(view.critical.as_ref()).cloned();
        if trouble != self.trouble {
            self.trouble = trouble.clone();
            self.input(Input::Trouble(trouble));
        }
        self.moved |= view.place != Place::Down;
        let Some(service) = self.service(view) else { return };
        if self.told.as_ref() != Some(&service) {
            self.told = Some(service.clone());
            self.input(Input::Service { order: self.order, service });
        }
    }

    /// How far the newest order is; none: it has not been taken everywhere, so nothing that is seen comes of it.
    fn service(&self, view: &View) -> Option<Service> {
        if self.order == 0 || !self.outstanding.is_empty() {
            return None;
        }
        Some(match (&view.blocked, view.place) {
            (Some(why), _) => Service::Blocked(why.clone()),
            (None, Place::Up) => Service::Up,
            // Its virtual routers are MASTER still, and wait for what does not come.
            (None, Place::Moving) if self.serves && view.gave_up => {
                let why = view.failed.clone().or_else(|| self.trouble.clone());
                Service::Failed(why.unwrap_or_else(|| "it did not come up".into()))
            }
            (None, Place::Moving) => Service::Moving,
            (None, Place::Down) => match (&view.failed, &self.trouble) {
                (Some(why), _) if self.moved => Service::Failed(why.clone()),
                // Its virtual router could not become MASTER, or did not stay it.
                (_, Some(why)) if self.serves => Service::Failed(why.clone()),
                _ => Service::Down,
            },
        })
    }

    /// The core begins when it is known what was found up.
    fn begin(&mut self, view: &View) {
        let Some(found_up) = view.found_up else { return };
        // Also where nothing but addresses hangs on it.
        self.resumed |= !std::mem::replace(&mut self.looked, true) && found_up;
        if self.controller.is_some() || self.stopping {
            return;
        }
        if self.links.is_empty() || self.damaged.is_some() {
            return self.stand_alone(view);
        }
        self.kept.stopped = false;
        let now = clock::now();
        let life = convert::next_life(clock::wall(), self.kept.saved.life);
        let (settings, saved) = (self.core_settings.clone(), self.kept.saved.clone());
        // A primary that stood alone serves already.
        let alone = std::mem::take(&mut self.alone) == Alone::Serves && view.place == Place::Up;
        let resumes = (std::mem::take(&mut self.resumed) && saved.serves) || alone;
        let saved = crate::pair::Saved { serves: saved.serves || alone, ..saved };
        let right = self.former.filter(|_| !alone).unwrap_or_else(|| {
            // One that stood alone has just been registered, and its peer does not serve. What was left up in maintenance was
            // told to the peer. Otherwise nobody knows how long the right of the daemon that died would last: there is time
            // for the way down, and for no more.
            let known = alone || view.maintenance;
            let lasts = |terms: crate::pair::Terms| if known { terms.own } else { terms.way_down };
            now + settings.witness.map_or(Duration::ZERO, lasts)
        });
        let found = if resumes { Found::Up { right } } else { Found::Down };
        if !resumes {
            // What is left of an earlier life goes, whenever the nodes speak.
            self.tell_routers(false, "the nodes have not spoken yet");
        }
        self.decisions.begin();
        self.controller = Some(Controller::new(now, settings, self.says.clone(), saved, life, found));
        self.input(Input::Timer);
    }
}
