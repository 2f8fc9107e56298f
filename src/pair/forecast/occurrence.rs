//! What may be asked about.

use serde::{Deserialize, Serialize};
use std::fmt;

/// What is to happen.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Occurrence {
    /// The other node loses its power.
    PeerDies,
    /// This node does.
    ThisDies,
    /// The first link is cut, and with it VRRP.
    NetworkCut,
    /// The direct link is cut.
    DirectLinkCut,
    /// Every link is cut.
    AllLinksCut,
    /// The interface of the virtual addresses goes down here.
    InterfaceDown,
    /// And on the other node.
    PeerInterfaceDown,
    /// The data do not follow any more; heartbeats go on.
    ReplicationLost,
    /// Neither node reaches the witness.
    WitnessLost,
    /// A critical resource fails here, and cannot be restarted.
    ServiceFails,
    /// And on the other node.
    PeerServiceFails,
    /// The service could not be stopped here.
    StopFails,
    /// Nor on the other node.
    PeerStopFails,
    /// The service could not be started here.
    StartFails,
    /// Nor on the other node.
    PeerStartFails,
    /// The fence device would not answer.
    FenceFails,
    /// The daemon here is stopped.
    Stop,
    /// The daemon there is.
    PeerStop,
    /// `tandemadm ha failover`, here.
    Failover,
    /// `tandemadm ha failback`, here.
    Failback,
    /// `tandemadm ha switchover`, here.
    Switchover,
    /// `tandemadm ha force-failover`, here.
    ForceFailover,
}

/// Each of them, as it is typed, and what it means.
pub const OCCURRENCES: [(Occurrence, &str, &str); 22] = [
    (Occurrence::PeerDies, "peer-dies", "the other node loses its power"),
    (Occurrence::ThisDies, "this-dies", "this node loses its power"),
    (Occurrence::NetworkCut, "network-cut", "the network between the nodes is cut"),
    (Occurrence::DirectLinkCut, "direct-link-cut", "the direct link is cut"),
    (Occurrence::AllLinksCut, "all-links-cut", "every link between the nodes is cut"),
    (Occurrence::InterfaceDown, "interface-down", "the interface of the virtual addresses goes down here"),
    (Occurrence::PeerInterfaceDown, "peer-interface-down", "it goes down on the other node"),
    (Occurrence::ReplicationLost, "replication-lost", "the data do not follow any more"),
    (Occurrence::WitnessLost, "witness-lost", "neither node reaches the witness"),
    (Occurrence::ServiceFails, "service-fails", "a critical resource fails here and cannot be restarted"),
    (Occurrence::PeerServiceFails, "peer-service-fails", "one fails on the other node"),
    (Occurrence::StopFails, "stop-fails", "the service could not be stopped here"),
    (Occurrence::PeerStopFails, "peer-stop-fails", "it could not be stopped on the other node"),
    (Occurrence::StartFails, "start-fails", "the service could not be started here"),
    (Occurrence::PeerStartFails, "peer-start-fails", "it could not be started on the other node"),
    (Occurrence::FenceFails, "fence-fails", "the fence device would not answer"),
    (Occurrence::Stop, "stop", "the daemon here is stopped"),
    (Occurrence::PeerStop, "peer-stop", "the daemon on the other node is stopped"),
    (Occurrence::Failover, "failover", "tandemadm ha failover, here"),
    (Occurrence::Failback, "failback", "tandemadm ha failback, here"),
    (Occurrence::Switchover, "switchover", "tandemadm ha switchover, here"),
    (Occurrence::ForceFailover, "force-failover", "tandemadm ha force-failover, here"),
];

impl Occurrence {
    /// What it means.
    pub fn meaning(self) -> &'static str {
        OCCURRENCES.iter().find(|(o, ..)| *o == self).map_or("", |(_, _, meaning)| meaning)
    }

    /// By its word.
    pub fn named(word: &str) -> Option<Self> {
        OCCURRENCES.iter().find(|(_, w, _)| *w == word).map(|(o, ..)| *o)
    }
}

impl fmt::Display for Occurrence {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let word = OCCURRENCES.iter().find(|(o, ..)| o == self).map_or("", |(_, word, _)| word);
        f.write_str(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_word_is_the_one_that_json_has() {
        for (one, word, meaning) in OCCURRENCES {
            assert_eq!(serde_json::to_value(one).unwrap(), word);
            assert_eq!(Occurrence::named(word), Some(one));
            assert_eq!((one.to_string().as_str(), one.meaning()), (word, meaning));
        }
    }
}
