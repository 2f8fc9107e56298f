//! Whether the resources are to be raised, and in which order scripts, resources and addresses follow each other.
//!
//! Pure: it is told what the virtual routers and the graph do, and answers with [`Order`]s. On the way up: `pre_master`,
//! resources, addresses. On the way down: `pre_backup` (before the addresses go, if this node leaves by itself),
//! addresses, resources, and then another node may take over.

use crate::config::Config;
use crate::control::api::AddressPlace;
use crate::daemon::messages::GateNews;
use crate::resource::Target;
use std::collections::BTreeMap;

/// A blocking script.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(crate) enum Pre {
    Master,
    Backup,
}

/// What is to be done.
#[derive(Clone, PartialEq, Eq, Debug)]
pub(super) enum Order {
    /// Run the blocking script of this instance, and say when it has ended.
    Run(String, Pre),
    /// The one that may run is of no use any more.
    Cancel(String),
    /// Put its addresses in place.
    Place(String),
    /// Its addresses may go.
    LetGo(String),
    /// Everything that hangs on its addresses is down.
    Lowered(String),
    /// Where the graph should be.
    Aim(Target),
}

/// Where an instance is.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
enum Seat {
    /// Nothing heard of it yet.
    Unknown,
    /// Not MASTER, and nothing of it is left here.
    Standby,
    /// MASTER; its `pre_master` runs.
    Entering,
    /// MASTER.
    Active,
    /// Not MASTER any more; its addresses may still be here.
    Leaving,
    /// Its addresses are off, and it waits for what hangs on them.
    Off,
}

#[derive(Clone, Debug)]
struct Instance {
    /// Decides about the resources.
    tied: bool,
    /// The resources hang on it, also if a reload has changed that since it became MASTER.
    hangs: bool,
    /// Its addresses wait for the resources.
    late: bool,
    /// Its end is reported only when nothing hangs on it any more.
    stays: bool,
    pre_master: bool,
    pre_backup: bool,
    seat: Seat,
    /// Its addresses wait to be put in place.
    waits: bool,
    /// Its addresses wait to be let go.
    holds: bool,
    /// `pre_backup` of this way down has ended.
    said: bool,
}

/// See [the module](self).
#[derive(Clone, Debug, Default)]
pub(super) struct Activation {
    instances: BTreeMap<String, Instance>,
    aim: Option<Target>,
    /// What the graph has reached since it was aimed.
    reached: Option<Target>,
    /// Nothing moves (maintenance, at the stop): addresses go without their resources.
    frozen: bool,
    /// What a pair without virtual routers has decided.
    bare: Option<bool>,
    /// There is a pair, and it has not yet said that this node does not serve.
    open: bool,
}

/// How far the service is: resources and addresses together.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Place {
    /// Nothing of it is here.
    Down,
    /// On its way.
    Moving,
    /// Everything is in place.
    Up,
}

impl Activation {
    /// Takes a configuration. Instances that stay keep their seat.
    pub(super) fn configure(&mut self, config: &Config) -> Vec<Order> {
        let known = std::mem::take(&mut self.instances);
        self.open = !config.pairs.is_empty() && (self.open || self.aim.is_none());
        // One that a reload removed still has to leave.
        let gone = known.iter().filter(|(_, i)| !matches!(i.seat, Seat::Unknown | Seat::Standby));
        self.instances =
            gone.map(|(name, i)| (name.clone(), Instance { tied: false, ..i.clone() })).collect();
        for i in &config.instances {
            let old = known.get(&i.name);
            let tied = config.decides(&i.name);
            let new = Instance {
                tied,
                hangs: tied
                    || old.is_some_and(|o| o.hangs && !matches!(o.seat, Seat::Unknown | Seat::Standby)),
                late: tied && config.addresses_are_late(&i.name),
                stays: i.router.stays,
                pre_master: i.notify.pre_master.is_some(),
                pre_backup: i.notify.pre_backup.is_some(),
                seat: old.map_or(Seat::Unknown, |o| o.seat),
                waits: old.is_some_and(|o| o.waits),
                holds: old.is_some_and(|o| o.holds),
                said: old.is_some_and(|o| o.said),
            };
            self.instances.insert(i.name.clone(), new);
        }
        self.settle()
    }

