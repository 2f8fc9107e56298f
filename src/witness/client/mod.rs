//! Asking a witness.

#[cfg(feature = "etcd")]
mod etcd;
mod exec;
mod http;

#[cfg(feature = "etcd")]
pub use etcd::EtcdWitness;
pub use exec::{DENIED, ExecWitness, GRANTED, OLDER, SYNCED};
pub use http::{HttpWitness, Post, Posting, Reply};

use super::types::{Answer, Ask};
use std::future::Future;
use std::pin::Pin;

/// An answer that is waited for.
pub type Asking<'a> = Pin<Box<dyn Future<Output = Answer> + Send + 'a>>;

/// Something that gives leases, wherever it is.
pub trait Witness: Send + Sync {
    /// Asks once, and answers within the deadline that it was made with: [`Answer::Unavailable`] if nobody knows by then.
    ///
    /// The time at which this is called is what [`super::right::Right::answered`] has to be told, read before the call.
    fn ask<'a>(&'a self, ask: &'a Ask) -> Asking<'a>;
}

/// Words from outside, for people: one line, without control characters, at most 200 characters.
fn words(text: &str) -> String {
    let plain = |c: char| if c.is_control() { ' ' } else { c };
    text.trim().chars().map(plain).take(200).collect()
}
