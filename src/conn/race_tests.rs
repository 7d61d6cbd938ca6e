//! RFC 8305 section 5, in virtual time.

use super::*;
use proptest::prelude::*;

const MS: Nanos = 1_000_000;
const DELAY: Nanos = 250 * MS;
const REFUSED: AttemptError = AttemptError::Errno(libc::ECONNREFUSED);

#[test]
fn the_first_starts_at_once_and_a_single_address_sets_no_timer() {
    let mut race = Race::new(1, DELAY);
    assert_eq!(race.start_next(7), Some(0));
    assert_eq!(race.next_start(), None);
    assert_eq!(race.start_next(7 + 10 * DELAY), None);
    assert!(!race.is_lost());
    assert!(race.failed(0, REFUSED));
    assert!(race.is_lost());
    assert_eq!(race.tried(), 1);
}

#[test]
fn the_next_starts_beside_the_first_after_the_delay_and_not_before() {
    let mut race = Race::new(3, DELAY);
    assert_eq!(race.start_next(1000), Some(0));
    assert_eq!(race.next_start(), Some(1000 + DELAY));
    assert_eq!(race.start_next(1000 + DELAY - 1), None);
    assert_eq!(race.start_next(1000 + DELAY), Some(1));
    assert_eq!(race.in_flight(), [0, 1]);
}

#[test]
fn a_failure_starts_the_next_at_once_whichever_attempt_it_was() {
    let mut race = Race::new(4, DELAY);
    race.start_next(0);
    race.start_next(DELAY);
    // The newer one fails while the first is silent.
    assert!(race.failed(1, REFUSED));
    assert_eq!(race.start_next(DELAY + 1), Some(2));
    // The delay counts from the newest start.
    assert_eq!(race.next_start(), Some(2 * DELAY + 1));
    // The first one fails while the newest waits.
    assert!(race.failed(0, REFUSED));
    assert_eq!(race.start_next(DELAY + 2), Some(3));
    assert_eq!(race.in_flight(), [2, 3]);
}

#[test]
fn a_late_look_at_the_clock_starts_one_attempt_not_a_burst() {
    let mut race = Race::new(5, DELAY);
    race.start_next(0);
    assert_eq!(race.start_next(10 * DELAY), Some(1));
    assert_eq!(race.start_next(10 * DELAY), None);
    assert_eq!(race.next_start(), Some(11 * DELAY));
}

#[test]
fn the_last_failure_is_not_the_end_while_an_older_attempt_waits() {
    let mut race = Race::new(2, DELAY);
    race.start_next(0);
    race.start_next(DELAY);
    race.failed(1, REFUSED);
    assert!(!race.is_lost());
    assert_eq!(race.next_start(), None);
    assert!(race.connected(0));
    assert!(race.in_flight().is_empty());
}

#[test]
fn the_winner_leaves_the_losers_in_the_order_of_their_start() {
    let mut race = Race::new(4, DELAY);
    for k in 0..4 {
        race.start_next(k * DELAY);
    }
    assert!(race.connected(1));
    assert_eq!(race.in_flight(), [0, 2, 3]);
    assert!(!race.connected(1), "one attempt wins once");
}

#[test]
fn a_full_field_waits_until_one_ends() {
    let mut race = Race::new(MAX_IN_FLIGHT + 2, DELAY);
    let mut now = 0;
    for address in 0..MAX_IN_FLIGHT {
        assert_eq!(race.start_next(now), Some(address));
        now += DELAY;
    }
    assert_eq!(race.next_start(), None);
    assert_eq!(race.start_next(now + 100 * DELAY), None);
    assert!(race.failed(3, REFUSED));
    assert_eq!(race.start_next(now), Some(MAX_IN_FLIGHT));
    assert_eq!(race.start_next(now + DELAY), None, "full again");
}

#[test]
fn the_delay_has_the_floor_of_the_rfc_and_may_be_endless() {
    let mut race = Race::new(2, 0);
    race.start_next(0);
    assert_eq!(race.next_start(), Some(MIN_ATTEMPT_DELAY));

    let mut race = Race::new(2, Nanos::MAX);
    race.start_next(1);
    assert_eq!(race.next_start(), None);
    race.failed(0, REFUSED);
    assert_eq!(race.start_next(2), Some(1), "one after another");
}

#[test]
fn news_of_an_attempt_that_is_not_in_flight_changes_nothing() {
    let mut race = Race::new(2, DELAY);
    race.start_next(0);
    for address in [1, 2, usize::MAX] {
        assert!(!race.failed(address, REFUSED));
        assert!(!race.connected(address));
    }
    assert_eq!(race.in_flight(), [0]);
    assert_eq!(race.next_start(), Some(DELAY));
}