    /// An instance is MASTER now, or is not any more.
    pub(super) fn changed(&mut self, name: &str, master: bool) -> Vec<Order> {
        let Some(i) = self.instances.get_mut(name) else { return Vec::new() };
        let mut orders = Vec::new();
        match (master, i.seat) {
            (true, Seat::Entering | Seat::Active) | (false, Seat::Standby | Seat::Leaving | Seat::Off) => {}
            (true, from) => {
                if matches!(from, Seat::Leaving | Seat::Off) {
                    orders.push(Order::Cancel(name.to_owned()));
                }
                (i.holds, i.said) = (false, false);
                i.seat = if i.pre_master { Seat::Entering } else { Seat::Active };
                if i.pre_master {
                    orders.push(Order::Run(name.to_owned(), Pre::Master));
                }
            }
            (false, Seat::Unknown) => i.seat = Seat::Standby,
            (false, Seat::Entering | Seat::Active) => orders.extend(i.leave(name)),
        }
        orders.extend(self.settle());
        orders
    }

    /// The protocol thread tells where an instance's addresses are.
    pub(super) fn gate(&mut self, name: &str, news: GateNews) -> Vec<Order> {
        let Some(i) = self.instances.get_mut(name) else {
            // Not configured any more, and never had anything here.
            let lowered = || Order::Lowered(name.to_owned());
            return (news == GateNews::Off).then(lowered).into_iter().collect();
        };
        let mut orders = Vec::new();
        match news {
            GateNews::Waits => i.waits = true,
            GateNews::Leaves => {
                if matches!(i.seat, Seat::Entering | Seat::Active) {
                    orders.extend(i.leave(name));
                }
                i.holds = true;
                orders.extend(i.say_goodbye(name));
            }
            GateNews::Off if matches!(i.seat, Seat::Entering | Seat::Active) => {}
            GateNews::Off => {
                i.seat = Seat::Off;
                i.holds = false;
                orders.extend(i.say_goodbye(name));
            }
        }
        orders.extend(self.settle());
        orders
    }

    /// A blocking script has ended, however.
    pub(super) fn said(&mut self, name: &str, which: Pre) -> Vec<Order> {
        let Some(i) = self.instances.get_mut(name) else { return Vec::new() };
        let mut orders = Vec::new();
        match which {
            Pre::Master if i.seat == Seat::Entering => i.seat = Seat::Active,
            Pre::Backup if matches!(i.seat, Seat::Leaving | Seat::Off) => {
                i.said = true;
                if std::mem::take(&mut i.holds) {
                    orders.push(Order::LetGo(name.to_owned()));
                }
            }
            Pre::Master | Pre::Backup => {}
        }
        orders.extend(self.settle());
        orders
    }

    /// The graph is where it was aimed at, or as near as it can get.
    pub(super) fn reached(&mut self, target: Target) -> Vec<Order> {
        self.reached = Some(target);
        self.settle()
    }

    /// Something has moved since.
    pub(super) fn moving(&mut self) {
        self.reached = None;
    }

    /// A pair without virtual routers has decided whether this node serves.
    pub(super) fn serve(&mut self, serves: bool) -> Vec<Order> {
        self.bare = Some(serves);
        self.settle()
    }

    /// The pair has decided that this node does not serve: what was found up at the start goes down.
    pub(super) fn yielded(&mut self) -> Vec<Order> {
        self.open = false;
        self.settle()
    }

