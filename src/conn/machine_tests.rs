//! Each transition, in virtual time: events in, actions out.

use super::*;
use crate::clock::SECOND;
use Action::*;

const MS: Nanos = 1_000_000;
const DELAY: Nanos = 250 * MS;
const REFUSED: AttemptError = AttemptError::Errno(libc::ECONNREFUSED);

const LIMITS: Limits = Limits {
    resolve: Some(10 * SECOND),
    connect: Some(10 * SECOND),
    tls: Some(10 * SECOND),
    deadline: None,
    attempt_delay: DELAY,
};

const NO_LIMITS: Limits = Limits {
    resolve: None,
    connect: None,
    tls: None,
    deadline: None,
    attempt_delay: DELAY,
};

/// A machine and its virtual clock, which starts somewhere that is not 0.
struct Bench {
    machine: Machine,
    now: Nanos,
}

const BEGIN: Nanos = 77 * SECOND;

impl Bench {
    fn new(limits: Limits, tls: bool) -> Bench {
        Bench {
            machine: Machine::new(limits, tls),
            now: BEGIN,
        }
    }

    fn plain() -> Bench {
        Bench::new(LIMITS, false)
    }

    fn tls() -> Bench {
        Bench::new(LIMITS, true)
    }

    fn on(&mut self, event: Event) -> Vec<Action> {
        let mut actions = Vec::new();
        self.machine.handle(event, self.now, &mut actions);
        actions
    }

    /// Lets time pass and gives a timer event.
    fn after(&mut self, length: Nanos) -> Vec<Action> {
        self.now += length;
        self.on(Event::Timer)
    }

    /// Brings the machine somewhere; what it does on the way is another test's concern.
    fn through(mut self, events: &[Event]) -> Bench {
        for &event in events {
            self.on(event);
        }
        self
    }

    fn state(&self) -> State {
        self.machine.state()
    }

    /// When the next timer is due, from the beginning on.
    fn due(&self) -> Option<Nanos> {
        self.machine.next_timeout().map(|at| at - BEGIN)
    }
}

fn lost(address: usize) -> Action {
    CloseAttempt {
        address,
        timed_out: false,
    }
}

fn timed_out(address: usize) -> Action {
    CloseAttempt {
        address,
        timed_out: true,
    }
}

const LOOKUP: Event = Event::Start(Start::Lookup);
const CONNECTED: Event = Event::Start(Start::Connected);
const UPGRADE: Event = Event::Upgrade(LIMITS);

fn addresses(n: usize) -> Event {
    Event::Start(Start::Addresses(n))
}

// --- the way to READY ---

#[test]
fn a_name_with_tls_goes_through_every_state() {
    let mut b = Bench::tls();
    assert_eq!(b.state(), State::Init);
    assert_eq!(b.machine.next_timeout(), None);
    assert_eq!(b.on(LOOKUP), [StartLookup]);
    assert_eq!(b.state(), State::Resolving);
    assert_eq!(b.due(), Some(10 * SECOND));
    assert!(!b.machine.is_connect_timer_armed());

    b.now += 3 * MS;
    assert_eq!(b.on(Event::Resolved(1)), [StartAttempt(0)]);
    assert_eq!(b.state(), State::Connecting);
    assert_eq!(b.due(), Some(10 * SECOND + 3 * MS));
    assert!(b.machine.is_connect_timer_armed());

    b.now += 5 * MS;
    assert_eq!(b.on(Event::AttemptConnected(0)), [Adopt(0), StartTls]);
    assert_eq!(b.state(), State::TlsHandshake);
    assert_eq!(b.due(), Some(10 * SECOND + 8 * MS));
    assert!(b.machine.is_connect_timer_armed());

    b.now += 7 * MS;
    assert_eq!(b.on(Event::TlsDone), [ReportReady]);
    assert_eq!(b.state(), State::Ready);
    assert_eq!(b.machine.next_timeout(), None);
    assert!(!b.machine.is_connect_timer_armed());
    let timing = Timing {
        resolve: 3 * MS,
        connect: 5 * MS,
        tls: 7 * MS,
        total: 15 * MS,
        attempts: 1,
    };
    assert_eq!(b.machine.timing(), timing);

    // Established: later news do not change what establishing took.
    b.now += SECOND;
    assert_eq!(b.on(Event::Close), [CloseTransport]);
    assert_eq!(b.machine.timing(), timing);
}

