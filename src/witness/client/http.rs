//! A tandemd witness, over whatever posts to it.

use super::{Asking, Witness, words};
use crate::witness::server::PATH;
use crate::witness::{Answer, Ask, Verb};
use std::future::Future;
use std::pin::Pin;
use std::time::Duration;

/// No answer is longer, in bytes.
const LONGEST_ANSWER: usize = 4096;

/// What came back.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct Reply {
    /// HTTP status.
    pub status: u16,
    /// Body; whoever reads it may stop after 4097 bytes.
    pub body: Vec<u8>,
}

/// A reply that is waited for; or why there is none, for an operator.
pub type Posting<'a> = Pin<Box<dyn Future<Output = Result<Reply, String>> + Send + 'a>>;

/// An HTTPS client that is bound to one server, whose certificate it checks.
pub trait Post: Send + Sync {
    /// Sends JSON by POST.
    fn post<'a>(&'a self, path: &'a str, json: Vec<u8>) -> Posting<'a>;
}

/// A tandemd that is a witness.
#[derive(Debug)]
pub struct HttpWitness<P> {
    post: P,
    deadline: Duration,
}

impl<P: Post> HttpWitness<P> {
    /// Asked through `post`; an answer that takes longer than `deadline` is none.
    pub const fn new(post: P, deadline: Duration) -> Self {
        HttpWitness { post, deadline }
    }

    async fn go(&self, ask: &Ask) -> Answer {
        let json = match serde_json::to_vec(ask) {
            Ok(json) => json,
            Err(e) => return Answer::unavailable(e.to_string()),
        };
        match tokio::time::timeout(self.deadline, self.post.post(PATH, json)).await {
            Ok(Ok(reply)) => read(ask.verb, &reply),
            Ok(Err(why)) => Answer::unavailable(words(&why)),
            Err(_) => Answer::unavailable(format!(
                "the witness did not answer within {} ms",
                self.deadline.as_millis()
            )),
        }
    }
}

impl<P: Post> Witness for HttpWitness<P> {
    fn ask<'a>(&'a self, ask: &'a Ask) -> Asking<'a> {
        Box::pin(self.go(ask))
    }
}

/// What a reply says, if it says what can be said to this.
fn read(verb: Verb, reply: &Reply) -> Answer {
    let status = reply.status;
    if reply.body.len() > LONGEST_ANSWER {
        return Answer::unavailable(format!("the witness's answer (HTTP {status}) is too long"));
    }
    match serde_json::from_slice(&reply.body) {
        Ok(Answer::Unavailable { why }) => Answer::unavailable(words(&why)),
        Ok(denied @ Answer::Denied(_)) => denied,
        Ok(granted @ Answer::Granted { .. }) if matches!(verb, Verb::Acquire | Verb::Renew) => granted,
        Ok(released @ Answer::Released) if verb == Verb::Release => released,
        Ok(view @ Answer::View(_)) if verb == Verb::Look => view,
        Ok(_) => Answer::unavailable(format!("the witness answered something else than {}", verb.word())),
        Err(_) => Answer::unavailable(format!(
            "what answers there (HTTP {status}) is no witness: {}",
            words(&String::from_utf8_lossy(&reply.body))
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::witness::{Denied, Token};

    fn said(verb: Verb, status: u16, body: &str) -> Answer {
        read(verb, &Reply { status, body: body.into() })
    }

    #[test]
    fn only_what_answers_the_question_counts() {
        let granted = r#"{"answer":"granted","token":4}"#;
        assert_eq!(said(Verb::Renew, 200, granted), Answer::Granted { token: Token(4) });
        assert_eq!(said(Verb::Release, 200, r#"{"answer":"released"}"#), Answer::Released);
        let stranger = r#"{"answer":"denied","why":"stranger"}"#;
        assert_eq!(said(Verb::Acquire, 403, stranger), Answer::Denied(Denied::Stranger));
        for (verb, status, body) in [
            (Verb::Look, 200, granted),
            (Verb::Release, 200, granted),
            (Verb::Acquire, 200, r#"{"answer":"released"}"#),
            (Verb::Acquire, 200, "{}"),
            (Verb::Acquire, 200, ""),
            (Verb::Acquire, 502, "<html>\u{1b}[31mBad Gateway</html>"),
            (Verb::Acquire, 503, r#"{"answer":"unavailable","why":"disk"}"#),
            (Verb::Acquire, 200, &format!("{granted}{}", " ".repeat(5000))),
        ] {
            let answer = said(verb, status, body);
            let Answer::Unavailable { why } = &answer else { panic!("{verb:?} {body}: {answer:?}") };
            assert!(!why.contains('\u{1b}') && why.len() < 300, "{why}");
        }
    }
}
