//! The life of a connection as a pure state machine: takes events and a clock value, gives actions. Owns no descriptor,
//! no loop, no OpenSSL, and never asks for the time.
//!
//! What it promises, whatever the order of events:
//!
//! - Each resource it asked for (the lookup, each attempt's socket, the connection's socket) is released exactly once: it
//!   ended by itself (an event says so), or an action here ends it.
//! - Exactly one of [`Action::ReportReady`] and [`Action::ReportError`] tells the outcome of establishing, none after
//!   [`Event::Close`]. Where establishing failed, all is released before the report; the report is the last action.
//! - After [`Action::ReportReady`] at most one [`Action::ReportError`] follows. It leaves the connection's socket alone:
//!   bytes that arrived before the failure can still be read. `Close` then releases the socket.
//! - An event that comes too late (a second winner, an answer after the limit, anything after `Close`) is ignored. What
//!   such an event brings is the driver's to drop: a loser's socket it has closed already at [`Action::CloseAttempt`].
//!
//! A socket that was connected before ([`Start::Connected`]) is the driver's transport from the start: it is never adopted,
//! and [`Action::DropTransport`] releases it when establishing fails. With TLS the handshake starts at once; plain, the
//! driver sends `AttemptConnected(0)` (or `TransportFailed`) from the loop, so that nothing is reported inside the call that
//! began it.

#![forbid(unsafe_code)]

use super::race::Race;
use super::timers::{Timer, Timers};
use crate::clock::Nanos;
use std::ffi::c_int;

/// `enum conn_state` of `net_conn.h`, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum State {
    /// Made, not started.
    Init = 0,
    /// A lookup runs.
    Resolving = 1,
    /// Attempts race.
    Connecting = 2,
    /// Connected; TLS is being set up.
    TlsHandshake = 3,
    /// Bytes can flow.
    Ready = 4,
    /// Both directions ended cleanly, or the program closed it.
    Closed = 5,
    /// It failed.
    Error = 6,
}

impl State {
    /// As the C header calls it.
    pub fn name(self) -> &'static str {
        match self {
            State::Init => "CONN_INIT",
            State::Resolving => "CONN_RESOLVING",
            State::Connecting => "CONN_CONNECTING",
            State::TlsHandshake => "CONN_TLS_HANDSHAKE",
            State::Ready => "CONN_READY",
            State::Closed => "CONN_CLOSED",
            State::Error => "CONN_ERROR",
        }
    }
}

/// `enum conn_error` of `net_conn.h`, with its numbers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(i32)]
pub enum ErrorKind {
    /// No error.
    None = 0,
    /// The name could not be resolved.
    Resolve = 1,
    /// No address could be connected.
    Connect = 2,
    /// Something took too long.
    Timeout = 3,
    /// The TLS protocol failed.
    Tls = 4,
    /// The peer's certificate was refused.
    Certificate = 5,
    /// Reading or writing failed.
    Io = 6,
    /// Out of descriptors, memory or ports.
    Resource = 7,
    /// What was asked for is impossible.
    Invalid = 8,
}

/// Lengths of time; `None`: without limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// For the lookup.
    pub resolve: Option<Nanos>,
    /// For all attempts together.
    pub connect: Option<Nanos>,
    /// For the handshake.
    pub tls: Option<Nanos>,
    /// For everything until READY.
    pub deadline: Option<Nanos>,
    /// RFC 8305 "connection attempt delay"
    pub attempt_delay: Nanos,
}

/// Where a connection starts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// A name has to be looked up.
    Lookup,
    /// That many addresses are known (at least 1).
    Addresses(usize),
    /// The socket is connected already (`conn_from_fd`).
    Connected,
}

/// Which limit was reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Looking up the name.
    Resolve,
    /// Connecting.
    Connect,
    /// The handshake.
    Tls,
}