#[test]
fn a_literal_without_tls_is_ready_when_it_is_connected() {
    let mut b = Bench::plain();
    assert_eq!(b.on(addresses(1)), [StartAttempt(0)]);
    assert_eq!(b.state(), State::Connecting);
    b.now += 2 * MS;
    assert_eq!(b.on(Event::AttemptConnected(0)), [Adopt(0), ReportReady]);
    assert_eq!(
        b.machine.timing(),
        Timing {
            connect: 2 * MS,
            total: 2 * MS,
            attempts: 1,
            ..Timing::default()
        }
    );
}

#[test]
fn a_connected_socket_with_tls_starts_in_the_handshake() {
    let mut b = Bench::tls();
    assert_eq!(b.on(CONNECTED), [StartTls]);
    assert_eq!(b.state(), State::TlsHandshake);
    assert_eq!(b.due(), Some(10 * SECOND));
    b.now += MS;
    assert_eq!(b.on(Event::TlsDone), [ReportReady]);
    assert_eq!(
        b.machine.timing(),
        Timing {
            tls: MS,
            total: MS,
            ..Timing::default()
        }
    );
}

#[test]
fn a_connected_plain_socket_waits_for_the_loop() {
    let mut b = Bench::plain();
    assert_eq!(b.on(CONNECTED), []);
    assert_eq!(b.state(), State::Connecting);
    assert!(b.machine.is_connect_timer_armed());
    assert_eq!(b.on(Event::AttemptConnected(1)), [], "there is no other");
    assert_eq!(b.on(Event::AttemptConnected(0)), [ReportReady]);
    assert_eq!(b.state(), State::Ready);
    assert_eq!(b.machine.timing(), Timing::default());
}

// --- RFC 8305 ---

#[test]
fn the_second_address_starts_after_the_delay_beside_the_first() {
    let mut b = Bench::plain();
    assert_eq!(b.on(addresses(2)), [StartAttempt(0)]);
    assert_eq!(b.due(), Some(DELAY));
    assert_eq!(b.after(DELAY - 1), [], "a spurious timer");
    assert_eq!(b.due(), Some(DELAY));
    assert_eq!(b.after(1), [StartAttempt(1)]);
    assert_eq!(b.due(), Some(10 * SECOND), "the limit of all together");
    assert_eq!(b.machine.timing().attempts, 2);
}

#[test]
fn a_failure_starts_the_next_at_once() {
    let mut b = Bench::plain().through(&[addresses(3)]);
    b.now += MS;
    assert_eq!(b.on(Event::AttemptFailed(0, REFUSED)), [StartAttempt(1)]);
    assert_eq!(b.due(), Some(MS + DELAY), "the delay counts anew");
    assert_eq!(b.after(DELAY), [StartAttempt(2)]);
}

#[test]
fn the_delay_does_not_end_an_attempt_and_the_first_can_win_late() {
    let mut b = Bench::plain().through(&[addresses(3)]);
    assert_eq!(b.after(DELAY), [StartAttempt(1)]);
    assert_eq!(b.after(DELAY), [StartAttempt(2)]);
    b.now += 5 * SECOND;
    assert_eq!(
        b.on(Event::AttemptConnected(0)),
        [lost(1), lost(2), Adopt(0), ReportReady]
    );
    assert_eq!(b.machine.timing().attempts, 3);
}

#[test]
fn the_second_of_two_that_connect_in_the_same_instant_is_ignored() {
    let mut b = Bench::tls().through(&[addresses(2)]);
    b.after(DELAY);
    assert_eq!(
        b.on(Event::AttemptConnected(1)),
        [lost(0), Adopt(1), StartTls]
    );
    assert_eq!(b.on(Event::AttemptConnected(0)), []);
    assert_eq!(b.on(Event::AttemptFailed(0, REFUSED)), []);
    assert_eq!(b.state(), State::TlsHandshake);
}

