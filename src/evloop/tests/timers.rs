//! Timers.

use super::*;

#[test]
fn timers_fire_in_order_and_never_early() {
    on_each(|lp| {
        let seen = Record::default();
        let start = clock::now();
        let times = [3, 1, 2, 1, 0, 3];
        let timers: Vec<_> = times
            .iter()
            .enumerate()
            .map(|(index, after)| {
                let deadline = start + after * 3 * MILLI;
                let record = seen.clone();
                let made = lp.timer(timer(move || {
                    assert!(clock::now() >= deadline);
                    record.add(format!("{index}"));
                }));
                made.set_ref(true);
                made.set_deadline(Some(deadline));
                made
            })
            .collect();
        lp.run();
        assert_eq!(seen.take(), ["4", "1", "3", "2", "0", "5"]);
        assert!(timers.iter().all(|t| !t.is_armed()));
    });
}

#[test]
fn a_timer_armed_in_a_round_fires_in_a_later_one() {
    on_each(|lp| {
        let own: Later<Timer> = later();
        let slot = own.clone();
        let calls = Rc::new(Cell::new(0));
        let count = calls.clone();
        let made = lp.timer(timer(move || {
            count.set(count.get() + 1);
            take(&slot).set_deadline(Some(0));
        }));
        *own.borrow_mut() = Some(made.clone());
        // A time long past must not stand for ever in front of one that is due.
        let seen = Record::default();
        let record = seen.clone();
        let patient = lp.timer(timer(move || record.add("patient")));
        patient.set_deadline(Some(clock::now()));
        made.set_deadline(Some(0));
        assert_eq!(lp.run_once(-1), Ok(2));
        assert_eq!(seen.take(), ["patient"]);
        assert_eq!(lp.run_once(-1), Ok(1));
        assert_eq!(calls.get(), 2);
        made.close();
        assert_eq!(lp.run_once(0), Ok(0));
        own.take();
    });
}

#[test]
fn an_overdue_repeat_fires_once() {
    on_each(|lp| {
        let calls = Rc::new(Cell::new(0));
        let count = calls.clone();
        let made = lp.timer(timer(move || count.set(count.get() + 1)));
        made.start(Some(0), Some(SECOND));
        assert_eq!(lp.run_once(-1), Ok(1));
        assert!(made.is_armed());
        // As if the process had been stopped for ten periods.
        let mut timers = lp.timers.borrow_mut();
        let now = clock::now();
        timers.heap.set(0, now - 10 * SECOND);
        let mark = timers.heap.mark();
        assert!(timers.take_due(now, mark).is_some());
        let mark = timers.heap.mark();
        assert!(timers.take_due(now, mark).is_none());
        assert_eq!(timers.heap.first().map(|e| e.deadline), Some(now + SECOND));
        // In time, it keeps its phase.
        timers.heap.set(0, now - 1);
        let mark = timers.heap.mark();
        assert!(timers.take_due(now, mark).is_some());
        assert_eq!(
            timers.heap.first().map(|e| e.deadline),
            Some(now - 1 + SECOND)
        );
    });
}

#[test]
fn a_time_that_never_comes_is_armed_and_waits_for_ever() {
    on_each(|lp| {
        let made = lp.timer(timer(|| panic!("fired")));
        made.start(None, None);
        assert!(made.is_armed());
        assert_eq!(lp.timeout_ms(), -1);
        assert_eq!(lp.run_once(1), Ok(0));
        made.set_deadline(Some(clock::now() + 1_000 * 86_400 * SECOND));
        assert_eq!(lp.timeout_ms(), i32::MAX, "clamped");
    });
}

#[test]
fn timers_of_a_closed_slot_do_not_mix_up() {
    on_each(|lp| {
        let first = lp.timer(timer(|| panic!("closed")));
        first.set_deadline(Some(0));
        first.close();
        first.close();
        first.set_deadline(Some(0));
        assert!(!first.is_armed());
        let calls = Rc::new(Cell::new(0));
        let count = calls.clone();
        let second = lp.timer(timer(move || count.set(count.get() + 1)));
        second.set_deadline(Some(0));
        first.set_deadline(None);
        assert_eq!(lp.run_once(-1), Ok(1));
        assert_eq!(calls.get(), 1);
    });
}