/// What ended a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// No address: the resolver's status and errno are with the driver.
    Resolve(ErrorKind, c_int),
    /// Every attempt failed: what the whole counts as and the errno to report. Out of descriptors, memory or ports in
    /// every attempt is `Resource`; refused by `on_socket` in every attempt is `Connect` with ECANCELED; else `Connect`
    /// with the errno of the last attempt that failed for another reason.
    Connect(ErrorKind, c_int),
    /// A limit was reached; `errno` is ETIMEDOUT.
    Timeout(Phase),
    /// The handshake, or reading and writing after READY, failed.
    Transport(ErrorKind, c_int),
    /// What was asked for is impossible.
    Invalid(c_int),
}

/// What ends a connection in a forked child: it is the parent's.
const LOST: Cause = Cause::Transport(ErrorKind::Io, libc::ECANCELED);

/// How an attempt failed, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptError {
    /// A system call's errno.
    Errno(c_int),
    /// `on_socket` refused.
    Refused,
    /// `connect` found no free local port: EADDRNOTAVAIL for an IPv4 socket that was not bound. (The same errno from `bind`
    /// or for IPv6 has other reasons: that is an `Errno`.)
    OutOfPorts,
}

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Event {
    /// The connection begins.
    Start(Start),
    /// Something is wrong that was noticed before a start was possible (a bad port, an impossible name).
    Invalid(c_int),
    /// The lookup gave that many addresses (at least 1), already in the order to try them.
    Resolved(usize),
    /// The lookup failed.
    ResolveFailed(ErrorKind, c_int),
    /// The attempt at this address connected.
    AttemptConnected(usize),
    /// The attempt at this address failed; the driver has closed its socket and noted the reason.
    AttemptFailed(usize, AttemptError),
    /// The handshake is complete.
    TlsDone,
    /// The handshake failed, or a read or write after READY did.
    TransportFailed(ErrorKind, c_int),
    /// A read returned the end of the stream.
    ReadEnded,
    /// The write side was shut.
    WriteEnded,
    /// The program puts TLS on a READY plain connection, within these limits; they begin now.
    Upgrade(Limits),
    /// The time given by [`Machine::next_timeout`] may have come; harmless when it has not.
    Timer,
    /// The process that made it is the parent of this one, which has let go of all that the connection had.
    Forked,
    /// The program closed it.
    Close,
}

/// What to do, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Action {
    /// Start the lookup.
    StartLookup,
    /// Cancel it.
    CancelLookup,
    /// Make a socket and connect it to this address; answer with `AttemptConnected` or `AttemptFailed`.
    StartAttempt(usize),
    /// Close the socket of this attempt: it lost, or all is over. `timed_out`: note "timed out" as its reason.
    CloseAttempt {
        /// The address.
        address: usize,
        /// Whether a limit was reached while it was waiting.
        timed_out: bool,
    },
    /// This attempt won: its socket is the connection's.
    Adopt(usize),
    /// Start the handshake on the connection's socket; answer with `TlsDone` or `TransportFailed`.
    StartTls,
    /// Close the connection's socket without ceremony (establishing failed).
    DropTransport,
    /// Close the connection's socket in good order (the program closed a connection that was, or had been, READY; not
    /// one in the handshake of an upgrade).
    CloseTransport,
    /// Report READY.
    ReportReady,
    /// Report the failure.
    ReportError(Cause),
}

/// Lengths of the phases, for `struct conn_timing`: nanoseconds, 0 until the phase has ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct Timing {
    /// The lookup.
    pub resolve: Nanos,
    /// From the first attempt to the winner, or to the failure; 0 for a socket that was connected before.
    pub connect: Nanos,
    /// The handshake.
    pub tls: Nanos,
    /// From the start to the outcome. An upgrade adds its own length, not what was talked before it.
    pub total: Nanos,
    /// Addresses tried.
    pub attempts: u32,
}

/// What the machine knows of time while it establishes.
#[derive(Clone, Debug)]
struct Pace {
    limits: Limits,
    timers: Timers,
    /// When the connection began, and when the running phase did.
    started: Nanos,
    phase_started: Nanos,
}