#[test]
fn the_last_address_fails_while_the_first_is_pending() {
    let mut b = Bench::plain().through(&[addresses(2)]);
    b.after(DELAY);
    assert_eq!(b.on(Event::AttemptFailed(1, REFUSED)), []);
    assert_eq!(b.state(), State::Connecting);
    b.now += SECOND;
    assert_eq!(b.on(Event::AttemptConnected(0)), [Adopt(0), ReportReady]);
}

#[test]
fn the_first_address_fails_while_the_last_is_pending() {
    let mut b = Bench::plain().through(&[addresses(2)]);
    b.after(DELAY);
    assert_eq!(b.on(Event::AttemptFailed(0, REFUSED)), []);
    assert_eq!(
        b.on(Event::AttemptFailed(
            1,
            AttemptError::Errno(libc::EHOSTUNREACH)
        )),
        [ReportError(Cause::Connect(
            ErrorKind::Connect,
            libc::EHOSTUNREACH
        ))]
    );
    assert_eq!(b.state(), State::Error);
    assert_eq!(b.machine.next_timeout(), None);
}

#[test]
fn a_single_address_fails() {
    let mut b = Bench::plain().through(&[addresses(1)]);
    b.now += 4 * MS;
    assert_eq!(
        b.on(Event::AttemptFailed(0, REFUSED)),
        [ReportError(Cause::Connect(
            ErrorKind::Connect,
            libc::ECONNREFUSED
        ))]
    );
    assert_eq!(
        b.machine.timing(),
        Timing {
            connect: 4 * MS,
            total: 4 * MS,
            attempts: 1,
            ..Timing::default()
        }
    );
}

#[test]
fn a_shortage_in_every_attempt_is_a_shortage_and_a_refusal_in_every_attempt_a_cancellation() {
    let mut b = Bench::plain().through(&[addresses(2)]);
    b.on(Event::AttemptFailed(0, AttemptError::Errno(libc::EMFILE)));
    assert_eq!(
        b.on(Event::AttemptFailed(1, AttemptError::OutOfPorts)),
        [ReportError(Cause::Connect(
            ErrorKind::Resource,
            libc::EADDRNOTAVAIL
        ))]
    );
    let mut b = Bench::plain().through(&[addresses(2)]);
    b.on(Event::AttemptFailed(0, AttemptError::Refused));
    assert_eq!(
        b.on(Event::AttemptFailed(1, AttemptError::Refused)),
        [ReportError(Cause::Connect(
            ErrorKind::Connect,
            libc::ECANCELED
        ))]
    );
}

#[test]
fn a_late_timer_starts_one_attempt() {
    let mut b = Bench::plain().through(&[addresses(4)]);
    assert_eq!(b.after(3 * DELAY), [StartAttempt(1)]);
    assert_eq!(b.on(Event::Timer), []);
    assert_eq!(b.due(), Some(4 * DELAY));
}

// --- limits ---

#[test]
fn the_lookup_takes_too_long() {
    let mut b = Bench::plain().through(&[LOOKUP]);
    assert_eq!(b.after(10 * SECOND - 1), []);
    assert_eq!(
        b.after(1),
        [CancelLookup, ReportError(Cause::Timeout(Phase::Resolve))]
    );
    assert_eq!(b.state(), State::Error);
    assert_eq!(b.machine.timing().resolve, 10 * SECOND);
    assert_eq!(b.machine.timing().total, 10 * SECOND);
    assert_eq!(b.on(Event::Resolved(2)), [], "the answer comes too late");
}

#[test]
fn the_race_takes_too_long() {
    let mut b = Bench::plain().through(&[addresses(3)]);
    b.after(DELAY);
    b.on(Event::AttemptFailed(0, REFUSED));
    assert_eq!(
        b.after(10 * SECOND - DELAY),
        [
            timed_out(1),
            timed_out(2),
            ReportError(Cause::Timeout(Phase::Connect))
        ]
    );
    assert_eq!(b.machine.timing().connect, 10 * SECOND);
    assert_eq!(b.on(Event::AttemptConnected(1)), []);
}

