//! The resolver with a lookup function that stops and goes as the test says.

use super::super::service::Service;
use super::super::Address;
use super::*;
use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::mpsc::{channel, Receiver, Sender};

/// Bounds a wait that only a failure makes long.
const PATIENCE: Duration = Duration::from_secs(20);

/// A lookup that has begun, and the way to end it.
struct Begun {
    question: Question,
    thread: std::thread::ThreadId,
    finish: Sender<Found>,
}

struct Bench {
    resolver: Arc<Resolver>,
    begun: Receiver<Begun>,
    answers: Receiver<(u32, Answer)>,
    answer: Sender<(u32, Answer)>,
}

fn bench(max_threads: usize, idle: Duration) -> Bench {
    let (begin, begun) = channel::<Begun>();
    let (answer, answers) = channel();
    let begin = Mutex::new(begin);
    let lookup = move |question: &Question| {
        let (finish, finished) = channel();
        let report = Begun {
            question: question.clone(),
            thread: std::thread::current().id(),
            finish,
        };
        begin.lock().unwrap().send(report).unwrap();
        // The test that drops the other end wants a panic here.
        finished.recv().expect("an end of the lookup")
    };
    let resolver = Resolver::new(Setup {
        lookup: Arc::new(lookup),
        max_threads,
        idle,
        ttl: 60 * SECOND,
        stack: 1 << 20,
    });
    Bench {
        resolver,
        begun,
        answers,
        answer,
    }
}

impl Bench {
    fn ask(&self, host: &str, tag: u32) -> Option<Ticket> {
        let answers = self.answer.clone();
        let reply = move |answer| answers.send((tag, answer)).unwrap();
        self.resolver.ask(question(host), Box::new(reply))
    }

    fn next_begun(&self) -> Begun {
        self.begun.recv_timeout(PATIENCE).expect("a lookup")
    }

    fn next_answer(&self) -> (u32, Result<u16, ResolveError>) {
        let (tag, answer) = self.answers.recv_timeout(PATIENCE).expect("an answer");
        let port = answer.map(|list| list[0].addr.as_socket().unwrap().port());
        (tag, port)
    }

    fn nothing_more(&self) {
        assert!(self.begun.try_recv().is_err());
        assert!(self.answers.try_recv().is_err());
    }

    /// Runs one lookup through: what the threads had to do before it is then done (with one thread).
    fn settle(&self) {
        assert!(self.ask("settle", 99).is_some());
        self.next_begun().finish.send(found(99)).unwrap();
        assert_eq!(self.next_answer(), (99, Ok(99)));
        self.resolver.forget("settle");
    }
}

fn question(host: &str) -> Question {
    Question {
        host: Some(host.to_owned()),
        service: Service::Port(80),
        family: 0,
        socktype: 1,
        protocol: 0,
    }
}

fn found(port: u16) -> Found {
    let addr = SocketAddr::from(([127, 0, 0, 1], port)).into();
    Ok(vec![Address {
        addr,
        socktype: 1,
        protocol: 6,
    }])
}

const LONG: Duration = Duration::from_secs(3600);

#[test]
fn a_slow_name_is_not_in_front_of_others() {
    let b = bench(4, LONG);
    b.ask("slow", 1);
    let slow = b.next_begun();
    for tag in 2..20 {
        b.ask(&format!("fast{tag}"), tag);
        let fast = b.next_begun();
        assert_eq!(fast.question, question(&format!("fast{tag}")));
        fast.finish.send(found(tag as u16)).unwrap();
        assert_eq!(b.next_answer(), (tag, Ok(tag as u16)));
    }
    slow.finish.send(found(1)).unwrap();
    assert_eq!(b.next_answer(), (1, Ok(1)));
    b.resolver.end();
    b.nothing_more();
}

