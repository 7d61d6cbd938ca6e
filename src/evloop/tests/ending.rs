//! What ends a run, a round, a loop.

use super::*;

#[test]
fn a_run_ends_when_nothing_is_active() {
    on_each(|lp| {
        let (a, _b) = pair();
        let watcher = lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        let idle = lp.timer(timer(|| {}));
        idle.set_deadline(Some(clock::now() + 3600 * SECOND));
        lp.run();
        assert_eq!(lp.run_once(-1), Ok(0));
        watcher.set_ref(true);
        watcher.set_ref(true);
        assert_eq!(lp.active.get(), 1);
        watcher.stop();
        lp.run();
        watcher.set_interest(Interest::NONE);
        assert_eq!(lp.active.get(), 1, "started, whatever it asks for");
        watcher.set_ref(false);
        watcher.set_ref(true);
        watcher.close();
        idle.set_ref(true);
        idle.set_deadline(Some(clock::now() + 3600 * SECOND));
        assert_eq!(lp.active.get(), 1);
        idle.close();
        lp.hold();
        assert_eq!(lp.run_once(1), Ok(0));
        lp.release();
        lp.run();
        assert_eq!(lp.active.get(), 0);
    });
}

#[test]
fn a_break_ends_every_run_and_nothing_later() {
    on_each(|lp| {
        lp.hold();
        lp.break_all();
        let seen = Record::default();
        let (record, weak) = (seen.clone(), Rc::downgrade(lp));
        let nested = task(move || {
            let lp = weak.upgrade().unwrap();
            let (inner_record, inner) = (record.clone(), Rc::downgrade(&lp));
            lp.defer(task(move || {
                inner_record.add("break");
                inner.upgrade().unwrap().break_all();
            }));
            let after_break = record.clone();
            lp.defer(task(move || after_break.add("after")));
            lp.run();
            record.add("nested run ended");
        });
        lp.defer(nested);
        lp.run();
        assert_eq!(seen.take(), ["break", "nested run ended"]);
        assert_eq!(lp.run_once(0), Ok(1));
        assert_eq!(seen.take(), ["after"]);
    });
}

#[test]
fn a_break_and_a_wake_up_from_another_thread_end_the_wait() {
    on_each(|lp| {
        lp.hold();
        let remote = lp.remote();
        let (go, gone) = mpsc::channel();
        lp.defer(task(move || go.send(()).unwrap()));
        let thread = std::thread::spawn(move || {
            gone.recv().unwrap();
            remote.break_all();
        });
        lp.run();
        thread.join().unwrap();
        lp.remote().wakeup();
        // One wake-up of the break may be left where it came between two waits.
        while lp.run_once(0) != Ok(0) {}
        let remote = lp.remote();
        std::thread::spawn(move || remote.wakeup()).join().unwrap();
        assert_eq!(lp.run_once(-1), Ok(0));
    });
}

#[test]
fn a_nested_round_leaves_the_outer_one_with_stale_events() {
    on_each(|lp| {
        // Each handler reads its byte and runs a nested round: were the outer round to go on with its own events, a
        // handler would run for a byte that is gone.
        let calls = Rc::new(Cell::new(0));
        let depth = Rc::new(Cell::new(0));
        let ends: Vec<_> = (0..3).map(|_| readable_pair()).collect();
        for (end, _) in &ends {
            let (count, depth, weak) = (calls.clone(), depth.clone(), Rc::downgrade(lp));
            let reader = end.try_clone().unwrap();
            let handler = io(move |_, _| {
                let read = (&reader).read(&mut [0]);
                assert_eq!(read.unwrap(), 1, "told of a byte that is not there");
                count.set(count.get() + 1);
                depth.set(depth.get() + 1);
                if depth.get() < 3 {
                    weak.upgrade().unwrap().run_once(0).unwrap();
                }
                depth.set(depth.get() - 1);
            });
            lp.watch(end.as_raw_fd(), Interest::READ, handler).unwrap();
        }
        while lp.run_once(0).unwrap() > 0 {}
        assert_eq!(calls.get(), 3);
    });
}