#[test]
fn where_limit_and_delay_are_due_together_no_attempt_starts() {
    let limits = Limits {
        connect: Some(DELAY),
        ..LIMITS
    };
    let mut b = Bench::new(limits, false).through(&[addresses(2)]);
    assert_eq!(
        b.after(DELAY),
        [timed_out(0), ReportError(Cause::Timeout(Phase::Connect))]
    );
}

#[test]
fn the_handshake_takes_too_long_and_has_its_own_limit() {
    let mut b = Bench::tls().through(&[addresses(1)]);
    b.now += 9 * SECOND;
    b.on(Event::AttemptConnected(0));
    assert_eq!(b.after(9 * SECOND), []);
    assert_eq!(
        b.after(SECOND),
        [DropTransport, ReportError(Cause::Timeout(Phase::Tls))]
    );
    assert_eq!(b.machine.timing().tls, 10 * SECOND);
    assert_eq!(b.machine.timing().total, 19 * SECOND);
    assert_eq!(b.on(Event::TlsDone), []);
}

#[test]
fn a_connected_plain_socket_that_the_loop_forgets_times_out() {
    let mut b = Bench::plain().through(&[CONNECTED]);
    assert_eq!(
        b.after(10 * SECOND),
        [DropTransport, ReportError(Cause::Timeout(Phase::Connect))]
    );
}

#[test]
fn the_deadline_covers_all_phases_and_names_the_one_it_ends() {
    let limits = Limits {
        deadline: Some(15 * SECOND),
        ..LIMITS
    };
    // In the lookup the phase's own limit is nearer.
    let mut b = Bench::new(limits, true).through(&[LOOKUP]);
    assert_eq!(b.due(), Some(10 * SECOND));
    b.now += 8 * SECOND;
    b.on(Event::Resolved(1));
    // Connecting: the deadline comes before the limit of 10 s.
    assert_eq!(b.due(), Some(15 * SECOND));
    assert_eq!(
        b.clone_and(|b| b.after(7 * SECOND)),
        [timed_out(0), ReportError(Cause::Timeout(Phase::Connect))]
    );
    b.now += 6 * SECOND;
    b.on(Event::AttemptConnected(0));
    assert_eq!(b.due(), Some(15 * SECOND));
    assert_eq!(
        b.after(SECOND),
        [DropTransport, ReportError(Cause::Timeout(Phase::Tls))]
    );
    assert_eq!(b.machine.timing().total, 15 * SECOND);
}

#[test]
fn the_deadline_alone_arms_the_visible_timer_and_the_delay_alone_does_not() {
    let deadline = Limits {
        deadline: Some(SECOND),
        ..NO_LIMITS
    };
    let b = Bench::new(deadline, false).through(&[addresses(2)]);
    assert!(b.machine.is_connect_timer_armed());
    let b = Bench::new(deadline, false).through(&[LOOKUP]);
    assert!(!b.machine.is_connect_timer_armed());
    let b = Bench::new(NO_LIMITS, false).through(&[addresses(2)]);
    assert_eq!(b.due(), Some(DELAY));
    assert!(!b.machine.is_connect_timer_armed());
}

#[test]
fn without_limits_nothing_times_out() {
    let mut b = Bench::new(NO_LIMITS, true).through(&[LOOKUP]);
    assert_eq!(b.machine.next_timeout(), None);
    assert_eq!(b.after(1_000_000 * SECOND), []);
    b.on(Event::Resolved(1));
    assert_eq!(b.machine.next_timeout(), None);
    assert_eq!(b.after(1_000_000 * SECOND), []);
    b.on(Event::AttemptConnected(0));
    assert_eq!(b.machine.next_timeout(), None);
    assert_eq!(b.after(1_000_000 * SECOND), []);
    assert_eq!(b.on(Event::TlsDone), [ReportReady]);
}

