//! Answers that are kept for a while. Pure: the clock is a parameter.

use super::status::eai;
use super::{Answer, Question};
use crate::clock::Nanos;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// How many questions are remembered; the oldest answer makes room.
const CAPACITY: usize = 1024;
/// A failure is kept for this part of the time: the name may be about to appear.
const FAILURE_PART: Nanos = 10;

/// Answers by question.
#[derive(Default)]
pub(super) struct Cache {
    entries: HashMap<Arc<Question>, Entry>,
    /// The questions in the order of their answers.
    ages: BTreeMap<u64, Arc<Question>>,
    answers: u64,
}

struct Entry {
    answer: Answer,
    since: Nanos,
    age: u64,
}

impl Cache {
    /// The answer to this question, unless it is older than `ttl` (a tenth of it for a failure).
    pub(super) fn get(&mut self, question: &Question, ttl: Nanos, now: Nanos) -> Option<Answer> {
        let entry = self.entries.get(question)?;
        let ttl = if entry.answer.is_ok() {
            ttl
        } else {
            ttl / FAILURE_PART
        };
        if now.saturating_sub(entry.since) < ttl {
            return Some(entry.answer.clone());
        }
        let age = entry.age;
        self.entries.remove(question);
        self.ages.remove(&age);
        None
    }

    /// Keeps an answer: addresses, or that the name does not exist. Other failures are of the moment and not kept.
    pub(super) fn insert(&mut self, question: &Arc<Question>, answer: &Answer, now: Nanos) {
        let old = self.entries.remove(&**question);
        if let Some(old) = old {
            self.ages.remove(&old.age);
        }
        if let Err(error) = answer {
            if error.status != eai::EAI_NONAME && error.status != eai::EAI_NODATA {
                return;
            }
        }
        if self.entries.len() >= CAPACITY {
            if let Some((_, oldest)) = self.ages.pop_first() {
                self.entries.remove(&oldest);
            }
        }
        self.answers += 1;
        let age = self.answers;
        self.ages.insert(age, Arc::clone(question));
        let entry = Entry {
            answer: answer.clone(),
            since: now,
            age,
        };
        self.entries.insert(Arc::clone(question), entry);
    }

    /// Drops every answer about this name (as it stands in questions).
    pub(super) fn forget(&mut self, host: &str) {
        self.entries
            .retain(|question, _| question.host.as_deref() != Some(host));
        self.ages
            .retain(|_, question| question.host.as_deref() != Some(host));
    }
}

#[cfg(test)]
mod tests {
    use super::super::service::Service;
    use super::super::{Address, ResolveError};
    use super::*;
    use crate::clock::SECOND;
    use proptest::prelude::*;
    use std::net::SocketAddr;

    const TTL: Nanos = 60 * SECOND;

    fn question(host: &str, port: u16) -> Arc<Question> {
        Arc::new(Question {
            host: Some(host.to_owned()),
            service: Service::Port(port),
            family: 0,
            socktype: 1,
            protocol: 0,
        })
    }

    fn found(port: u16) -> Answer {
        let addr = SocketAddr::from(([127, 0, 0, 1], port)).into();
        Ok(Arc::new(vec![Address {
            addr,
            socktype: 1,
            protocol: 6,
        }]))
    }

    fn port(answer: Option<Answer>) -> Option<u16> {
        answer?.ok()?.first()?.addr.as_socket().map(|a| a.port())
    }

    #[test]
    fn answers_last_their_time() {
        let mut cache = Cache::default();
        let q = question("a", 1);
        cache.insert(&q, &found(1), 100);
        assert_eq!(port(cache.get(&q, TTL, 100)), Some(1));
        assert_eq!(port(cache.get(&q, TTL, 99 + TTL)), Some(1));
        assert!(cache.get(&question("a", 2), TTL, 100).is_none());
        assert!(cache.get(&q, TTL, 100 + TTL).is_none());
        assert!(cache.entries.is_empty() && cache.ages.is_empty());
        cache.insert(&q, &found(1), 100);
        assert!(cache.get(&q, 0, 100).is_none(), "a time of 0 keeps nothing");
    }

    #[test]
    fn only_missing_names_are_kept_as_failures_and_for_a_tenth() {
        let mut cache = Cache::default();
        let q = question("a", 1);
        for status in [eai::EAI_NONAME, eai::EAI_NODATA] {
            cache.insert(&q, &Err(ResolveError::new(status)), 0);
            assert!(cache.get(&q, TTL, TTL / 10 - 1).is_some());
            assert!(cache.get(&q, TTL, TTL / 10).is_none());
        }
        for status in [
            libc::EAI_AGAIN,
            eai::EAI_FAIL,
            eai::EAI_SYSTEM,
            eai::EAI_SERVICE,
        ] {
            cache.insert(&q, &found(1), 0);
            cache.insert(&q, &Err(ResolveError::new(status)), 0);
            assert!(cache.get(&q, TTL, 0).is_none(), "{status}");
        }
    }

    #[test]
    fn forgetting_takes_all_questions_about_the_name() {
        let mut cache = Cache::default();
        for p in 1..4 {
            cache.insert(&question("a", p), &found(p), 0);
            cache.insert(&question("b", p), &found(p), 0);
        }
        cache.forget("a");
        for p in 1..4 {
            assert!(cache.get(&question("a", p), TTL, 0).is_none());
            assert_eq!(port(cache.get(&question("b", p), TTL, 0)), Some(p));
        }
        assert_eq!(cache.ages.len(), 3);
    }

    #[test]
    fn the_oldest_answer_makes_room() {
        let mut cache = Cache::default();
        for p in 0..CAPACITY as u16 {
            cache.insert(&question("a", p), &found(p), 0);
        }
        // Answered again: no longer the oldest.
        cache.insert(&question("a", 0), &found(0), 0);
        cache.insert(&question("b", 0), &found(0), 0);
        assert_eq!(cache.entries.len(), CAPACITY);
        assert!(cache.get(&question("a", 0), TTL, 0).is_some());
        assert!(cache.get(&question("a", 1), TTL, 0).is_none());
        assert!(cache.get(&question("a", 2), TTL, 0).is_some());
    }

    proptest! {
        /// Against a model: a list of (name, port, time), newest last.
        #[test]
        fn any_sequence(steps in prop::collection::vec((0..4u8, 0..5u8, 0..3u16, 0..TTL), 1..200)) {
            let mut cache = Cache::default();
            let mut model: Vec<(u8, u16, Nanos)> = Vec::new();
            let mut now = 0;
            for (what, name, p, pause) in steps {
                now += pause / 4;
                let q = question(&name.to_string(), p);
                match what {
                    0 => {
                        cache.insert(&q, &found(p), now);
                        model.retain(|e| (e.0, e.1) != (name, p));
                        model.push((name, p, now));
                    }
                    1 => {
                        cache.forget(&name.to_string());
                        model.retain(|e| e.0 != name);
                    }
                    _ => {
                        let expected = model.iter().any(|e| (e.0, e.1) == (name, p) && now - e.2 < TTL);
                        prop_assert_eq!(cache.get(&q, TTL, now).is_some(), expected);
                    }
                }
                prop_assert_eq!(cache.entries.len(), cache.ages.len());
                for (age, q) in &cache.ages {
                    prop_assert_eq!(cache.entries.get(q).map(|e| e.age), Some(*age));
                }
            }
        }
    }
}
