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
        let half = self.halves.iter().find(|h| question.pair.as_deref() == Some(h.name()));
        let Some(half) = half else {
            let why = match &question.pair {
                Some(name) => format!("no pair is called {name}"),
                None => "name one of the configured pairs".into(),
            };
            return drop(reply.send(Ok(Err(why))));
        };
        let Some(controller) = half.controller.clone() else {
            let why = "this node is not registered with another one: there is nothing to simulate";
            return drop(reply.send(Ok(Err(why.into()))));
        };
        let (now, vrrp) = (clock::now(), !half.about.instances.is_empty());
        tokio::task::spawn_blocking(move || {
            drop(reply.send(Ok(forecast(&controller, now, vrrp, &question.happens))));
        });
    }
}