impl Pace {
    fn new(limits: Limits) -> Box<Pace> {
        Box::new(Pace {
            limits,
            timers: Timers::default(),
            started: 0,
            phase_started: 0,
        })
    }

    /// Establishing begins now; `spent` is what it took so far.
    fn begin(&mut self, now: Nanos, spent: Nanos) {
        self.started = now.saturating_sub(spent);
        self.timers
            .set_after(Timer::Deadline, now, self.limits.deadline);
    }
}

/// The machine.
#[derive(Clone, Debug)]
pub struct Machine {
    /// Read by C programs where it stands.
    pub(super) timing: Timing,
    /// Until the outcome; given back then, for an established connection has no limits.
    pace: Option<Box<Pace>>,
    /// While attempts race; given back as soon as the race is decided, so that an established connection is small.
    race: Option<Box<Race>>,
    state: State,
    tls: bool,
    lookup_runs: bool,
    has_transport: bool,
    /// READY was reported, and no upgrade has begun since.
    was_ready: bool,
    read_ended: bool,
    write_ended: bool,
}

impl Machine {
    /// A machine in `Init`.
    pub fn new(limits: Limits, tls: bool) -> Machine {
        Machine {
            timing: Timing::default(),
            pace: Some(Pace::new(limits)),
            race: None,
            state: State::Init,
            tls,
            lookup_runs: false,
            has_transport: false,
            was_ready: false,
            read_ended: false,
            write_ended: false,
        }
    }

    /// Takes one event; appends what to do to `actions`. An event that cannot matter any more is harmless.
    pub fn handle(&mut self, event: Event, now: Nanos, actions: &mut Vec<Action>) {
        use State::{Connecting, Init, Ready, Resolving, TlsHandshake};
        match (self.state, event) {
            (_, Event::Close) => self.close(actions),

            (Init, Event::Start(start)) => self.start(start, now, actions),
            (Init | Resolving | Connecting | TlsHandshake, Event::Invalid(errno)) => {
                self.fail(Cause::Invalid(errno), now, actions);
            }

            (Resolving, Event::Resolved(addresses)) => {
                self.lookup_runs = false;
                self.end_phase(now);
                self.begin_race(addresses, now, actions);
            }
            (Resolving, Event::ResolveFailed(kind, status)) => {
                self.lookup_runs = false;
                self.fail(Cause::Resolve(kind, status), now, actions);
            }

            (Connecting, Event::AttemptConnected(address)) => {
                self.attempt_connected(address, now, actions);
            }
            (Connecting, Event::AttemptFailed(address, error)) => {
                self.attempt_failed(address, error, now, actions);
            }

            (TlsHandshake, Event::TlsDone) => self.become_ready(now, actions),
            (Connecting | TlsHandshake, Event::TransportFailed(kind, errno))
                if self.has_transport =>
            {
                self.fail(Cause::Transport(kind, errno), now, actions);
            }

            (Resolving | Connecting | TlsHandshake, Event::Timer) => self.timer(now, actions),

            (Init | Resolving | Connecting | TlsHandshake, Event::Forked) => {
                self.fail(LOST, now, actions);
            }

            (Ready, Event::TransportFailed(kind, errno)) => {
                self.state = State::Error;
                actions.push(Action::ReportError(Cause::Transport(kind, errno)));
            }
            (Ready, Event::Forked) => {
                self.state = State::Error;
                actions.push(Action::ReportError(LOST));
            }
            (Ready, Event::ReadEnded) => {
                self.read_ended = true;
                self.end_if_both_ended();
            }
            (Ready, Event::WriteEnded) => {
                self.write_ended = true;
                self.end_if_both_ended();
            }

            (Ready, Event::Upgrade(limits)) if !self.tls && !self.write_ended => {
                self.upgrade(limits, now, actions);
            }

            // Too late, too early, or about something that is gone.
            _ => {}
        }
    }

