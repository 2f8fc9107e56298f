//! Replicated data: what the control API asks for. Nothing here keeps the main loop waiting; each request is answered by a
//! task of its own.

use crate::agents::drbd::handler::{PEER_INCONSISTENT, PEER_OUTDATED, PEER_UNREACHABLE, UNSURE};
use crate::agents::{Agent, Side};
use crate::control::api::{DataReport, HandlerAnswer, HandlerCall, Outcome, Recover};
use crate::control::server::BackendError;
use crate::daemon::record::Recorder;
use crate::events::{Severity, Who};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{oneshot, watch};
use tracing::{info, warn};

/// The control connection is cut after 10 s; before that the asker is told that it goes on.
const ANSWER: Duration = Duration::from_secs(8);
/// DRBD's handler waits 10 s for its answer.
const PARTED: Duration = Duration::from_secs(7);
/// A recovery may have to take snapshots.
const RECOVERY: Duration = Duration::from_secs(120);

type Reply<T> = oneshot::Sender<Result<T, BackendError>>;
/// A resource with its agent.
pub(super) type Named = (String, Arc<dyn Agent>);

/// Every replicated resource, read anew.
pub(super) fn report(agents: Vec<Named>, reply: Reply<Vec<DataReport>>) {
    tokio::spawn(async move {
        let mut reads = Vec::new();
        for (resource, agent) in agents {
            reads.push(tokio::spawn(async move {
                let status = agent.data()?.status().await;
                let (status, error) = match status {
                    Ok(status) => (Some(status), None),
                    Err(e) => (None, Some(e)),
                };
                Some(DataReport { resource, status, error })
            }));
        }
        let mut all = Vec::new();
        for read in reads {
            all.extend(read.await.ok().flatten());
        }
        // An asker that went away is no error, here and below.
        let _ = reply.send(Ok(all));
    });
}

/// The refusal for a name without replicated data.
fn unknown(name: &str) -> Outcome {
    Outcome { ok: false, message: format!("there is no resource {name} with replicated data") }
}

/// Who asked, and where it is written down.
pub(super) struct Asked {
    pub(super) who: Who,
    pub(super) recorder: Recorder,
}

pub(super) fn verify(name: String, agent: Option<Arc<dyn Agent>>, asked: Asked, reply: Reply<Outcome>) {
    run(name, "data verify", asked, reply, agent, |agent| async move {
        match agent.data() {
            Some(data) => Some(data.verify().await),
            None => None,
        }
    });
}

pub(super) fn recover(
    name: String,
    how: Recover,
    agent: Option<Arc<dyn Agent>>,
    asked: Asked,
    reply: Reply<Outcome>,
) {
    let what = match how.keep {
        Side::Local => "data recover --keep local",
        Side::Peer => "data recover --keep peer",
    };
    run(name, what, asked, reply, agent, move |agent| async move {
        let data = agent.data()?;
        Some(match how.keep {
            Side::Peer if how.no_copy => data.recover_without_copy(RECOVERY).await,
            side => data.recover(side, RECOVERY).await,
        })
    });
}

/// Runs it to its end, whoever listens; the log says how it ended.
fn run<F>(
    name: String,
    what: &'static str,
    asked: Asked,
    reply: Reply<Outcome>,
    agent: Option<Arc<dyn Agent>>,
    work: impl FnOnce(Arc<dyn Agent>) -> F,
) where
    F: Future<Output = Option<Result<String, String>>> + Send + 'static,
{
    let Some(agent) = agent else {
        let _ = reply.send(Ok(unknown(&name)));
        return;
    };
    let Asked { who, recorder } = asked;
    info!(%who, resource = %name, "{what} of {name}");
    recorder.command(&who, Some(&name), &format!("{what} {name} begins"), true, "");
    let work = work(agent);
    let title = name.clone();
    let task = tokio::spawn(async move {
        let outcome = match work.await {
            None => unknown(&title),
            Some(Ok(message)) => Outcome { ok: true, message },
            Some(Err(message)) => Outcome { ok: false, message },
        };
        if outcome.ok {
            info!(resource = %title, "{what} of {title}: {}", outcome.message);
        } else {
            warn!(resource = %title, "{what} of {title}: {}", outcome.message);
        }
        recorder.command(&who, Some(&title), &format!("{what} {title}"), outcome.ok, &outcome.message);
        outcome
    });
    tokio::spawn(async move {
        let later = || Outcome {
            ok: true,
            message: format!(
                "it goes on; the log says how it ends, and so does tandemadm data status {name}"
            ),
        };
        let outcome = match tokio::time::timeout(ANSWER, task).await {
            Ok(Ok(outcome)) => outcome,
            Ok(Err(e)) => Outcome { ok: false, message: e.to_string() },
            Err(_) => later(),
        };
        let _ = reply.send(Ok(outcome));
    });
}

