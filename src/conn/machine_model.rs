//! A model of a driver that keeps account of what it holds, and three ways to push the machine through it: every course
//! that a driver with few choices can take (exhaustively), long random courses of honest drivers, and of hostile ones.

use super::*;
use crate::conn::race::MAX_IN_FLIGHT;
use proptest::prelude::*;
use std::collections::BTreeSet;

const MS: Nanos = 1_000_000;

/// The driver's books.
#[derive(Clone)]
struct Driver {
    machine: Machine,
    now: Nanos,
    tls: bool,
    lookup: bool,
    /// Attempts whose socket is open.
    sockets: BTreeSet<usize>,
    tried: BTreeSet<usize>,
    /// The connection's own socket is open.
    transport: bool,
    handshake: bool,
    ready: bool,
    errors: usize,
    closed: bool,
}

impl Driver {
    fn new(limits: Limits, tls: bool) -> Driver {
        Driver {
            machine: Machine::new(limits, tls),
            now: 3,
            tls,
            lookup: false,
            sockets: BTreeSet::new(),
            tried: BTreeSet::new(),
            transport: false,
            handshake: false,
            ready: false,
            errors: 0,
            closed: false,
        }
    }

    fn on(&mut self, event: Event) {
        let before = self.machine.state();
        // What happens on the driver's side by the event itself. What it does not hold cannot happen to it: such an event
        // is hostile, and the books stay as they are.
        match event {
            Event::Start(Start::Connected) if before == State::Init => self.transport = true,
            Event::Resolved(_) | Event::ResolveFailed(..) => self.lookup = false,
            Event::AttemptFailed(address, _) => {
                self.sockets.remove(&address);
            }
            Event::Upgrade(_)
                if before == State::Ready && !self.tls && !self.machine.write_ended =>
            {
                // A new establishing, with TLS: its outcome is awaited anew.
                self.tls = true;
                self.ready = false;
            }
            _ => {}
        }
        let was_closed = self.closed;
        self.closed |= event == Event::Close;
        let mut actions = Vec::new();
        self.machine.handle(event, self.now, &mut actions);
        assert!(
            !was_closed || actions.is_empty(),
            "{actions:?} after a close"
        );
        for (position, &action) in actions.iter().enumerate() {
            let is_report = matches!(action, Action::ReportReady | Action::ReportError(_));
            assert!(
                !is_report || position + 1 == actions.len(),
                "a report is the last action: {actions:?}"
            );
            self.act(action);
        }
        self.check(before, event);
    }

    fn act(&mut self, action: Action) {
        match action {
            Action::StartLookup => {
                assert!(!self.lookup && self.tried.is_empty());
                self.lookup = true;
            }
            Action::CancelLookup => assert!(std::mem::take(&mut self.lookup)),
            Action::StartAttempt(address) => {
                assert!(self.tried.insert(address), "address {address} twice");
                assert!(!self.transport && !self.lookup);
                self.sockets.insert(address);
                assert!(self.sockets.len() <= MAX_IN_FLIGHT);
            }
            Action::CloseAttempt { address, .. } => assert!(self.sockets.remove(&address)),
            Action::Adopt(address) => {
                assert!(self.sockets.remove(&address));
                assert!(self.sockets.is_empty(), "losers are closed first");
                assert!(!std::mem::replace(&mut self.transport, true));
            }
            Action::StartTls => {
                assert!(self.tls && self.transport);
                assert!(!std::mem::replace(&mut self.handshake, true));
            }
            Action::DropTransport => {
                assert!(!self.ready);
                assert!(std::mem::take(&mut self.transport));
            }
            Action::CloseTransport => {
                assert!(self.ready && self.closed);
                assert!(std::mem::take(&mut self.transport));
            }
            Action::ReportReady => {
                assert!(!self.closed && self.errors == 0 && self.transport);
                assert_eq!(self.handshake, self.tls);
                assert!(!std::mem::replace(&mut self.ready, true));
            }
            Action::ReportError(_) => {
                assert!(!self.closed);
                self.errors += 1;
                assert_eq!(self.errors, 1);
                // All is released before, unless it had been READY: then the socket stays until the close.
                assert!(!self.lookup && self.sockets.is_empty());
                assert_eq!(self.transport, self.ready);
            }
        }
    }

