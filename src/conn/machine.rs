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

/// The machine.
pub struct Machine {}

impl Machine {
    /// A machine in `Init`.
    pub fn new(_limits: Limits, _tls: bool) -> Machine {
        todo!()
    }
    /// Takes one event; appends what to do to `actions`. An event that cannot matter any more is harmless.
    pub fn handle(&mut self, _event: Event, _now: Nanos, _actions: &mut Vec<Action>) {
        todo!()
    }
    /// The state.
    pub fn state(&self) -> State {
        todo!()
    }
    /// When the next [`Event::Timer`] is due. May change with each `handle`.
    pub fn next_timeout(&self) -> Option<Nanos> {
        todo!()
    }
    /// Whether `connect_timer` shows.
    pub fn is_connect_timer_armed(&self) -> bool {
        todo!()
    }
    /// How long the phases took.
    pub fn timing(&self) -> Timing {
        todo!()
    }
}