/// Answers DRBD by the agent whose resource it is; `active` says for each agent whether it serves. Without one DRBD is told
/// that nothing is known. `vouches`: the pair still answers for the other node's data, so DRBD has to wait.
pub(super) fn drbd_handler(
    agents: Vec<(Named, bool)>,
    call: HandlerCall,
    vouches: Option<watch::Receiver<bool>>,
    recorder: Recorder,
    reply: Reply<HandlerAnswer>,
) {
    tokio::spawn(async move {
        for ((name, agent), active) in agents {
            if let Some(work) = agent.drbd_handler(&call, active) {
                let first = work.await;
                let answer = parted(first.clone(), vouches, PARTED).await;
                if answer != first {
                    warn!("{name}: {}: {}", call.handler.name(), answer.event);
                }
                let level = if answer.warning { Severity::Warning } else { Severity::Info };
                let text = format!("DRBD's handler {}: {}", call.handler.name(), answer.event);
                recorder.of_resources(Some(&name), level, text);
                let _ = reply.send(Ok(answer));
                return;
            }
        }
        let event = format!("no resource of tandemd is called {} in DRBD", call.resource);
        warn!("DRBD's handler {}: {event}", call.handler.name());
        let _ = reply.send(Ok(HandlerAnswer { exit: call.without_daemon(), warning: true, event }));
    });
}