    /// How far the service is.
    pub(super) fn place(&self) -> Place {
        let mut tied = self.instances.values().filter(|i| i.tied).peekable();
        let bare = tied.peek().is_none();
        let at = (self.aim, self.reached);
        if at == (Some(Target::Raised), Some(Target::Raised))
            && if bare { self.bare == Some(true) } else { tied.all(|i| i.seat == Seat::Active && !i.waits) }
        {
            return Place::Up;
        }
        let lowered = at == (Some(Target::Lowered), Some(Target::Lowered));
        let mut seats = self.instances.values().filter(|i| i.tied).map(|i| i.seat);
        let gone = if bare { self.bare == Some(false) } else { seats.all(|s| s == Seat::Standby) };
        if lowered && gone { Place::Down } else { Place::Moving }
    }

    /// The resources were to come up, and are down again.
    pub(super) fn gave_up(&self) -> bool {
        (self.aim, self.reached) == (Some(Target::Raised), Some(Target::Lowered))
    }

    /// From now on addresses go without their resources.
    pub(super) fn freeze(&mut self, frozen: bool) -> Vec<Order> {
        self.frozen = frozen;
        self.settle()
    }

    /// What was aimed at last.
    pub(super) fn aim(&self) -> Option<Target> {
        self.aim
    }

    /// Where the addresses of the deciding instances are, in words.
    pub(super) fn addresses(&self) -> AddressPlace {
        let tied = || self.instances.values().filter(|i| i.tied);
        if tied().any(|i| i.waits) {
            AddressPlace::WaitingForResources
        } else if tied().any(|i| matches!(i.seat, Seat::Active | Seat::Entering)) {
            AddressPlace::InPlace
        } else {
            AddressPlace::Off
        }
    }

    fn wanted(&self) -> Option<Target> {
        let tied: Vec<&Instance> = self.instances.values().filter(|i| i.tied).collect();
        if !tied.is_empty() && tied.iter().all(|i| i.seat == Seat::Active) {
            return Some(Target::Raised);
        }
        if tied.is_empty()
            && let Some(serves) = self.bare
        {
            return Some(if serves { Target::Raised } else { Target::Lowered });
        }
        if self.open && self.aim.is_none() {
            // A daemon that came back leaves everything as it is until the nodes have spoken.
            return None;
        }
        let undecided = |i: &&&Instance| match i.seat {
            Seat::Unknown | Seat::Leaving | Seat::Entering => true,
            Seat::Off => i.pre_backup && !i.said,
            Seat::Standby | Seat::Active => false,
        };
        if tied.iter().any(|i| undecided(&i)) { self.aim } else { Some(Target::Lowered) }
    }

    fn settle(&mut self) -> Vec<Order> {
        let mut orders = Vec::new();
        let wanted = self.wanted();
        if let Some(target) = wanted
            && wanted != self.aim
        {
            (self.aim, self.reached) = (wanted, None);
            orders.push(Order::Aim(target));
        }
        let raised = (self.aim, self.reached) == (Some(Target::Raised), Some(Target::Raised));
        let lowered =
            self.frozen || (self.aim, self.reached) == (Some(Target::Lowered), Some(Target::Lowered));
        // Other instances decide now, and have raised the resources for themselves.
        let elsewhere = self.aim == Some(Target::Raised);
        for (name, i) in &mut self.instances {
            if i.waits && i.seat == Seat::Active && (raised || !i.late) {
                i.waits = false;
                orders.push(Order::Place(name.clone()));
            }
            let free = lowered || !i.hangs || (elsewhere && !i.tied);
            if i.seat == Seat::Off && (i.said || !i.pre_backup) && free {
                (i.seat, i.said, i.hangs) = (Seat::Standby, false, i.tied);
                orders.push(Order::Lowered(name.clone()));
            }
        }
        orders
    }
}

impl Instance {
    fn leave(&mut self, name: &str) -> Option<Order> {
        let entering = self.seat == Seat::Entering;
        self.seat = if self.stays { Seat::Leaving } else { Seat::Standby };
        (self.waits, self.said) = (false, false);
        entering.then(|| Order::Cancel(name.to_owned()))
    }

    fn say_goodbye(&self, name: &str) -> Option<Order> {
        (self.pre_backup && !self.said).then(|| Order::Run(name.to_owned(), Pre::Backup))
    }
}

#[cfg(test)]
#[path = "activation_tests.rs"]
mod tests;