#[test]
fn freed_in_any_callback_the_loop_calls_nobody_any_more() {
    type Setup = fn(&Rc<Loop>, Rc<dyn Fn()>);
    let setups: [(&str, Setup); 6] = [
        ("io", |lp, act| {
            let (a, b) = readable_pair();
            let watcher = lp.watch(
                a.as_raw_fd(),
                Interest::READ,
                io(move |_, _| {
                    let _peer = &b;
                    act()
                }),
            );
            watcher.unwrap().set_ref(true);
            std::mem::forget(a);
        }),
        ("again", |lp, act| {
            let (a, b) = pair();
            let watcher = lp.watch(
                a.as_raw_fd(),
                Interest::READ,
                io(move |_, _| {
                    let _peer = &b;
                    act()
                }),
            );
            let watcher = watcher.unwrap();
            watcher.set_ref(true);
            watcher.again(Interest::READ);
            std::mem::forget(a);
        }),
        ("timer", |lp, act| {
            let made = lp.timer(timer(move || act()));
            made.set_ref(true);
            made.start(Some(0), Some(1));
        }),
        ("deferred", |lp, act| lp.defer(task(move || act()))),
        ("completion", |lp, act| {
            let (completer, _completion) = lp.completion(move |()| act());
            completer.complete(());
        }),
        ("signal", |lp, act| {
            lp.watch_signal(libc::SIGURG, Rc::new(Call(move |_| act())))
                .unwrap();
            // SAFETY: raises a signal whose handler was just installed.
            unsafe { libc::raise(libc::SIGURG) };
        }),
    ];
    for kind in POLLERS {
        for (name, setup) in setups {
            for _ in 0..2 {
                let lp = Loop::with_poller(kind).unwrap();
                let calls = Rc::new(Cell::new(0));
                let (count, weak) = (calls.clone(), Rc::downgrade(&lp));
                let act: Rc<dyn Fn()> = Rc::new(move || {
                    count.set(count.get() + 1);
                    weak.upgrade().unwrap().free();
                });
                // Twice: the second must not run.
                setup(&lp, act.clone());
                setup(&lp, act.clone());
                lp.run();
                assert_eq!(calls.get(), 1, "{name}");
                assert!(lp.is_freed());
                assert_eq!(Rc::strong_count(&act), 1, "{name}: its handler lives on");
                lp.run();
                lp.free();
                assert_eq!(lp.run_once(0), Err(Errno(libc::EINVAL)));
                assert_eq!(Rc::strong_count(&lp), 1, "{name}: a cycle");
            }
        }
    }
}

#[test]
fn attached_objects_end_with_the_loop_and_may_end_what_they_hold() {
    on_each(|lp| {
        let seen = Record::default();
        let (a, _b) = pair();
        let watcher = lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        let made = lp.timer(timer(|| {}));
        made.set_deadline(Some(0));
        let (record, own_watcher, own_timer) = (seen.clone(), watcher.clone(), made.clone());
        let weak = Rc::downgrade(lp);
        let gone = lp.attach(Rc::new(Call(|| panic!("detached"))));
        lp.attach(Rc::new(Call(move || {
            record.add("object");
            own_watcher.close();
            own_timer.close();
            let lp = weak.upgrade().unwrap();
            assert!(lp.is_freed());
            lp.release();
        })));
        lp.detach(gone);
        let record = seen.clone();
        let mut data = 0;
        let pointer: *mut c_void = (&raw mut data).cast();
        lp.set_attachment(
            pointer,
            Some(Rc::new(Call(move || record.add("attachment")))),
        )
        .unwrap();
        assert_eq!(lp.set_attachment(pointer, None), Err(Errno(libc::EEXIST)));
        assert_eq!(lp.attachment(), pointer);
        lp.free();
        assert_eq!(seen.take(), ["attachment", "object"]);
        watcher.set_interest(Interest::WRITE);
        watcher.again(Interest::WRITE);
        watcher.close();
        made.set_deadline(Some(0));
        assert!(!made.is_armed());
        lp.defer(task(|| {}));
        assert!(lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .is_err());
    });
}

#[test]
fn after_a_panic_only_its_descriptor_is_no_longer_watched() {
    on_each(|lp| {
        let (a, _a) = readable_pair();
        let (b, _b) = readable_pair();
        let failing = lp
            .watch(
                a.as_raw_fd(),
                Interest::READ,
                io(|_, _| panic!("on purpose")),
            )
            .unwrap();
        failing.set_ref(true);
        let slot: Later<Watcher> = later();
        let (own, left) = (slot.clone(), Cell::new(3));
        let healthy = lp
            .watch(
                b.as_raw_fd(),
                Interest::READ,
                io(move |_, _| {
                    left.set(left.get() - 1);
                    if left.get() == 0 {
                        take(&own).stop();
                    }
                }),
            )
            .unwrap();
        healthy.set_ref(true);
        *slot.borrow_mut() = Some(healthy);
        lp.run_guarded();
        assert_eq!(failing.interest(), Interest::NONE);
        assert!(!lp.is_running());
        slot.take();
    });
}
