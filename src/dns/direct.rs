//! Lookups without a loop: the answer goes to a function on whatever thread has it, or to a thread that waits.
//!
//! The resolver is the process's one, with its threads, its cache and the program's own function. It ends with the loops of
//! the process, of which whoever asks here knows nothing: such a question is asked again.

use super::resolver::{self, Reply, Resolver, Ticket};
use super::status::eai;
use super::{literal, Answer, Query, Question, ResolveError};
use crate::clock::{self, Nanos};
use std::mem::ManuallyDrop;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

/// Nothing was heard in time.
pub const TIMED_OUT: ResolveError = ResolveError::new(eai::EAI_AGAIN);

/// A question under way. Dropped, its answer is not wanted any more: the function will not be called, unless that is
/// happening now.
pub struct Inquiry {
    shared: ManuallyDrop<Arc<Shared>>,
    /// In a forked child the question is the parent's.
    forks: u32,
}

struct Shared {
    query: Query,
    place: Mutex<Place>,
}

#[derive(Default)]
struct Place {
    reply: Option<Reply>,
    asked: Option<(Arc<Resolver>, Ticket)>,
}

/// Asks. `reply` runs once, on any thread, with no lock held; inside this call too, where the answer is known. It must not
/// block.
pub fn inquire(query: Query, reply: impl FnOnce(Answer) + Send + 'static) -> Inquiry {
    // First: it watches for forks.
    resolver::current();
    super::end_with_the_loops();
    let shared = Arc::new(Shared {
        query,
        place: Mutex::new(Place {
            reply: Some(Box::new(reply)),
            asked: None,
        }),
    });
    shared.ask();
    Inquiry {
        shared: ManuallyDrop::new(shared),
        forks: resolver::forks(),
    }
}

impl Shared {
    fn with<R>(&self, work: impl FnOnce(&mut Place) -> R) -> R {
        work(&mut self.place.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn ask(self: &Arc<Self>) {
        let known = literal(&self.query)
            .map(Err)
            .unwrap_or_else(|| Question::new(&self.query).map_err(Err));
        let question = match known {
            Ok(question) => question,
            Err(answer) => return self.arrived(answer),
        };
        let resolver = resolver::current();
        let shared = Arc::clone(self);
        let ticket = resolver.ask(question, Box::new(move |answer| shared.arrived(answer)));
        let asked = ticket.map(|ticket| (resolver, ticket));
        let left = self.with(|place| match place.reply {
            Some(_) => {
                place.asked = asked;
                None
            }
            None => asked,
        });
        // Withdrawn meanwhile, or answered.
        if let Some((resolver, ticket)) = left {
            resolver.withdraw(&ticket);
        }
    }

    fn arrived(self: &Arc<Self>, answer: Answer) {
        if answer.as_ref().err() == Some(&ResolveError::ENDED) {
            if self.with(|place| place.reply.is_some()) {
                self.ask();
            }
            return;
        }
        if let Some(reply) = self.with(|place| place.reply.take()) {
            reply(answer);
        }
    }
}

impl Drop for Inquiry {
    fn drop(&mut self) {
        if self.forks != resolver::forks() {
            // Another thread of the parent's may have been about to change it.
            return;
        }
        let Place { reply, asked } = self.shared.with(std::mem::take);
        if let Some((resolver, ticket)) = asked.filter(|_| reply.is_some()) {
            resolver.withdraw(&ticket);
        }
        drop(reply);
        // SAFETY: dropped here alone, and not used afterwards.
        unsafe { ManuallyDrop::drop(&mut self.shared) };
    }
}

/// Asks, and waits for the answer, so long at most.
pub fn wait_for(query: Query, at_most: Option<Nanos>) -> Answer {
    if let Some(answer) = literal(&query) {
        return answer;
    }
    let arrival = Arc::new((Mutex::new(None), Condvar::new()));
    let arrives = Arc::clone(&arrival);
    let inquiry = inquire(query, move |answer| {
        *arrives.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(answer);
        arrives.1.notify_all();
    });
    let deadline = at_most.map(|length| clock::now().saturating_add(length));
    let (place, arrived) = &*arrival;
    let mut guard = place.lock().unwrap_or_else(PoisonError::into_inner);
    let answer = loop {
        if let Some(answer) = guard.take() {
            break answer;
        }
        let left = match deadline {
            Some(deadline) => deadline.saturating_sub(clock::now()),
            None => Nanos::MAX,
        };
        if left == 0 {
            break Err(TIMED_OUT);
        }
        let (next, _) = arrived
            .wait_timeout(guard, Duration::from_nanos(left.min(3600 * clock::SECOND)))
            .unwrap_or_else(PoisonError::into_inner);
        guard = next;
    };
    drop(guard);
    drop(inquiry);
    answer
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    fn query(host: &str) -> Query {
        Query {
            host: Some(host.into()),
            service: Some("7".into()),
            socktype: libc::SOCK_STREAM,
            ..Query::default()
        }
    }

    #[test]
    fn a_literal_is_answered_inside_the_call() {
        let (sender, receiver) = channel();
        let inquiry = inquire(query("127.0.0.1"), move |answer| {
            sender.send(answer).unwrap()
        });
        assert_eq!(receiver.try_recv().unwrap().unwrap().len(), 1);
        drop(inquiry);
        assert!(wait_for(query("::1"), Some(0)).is_ok());
    }

    #[test]
    fn a_name_is_waited_for_and_one_that_cannot_exist_fails() {
        assert!(wait_for(query("localhost"), Some(20 * clock::SECOND)).is_ok());
        let error = wait_for(query("a..b"), None).unwrap_err();
        assert_eq!(error.status, eai::EAI_NONAME);
    }

    #[test]
    fn questions_outlive_the_end_of_the_resolver() {
        let askers: Vec<_> = (0..3)
            .map(|_| {
                std::thread::spawn(|| {
                    for _ in 0..20 {
                        wait_for(query("localhost"), Some(60 * clock::SECOND)).unwrap();
                    }
                })
            })
            .collect();
        while askers.iter().any(|asker| !asker.is_finished()) {
            super::super::end();
            std::thread::yield_now();
        }
        for asker in askers {
            asker.join().unwrap();
        }
    }
}