    /// The books and the state agree.
    fn check(&self, before: State, event: Event) {
        let state = self.machine.state();
        let racing = !self.sockets.is_empty();
        match state {
            State::Init => assert!(!self.lookup && !racing && !self.transport),
            State::Resolving => assert!(self.lookup && !racing && !self.transport),
            State::Connecting => assert!(!self.lookup && (racing != self.transport)),
            State::TlsHandshake => assert!(self.handshake && self.transport && !racing),
            State::Ready => assert!(self.ready && self.transport && self.errors == 0),
            State::Error => assert_eq!((self.errors, self.transport), (1, self.ready)),
            State::Closed if self.closed => assert!(!self.transport),
            State::Closed => assert!(self.ready && self.transport && self.errors == 0),
        }
        if matches!(state, State::Error | State::Closed) {
            assert!(!self.lookup && !racing);
        }
        if self.is_established_or_over() || state == State::Init {
            assert_eq!(self.machine.next_timeout(), None);
            assert!(!self.machine.is_connect_timer_armed());
        }
        assert_eq!(self.machine.timing().attempts as usize, self.tried.len());
        // States only go forward, but for Error, from which a close leads on, and for an upgrade.
        let back = match (before, state) {
            (State::Error, State::Closed) => true,
            (State::Ready, State::TlsHandshake) => matches!(event, Event::Upgrade(_)),
            _ => false,
        };
        assert!(
            state as i32 >= before as i32 || back,
            "{before:?} to {state:?}"
        );
    }

    fn is_established_or_over(&self) -> bool {
        matches!(
            self.machine.state(),
            State::Ready | State::Closed | State::Error
        )
    }

    /// Everything that can happen next to an honest driver; the passing of time is one of it.
    fn choices(&self, addresses: usize) -> Vec<Choice> {
        if self.closed {
            return Vec::new();
        }
        let mut choices = vec![Choice::Event(Event::Close)];
        let mut event = |event| choices.push(Choice::Event(event));
        match self.machine.state() {
            State::Init => {
                event(Event::Start(Start::Lookup));
                event(Event::Start(Start::Addresses(addresses)));
                event(Event::Start(Start::Connected));
                event(Event::Invalid(libc::EINVAL));
            }
            State::Resolving => {
                event(Event::Resolved(addresses));
                event(Event::ResolveFailed(ErrorKind::Resolve, libc::EAI_NONAME));
            }
            State::Connecting if self.transport => event(Event::AttemptConnected(0)),
            State::Connecting => {
                for &address in &self.sockets {
                    event(Event::AttemptConnected(address));
                    event(Event::AttemptFailed(
                        address,
                        AttemptError::Errno(libc::ECONNREFUSED),
                    ));
                }
            }
            State::TlsHandshake => {
                event(Event::TlsDone);
                event(Event::TransportFailed(ErrorKind::Tls, libc::EPROTO));
            }
            State::Ready => {
                event(Event::ReadEnded);
                event(Event::WriteEnded);
                event(Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET));
                if !self.tls && !self.machine.write_ended {
                    event(Event::Upgrade(limits()));
                }
            }
            State::Closed | State::Error => {}
        }
        if !matches!(self.machine.state(), State::Closed | State::Error) {
            event(Event::Forked);
        }
        if self.machine.next_timeout().is_some() {
            choices.push(Choice::WaitForTimer);
        }
        choices
    }

    fn take(&mut self, choice: Choice) {
        match choice {
            Choice::Event(event) => self.on(event),
            Choice::WaitForTimer => {
                self.now = self.machine.next_timeout().unwrap().max(self.now);
                self.on(Event::Timer);
                assert!(
                    self.machine.next_timeout().is_none_or(|at| at > self.now),
                    "a timer that is due has fired"
                );
            }
            Choice::Pass(length) => self.now += length,
        }
    }

    /// Answers what is open until establishing is over: that needs few answers, whatever happened before.
    fn drive_to_the_end(&mut self) {
        for _ in 0..200 {
            let event = match self.machine.state() {
                State::Init => Event::Start(Start::Addresses(3)),
                State::Resolving => Event::Resolved(3),
                State::Connecting if self.transport => Event::AttemptConnected(0),
                State::Connecting => {
                    let first = *self.sockets.first().unwrap();
                    Event::AttemptFailed(first, AttemptError::Errno(libc::ECONNREFUSED))
                }
                State::TlsHandshake => Event::TlsDone,
                State::Ready | State::Closed | State::Error => break,
            };
            self.on(event);
        }
        assert!(self.is_established_or_over(), "no end");
        if !self.closed {
            assert!(self.ready || self.errors == 1, "no outcome");
            self.on(Event::Close);
        }
        assert_eq!(self.machine.state(), State::Closed);
        assert!(!self.lookup && self.sockets.is_empty() && !self.transport);
    }
}

#[derive(Clone, Copy, Debug)]
enum Choice {
    Event(Event),
    /// To the next timer, which fires.
    WaitForTimer,
    /// Time that nobody notices.
    Pass(Nanos),
}

fn limits() -> Limits {
    Limits {
        resolve: Some(700 * MS),
        connect: Some(600 * MS),
        tls: Some(500 * MS),
        deadline: Some(1000 * MS),
        attempt_delay: 250 * MS,
    }
}

