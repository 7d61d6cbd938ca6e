//! Watched descriptors.

use super::*;

#[test]
fn readiness_is_told_while_it_lasts_and_only_as_asked() {
    on_each(|lp| {
        let (mut a, _b) = readable_pair();
        let seen = Record::default();
        let record = seen.clone();
        let watcher = lp
            .watch(
                a.as_raw_fd(),
                Interest::READ,
                io(move |_, ready| record.add(format!("{}", ready.0))),
            )
            .unwrap();
        assert_eq!(lp.run_once(0), Ok(1));
        assert_eq!(lp.run_once(0), Ok(1));
        watcher.set_interest(Interest::READ.with(Interest::WRITE));
        assert_eq!(lp.run_once(0), Ok(1));
        a.read_exact(&mut [0]).unwrap();
        assert_eq!(lp.run_once(0), Ok(1));
        watcher.set_interest(Interest::READ);
        assert_eq!(lp.run_once(0), Ok(0));
        assert_eq!(seen.take(), ["1", "1", "3", "2"]);
    });
}

#[test]
fn watchers_of_one_descriptor_get_their_own_directions() {
    on_each(|lp| {
        let (a, _b) = readable_pair();
        let seen = Record::default();
        let (r, w) = (seen.clone(), seen.clone());
        let reader = lp
            .watch(
                a.as_raw_fd(),
                Interest::READ,
                io(move |_, ready| r.add(format!("r{}", ready.0))),
            )
            .unwrap();
        let writer = lp
            .watch(
                a.as_raw_fd(),
                Interest::WRITE,
                io(move |_, ready| w.add(format!("w{}", ready.0))),
            )
            .unwrap();
        assert_eq!(lp.run_once(0), Ok(2));
        assert_eq!(seen.take(), ["r1", "w2"]);
        reader.close();
        assert_eq!(lp.run_once(0), Ok(1));
        assert_eq!(seen.take(), ["w2"]);
        writer.stop();
        assert_eq!(lp.run_once(0), Ok(0));
        writer.set_interest(Interest::WRITE);
        assert_eq!(lp.run_once(0), Ok(1));
    });
}

#[test]
fn hang_up_is_told_as_asked_for() {
    on_each(|lp| {
        let (a, b) = pair();
        let seen = Record::default();
        let record = seen.clone();
        let watcher = lp
            .watch(
                a.as_raw_fd(),
                Interest::NONE,
                io(move |_, ready| record.add(format!("{}", ready.0))),
            )
            .unwrap();
        drop(b);
        assert_eq!(lp.run_once(0), Ok(0), "an idle watcher is told nothing");
        watcher.set_interest(Interest::HANGUP);
        assert_eq!(lp.run_once(0), Ok(1));
        watcher.set_interest(Interest::READ);
        assert_eq!(lp.run_once(0), Ok(1));
        watcher.set_interest(Interest::NONE);
        assert_eq!(lp.run_once(0), Ok(0));
        assert_eq!(seen.take(), ["4", "1"]);
    });
}

#[test]
fn a_regular_file_is_always_ready() {
    on_each(|lp| {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let seen = Record::default();
        let record = seen.clone();
        let watcher = lp
            .watch(
                file.as_raw_fd(),
                Interest::READ,
                io(move |_, ready| record.add(format!("{}", ready.0))),
            )
            .unwrap();
        assert_eq!(lp.run_once(-1), Ok(1));
        assert_eq!(lp.run_once(-1), Ok(1));
        assert_eq!(lp.timeout_ms(), 0);
        watcher.stop();
        assert_eq!(lp.run_once(0), Ok(0));
        assert_eq!(lp.timeout_ms(), -1);
        watcher.set_interest(Interest::WRITE);
        assert_eq!(lp.run_once(0), Ok(1));
        watcher.close();
        assert_eq!(lp.run_once(0), Ok(0));
        assert_eq!(seen.take(), ["1", "1", "2"]);
    });
}

#[test]
fn a_closed_descriptor_is_refused() {
    on_each(|lp| {
        for fd in [-1, i32::MIN, i32::MAX, 1 << 20] {
            let refused = lp.watch(fd, Interest::READ, io(|_, _| {}));
            assert_eq!(refused.map(|_| ()), Err(Errno(libc::EBADF)));
        }
    });
}

