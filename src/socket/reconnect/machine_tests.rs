use super::machine::{Action, Event, Machine, State};
use super::policy::{Policy, Said, DEFAULTS};
use crate::clock::Nanos;
use proptest::prelude::*;

const MS: Nanos = 1_000_000;
/// No chance.
fn half() -> f64 {
    0.5
}

const SAID: Said = Said {
    initial_delay_ms: 10,
    max_delay_ms: 100,
    multiplier: 2.0,
    jitter: 0.0,
    max_attempts: 3,
    circuit_failure_threshold: 100,
    circuit_reset_timeout_ms: 1000,
    health_check_interval_ms: 50,
    health_check_timeout_ms: 100,
};

fn machine(said: Said) -> Machine {
    Machine::new(Policy::new(&said))
}

fn fail(machine: &mut Machine, now: Nanos) -> Vec<Action> {
    let attempt = machine.owed().unwrap();
    machine.begun();
    machine.handle(Event::AttemptFailed { attempt }, now, half)
}

fn establish(machine: &mut Machine, now: Nanos, confirmed: bool) -> Vec<Action> {
    let attempt = machine.owed().unwrap();
    machine.begun();
    machine.handle(Event::Established { attempt, confirmed }, now, half)
}

#[test]
fn a_connection_is_made_and_ended() {
    let mut m = machine(SAID);
    assert_eq!(m.next_ms(0), None);
    let begun = m.handle(Event::Connect, 0, half);
    assert_eq!(
        begun,
        [
            Action::Report(State::Disconnected, State::Connecting),
            Action::Start(1)
        ]
    );
    assert!(m.handle(Event::Connect, 0, half).is_empty());
    assert_eq!((m.attempts(), m.next_ms(0)), (1, Some(0)));
    m.begun();
    assert_eq!(m.next_ms(0), None);
    let event = Event::Established {
        attempt: 1,
        confirmed: true,
    };
    assert_eq!(
        m.handle(event, 0, half),
        [Action::Report(State::Connecting, State::Connected)]
    );
    assert_eq!((m.attempts(), m.failures()), (0, 0));
    assert_eq!(m.next_ms(0), Some(50));
    assert_eq!(
        m.handle(Event::Disconnect, 0, half),
        [
            Action::Close,
            Action::Report(State::Connected, State::Disconnected)
        ]
    );
    assert_eq!(m.handle(Event::Disconnect, 0, half), [Action::Close]);
}

#[test]
fn failures_wait_longer_and_attempts_end() {
    let mut m = machine(SAID);
    m.handle(Event::Connect, 0, half);
    assert_eq!(
        fail(&mut m, 0),
        [
            Action::Close,
            Action::Report(State::Connecting, State::Backoff)
        ]
    );
    // Initial times the multiplier: the attempt that has failed counts.
    assert_eq!(m.next_ms(0), Some(20));
    assert!(m.handle(Event::Tick, 20 * MS - 1, half).is_empty());
    assert_eq!(m.next_ms(20 * MS - 1), Some(1));
    assert!(!m.handle(Event::Tick, 20 * MS, half).is_empty());
    fail(&mut m, 20 * MS);
    assert_eq!(m.next_ms(20 * MS), Some(40));
    m.handle(Event::Tick, 60 * MS, half);
    assert_eq!((m.attempts(), m.failures()), (3, 2));
    fail(&mut m, 60 * MS);
    assert_eq!(m.state(), State::Disconnected);
    assert_eq!((m.attempts(), m.failures()), (3, 3));
    assert_eq!(m.next_ms(60 * MS), None);
}

#[test]
fn the_circuit_opens_and_one_probe_decides() {
    let said = Said {
        circuit_failure_threshold: 2,
        max_attempts: 2,
        ..SAID
    };
    let mut m = machine(said);
    m.handle(Event::Connect, 0, half);
    fail(&mut m, 0);
    m.handle(Event::Tick, 1000 * MS, half);
    fail(&mut m, 1000 * MS);
    // The circuit comes before the number of attempts.
    assert_eq!(m.state(), State::CircuitOpen);
    assert_eq!(m.next_ms(1000 * MS), Some(1000));
    assert!(m.handle(Event::Tick, 1999 * MS, half).is_empty());
    m.handle(Event::Tick, 2000 * MS, half);
    fail(&mut m, 2000 * MS);
    assert_eq!(m.state(), State::CircuitOpen);
    m.handle(Event::Tick, 3000 * MS, half);
    establish(&mut m, 3000 * MS, true);
    assert_eq!((m.state(), m.failures()), (State::Connected, 0));
    // Closed: one failure alone does not open it.
    m.handle(Event::Broken, 3000 * MS, half);
    assert_eq!(m.state(), State::Backoff);
    // No attempt has failed: the first wait.
    assert_eq!(m.next_ms(3000 * MS), Some(10));
}

#[test]
fn a_reset_forgets_and_an_open_circuit_need_not_be_waited_for() {
    let mut m = machine(Said {
        circuit_failure_threshold: 1,
        ..SAID
    });
    m.handle(Event::Connect, 0, half);
    fail(&mut m, 0);
    assert_eq!(m.state(), State::CircuitOpen);
    assert!(m.handle(Event::Reset, 0, half).is_empty());
    assert_eq!((m.attempts(), m.failures()), (0, 0));
    assert_eq!((m.state(), m.next_ms(0)), (State::CircuitOpen, Some(0)));
    m.handle(Event::Tick, 0, half);
    assert_eq!(m.state(), State::Connecting);
}