    /// The state.
    pub fn state(&self) -> State {
        self.state
    }

    /// When the next [`Event::Timer`] is due; `None` while nothing is limited, and always after establishing. May change
    /// with each `handle`.
    pub fn next_timeout(&self) -> Option<Nanos> {
        self.pace.as_ref()?.timers.next()
    }

    /// How long the phases took. Phases that failed are filled too.
    pub fn timing(&self) -> Timing {
        self.timing
    }

    /// Whether a limit runs while connecting or in the handshake: what the member `connect_timer` shows. The delay between
    /// attempts is no limit.
    pub fn is_connect_timer_armed(&self) -> bool {
        matches!(self.state, State::Connecting | State::TlsHandshake)
            && self.pace.as_ref().is_some_and(|pace| {
                pace.timers.is_armed(Timer::Phase) || pace.timers.is_armed(Timer::Deadline)
            })
    }

    /// Whether the attempt at this address is still awaited.
    pub fn awaits_attempt(&self, address: usize) -> bool {
        let race = self.race.as_deref();
        race.is_some_and(|race| race.in_flight().contains(&address))
    }

    fn start(&mut self, start: Start, now: Nanos, actions: &mut Vec<Action>) {
        if let Some(pace) = &mut self.pace {
            pace.begin(now, 0);
        }
        match start {
            Start::Lookup => {
                self.enter(State::Resolving, |limits| limits.resolve, now);
                self.lookup_runs = true;
                actions.push(Action::StartLookup);
            }
            Start::Addresses(addresses) => self.begin_race(addresses, now, actions),
            Start::Connected => {
                self.has_transport = true;
                if self.tls {
                    self.begin_tls(now, actions);
                } else {
                    self.enter(State::Connecting, |limits| limits.connect, now);
                }
            }
        }
    }

    fn begin_race(&mut self, addresses: usize, now: Nanos, actions: &mut Vec<Action>) {
        if addresses == 0 {
            // A driver's mistake; without an attempt no event would ever end this state.
            return self.fail(Cause::Invalid(libc::EINVAL), now, actions);
        }
        self.enter(State::Connecting, |limits| limits.connect, now);
        let Some(pace) = &self.pace else { return };
        self.race = Some(Box::new(Race::new(addresses, pace.limits.attempt_delay)));
        self.go_on_racing(now, actions);
    }

    /// Starts the attempt that is due, if one is, and sets the timer for the one after it.
    fn go_on_racing(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        let Some(race) = &mut self.race else { return };
        if let Some(address) = race.start_next(now) {
            actions.push(Action::StartAttempt(address));
            self.timing.attempts = race.tried().try_into().unwrap_or(u32::MAX);
        }
        if let Some(pace) = &mut self.pace {
            pace.timers.set(Timer::NextAttempt, race.next_start());
        }
    }

    fn attempt_connected(&mut self, address: usize, now: Nanos, actions: &mut Vec<Action>) {
        match &mut self.race {
            Some(race) => {
                if !race.connected(address) {
                    return;
                }
                self.end_phase(now);
                self.end_race(false, actions);
                self.has_transport = true;
                actions.push(Action::Adopt(address));
                if self.tls {
                    self.begin_tls(now, actions);
                } else {
                    self.become_ready(now, actions);
                }
            }
            // The socket was connected before: no race, and only the one address.
            None if address == 0 => self.become_ready(now, actions),
            None => {}
        }
    }

    fn attempt_failed(
        &mut self,
        address: usize,
        error: AttemptError,
        now: Nanos,
        actions: &mut Vec<Action>,
    ) {
        let Some(race) = &mut self.race else { return };
        if !race.failed(address, error) {
            return;
        }
        if race.is_lost() {
            let (kind, errno) = race.verdict();
            self.fail(Cause::Connect(kind, errno), now, actions);
        } else {
            self.go_on_racing(now, actions);
        }
    }