#[test]
fn no_more_threads_than_allowed_and_the_rest_wait_in_order() {
    let b = bench(2, LONG);
    for tag in 0..5 {
        b.ask(&format!("host{tag}"), tag);
    }
    let mut running = VecDeque::from([b.next_begun(), b.next_begun()]);
    assert!(b.begun.try_recv().is_err());
    assert_eq!(b.resolver.lock().threads.len(), 2);
    let mut order: Vec<_> = running
        .iter()
        .map(|r| r.question.host.clone().unwrap())
        .collect();
    order.sort();
    assert_eq!(order, ["host0", "host1"]);
    for next in 2..5 {
        running.pop_front().unwrap().finish.send(found(1)).unwrap();
        assert!(b.next_answer().1.is_ok());
        let begun = b.next_begun();
        assert_eq!(begun.question, question(&format!("host{next}")));
        running.push_back(begun);
    }
    for begun in running {
        begun.finish.send(found(1)).unwrap();
        assert!(b.next_answer().1.is_ok());
    }
    b.nothing_more();
}

#[test]
fn an_idle_thread_is_used_again() {
    let b = bench(4, LONG);
    b.ask("a", 1);
    let first = b.next_begun();
    let thread = first.thread;
    first.finish.send(found(1)).unwrap();
    assert!(b.next_answer().1.is_ok());
    // The thread is idle once it waits for work.
    while b.resolver.lock().idle == 0 {
        std::thread::yield_now();
    }
    b.ask("b", 2);
    let second = b.next_begun();
    assert_eq!(second.thread, thread);
    second.finish.send(found(2)).unwrap();
    assert!(b.next_answer().1.is_ok());
}

#[test]
fn equal_questions_share_a_lookup() {
    let b = bench(4, LONG);
    b.ask("a", 1);
    let begun = b.next_begun();
    b.ask("a", 2);
    b.ask("a", 3);
    let other = Question {
        service: Service::Port(81),
        ..question("a")
    };
    let answers = b.answer.clone();
    b.resolver
        .ask(other, Box::new(move |a| answers.send((4, a)).unwrap()));
    let other = b.next_begun();
    assert_eq!(other.question.service, Service::Port(81));
    begun.finish.send(found(7)).unwrap();
    for tag in 1..4 {
        assert_eq!(b.next_answer(), (tag, Ok(7)));
    }
    other.finish.send(found(8)).unwrap();
    assert_eq!(b.next_answer(), (4, Ok(8)));
    // From the cache, inside the call.
    assert!(b.ask("a", 5).is_none());
    assert_eq!(b.next_answer(), (5, Ok(7)));
    b.nothing_more();
}

#[test]
fn one_who_cancels_does_not_take_the_answer_from_others() {
    let b = bench(1, LONG);
    let first = b.ask("a", 1).unwrap();
    let begun = b.next_begun();
    let second = b.ask("a", 2).unwrap();
    b.resolver.withdraw(&first);
    begun.finish.send(found(1)).unwrap();
    assert_eq!(b.next_answer(), (2, Ok(1)));
    b.resolver.withdraw(&second);
    b.resolver.withdraw(&second);
    b.nothing_more();
}

#[test]
fn a_cancelled_question_takes_no_thread() {
    let b = bench(1, LONG);
    b.ask("stuck", 1);
    let stuck = b.next_begun();
    let waiting = b.ask("waiting", 2).unwrap();
    b.ask("wanted", 3);
    b.resolver.withdraw(&waiting);
    stuck.finish.send(found(1)).unwrap();
    assert_eq!(b.next_answer(), (1, Ok(1)));
    let next = b.next_begun();
    assert_eq!(next.question, question("wanted"));
    next.finish.send(found(3)).unwrap();
    assert_eq!(b.next_answer(), (3, Ok(3)));
    b.nothing_more();
}

#[test]
fn a_lookup_that_all_cancelled_is_joined_by_the_next_and_cached() {
    let b = bench(1, LONG);
    let ticket = b.ask("a", 1).unwrap();
    let begun = b.next_begun();
    b.resolver.withdraw(&ticket);
    b.ask("a", 2);
    begun.finish.send(found(1)).unwrap();
    assert_eq!(b.next_answer(), (2, Ok(1)));

    let ticket = b.ask("b", 3).unwrap();
    let begun = b.next_begun();
    b.resolver.withdraw(&ticket);
    begun.finish.send(found(3)).unwrap();
    b.settle();
    assert!(b.ask("b", 4).is_none());
    assert_eq!(b.next_answer(), (4, Ok(3)));
    b.nothing_more();
}