#[test]
fn what_is_not_confirmed_is_no_success() {
    let mut m = machine(SAID);
    m.handle(Event::Connect, 0, half);
    establish(&mut m, 0, false);
    assert_eq!((m.state(), m.attempts()), (State::Connected, 1));
    m.handle(Event::Broken, 0, half);
    assert_eq!((m.state(), m.failures()), (State::Backoff, 1));
    assert_eq!(m.next_ms(0), Some(20));
    m.handle(Event::Tick, 1000 * MS, half);
    establish(&mut m, 1000 * MS, false);
    assert_eq!((m.attempts(), m.failures()), (2, 1));
    m.handle(Event::Received, 1000 * MS, half);
    assert_eq!((m.attempts(), m.failures()), (0, 0));
}

#[test]
fn what_an_old_attempt_says_is_not_heard() {
    let mut m = machine(SAID);
    m.handle(Event::Connect, 0, half);
    m.begun();
    m.handle(Event::Disconnect, 0, half);
    m.handle(Event::Connect, 0, half);
    assert!(!m.wanted(1) && m.wanted(2));
    assert!(m
        .handle(Event::AttemptFailed { attempt: 1 }, 0, half)
        .is_empty());
    let old = Event::Established {
        attempt: 1,
        confirmed: true,
    };
    assert!(m.handle(old, 0, half).is_empty());
    assert_eq!(m.state(), State::Connecting);
}

#[test]
fn health_is_looked_after_in_its_interval() {
    let mut m = machine(SAID);
    m.handle(Event::Connect, 0, half);
    establish(&mut m, 0, true);
    assert!(m.handle(Event::Tick, 49 * MS, half).is_empty());
    assert_eq!(m.handle(Event::Tick, 50 * MS, half), [Action::CheckHealth]);
    assert_eq!(m.next_ms(50 * MS), Some(50));
    let mut never = machine(Said {
        health_check_interval_ms: 0,
        ..SAID
    });
    never.handle(Event::Connect, 0, half);
    establish(&mut never, 0, true);
    assert_eq!(never.next_ms(0), None);
    assert!(never.handle(Event::Tick, u64::MAX, half).is_empty());
}

fn any_event() -> impl Strategy<Value = (u8, u64, bool, u32)> {
    (0..8u8, 0..3u64, any::<bool>(), 0..200u32)
}

proptest! {
    #[test]
    fn any_sequence(
        events in proptest::collection::vec(any_event(), 0..200),
        max_attempts in 0..5i32, threshold in 1..6i32, interval in 0..100i32,
    ) {
        let said = Said {
            max_attempts,
            circuit_failure_threshold: threshold,
            health_check_interval_ms: interval,
            ..DEFAULTS
        };
        let mut m = machine(said);
        let (mut now, mut socket, mut told) = (0, false, State::Disconnected);
        let mut last_attempt = 0;
        for (kind, back, flag, pass) in events {
            now += Nanos::from(pass) * 10 * MS;
            let attempt = last_attempt.max(back) - back;
            let before = m.state();
            let event = match kind {
                0 => Event::Connect,
                1 => Event::Disconnect,
                2 => Event::Reset,
                3 => Event::Established { attempt, confirmed: flag },
                4 => Event::Received,
                5 => Event::AttemptFailed { attempt },
                6 => Event::Broken,
                _ => Event::Tick,
            };
            let actions = m.handle(event, now, half);
            for action in &actions {
                match *action {
                    Action::Close => socket = false,
                    Action::Report(old, new) => {
                        // Each change is told once, and none is left out.
                        prop_assert_eq!(old, told);
                        prop_assert_ne!(old, new);
                        told = new;
                    }
                    Action::Start(number) => {
                        prop_assert!(m.wanted(number));
                        prop_assert!(number >= last_attempt);
                        prop_assert!(!socket);
                        last_attempt = number;
                        if flag {
                            m.begun();
                            socket = true;
                        }
                    }
                    Action::CheckHealth => prop_assert_eq!(before, State::Connected),
                }
            }
            prop_assert_eq!(told, m.state());
            let needs_none = [State::Disconnected, State::Backoff, State::CircuitOpen];
            prop_assert!(!(socket && needs_none.contains(&m.state())));
            // Somebody always moves it on: a tick, the socket, or the program.
            match m.state() {
                State::Disconnected => prop_assert_eq!(m.next_ms(now), None),
                State::Connecting => prop_assert_eq!(m.owed().is_some(), m.next_ms(now) == Some(0)),
                State::Connected => prop_assert_eq!(m.next_ms(now).is_some(), interval > 0),
                State::Backoff | State::CircuitOpen => {
                    let wait = m.next_ms(now).unwrap();
                    prop_assert!(wait <= 60_000);
                    let later = now + Nanos::from(wait) * MS;
                    prop_assert_eq!(m.next_ms(later), Some(0));
                }
            }
            if max_attempts > 0 && m.state() == State::Backoff {
                prop_assert!(m.attempts() < max_attempts as u32);
            }
            if m.state() == State::Backoff {
                prop_assert!(m.failures() < threshold as u32);
            }
        }
    }
}
