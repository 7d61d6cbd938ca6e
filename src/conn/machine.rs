//! The life of a connection as a pure state machine: takes events and a clock value, gives actions. Owns no descriptor,
//! no loop, no OpenSSL, and never asks for the time.

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
#[derive(Clone, Copy, Debug)]
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

/// How an attempt failed, as far as it matters here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AttemptError {
    /// A system call's errno.
    Errno(c_int),
    /// `on_socket` refused.
    Refused,
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
    /// The time given by [`Machine::next_timeout`] may have come; harmless when it has not.
    Timer,
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
    /// Close the connection's socket in good order (the program closed a connection that was, or had been, READY).
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
    /// From the first attempt to the winner.
    pub connect: Nanos,
    /// The handshake.
    pub tls: Nanos,
    /// From the start to the outcome.
    pub total: Nanos,
    /// Addresses tried.
    pub attempts: u32,
}

const RESOLVE: usize = 0;
const CONNECT: usize = 1;
const TLS: usize = 2;
const DEADLINE: usize = 3;
const DELAY: usize = 4;

/// The machine.
pub struct Machine {
    limits: Limits,
    tls: bool,
    state: State,
    timers: [Option<Nanos>; 5],
    began: Nanos,
    phase_began: Nanos,
    timing: Timing,
    /// Attempts in flight, and the next address to try.
    flying: Vec<usize>,
    next: usize,
    count: usize,
    adopted: bool,
    refused: usize,
    failed: usize,
    last_errno: c_int,
    ends: u8,
}