#[test]
fn news_that_arrives_with_the_limit_but_is_seen_first_counts() {
    let mut b = Bench::plain().through(&[addresses(1)]);
    b.now += 10 * SECOND;
    assert_eq!(b.on(Event::AttemptConnected(0)), [Adopt(0), ReportReady]);
    assert_eq!(b.on(Event::Timer), []);
    assert_eq!(b.state(), State::Ready);
}

// --- failures ---

#[test]
fn the_lookup_fails() {
    let mut b = Bench::plain().through(&[LOOKUP]);
    b.now += MS;
    let cause = Cause::Resolve(ErrorKind::Resolve, libc::EAI_NONAME);
    assert_eq!(
        b.on(Event::ResolveFailed(ErrorKind::Resolve, libc::EAI_NONAME)),
        [ReportError(cause)]
    );
    assert_eq!(b.machine.timing().resolve, MS);
    assert_eq!(b.on(Event::Close), []);
    assert_eq!(b.state(), State::Closed);
}

#[test]
fn the_handshake_fails() {
    for start in [addresses(1), CONNECTED] {
        let mut b = Bench::tls().through(&[start, Event::AttemptConnected(0)]);
        b.now += MS;
        assert_eq!(
            b.on(Event::TransportFailed(ErrorKind::Certificate, libc::EPROTO)),
            [
                DropTransport,
                ReportError(Cause::Transport(ErrorKind::Certificate, libc::EPROTO))
            ]
        );
        assert_eq!(b.machine.timing().tls, MS);
        assert_eq!(
            b.on(Event::TransportFailed(ErrorKind::Tls, libc::EPROTO)),
            []
        );
    }
}

#[test]
fn a_connected_plain_socket_fails_before_ready() {
    let mut b = Bench::plain().through(&[CONNECTED]);
    assert_eq!(
        b.on(Event::TransportFailed(ErrorKind::Io, libc::EBADF)),
        [
            DropTransport,
            ReportError(Cause::Transport(ErrorKind::Io, libc::EBADF))
        ]
    );
}

#[test]
fn what_is_impossible_is_reported_in_every_state_before_ready() {
    let report = ReportError(Cause::Invalid(libc::EINVAL));
    let invalid = Event::Invalid(libc::EINVAL);
    let table: &[(bool, &[Event], &[Action])] = &[
        (false, &[], &[report]),
        (false, &[LOOKUP], &[CancelLookup, report]),
        (false, &[addresses(1)], &[lost(0), report]),
        (false, &[CONNECTED], &[DropTransport, report]),
        (true, &[CONNECTED], &[DropTransport, report]),
    ];
    for (tls, events, actions) in table {
        let mut b = Bench::new(LIMITS, *tls).through(events);
        assert_eq!(b.on(invalid), *actions, "{events:?}");
        assert_eq!(b.state(), State::Error);
        assert_eq!(b.on(invalid), []);
    }
    let mut b = Bench::plain().through(&[CONNECTED, Event::AttemptConnected(0)]);
    assert_eq!(b.on(invalid), []);
    assert_eq!(b.state(), State::Ready);
}

#[test]
fn no_address_at_all_is_an_error_not_a_hang() {
    let report = ReportError(Cause::Invalid(libc::EINVAL));
    assert_eq!(Bench::new(NO_LIMITS, false).on(addresses(0)), [report]);
    let mut b = Bench::new(NO_LIMITS, false).through(&[LOOKUP]);
    assert_eq!(b.on(Event::Resolved(0)), [report]);
}

// --- after READY ---

#[test]
fn a_failure_after_ready_is_reported_once_and_keeps_the_socket_until_the_close() {
    let mut b = Bench::plain().through(&[addresses(1), Event::AttemptConnected(0)]);
    let reset = Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET);
    assert_eq!(
        b.on(reset),
        [ReportError(Cause::Transport(
            ErrorKind::Io,
            libc::ECONNRESET
        ))]
    );
    assert_eq!(b.state(), State::Error);
    assert_eq!(b.on(reset), []);
    assert_eq!(b.on(Event::ReadEnded), []);
    assert_eq!(b.on(Event::WriteEnded), []);
    assert_eq!(b.state(), State::Error);
    assert_eq!(b.on(Event::Close), [CloseTransport]);
    assert_eq!(b.state(), State::Closed);
}

