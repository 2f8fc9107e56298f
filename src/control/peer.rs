//! Who is on the other end of a connection.

/// Who asks.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Peer {
    /// User id.
    pub uid: u32,
    /// Process id, if the kernel says it.
    pub pid: Option<i32>,
}