/// Before DRBD may write without the other node, that is to be on the disk and to be told: else the other node could serve without
/// what is written.
async fn parted(
    answer: HandlerAnswer,
    vouches: Option<watch::Receiver<bool>>,
    limit: Duration,
) -> HandlerAnswer {
    let goes_on = matches!(answer.exit, PEER_INCONSISTENT | PEER_OUTDATED | PEER_UNREACHABLE);
    let Some(mut vouches) = vouches.filter(|_| goes_on) else { return answer };
    match tokio::time::timeout(limit, vouches.wait_for(|vouches| !vouches)).await {
        Ok(_) => answer,
        Err(_) => {
            let event = format!(
                "{}; but that could not be written down, or told the other node, within {} s: nothing is said about it",
                answer.event,
                limit.as_secs()
            );
            HandlerAnswer { exit: UNSURE, warning: true, event }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agents::data::{DataStatus, ReplicatedData};
    use crate::agents::drbd::HandlerKind;
    use crate::agents::{Context, Work};
    use crate::resource::{Level, Step, StepResult};

    /// Data that cannot be read, and is recovered by saying so.
    struct Paper;

    impl Agent for Paper {
        fn run<'a>(&'a self, _: Step, _: &'a Context) -> Work<'a, StepResult> {
            Box::pin(async { StepResult::Done })
        }
        fn find<'a>(&'a self, _: &'a Context) -> Work<'a, Result<Level, String>> {
            Box::pin(async { Ok(Level::Started) })
        }
        fn data(&self) -> Option<&dyn ReplicatedData> {
            Some(self)
        }
        fn drbd_handler<'a>(&'a self, c: &'a HandlerCall, active: bool) -> Option<Work<'a, HandlerAnswer>> {
            let answer =
                HandlerAnswer { exit: if active { 5 } else { 4 }, warning: false, event: String::new() };
            (c.resource == "r0").then(|| Box::pin(async { answer }) as Work<'a, HandlerAnswer>)
        }
    }

    impl ReplicatedData for Paper {
        fn status(&self) -> Work<'_, Result<DataStatus, String>> {
            Box::pin(async { Err("torn".into()) })
        }
        fn verify(&self) -> Work<'_, Result<String, String>> {
            Box::pin(async { Err("torn".into()) })
        }
        fn recover(&self, keep: Side, _: Duration) -> Work<'_, Result<String, String>> {
            Box::pin(async move { Ok(format!("{keep:?}")) })
        }
        fn recover_without_copy(&self, _: Duration) -> Work<'_, Result<String, String>> {
            Box::pin(async { Ok("no copy".into()) })
        }
    }

    fn asked() -> Asked {
        Asked { who: Who::Timer, recorder: Recorder::none() }
    }

    fn paper() -> Arc<dyn Agent> {
        Arc::new(Paper)
    }

    #[tokio::test]
    async fn what_is_asked_reaches_the_agent_of_that_name() {
        let (reply, answer) = oneshot::channel();
        report(vec![("data".into(), paper())], reply);
        let all = answer.await.unwrap().unwrap();
        assert_eq!((all[0].resource.as_str(), all[0].error.as_deref()), ("data", Some("torn")));
        let (reply, answer) = oneshot::channel();
        verify("data".into(), Some(paper()), asked(), reply);
        assert_eq!(answer.await.unwrap().unwrap(), Outcome { ok: false, message: "torn".into() });
        for (keep, no_copy, want) in
            [(Side::Local, false, "Local"), (Side::Peer, false, "Peer"), (Side::Peer, true, "no copy")]
        {
            let (reply, answer) = oneshot::channel();
            recover("data".into(), Recover { keep, no_copy }, Some(paper()), asked(), reply);
            assert_eq!(answer.await.unwrap().unwrap(), Outcome { ok: true, message: want.into() });
        }
        let (reply, answer) = oneshot::channel();
        verify("else".into(), None, asked(), reply);
        assert!(answer.await.unwrap().unwrap().message.contains("no resource else"));
    }

    #[tokio::test]
    async fn a_handler_of_a_resource_that_nobody_knows_is_told_that_nothing_is_known() {
        let call = |resource: &str| HandlerCall {
            handler: HandlerKind::FencePeer,
            resource: resource.into(),
            peer: None,
            peer_address: None,
        };
        for (resource, active, exit) in [("r0", true, 5), ("r0", false, 4), ("r1", true, 1)] {
            let (reply, answer) = oneshot::channel();
            drbd_handler(
                vec![(("data".into(), paper()), active)],
                call(resource),
                None,
                Recorder::none(),
                reply,
            );
            assert_eq!(answer.await.unwrap().unwrap().exit, exit);
        }
    }

    #[tokio::test]
    async fn drbd_waits_until_the_pair_does_not_answer_for_the_other_node_any_more() {
        let answer = |exit| HandlerAnswer { exit, warning: true, event: "bravo is lost".into() };
        let (pair, vouches) = watch::channel(true);
        let now = Duration::ZERO;
        let unsure = parted(answer(UNSURE), Some(vouches.clone()), now).await;
        assert_eq!(unsure, answer(UNSURE), "nothing is written alone then");
        assert_eq!(parted(answer(PEER_UNREACHABLE), None, now).await, answer(PEER_UNREACHABLE), "no pair");
        let late = parted(answer(PEER_UNREACHABLE), Some(vouches.clone()), now).await;
        assert!(late.exit == UNSURE && late.event.contains("within 0 s"), "{late:?}");
        let wait = tokio::spawn(parted(answer(PEER_OUTDATED), Some(vouches), PARTED));
        tokio::time::sleep(Duration::from_millis(20)).await;
        assert!(!wait.is_finished());
        pair.send(false).unwrap();
        assert_eq!(wait.await.unwrap(), answer(PEER_OUTDATED));
    }
}
