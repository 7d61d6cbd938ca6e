//! Deferred tasks, posts, completions.

use super::*;

#[test]
fn deferred_work_keeps_the_loop_running_and_runs_a_round_later() {
    on_each(|lp| {
        let seen = Record::default();
        let (record, weak) = (seen.clone(), Rc::downgrade(lp));
        lp.defer(task(move || {
            record.add("first");
            let record = record.clone();
            weak.upgrade()
                .unwrap()
                .defer(task(move || record.add("second")));
        }));
        assert_eq!(lp.run_once(-1), Ok(1));
        assert_eq!(seen.take(), ["first"]);
        lp.run();
        assert_eq!(seen.take(), ["second"]);
    });
}

#[test]
fn what_is_put_off_to_the_rounds_end_runs_in_it_without_another_wait() {
    on_each(|lp| {
        let seen = Record::default();
        let (record, weak) = (seen.clone(), Rc::downgrade(lp));
        lp.defer(task(move || {
            let lp = weak.upgrade().unwrap();
            let wait = lp.wait_number();
            assert!(lp.is_in_round());
            let (deferred, late, again) = (record.clone(), record.clone(), record.clone());
            lp.defer(task(move || deferred.add("deferred")));
            let weak = weak.clone();
            lp.defer_to_round_end(task(move || {
                late.add("late");
                let lp = weak.upgrade().unwrap();
                assert_eq!(lp.wait_number(), wait);
                let again = again.clone();
                // By such a task: for the next round.
                lp.defer_to_round_end(task(move || again.add("again")));
            }));
            record.add("first");
        }));
        assert!(!lp.is_in_round());
        assert_eq!(lp.run_once(-1), Ok(2));
        assert_eq!(seen.take(), ["first", "late"]);
        assert_eq!(lp.timeout_ms(), 0);
        lp.run();
        assert_eq!(seen.take(), ["deferred", "again"]);
    });
}

#[test]
fn outside_of_a_round_it_waits_for_the_next_ones_end() {
    on_each(|lp| {
        let seen = Record::default();
        let (late, weak) = (seen.clone(), Rc::downgrade(lp));
        let before = lp.wait_number();
        lp.defer_to_round_end(task(move || {
            assert_ne!(weak.upgrade().unwrap().wait_number(), before);
            late.add("late");
        }));
        let deferred = seen.clone();
        lp.defer(task(move || deferred.add("deferred")));
        lp.run();
        assert_eq!(seen.take(), ["deferred", "late"]);
    });
}

#[test]
fn a_break_leaves_the_rounds_end_to_the_next_run() {
    on_each(|lp| {
        let seen = Record::default();
        let (record, weak) = (seen.clone(), Rc::downgrade(lp));
        lp.defer(task(move || {
            let lp = weak.upgrade().unwrap();
            let record = record.clone();
            lp.defer_to_round_end(task(move || record.add("late")));
            lp.break_all();
        }));
        lp.run();
        assert_eq!(seen.take(), [""; 0]);
        lp.run();
        assert_eq!(seen.take(), ["late"]);
    });
}

#[test]
fn posts_of_each_thread_run_in_order_and_each_once() {
    const EACH: usize = 500;
    for kind in POLLERS {
        let lp = Loop::with_poller(kind).unwrap();
        lp.hold();
        let (report, reports) = mpsc::channel();
        let threads: Vec<_> = (0..4)
            .map(|thread| {
                let (remote, report) = (lp.remote(), report.clone());
                std::thread::spawn(move || {
                    for number in 0..EACH {
                        let report = report.clone();
                        let post = move || report.send((thread, number)).unwrap();
                        remote.post(post).unwrap();
                    }
                })
            })
            .collect();
        drop(report);
        let mut next = [0; 4];
        while next != [EACH; 4] {
            lp.run_once(-1).unwrap();
            for (thread, number) in reports.try_iter() {
                assert_eq!(number, next[thread]);
                next[thread] += 1;
            }
        }
        threads
            .into_iter()
            .for_each(|thread| thread.join().unwrap());
        lp.release();
        lp.run();
        lp.free();
        assert_eq!(lp.remote().post(|| {}), Err(Errno(libc::ECANCELED)));
    }
}

#[test]
fn a_post_made_in_a_round_runs_in_a_later_one_without_a_wait() {
    on_each(|lp| {
        let remote = lp.remote();
        let inner = remote.clone();
        remote.post(move || inner.post(|| {}).unwrap()).unwrap();
        assert_eq!(lp.run_once(-1), Ok(1));
        assert_eq!(lp.timeout_ms(), 0);
        assert_eq!(lp.run_once(-1), Ok(1));
        lp.run();
    });
}

#[test]
fn a_completion_carries_a_value_from_another_thread() {
    on_each(|lp| {
        let got = Rc::new(Cell::new(0));
        let slot = got.clone();
        let (completer, _completion) = lp.completion(move |value: i32| slot.set(value));
        lp.run();
        assert_eq!(got.get(), 0, "pending, it keeps nothing running");
        std::thread::spawn(move || completer.complete(42))
            .join()
            .unwrap();
        lp.run();
        assert_eq!(got.get(), 42);
    });
}

#[test]
fn a_cancelled_or_abandoned_completion_is_dropped_with_what_it_holds() {
    on_each(|lp| {
        let held = Rc::new(());
        let own = held.clone();
        let (completer, completion) = lp.completion(move |_: i32| panic!("{own:?}"));
        completer.complete(1);
        completion.cancel();
        completion.cancel();
        assert_eq!(Rc::strong_count(&held), 1);
        lp.run();
        let own = held.clone();
        let (completer, _completion) = lp.completion(move |_: i32| panic!("{own:?}"));
        drop(completer);
        lp.run();
        assert_eq!(Rc::strong_count(&held), 1);
        let own = held.clone();
        let (completer, completion) = lp.completion(move |_: i32| panic!("{own:?}"));
        lp.free();
        assert_eq!(Rc::strong_count(&held), 1);
        completer.complete(1);
        completion.cancel();
    });
}

thread_local! {
    static LULLS: Cell<u32> = const { Cell::new(0) };
    static AFTER_LULL: RefCell<Option<UnixStream>> = const { RefCell::new(None) };
}

fn tidy() {
    LULLS.set(LULLS.get() + 1);
    AFTER_LULL.with_borrow_mut(|stream| stream.as_mut().unwrap().write_all(b"x").unwrap());
}

#[test]
fn a_lull_is_told_once_and_ends_no_run() {
    on_each(|lp| {
        let (reader, writer) = pair();
        AFTER_LULL.set(Some(writer));
        LULLS.set(0);
        let weak = Rc::downgrade(lp);
        let handler = io(move |_, _| weak.upgrade().unwrap().break_all());
        let watcher = lp
            .watch(reader.as_raw_fd(), Interest::READ, handler)
            .unwrap();
        watcher.set_ref(true);
        lp.at_lull(tidy);
        lp.at_lull(tidy);
        // Nothing but the lull makes the descriptor readable.
        lp.run();
        assert_eq!(LULLS.get(), 1);
        watcher.close();
    });
}
