//! Answers for callers who wait: the same literals, cache, threads and order as for loops, and an end to the waiting.

use super::resolver::{self, Reply};
use super::{literal, Answer, Query, Question, ResolveError};
use crate::clock::{self, Nanos};
use crate::errno::Errno;
use std::sync::mpsc::{sync_channel, RecvTimeoutError};
use std::time::Duration;

/// The answer did not come in time.
pub const TIMED_OUT: ResolveError = ResolveError::system(Errno(libc::ETIMEDOUT));

/// Looks a name up and waits for the answer, for so long at most (`None`: as long as it takes). A literal is answered at
/// once. Where the resolver is shut down meanwhile, the question is asked again.
pub fn resolve_now(query: &Query, timeout: Option<Nanos>) -> Answer {
    if let Some(answer) = literal(query) {
        return answer;
    }
    let question = Question::new(query)?;
    let deadline = timeout.map(|timeout| clock::now().saturating_add(timeout));
    loop {
        let (sender, receiver) = sync_channel(1);
        let reply: Reply = Box::new(move |answer| {
            // Nobody waits any more: then nobody misses it.
            let _ = sender.try_send(answer);
        });
        let resolver = resolver::current();
        let ticket = resolver.ask(question.clone(), reply);
        let answer = match deadline {
            None => receiver.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Some(deadline) => {
                let left = deadline.saturating_sub(clock::now());
                receiver.recv_timeout(Duration::from_nanos(left))
            }
        };
        match answer {
            Ok(Err(ResolveError::ENDED)) | Err(RecvTimeoutError::Disconnected) => {}
            Ok(answer) => return answer,
            Err(RecvTimeoutError::Timeout) => {
                if let Some(ticket) = ticket {
                    resolver.withdraw(&ticket);
                }
                return Err(TIMED_OUT);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn query(host: &str) -> Query {
        Query {
            host: Some(host.to_owned()),
            service: Some("80".to_owned()),
            socktype: libc::SOCK_STREAM,
            ..Query::default()
        }
    }

    #[test]
    fn literals_and_names_without_a_loop() {
        let literal = resolve_now(&query("192.0.2.1"), Some(0)).unwrap();
        assert_eq!(
            literal[0].addr.as_socket().unwrap().to_string(),
            "192.0.2.1:80"
        );
        assert!(!resolve_now(&query("localhost"), None).unwrap().is_empty());
        assert!(resolve_now(&query("no name"), None).is_err());
    }
}