    fn begin_tls(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        self.enter(State::TlsHandshake, |limits| limits.tls, now);
        actions.push(Action::StartTls);
    }

    fn upgrade(&mut self, limits: Limits, now: Nanos, actions: &mut Vec<Action>) {
        let mut pace = Pace::new(limits);
        pace.begin(now, self.timing.total);
        self.pace = Some(pace);
        self.tls = true;
        self.was_ready = false;
        // What ended in plain text is for the handshake to meet.
        self.read_ended = false;
        self.begin_tls(now, actions);
    }

    fn become_ready(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        self.end_phase(now);
        self.end_establishing(State::Ready, now);
        self.was_ready = true;
        actions.push(Action::ReportReady);
    }

    fn timer(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        // The limits first: where all is over, no further attempt starts.
        let Some(pace) = &self.pace else { return };
        if pace.timers.is_due(Timer::Phase, now) || pace.timers.is_due(Timer::Deadline, now) {
            let phase = match self.state {
                State::Resolving => Phase::Resolve,
                State::TlsHandshake => Phase::Tls,
                _ => Phase::Connect,
            };
            self.fail(Cause::Timeout(phase), now, actions);
        } else {
            self.go_on_racing(now, actions);
        }
    }

    /// Establishing failed: gives back all there is, then reports.
    fn fail(&mut self, cause: Cause, now: Nanos, actions: &mut Vec<Action>) {
        self.end_phase(now);
        self.release(matches!(cause, Cause::Timeout(_)), actions);
        self.end_establishing(State::Error, now);
        actions.push(Action::ReportError(cause));
    }

    fn close(&mut self, actions: &mut Vec<Action>) {
        self.release(false, actions);
        self.pace = None;
        self.state = State::Closed;
    }

    fn end_if_both_ended(&mut self) {
        if self.read_ended && self.write_ended {
            self.state = State::Closed;
        }
    }

    fn release(&mut self, timed_out: bool, actions: &mut Vec<Action>) {
        if std::mem::take(&mut self.lookup_runs) {
            actions.push(Action::CancelLookup);
        }
        self.end_race(timed_out, actions);
        if std::mem::take(&mut self.has_transport) {
            actions.push(if self.was_ready {
                Action::CloseTransport
            } else {
                Action::DropTransport
            });
        }
    }

    /// Closes every attempt that still waits.
    fn end_race(&mut self, timed_out: bool, actions: &mut Vec<Action>) {
        if let Some(race) = self.race.take() {
            actions.extend(
                race.in_flight()
                    .iter()
                    .map(|&address| Action::CloseAttempt { address, timed_out }),
            );
        }
        if let Some(pace) = &mut self.pace {
            pace.timers.set(Timer::NextAttempt, None);
        }
    }

    fn enter(&mut self, state: State, limit: fn(&Limits) -> Option<Nanos>, now: Nanos) {
        self.state = state;
        if let Some(pace) = &mut self.pace {
            pace.phase_started = now;
            pace.timers
                .set_after(Timer::Phase, now, limit(&pace.limits));
        }
    }

    /// Notes how long the running phase took. Called before the race is given up: whether there is one tells connecting
    /// from a socket that was connected before.
    fn end_phase(&mut self, now: Nanos) {
        let Some(pace) = &self.pace else { return };
        let length = now.saturating_sub(pace.phase_started);
        match self.state {
            State::Resolving => self.timing.resolve = length,
            State::Connecting if self.race.is_some() => self.timing.connect = length,
            State::TlsHandshake => self.timing.tls = length,
            _ => {}
        }
    }

    fn end_establishing(&mut self, outcome: State, now: Nanos) {
        if self.state != State::Init {
            if let Some(pace) = &self.pace {
                self.timing.total = now.saturating_sub(pace.started);
            }
        }
        self.pace = None;
        self.state = outcome;
    }
}

#[cfg(test)]
#[path = "machine_tests.rs"]
mod tests;

#[cfg(test)]
#[path = "machine_model.rs"]
mod model;
