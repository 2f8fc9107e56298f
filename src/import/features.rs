//! Keys that tandemd's parser may or may not have: the translation follows the parser.

use crate::config::{Options, Source, parse};
use std::sync::OnceLock;

/// Something that is translated only if this tandemd has it.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Feature {
    AuthHmac,
    UseVmac,
    Accept,
    VirtualRoutes,
    VirtualRules,
    TrackBfd,
    GarpGroup,
    InterfaceDelays,
}

const INSTANCE: &str = "[[vrrp_instance]]\nname = \"a\"\ninterface = \"eth0\"\nvirtual_router_id = 1\nversion = 3\n\
                        virtual_ipaddress = [\"192.0.2.1/32\"]\n";

/// A configuration with the feature; the parser's answer is the flag. `@` stands for an instance.
const PROBES: [(Feature, &str); 8] = [
    (
        Feature::AuthHmac,
        "@auth_hmac = { keys = [{ id = 1, ascii = \"a key that is used for this question alone\" }], active_key = 1 }\n",
    ),
    (Feature::UseVmac, "@use_vmac = true\nvmac_interface = \"vrrp.1\"\nvmac_xmit_base = true\n"),
    (Feature::Accept, "@accept = false\n"),
    (Feature::VirtualRoutes, "@virtual_routes = [\"198.51.100.0/24 via 192.0.2.254 dev eth0\"]\n"),
    (Feature::VirtualRules, "@virtual_rules = [\"from 192.0.2.0/24 table 100 priority 100\"]\n"),
    (
        Feature::TrackBfd,
        "@track_bfd = [{ name = \"b\", weight = 10 }]\n[[track.bfd]]\nname = \"b\"\nneighbor_ip = \"192.0.2.2\"\n\
         source_ip = \"192.0.2.3\"\nmin_rx = \"10ms\"\nmin_tx = \"10ms\"\nmultiplier = 5\npassive = true\n",
    ),
    (
        Feature::GarpGroup,
        "[[garp_group]]\nname = \"g\"\ninterfaces = [\"eth0\"]\ngarp_interval = \"1ms\"\ngna_interval = \"1ms\"\n",
    ),
    (Feature::InterfaceDelays, "[[interface]]\nname = \"eth0\"\nup_delay = \"1s\"\ndown_delay = \"1s\"\n"),
];

/// Whether this tandemd has it.
pub(super) fn has(feature: Feature) -> bool {
    static ANSWERS: OnceLock<Vec<Feature>> = OnceLock::new();
    let accepted = |(feature, text): &(Feature, &str)| {
        let source = Source { path: "probe.toml".into(), text: text.replace('@', INSTANCE) };
        parse(&[source], &Options::default()).is_ok().then_some(*feature)
    };
    ANSWERS.get_or_init(|| PROBES.iter().filter_map(accepted).collect()).contains(&feature)
}

/// What is said of a feature that is not there.
pub(super) const NOT_YET: &str = "this tandemd does not have it yet";