#[test]
fn the_first_of_two_ready_ones_may_end_the_second() {
    on_each(|lp| {
        let (a, _a) = readable_pair();
        let (b, _b) = readable_pair();
        let calls = Rc::new(Cell::new(0));
        let watchers: Rc<RefCell<Vec<Rc<Watcher>>>> = Rc::default();
        for end in [&a, &b] {
            let (all, count) = (watchers.clone(), calls.clone());
            let watcher = lp
                .watch(
                    end.as_raw_fd(),
                    Interest::READ,
                    io(move |fd, _| {
                        count.set(count.get() + 1);
                        all.borrow()
                            .iter()
                            .filter(|w| w.fd() != fd)
                            .for_each(|w| w.close());
                    }),
                )
                .unwrap();
            watchers.borrow_mut().push(watcher);
        }
        assert_eq!(lp.run_once(0), Ok(1));
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn an_event_of_a_reused_number_is_not_for_the_new_one() {
    on_each(|lp| {
        // Two ready ones; whichever comes first closes the other and opens a quiet one at its number.
        let ends: Vec<_> = (0..2).map(|_| readable_pair()).collect();
        let calls = Rc::new(Cell::new(0));
        let fresh_calls = Rc::new(Cell::new(0));
        let watchers: Rc<RefCell<Vec<Rc<Watcher>>>> = Rc::default();
        let quiet = Rc::new(pair());
        for (end, _) in &ends {
            let (all, count, weak) = (watchers.clone(), calls.clone(), Rc::downgrade(lp));
            let (fresh_count, quiet) = (fresh_calls.clone(), quiet.clone());
            let watcher = lp
                .watch(
                    end.as_raw_fd(),
                    Interest::READ,
                    io(move |fd, _| {
                        count.set(count.get() + 1);
                        let other = all.borrow().iter().find(|w| w.fd() != fd).cloned().unwrap();
                        other.close();
                        let number = other.fd();
                        // SAFETY: dup2 closes `number` and opens it again in one step.
                        assert_eq!(unsafe { libc::dup2(quiet.0.as_raw_fd(), number) }, number);
                        let fresh_count = fresh_count.clone();
                        let lp = weak.upgrade().unwrap();
                        lp.watch(
                            number,
                            Interest::READ,
                            io(move |_, _| fresh_count.set(fresh_count.get() + 1)),
                        )
                        .unwrap();
                        all.borrow().iter().for_each(|w| w.close());
                    }),
                )
                .unwrap();
            watchers.borrow_mut().push(watcher);
        }
        assert_eq!(lp.run_once(0), Ok(1));
        assert_eq!((calls.get(), fresh_calls.get()), (1, 0));
        assert_eq!(lp.run_once(0), Ok(0));
        (&quiet.1).write_all(b"x").unwrap();
        assert_eq!(lp.run_once(0), Ok(1));
        assert_eq!(fresh_calls.get(), 1);
        assert!(!lp.rebuild_wanted.get(), "nothing was wrong");
    });
}

#[test]
fn a_registration_that_outlives_its_descriptor_is_shaken_off() {
    on_each(|lp| {
        let (a, _peer) = readable_pair();
        let (other, _other) = readable_pair();
        let other_watcher = lp
            .watch(other.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        let doomed = lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        assert_eq!(lp.run_once(0), Ok(2));
        // The wrong order, with a duplicate that keeps the registration alive.
        let duplicate = a.try_clone().unwrap();
        drop(a);
        doomed.close();
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(lp.rebuild_wanted.get());
        assert_eq!(lp.run_once(0), Ok(1), "the others go on");
        other_watcher.stop();
        assert_eq!(lp.run_once(0), Ok(0));
        assert_eq!(lp.run_once(0), Ok(0));
        assert!(!lp.rebuild_wanted.get());
        drop(duplicate);
    });
}

#[test]
fn a_number_closed_under_its_watcher_and_watched_again_works() {
    on_each(|lp| {
        let (a, _a) = pair();
        let (b, _b) = readable_pair();
        let number = a.into_raw_fd();
        let stale = lp.watch(number, Interest::READ, io(|_, _| {})).unwrap();
        assert_eq!(lp.run_once(0), Ok(0));
        // SAFETY: dup2 closes `number`, which nobody else owns any more, and opens it again in one step.
        assert_eq!(unsafe { libc::dup2(b.as_raw_fd(), number) }, number);
        let fresh = lp.watch(number, Interest::READ, io(|_, _| {})).unwrap();
        stale.close();
        assert_eq!(lp.run_once(0), Ok(1));
        fresh.close();
        // SAFETY: the number is ours since dup2.
        unsafe { libc::close(number) };
    });
}

#[test]
fn a_descriptor_closed_before_it_was_registered_is_told_once() {
    on_each(|lp| {
        let (a, _b) = pair();
        // A number that no other test can be given meanwhile.
        // SAFETY: duplicates to a free number at or above the given one.
        let number = unsafe { libc::fcntl(a.as_raw_fd(), libc::F_DUPFD_CLOEXEC, 900) };
        assert!(number >= 900);
        let calls = Rc::new(Cell::new(0));
        let count = calls.clone();
        let watcher = lp
            .watch(
                number,
                Interest::READ,
                io(move |_, _| count.set(count.get() + 1)),
            )
            .unwrap();
        // SAFETY: the number is ours.
        unsafe { libc::close(number) };
        assert_eq!(lp.run_once(0), Ok(1));
        assert_eq!(lp.run_once(0), Ok(0));
        watcher.close();
        assert_eq!(calls.get(), 1);
    });
}

#[test]
fn again_dispatches_once_in_a_later_round() {
    on_each(|lp| {
        let (a, _b) = pair();
        let watcher: Later<Watcher> = later();
        let (own, left) = (watcher.clone(), Cell::new(2));
        let made = lp
            .watch(
                a.as_raw_fd(),
                Interest::READ,
                io(move |_, ready| {
                    assert_eq!(ready, Interest::READ);
                    if left.get() > 0 {
                        left.set(left.get() - 1);
                        take(&own).again(Interest::READ);
                    }
                }),
            )
            .unwrap();
        *watcher.borrow_mut() = Some(made.clone());
        made.again(Interest::READ);
        made.again(Interest::READ.with(Interest::WRITE));
        for _ in 0..3 {
            assert_eq!(lp.run_once(-1), Ok(1));
        }
        assert_eq!(lp.run_once(0), Ok(0));
        made.again(Interest::READ);
        made.stop();
        made.set_interest(Interest::READ);
        assert_eq!(lp.run_once(0), Ok(0), "forgotten when it was stopped");
        made.again(Interest::WRITE);
        assert_eq!(lp.run_once(0), Ok(0), "not asked for");
        watcher.take();
    });
}