#[test]
fn the_verdict() {
    use AttemptError::{Errno, OutOfPorts, Refused};
    use ErrorKind::{Connect, Resource};
    let table: &[(&[AttemptError], (ErrorKind, c_int))] = &[
        (&[REFUSED], (Connect, libc::ECONNREFUSED)),
        // The last one that tells about a peer.
        (
            &[REFUSED, Errno(libc::ENETUNREACH)],
            (Connect, libc::ENETUNREACH),
        ),
        (
            &[REFUSED, Errno(libc::EMFILE)],
            (Connect, libc::ECONNREFUSED),
        ),
        (&[REFUSED, Refused], (Connect, libc::ECONNREFUSED)),
        // Out of something, every time.
        (&[Errno(libc::EMFILE)], (Resource, libc::EMFILE)),
        (&[Errno(libc::ENFILE)], (Resource, libc::ENFILE)),
        (&[Errno(libc::ENOBUFS)], (Resource, libc::ENOBUFS)),
        (&[Errno(libc::ENOSPC)], (Resource, libc::ENOSPC)),
        (
            &[Errno(libc::EMFILE), Errno(libc::ENOMEM)],
            (Resource, libc::ENOMEM),
        ),
        (&[OutOfPorts, OutOfPorts], (Resource, libc::EADDRNOTAVAIL)),
        // A wrong local address, or no IPv6 here: not a shortage.
        (
            &[Errno(libc::EADDRNOTAVAIL)],
            (Connect, libc::EADDRNOTAVAIL),
        ),
        // The full backlog of a Unix socket's server.
        (&[Errno(libc::EAGAIN)], (Connect, libc::EAGAIN)),
        // Refused by the program, every time; and not every time.
        (&[Refused, Refused], (Connect, libc::ECANCELED)),
        (&[Refused, Errno(libc::EMFILE)], (Connect, libc::EMFILE)),
        (&[Errno(libc::EMFILE), Refused], (Connect, libc::EMFILE)),
    ];
    for (errors, verdict) in table {
        let mut race = Race::new(errors.len(), DELAY);
        for (address, error) in errors.iter().enumerate() {
            assert_eq!(race.start_next(0), Some(address));
            assert!(race.failed(address, *error));
        }
        assert!(race.is_lost());
        assert_eq!(race.verdict(), *verdict, "{errors:?}");
    }
}

#[derive(Clone, Debug)]
enum Step {
    Wait(Nanos),
    /// Fails the attempt with this number, in flight or not.
    Fail(usize),
    Connect(usize),
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        3 => (0..2 * DELAY).prop_map(Step::Wait),
        3 => (0..40usize).prop_map(Step::Fail),
        1 => (0..40usize).prop_map(Step::Connect),
    ];
    proptest::collection::vec(step, 0..200)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Addresses start in order and once each; never two within the delay unless a failure lies between; never too many;
    /// and whenever one could start, there is a time for it.
    #[test]
    fn any_course_of_a_race_keeps_the_rules(
        addresses in 0usize..40,
        delay in 0..2 * DELAY,
        steps in steps(),
    ) {
        let mut race = Race::new(addresses, delay);
        let delay = delay.max(MIN_ATTEMPT_DELAY);
        let mut now = 5;
        let mut expected = 0;
        let mut waiting = Vec::new();
        let mut last_start = None;
        let mut failed_since = false;
        for step in steps {
            if let Some(address) = race.start_next(now) {
                prop_assert_eq!(address, expected);
                if let Some(last) = last_start {
                    prop_assert!(failed_since || now >= last + delay);
                }
                expected += 1;
                waiting.push(address);
                last_start = Some(now);
                failed_since = false;
            }
            prop_assert_eq!(race.start_next(now), None, "one at a time");
            prop_assert!(expected <= addresses);
            prop_assert!(waiting.len() <= MAX_IN_FLIGHT);
            prop_assert_eq!(race.in_flight(), &waiting[..]);
            prop_assert_eq!(race.tried(), expected);
            prop_assert_eq!(race.is_lost(), waiting.is_empty() && expected == addresses);
            let can_start = expected < addresses && waiting.len() < MAX_IN_FLIGHT;
            prop_assert_eq!(race.next_start().is_some(), can_start);
            prop_assert!(race.next_start().is_none_or(|at| at > now));
            match step {
                Step::Wait(length) => now += length,
                Step::Fail(address) => {
                    let known = waiting.contains(&address);
                    waiting.retain(|&a| a != address);
                    failed_since |= known;
                    prop_assert_eq!(race.failed(address, REFUSED), known);
                }
                Step::Connect(address) => {
                    let known = waiting.contains(&address);
                    waiting.retain(|&a| a != address);
                    prop_assert_eq!(race.connected(address), known);
                }
            }
        }
    }
}