#[test]
fn both_directions_ended_is_closed_in_either_order_and_no_error() {
    let orders = [
        [Event::ReadEnded, Event::WriteEnded],
        [Event::WriteEnded, Event::ReadEnded],
    ];
    for [first, second] in orders {
        let mut b = Bench::plain().through(&[addresses(1), Event::AttemptConnected(0)]);
        assert_eq!(b.on(first), []);
        assert_eq!(b.on(first), [], "the end is met by each later read");
        assert_eq!(b.state(), State::Ready);
        assert_eq!(b.on(second), []);
        assert_eq!(b.state(), State::Closed);
        assert_eq!(
            b.on(Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET)),
            []
        );
        assert_eq!(b.state(), State::Closed);
        assert_eq!(b.on(Event::Close), [CloseTransport]);
        assert_eq!(b.on(Event::Close), []);
    }
}

#[test]
fn a_failure_of_the_direction_that_is_left_is_a_failure() {
    for ended in [Event::ReadEnded, Event::WriteEnded] {
        let mut b = Bench::plain().through(&[addresses(1), Event::AttemptConnected(0), ended]);
        assert_eq!(
            b.on(Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET)),
            [ReportError(Cause::Transport(
                ErrorKind::Io,
                libc::ECONNRESET
            ))]
        );
    }
}

#[test]
fn an_end_before_ready_does_not_count() {
    let mut b = Bench::tls().through(&[
        CONNECTED,
        Event::ReadEnded,
        Event::WriteEnded,
        Event::TlsDone,
    ]);
    assert_eq!(b.state(), State::Ready);
    assert_eq!(b.on(Event::ReadEnded), []);
    assert_eq!(b.state(), State::Ready);
}

// --- TLS later ---

/// READY without TLS after 5 ms, then 60 s of talk in plain text.
fn talked() -> Bench {
    let mut b = Bench::plain().through(&[addresses(1)]);
    b.now += 5 * MS;
    b.on(Event::AttemptConnected(0));
    b.now += 60 * SECOND;
    b
}

#[test]
fn an_upgrade_goes_back_to_the_handshake_and_reports_anew() {
    let mut b = talked();
    let limits = Limits {
        tls: Some(3 * SECOND),
        ..NO_LIMITS
    };
    assert_eq!(b.on(Event::Upgrade(limits)), [StartTls]);
    assert_eq!(b.state(), State::TlsHandshake);
    assert_eq!(b.due(), Some(63 * SECOND + 5 * MS));
    assert!(b.machine.is_connect_timer_armed());
    b.now += 7 * MS;
    assert_eq!(b.on(Event::TlsDone), [ReportReady]);
    assert_eq!(b.state(), State::Ready);
    assert_eq!(b.machine.next_timeout(), None);
    // What was talked between the two is no part of establishing.
    let timing = Timing {
        resolve: 0,
        connect: 5 * MS,
        tls: 7 * MS,
        total: 12 * MS,
        attempts: 1,
    };
    assert_eq!(b.machine.timing(), timing);
}

#[test]
fn an_upgrade_that_fails_releases_the_socket_before_the_report() {
    let failed = Event::TransportFailed(ErrorKind::Certificate, libc::EPROTO);
    let mut b = talked().through(&[UPGRADE]);
    b.now += 7 * MS;
    let cause = Cause::Transport(ErrorKind::Certificate, libc::EPROTO);
    assert_eq!(b.on(failed), [DropTransport, ReportError(cause)]);
    assert_eq!(b.state(), State::Error);
    assert_eq!(b.machine.timing().total, 12 * MS);
    assert_eq!(b.on(failed), []);
    assert_eq!(b.on(UPGRADE), []);
    assert_eq!(b.on(Event::Close), []);
}