#[test]
fn failures_are_told_and_only_missing_names_kept() {
    let b = bench(1, LONG);
    for (status, kept) in [(eai::EAI_NONAME, true), (libc::EAI_AGAIN, false)] {
        let host = format!("host{status}");
        b.ask(&host, 1);
        let error = ResolveError::new(status);
        b.next_begun().finish.send(Err(error)).unwrap();
        assert_eq!(b.next_answer(), (1, Err(error)));
        assert_eq!(b.ask(&host, 2).is_none(), kept);
        if !kept {
            b.next_begun().finish.send(Err(error)).unwrap();
        }
        assert_eq!(b.next_answer(), (2, Err(error)));
    }
    // No address is a failure, whatever the lookup function calls it.
    b.ask("empty", 3);
    b.next_begun().finish.send(Ok(Vec::new())).unwrap();
    assert_eq!(
        b.next_answer(),
        (3, Err(ResolveError::new(eai::EAI_NODATA)))
    );
}

#[test]
fn a_panic_in_the_lookup_is_a_failure() {
    let b = bench(1, LONG);
    b.ask("a", 1);
    drop(b.next_begun().finish);
    assert_eq!(b.next_answer(), (1, Err(ResolveError::new(eai::EAI_FAIL))));
    b.settle();
}

#[test]
fn forgotten_and_uncached_names_are_looked_up_again() {
    let b = bench(1, LONG);
    for (round, ttl) in [(1, SECOND * 60), (2, 0), (3, 0)] {
        b.resolver.set_ttl(ttl);
        assert!(b.ask("a", round).is_some());
        b.next_begun().finish.send(found(round as u16)).unwrap();
        assert_eq!(b.next_answer(), (round, Ok(round as u16)));
        b.resolver.forget("a");
    }
}

#[test]
fn end_tells_all_who_wait_and_abandons_stuck_threads() {
    let b = bench(2, LONG);
    b.ask("stuck1", 1);
    let stuck1 = b.next_begun();
    b.ask("stuck2", 2);
    let stuck2 = b.next_begun();
    b.ask("waiting", 3);
    b.resolver.end();
    assert_eq!(b.resolver.ends(), 1);
    let mut tags: Vec<u32> = (0..3)
        .map(|_| {
            let (tag, answer) = b.next_answer();
            assert_eq!(answer, Err(ResolveError::ENDED));
            tag
        })
        .collect();
    tags.sort_unstable();
    assert_eq!(tags, [1, 2, 3]);

    // Afresh, with as many threads as ever, and an equal question is a lookup of its own.
    b.ask("stuck1", 4);
    let again = b.next_begun();
    b.ask("other", 5);
    let other = b.next_begun();
    stuck1.finish.send(found(1)).unwrap();
    stuck2.finish.send(found(2)).unwrap();
    again.finish.send(found(4)).unwrap();
    assert_eq!(b.next_answer(), (4, Ok(4)));
    other.finish.send(found(5)).unwrap();
    assert_eq!(b.next_answer(), (5, Ok(5)));
    assert!(b.ask("stuck1", 6).is_none());
    assert_eq!(b.next_answer(), (6, Ok(4)));
    b.nothing_more();
}

#[test]
fn end_waits_for_idle_threads_and_empties_the_cache() {
    let b = bench(2, LONG);
    b.settle();
    b.ask("a", 1);
    b.next_begun().finish.send(found(1)).unwrap();
    assert!(b.next_answer().1.is_ok());
    let all_idle = || {
        let state = b.resolver.lock();
        state.idle == state.threads.len()
    };
    while !all_idle() {
        std::thread::yield_now();
    }
    b.resolver.end();
    // Each thread held a reference: they are gone.
    assert_eq!(Arc::strong_count(&b.resolver), 1);
    assert!(b.ask("a", 2).is_some());
    b.next_begun().finish.send(found(2)).unwrap();
    assert_eq!(b.next_answer(), (2, Ok(2)));
}

#[test]
fn idle_threads_end_by_themselves_and_new_ones_come() {
    let b = bench(1, Duration::ZERO);
    for tag in 0..3 {
        let host = format!("host{tag}");
        b.ask(&host, tag);
        b.next_begun().finish.send(found(1)).unwrap();
        assert!(b.next_answer().1.is_ok());
        while !b.resolver.lock().threads.is_empty() {
            std::thread::yield_now();
        }
        assert_eq!(b.resolver.lock().ended.len(), 1);
        assert_eq!(b.resolver.lock().idle, 0);
    }
    b.resolver.end();
    assert_eq!(Arc::strong_count(&b.resolver), 1);
}

