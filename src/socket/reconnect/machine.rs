//! The life of a connection that is made again: states, counts, waits, the circuit. Pure: an event and the time go in, actions come
//! out. Owns no socket and calls nobody.

use super::policy::Policy;
use crate::clock::{Nanos, MILLISECOND};

/// What a program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Nothing is tried.
    Disconnected = 0,
    /// An attempt is under way.
    Connecting = 1,
    /// There is a connection.
    Connected = 2,
    /// The next attempt waits for its time.
    Backoff = 3,
    /// So many attempts have failed that the next one waits long.
    CircuitOpen = 4,
}

/// What has happened.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Event {
    /// The program wants a connection.
    Connect,
    /// The program wants none.
    Disconnect,
    /// What went wrong until now does not count.
    Reset,
    /// This attempt has a connection. Whether the peer takes it is known already, or only when the first byte comes.
    Established { attempt: u64, confirmed: bool },
    /// Bytes have come.
    Received,
    /// This attempt has failed.
    AttemptFailed { attempt: u64 },
    /// The connection has broken, or was found to be dead.
    Broken,
    /// Time has passed.
    Tick,
}

/// What is to be done, in this order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Action {
    /// Ends the socket, whatever state it is in.
    Close,
    /// Tells the program. What it does then may change everything: so nothing is assumed afterwards.
    Report(State, State),
    /// Begins this attempt, if it is still [`Machine::wanted`].
    Start(u64),
    /// Looks whether the connection is alive.
    CheckHealth,
}

/// Whether attempts are made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Circuit {
    Closed,
    Open,
    /// One attempt decides.
    HalfOpen,
}

/// The life of one connection.
#[derive(Debug)]
pub(super) struct Machine {
    policy: Policy,
    state: State,
    circuit: Circuit,
    /// Since the last success, the one under way included.
    attempts: u32,
    /// One after the other.
    failures: u32,
    /// The number of the last attempt.
    attempt: u64,
    /// It was not begun yet.
    owed: bool,
    /// When a wait is over.
    due: Nanos,
    /// When the connection is to be looked at; never for `None`.
    health_due: Option<Nanos>,
    /// The connection counts as a success only when bytes have come.
    unconfirmed: bool,
}

impl Machine {
    pub(super) fn new(policy: Policy) -> Machine {
        Machine {
            policy,
            state: State::Disconnected,
            circuit: Circuit::Closed,
            attempts: 0,
            failures: 0,
            attempt: 0,
            owed: false,
            due: 0,
            health_due: None,
            unconfirmed: false,
        }
    }

    pub(super) fn state(&self) -> State {
        self.state
    }

    pub(super) fn attempts(&self) -> u32 {
        self.attempts
    }

    pub(super) fn failures(&self) -> u32 {
        self.failures
    }

    /// Whether the connection counts as a success only when bytes come.
    pub(super) fn is_unconfirmed(&self) -> bool {
        self.unconfirmed
    }

    /// The time a health check may take.
    pub(super) fn health_timeout_ms(&self) -> u32 {
        self.policy.health_timeout_ms
    }

    /// Whether this attempt is under way, or should be.
    pub(super) fn wanted(&self, attempt: u64) -> bool {
        self.state == State::Connecting && self.attempt == attempt
    }

    /// The attempt that was asked for and not begun yet.
    pub(super) fn owed(&self) -> Option<u64> {
        (self.owed && self.state == State::Connecting).then_some(self.attempt)
    }

    /// The attempt is begun.
    pub(super) fn begun(&mut self) {
        self.owed = false;
    }

    /// Milliseconds until a tick has something to do; `None` when only something else can.
    pub(super) fn next_ms(&self, now: Nanos) -> Option<u32> {
        let due = match self.state {
            State::Disconnected => return None,
            State::Connecting => return self.owed.then_some(0),
            State::Connected => self.health_due?,
            State::Backoff | State::CircuitOpen => self.due,
        };
        // Rounded up: the tick must not come too early.
        let ms = due.saturating_sub(now).div_ceil(MILLISECOND);
        Some(u32::try_from(ms).unwrap_or(u32::MAX))
    }