#[test]
fn an_upgrade_has_limits_of_its_own_that_begin_with_it() {
    let mut b = talked().through(&[UPGRADE]);
    assert_eq!(b.after(10 * SECOND - 1), []);
    let cause = Cause::Timeout(Phase::Tls);
    assert_eq!(b.after(1), [DropTransport, ReportError(cause)]);

    let deadline = Limits {
        deadline: Some(2 * SECOND),
        ..LIMITS
    };
    let mut b = talked().through(&[Event::Upgrade(deadline)]);
    assert_eq!(b.after(2 * SECOND - 1), []);
    assert_eq!(b.after(1), [DropTransport, ReportError(cause)]);

    let b = talked().through(&[Event::Upgrade(NO_LIMITS)]);
    assert_eq!(b.machine.next_timeout(), None);
    assert!(!b.machine.is_connect_timer_armed());
}

#[test]
fn ends_count_from_the_upgrade_on() {
    // The end of the plain text is for the handshake to meet.
    let mut b = talked().through(&[Event::ReadEnded, UPGRADE, Event::TlsDone]);
    assert_eq!(b.on(Event::WriteEnded), []);
    assert_eq!(b.state(), State::Ready);
    assert_eq!(b.on(Event::ReadEnded), []);
    assert_eq!(b.state(), State::Closed);
}

#[test]
fn an_upgrade_needs_a_plain_connection_that_can_be_written_to() {
    let won = Event::AttemptConnected(0);
    let reset = Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET);
    let tables: [(bool, &[Event]); 9] = [
        (false, &[]),
        (false, &[LOOKUP]),
        (false, &[addresses(2)]),
        (false, &[CONNECTED]),
        (true, &[addresses(1), won]),
        (true, &[addresses(1), won, Event::TlsDone]),
        (false, &[addresses(1), won, Event::WriteEnded]),
        (false, &[addresses(1), won, reset]),
        (false, &[addresses(1), won, UPGRADE]),
    ];
    for (tls, events) in tables {
        let mut b = Bench::new(LIMITS, tls).through(events);
        let state = b.state();
        assert_eq!(b.on(UPGRADE), [], "after {events:?}");
        assert_eq!(b.state(), state);
    }
}

// --- a forked child ---

#[test]
fn a_child_loses_what_its_parent_had_in_each_state() {
    let lost = ReportError(Cause::Transport(ErrorKind::Io, libc::ECANCELED));
    let mut resolving = Bench::tls().through(&[LOOKUP]);
    assert_eq!(resolving.on(Event::Forked), [CancelLookup, lost]);
    let mut connecting = Bench::tls().through(&[addresses(1)]);
    let close = CloseAttempt {
        address: 0,
        timed_out: false,
    };
    assert_eq!(connecting.on(Event::Forked), [close, lost]);
    let mut securing = Bench::tls().through(&[CONNECTED]);
    assert_eq!(securing.on(Event::Forked), [DropTransport, lost]);
    let mut ready = Bench::plain().through(&[addresses(1), Event::AttemptConnected(0)]);
    assert_eq!(ready.on(Event::Forked), [lost]);
    let mut upgrading = talked().through(&[UPGRADE]);
    assert_eq!(upgrading.on(Event::Forked), [DropTransport, lost]);
    for mut b in [resolving, connecting, securing, ready, upgrading] {
        assert_eq!(b.state(), State::Error);
        assert_eq!(b.on(Event::Forked), []);
    }
}

// --- the close ---

/// One of each event, those included that make no sense where they come.
fn one_of_each() -> Vec<Event> {
    vec![
        LOOKUP,
        addresses(2),
        CONNECTED,
        Event::Invalid(libc::EINVAL),
        Event::Resolved(2),
        Event::ResolveFailed(ErrorKind::Resolve, libc::EAI_NONAME),
        Event::AttemptConnected(0),
        Event::AttemptConnected(1),
        Event::AttemptFailed(0, REFUSED),
        Event::AttemptFailed(1, AttemptError::Refused),
        Event::TlsDone,
        Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET),
        Event::ReadEnded,
        Event::WriteEnded,
        Event::Timer,
        Event::Close,
        Event::Upgrade(LIMITS),
    ]
}