impl Machine {
    /// A machine in `Init`.
    pub fn new(limits: Limits, tls: bool) -> Machine {
        Machine {
            limits,
            tls,
            state: State::Init,
            timers: [None; 5],
            began: 0,
            phase_began: 0,
            timing: Timing::default(),
            flying: Vec::new(),
            next: 0,
            count: 0,
            adopted: false,
            refused: 0,
            failed: 0,
            last_errno: 0,
            ends: 0,
        }
    }
    fn arm(&mut self, timer: usize, length: Option<Nanos>, now: Nanos) {
        self.timers[timer] = length.map(|l| now.saturating_add(l));
    }
    fn release(&mut self, actions: &mut Vec<Action>, timed_out: bool) {
        match self.state {
            State::Resolving => actions.push(Action::CancelLookup),
            State::Connecting if self.adopted => actions.push(Action::DropTransport),
            State::Connecting => {
                for address in self.flying.drain(..) {
                    actions.push(Action::CloseAttempt { address, timed_out })
                }
            }
            State::TlsHandshake => actions.push(Action::DropTransport),
            _ => {}
        }
        self.timers = [None; 5];
    }
    fn fail(&mut self, cause: Cause, now: Nanos, actions: &mut Vec<Action>) {
        self.release(actions, matches!(cause, Cause::Timeout(_)));
        self.timing.total = now - self.began;
        self.state = State::Error;
        actions.push(Action::ReportError(cause));
    }
    fn connecting(&mut self, count: usize, now: Nanos, actions: &mut Vec<Action>) {
        self.state = State::Connecting;
        self.phase_began = now;
        self.count = count;
        self.arm(CONNECT, self.limits.connect, now);
        self.start_next(now, actions);
    }
    fn start_next(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        self.timers[DELAY] = None;
        if self.next < self.count && self.flying.len() < 6 {
            let address = self.next;
            self.next += 1;
            self.timing.attempts += 1;
            self.flying.push(address);
            actions.push(Action::StartAttempt(address));
            if self.next < self.count {
                self.arm(DELAY, Some(self.limits.attempt_delay), now);
            }
        }
    }
    fn connected(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        self.timing.connect = now - self.phase_began;
        self.timers[CONNECT] = None;
        self.timers[DELAY] = None;
        if self.tls {
            self.state = State::TlsHandshake;
            self.phase_began = now;
            self.arm(TLS, self.limits.tls, now);
            actions.push(Action::StartTls);
        } else {
            self.ready(now, actions)
        }
    }
    fn ready(&mut self, now: Nanos, actions: &mut Vec<Action>) {
        self.timers = [None; 5];
        self.timing.total = now - self.began;
        self.flying = Vec::new();
        self.state = State::Ready;
        actions.push(Action::ReportReady);
    }
    /// Takes one event; appends what to do to `actions`. An event that cannot matter any more is harmless.
    pub fn handle(&mut self, event: Event, now: Nanos, actions: &mut Vec<Action>) {
        match (self.state, event) {
            (State::Closed, _) if event != Event::Close => {}
            (_, Event::Close) => {
                match self.state {
                    State::Ready | State::Closed | State::Error if self.ends != 255 => {
                        actions.push(Action::CloseTransport)
                    }
                    _ => self.release(actions, false),
                }
                self.ends = 255;
                self.timers = [None; 5];
                self.state = State::Closed;
            }
            (State::Init, Event::Start(start)) => {
                self.began = now;
                self.phase_began = now;
                self.arm(DEADLINE, self.limits.deadline, now);
                match start {
                    Start::Lookup => {
                        self.state = State::Resolving;
                        self.arm(RESOLVE, self.limits.resolve, now);
                        actions.push(Action::StartLookup)
                    }
                    Start::Addresses(n) => self.connecting(n, now, actions),
                    Start::Connected => {
                        self.adopted = true;
                        self.state = State::Connecting;
                        if self.tls {
                            self.connected(now, actions)
                        }
                    }
                }
            }
            (State::Init | State::Resolving, Event::Invalid(errno)) => {
                if self.state == State::Init {
                    self.began = now;
                }
                self.state = State::Init;
                self.fail(Cause::Invalid(errno), now, actions)
            }
            (State::Resolving, Event::Resolved(n)) => {
                self.timers[RESOLVE] = None;
                self.timing.resolve = now - self.phase_began;
                self.connecting(n, now, actions)
            }
            (State::Resolving, Event::ResolveFailed(kind, code)) => {
                self.timing.resolve = now - self.phase_began;
                self.state = State::Init;
                self.fail(Cause::Resolve(kind, code), now, actions)
            }
            (State::Connecting, Event::AttemptConnected(_)) if self.adopted => {
                self.connected(now, actions)
            }
            (State::Connecting, Event::AttemptConnected(address))
                if self.flying.contains(&address) =>
            {
                self.flying.retain(|a| *a != address);
                for address in self.flying.drain(..) {
                    actions.push(Action::CloseAttempt {
                        address,
                        timed_out: false,
                    })
                }
                actions.push(Action::Adopt(address));
                self.connected(now, actions)
            }
            (State::Connecting, Event::AttemptFailed(address, error))
                if self.flying.contains(&address) =>
            {
                self.flying.retain(|a| *a != address);
                self.failed += 1;
                match error {
                    AttemptError::Refused => self.refused += 1,
                    AttemptError::Errno(e) => self.last_errno = e,
                }
                if self.next < self.count {
                    self.start_next(now, actions)
                } else if self.flying.is_empty() {
                    let errno = if self.refused == self.failed {
                        libc::ECANCELED
                    } else {
                        self.last_errno
                    };
                    self.fail(Cause::Connect(ErrorKind::Connect, errno), now, actions)
                }
            }
            (State::TlsHandshake, Event::TlsDone) => {
                self.timing.tls = now - self.phase_began;
                self.ready(now, actions)
            }
            (State::TlsHandshake | State::Ready, Event::TransportFailed(kind, errno)) => {
                self.fail(Cause::Transport(kind, errno), now, actions)
            }
            (State::Ready, Event::ReadEnded) => {
                self.ends |= 1;
                if self.ends == 3 {
                    self.state = State::Closed
                }
            }
            (State::Ready, Event::WriteEnded) => {
                self.ends |= 2;
                if self.ends == 3 {
                    self.state = State::Closed
                }
            }
            (_, Event::Timer) => {
                let due = |t: Option<Nanos>| t.is_some_and(|t| t <= now);
                let phase = match self.state {
                    State::Resolving => Phase::Resolve,
                    State::TlsHandshake => Phase::Tls,
                    _ => Phase::Connect,
                };
                if due(self.timers[RESOLVE])
                    || due(self.timers[CONNECT])
                    || due(self.timers[TLS])
                    || due(self.timers[DEADLINE])
                {
                    self.fail(Cause::Timeout(phase), now, actions)
                } else if due(self.timers[DELAY]) {
                    self.start_next(now, actions)
                }
            }
            _ => {}
        }
    }
    /// The state.
    pub fn state(&self) -> State {
        self.state
    }
    /// When the next [`Event::Timer`] is due. May change with each `handle`.
    pub fn next_timeout(&self) -> Option<Nanos> {
        self.timers.iter().flatten().min().copied()
    }
    /// Whether `connect_timer` shows.
    pub fn is_connect_timer_armed(&self) -> bool {
        matches!(self.state, State::Connecting | State::TlsHandshake)
            && (self.timers[1..4].iter().any(Option::is_some))
    }
    /// How long the phases took.
    pub fn timing(&self) -> Timing {
        self.timing
    }
}