    /// `chance` gives a number from 0 up to 1, for the random share of a wait.
    pub(super) fn handle(
        &mut self,
        event: Event,
        now: Nanos,
        chance: impl FnOnce() -> f64,
    ) -> Vec<Action> {
        match event {
            Event::Connect if self.state == State::Disconnected => self.begin_attempt(),
            Event::Disconnect => {
                self.attempts = 0;
                self.circuit = Circuit::Closed;
                self.end(State::Disconnected)
            }
            Event::Reset => {
                self.attempts = 0;
                self.failures = 0;
                self.circuit = Circuit::Closed;
                if self.state == State::CircuitOpen {
                    // There is nothing to wait for any more.
                    self.due = now;
                }
                Vec::new()
            }
            Event::Established { attempt, confirmed } if self.wanted(attempt) => {
                self.unconfirmed = !confirmed;
                if confirmed {
                    self.succeed();
                }
                self.owed = false;
                self.health_due = self.next_health(now);
                self.go(State::Connected)
            }
            Event::Received if self.state == State::Connected => {
                if std::mem::take(&mut self.unconfirmed) {
                    self.succeed();
                }
                Vec::new()
            }
            Event::AttemptFailed { attempt } if self.wanted(attempt) => self.fail(now, chance),
            Event::Broken if self.state == State::Connected => self.fail(now, chance),
            Event::Tick => self.tick(now),
            _ => Vec::new(),
        }
    }

    fn tick(&mut self, now: Nanos) -> Vec<Action> {
        match self.state {
            State::Backoff if now >= self.due => self.begin_attempt(),
            State::CircuitOpen if now >= self.due => {
                if self.circuit == Circuit::Open {
                    self.circuit = Circuit::HalfOpen;
                }
                self.begin_attempt()
            }
            State::Connecting if self.owed => vec![Action::Start(self.attempt)],
            State::Connected if self.health_due.is_some_and(|due| now >= due) => {
                self.health_due = self.next_health(now);
                vec![Action::CheckHealth]
            }
            _ => Vec::new(),
        }
    }

    fn next_health(&self, now: Nanos) -> Option<Nanos> {
        let interval = Nanos::from(self.policy.health_interval_ms) * MILLISECOND;
        (interval > 0).then(|| now.saturating_add(interval))
    }

    fn begin_attempt(&mut self) -> Vec<Action> {
        self.attempts = self.attempts.saturating_add(1);
        self.attempt += 1;
        self.owed = true;
        let mut actions = self.go(State::Connecting);
        actions.push(Action::Start(self.attempt));
        actions
    }

    fn succeed(&mut self) {
        self.attempts = 0;
        self.failures = 0;
        self.circuit = Circuit::Closed;
    }

    fn fail(&mut self, now: Nanos, chance: impl FnOnce() -> f64) -> Vec<Action> {
        self.failures = self.failures.saturating_add(1);
        let probed = self.circuit == Circuit::HalfOpen;
        if probed || self.failures >= self.policy.circuit_threshold {
            self.circuit = Circuit::Open;
            self.due = now.saturating_add(Nanos::from(self.policy.circuit_reset_ms) * MILLISECOND);
            return self.end(State::CircuitOpen);
        }
        if self.policy.max_attempts > 0 && self.attempts >= self.policy.max_attempts {
            return self.end(State::Disconnected);
        }
        let wait = self.policy.backoff.wait_ms(self.attempts, chance());
        self.due = now.saturating_add(Nanos::from(wait) * MILLISECOND);
        self.end(State::Backoff)
    }

    /// Without a socket.
    fn end(&mut self, state: State) -> Vec<Action> {
        self.owed = false;
        self.unconfirmed = false;
        self.health_due = None;
        let mut actions = vec![Action::Close];
        actions.extend(self.go(state));
        actions
    }

    fn go(&mut self, state: State) -> Vec<Action> {
        let before = std::mem::replace(&mut self.state, state);
        if before == state {
            return Vec::new();
        }
        vec![Action::Report(before, state)]
    }
}