#[test]
fn a_close_in_any_state_releases_everything_and_silences_the_machine() {
    let won = Event::AttemptConnected(0);
    let reset = Event::TransportFailed(ErrorKind::Io, libc::ECONNRESET);
    let table: &[(bool, &[Event], &[Action])] = &[
        (false, &[], &[]),
        (false, &[LOOKUP], &[CancelLookup]),
        (false, &[addresses(3)], &[lost(0)]),
        (false, &[LOOKUP, Event::Resolved(3)], &[lost(0)]),
        (false, &[CONNECTED], &[DropTransport]),
        (true, &[CONNECTED], &[DropTransport]),
        (true, &[addresses(1), won], &[DropTransport]),
        (false, &[addresses(1), won], &[CloseTransport]),
        (
            true,
            &[addresses(1), won, Event::TlsDone],
            &[CloseTransport],
        ),
        (false, &[CONNECTED, won, reset], &[CloseTransport]),
        (false, &[CONNECTED, won, UPGRADE], &[DropTransport]),
        (
            false,
            &[CONNECTED, won, UPGRADE, Event::TlsDone],
            &[CloseTransport],
        ),
        (
            false,
            &[addresses(1), Event::AttemptFailed(0, REFUSED)],
            &[],
        ),
        (false, &[Event::Invalid(libc::EINVAL)], &[]),
    ];
    for (tls, events, actions) in table {
        let mut b = Bench::new(LIMITS, *tls).through(events);
        assert_eq!(b.on(Event::Close), *actions, "{events:?}");
        for event in one_of_each() {
            assert_eq!(b.after(100 * SECOND), []);
            assert_eq!(b.on(event), [], "{event:?} after {events:?} and a close");
            assert_eq!(b.state(), State::Closed);
            assert_eq!(b.machine.next_timeout(), None);
            assert!(!b.machine.is_connect_timer_armed());
        }
    }
}

#[test]
fn a_close_during_the_race_closes_every_attempt() {
    let mut b = Bench::plain().through(&[addresses(3)]);
    b.after(DELAY);
    b.after(DELAY);
    assert_eq!(b.on(Event::Close), [lost(0), lost(1), lost(2)]);
}

// --- what does not belong ---

/// In each state, the events that mean nothing there do nothing.
#[test]
fn events_out_of_place_change_nothing() {
    let error = Event::AttemptFailed(0, REFUSED);
    let table: &[(&[Event], &[usize])] = &[
        // Events with meaning, as positions in `one_of_each`.
        (&[], &[0, 1, 2, 3, 15]),
        (&[LOOKUP], &[3, 4, 5, 15]),
        (&[addresses(2)], &[3, 6, 8, 15]),
        (
            &[addresses(2), Event::AttemptConnected(0)],
            &[3, 10, 11, 15],
        ),
        (&[addresses(1), error], &[15]),
        (
            &[addresses(1), Event::AttemptConnected(0), Event::TlsDone],
            &[11, 12, 13, 15],
        ),
    ];
    for (events, meaningful) in table {
        for (position, event) in one_of_each().into_iter().enumerate() {
            if meaningful.contains(&position) {
                continue;
            }
            let mut b = Bench::tls().through(events);
            let (state, due) = (b.state(), b.due());
            assert_eq!(b.on(event), [], "{event:?} after {events:?}");
            assert_eq!((b.state(), b.due()), (state, due));
        }
    }
}

#[test]
fn the_machine_is_small() {
    assert!(
        size_of::<Machine>() <= 200,
        "{} bytes",
        size_of::<Machine>()
    );
}

impl Bench {
    /// What would happen here.
    fn clone_and<T>(&self, f: impl FnOnce(&mut Bench) -> T) -> T {
        f(&mut Bench {
            machine: self.machine.clone(),
            now: self.now,
        })
    }
}
