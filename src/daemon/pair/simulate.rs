//! `ha simulate`: what would happen if, told by a copy of the core.

use super::Pairs;
use crate::control::server::BackendError;
use crate::control::simulation::{PairQuestion, Simulated};
use crate::net::clock;
use crate::pair::forecast;
use tokio::sync::oneshot;

impl Pairs {
    /// Answers beside the main loop, which a long look ahead must not hold up.
    pub(crate) fn simulate(
        &self,
        question: PairQuestion,
        reply: oneshot::Sender<Result<Simulated, BackendError>>,
    ) {
        let pair = match self.named(question.pair) {
            Ok(pair) => pair,
            Err(why) => return drop(reply.send(Ok(Err(why)))),
        };
        let half = self.halves.iter().find(|h| h.name() == pair);
        let Some((half, controller)) = half.and_then(|h| Some((h, h.controller.clone()?))) else {
            let why = "this node is not registered with another one: there is nothing to simulate";
            return drop(reply.send(Ok(Err(why.into()))));
        };
        let (now, vrrp) = (clock::now(), !half.about.instances.is_empty());
        tokio::task::spawn_blocking(move || {
            drop(reply.send(Ok(forecast(&controller, now, vrrp, &question.happens))));
        });
    }
}
