//! Numbers by which the shell and the engine name things to each other.

/// An interface as the engine sees it: a number that the shell gives to an interface name. (The kernel's
/// index changes when an interface is made again; this does not.)
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct Port(pub u32);

/// One router in an [`Engine`](super::Engine); never given twice.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct RouterId(u64);

impl RouterId {
    pub(crate) const fn new(id: u64) -> Self {
        RouterId(id)
    }
}