#[test]
fn threads_block_all_signals_and_the_asking_thread_keeps_its_mask() {
    fn mask() -> Vec<i32> {
        // SAFETY: a null set changes nothing; `set` is a place for the mask.
        unsafe {
            let mut set: libc::sigset_t = std::mem::zeroed();
            libc::pthread_sigmask(libc::SIG_SETMASK, std::ptr::null(), &mut set);
            (1..32)
                .filter(|n| libc::sigismember(&set, *n) == 1)
                .collect()
        }
    }
    let (seen, masks) = channel();
    let seen = Mutex::new(seen);
    let resolver = Resolver::new(Setup {
        lookup: Arc::new(move |_| {
            seen.lock().unwrap().send(mask()).unwrap();
            found(1)
        }),
        max_threads: 1,
        idle: LONG,
        ttl: 0,
        stack: 1 << 20,
    });
    let before = mask();
    resolver.ask(question("a"), Box::new(|_| {}));
    assert_eq!(mask(), before);
    let blocked = masks.recv_timeout(PATIENCE).unwrap();
    for signal in [
        libc::SIGINT,
        libc::SIGTERM,
        libc::SIGALRM,
        libc::SIGCHLD,
        libc::SIGPIPE,
        libc::SIGUSR1,
    ] {
        assert!(blocked.contains(&signal), "{signal}");
    }
    resolver.end();
}

#[test]
fn many_threads_ask_and_cancel_at_once() {
    let resolver = Resolver::new(Setup {
        lookup: Arc::new(|question| match question.host.as_deref() {
            Some("missing") => Err(ResolveError::new(eai::EAI_NONAME)),
            _ => found(1),
        }),
        max_threads: 3,
        idle: Duration::ZERO,
        ttl: 0,
        stack: 1 << 20,
    });
    let askers: Vec<_> = (0..4)
        .map(|asker: usize| {
            let resolver = Arc::clone(&resolver);
            std::thread::spawn(move || {
                let hosts = ["a", "b", "missing", "c", "d"];
                for round in 0..300 {
                    let host = hosts[(asker + round) % hosts.len()];
                    let (answer, answered) = channel();
                    let ticket =
                        resolver.ask(question(host), Box::new(move |a| drop(answer.send(a))));
                    if round % 3 == 0 {
                        ticket.iter().for_each(|t| resolver.withdraw(t));
                        // Either the answer was on its way, or nobody holds the other end any more.
                        let _ = answered.recv_timeout(PATIENCE);
                    } else {
                        let answer = answered.recv_timeout(PATIENCE).unwrap();
                        assert_eq!(answer.is_err(), host == "missing");
                    }
                }
            })
        })
        .collect();
    for asker in askers {
        asker.join().unwrap();
    }
    resolver.end();
    assert_eq!(Arc::strong_count(&resolver), 1);
    let state = resolver.lock();
    assert!(state.lookups.is_empty() && state.queue.is_empty() && state.threads.is_empty());
}

#[test]
fn every_question_is_answered_while_the_resolver_ends_again_and_again() {
    let resolver = Resolver::new(Setup {
        lookup: Arc::new(|_| found(1)),
        max_threads: 2,
        idle: LONG,
        ttl: 0,
        stack: 1 << 20,
    });
    let askers: Vec<_> = (0..3)
        .map(|asker| {
            let resolver = Arc::clone(&resolver);
            std::thread::spawn(move || {
                for round in 0..500 {
                    let (answer, answered) = channel();
                    let host = format!("{asker}.{round}");
                    resolver.ask(question(&host), Box::new(move |a| answer.send(a).unwrap()));
                    match answered.recv_timeout(PATIENCE).expect("an answer") {
                        Ok(list) => assert_eq!(list.len(), 1),
                        Err(error) => assert_eq!(error, ResolveError::ENDED),
                    }
                }
            })
        })
        .collect();
    while askers.iter().any(|asker| !asker.is_finished()) {
        resolver.end();
        std::thread::yield_now();
    }
    for asker in askers {
        asker.join().unwrap();
    }
}