/// Every course an honest driver can take over three addresses: how many there are is part of what is checked.
#[test]
fn every_course_ends_well() {
    fn explore(driver: &Driver, courses: &mut usize, seen: &mut BTreeSet<i32>) {
        seen.insert(driver.machine.state() as i32);
        let choices = driver.choices(3);
        if choices.is_empty() {
            *courses += 1;
            let mut driver = driver.clone();
            driver.drive_to_the_end();
        }
        for choice in choices {
            let repeats = matches!(
                choice,
                Choice::Event(Event::ReadEnded) if driver.machine.read_ended
            ) || matches!(
                choice,
                Choice::Event(Event::WriteEnded) if driver.machine.write_ended
            );
            if !repeats {
                let mut driver = driver.clone();
                driver.take(choice);
                explore(&driver, courses, seen);
            }
        }
    }
    let mut courses = 0;
    let mut seen = BTreeSet::new();
    let without = Limits {
        resolve: None,
        connect: None,
        tls: None,
        deadline: None,
        attempt_delay: 250 * MS,
    };
    for limits in [limits(), without] {
        for tls in [false, true] {
            explore(&Driver::new(limits, tls), &mut courses, &mut seen);
        }
    }
    assert_eq!(seen.len(), 7, "every state was reached");
    assert!(courses > 1000, "{courses} courses");
}

fn any_length() -> impl Strategy<Value = Option<Nanos>> {
    prop_oneof![
        Just(None),
        (0..3000 * MS).prop_map(Some),
        Just(Some(Nanos::MAX))
    ]
}

fn any_limits() -> impl Strategy<Value = Limits> {
    (
        any_length(),
        any_length(),
        any_length(),
        any_length(),
        0..500 * MS,
    )
        .prop_map(|(resolve, connect, tls, deadline, attempt_delay)| Limits {
            resolve,
            connect,
            tls,
            deadline,
            attempt_delay,
        })
}

/// Any event at any time, from two numbers (a strategy for each event would make this the slowest test of the crate). The
/// addresses are few, so that they are often those in flight.
fn any_event() -> impl Strategy<Value = Event> {
    (0u8..32, 0usize..30).prop_map(|(kind, n)| match kind {
        0 => Event::Start(Start::Lookup),
        1 => Event::Start(Start::Addresses(n)),
        2 => Event::Start(Start::Connected),
        3 => Event::Invalid(libc::EINVAL),
        4 => Event::Resolved(n),
        5 => Event::ResolveFailed(ErrorKind::Resolve, libc::EAI_NONAME),
        6..10 => Event::AttemptConnected(n % 8),
        10..13 => Event::AttemptFailed(n, AttemptError::Errno(libc::ECONNREFUSED)),
        13..15 => Event::AttemptFailed(n, AttemptError::Errno(libc::EMFILE)),
        15 => Event::AttemptFailed(n, AttemptError::OutOfPorts),
        16..18 => Event::AttemptFailed(n, AttemptError::Refused),
        18..20 => Event::TlsDone,
        20 => Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET),
        21 => Event::ReadEnded,
        22 => Event::WriteEnded,
        23 => Event::Close,
        24 => Event::Forked,
        25..27 => Event::Upgrade(limits()),
        _ => Event::Timer,
    })
}

fn hostile_choice() -> impl Strategy<Value = Choice> {
    (0u8..4, any_event(), 0..400 * MS).prop_map(|(kind, event, length)| match kind {
        0 => Choice::Pass(length),
        _ => Choice::Event(event),
    })
}

proptest! {
    #![proptest_config(ProptestConfig {
        cases: if cfg!(miri) { 8 } else { 1024 },
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn honest_drivers_come_to_an_end(
        limits in any_limits(),
        tls: bool,
        addresses in 1usize..30,
        picks in proptest::collection::vec((any::<prop::sample::Index>(), 0..400 * MS), 0..80),
    ) {
        let mut driver = Driver::new(limits, tls);
        for (pick, passing) in picks {
            driver.take(Choice::Pass(passing));
            let mut choices = driver.choices(addresses);
            // Closing is always possible; taken as often as the rest, no course would be long.
            if choices.len() > 1 && pick.index(20) > 0 {
                choices.remove(0);
            }
            if choices.is_empty() {
                break;
            }
            driver.take(choices[pick.index(choices.len())]);
        }
        driver.drive_to_the_end();
    }

    #[test]
    fn hostile_drivers_break_nothing(
        limits in any_limits(),
        tls: bool,
        choices in proptest::collection::vec(hostile_choice(), 0..120),
    ) {
        let mut driver = Driver::new(limits, tls);
        for choice in choices {
            driver.take(choice);
        }
        driver.drive_to_the_end();
    }

    /// Even a clock that jumps back and forth does no harm.
    #[test]
    fn a_broken_clock_breaks_nothing(
        limits in any_limits(),
        tls: bool,
        events in proptest::collection::vec((any_event(), any::<Nanos>()), 0..120),
    ) {
        let mut driver = Driver::new(limits, tls);
        for (event, now) in events {
            driver.now = now;
            driver.on(event);
        }
        driver.drive_to_the_end();
    }
}
