//! The loop through its Rust face, on both pollers.

use super::*;
use crate::clock::SECOND;
use std::io::{Read, Write};
use std::os::fd::{AsRawFd, IntoRawFd};
use std::os::unix::net::UnixStream;
use std::sync::mpsc;

const MILLI: Nanos = SECOND / 1000;
const POLLERS: [Kind; 2] = [Kind::Epoll, Kind::Polling];

/// Runs the test on a loop of each kind, which is freed after it.
fn on_each(test: impl Fn(&Rc<Loop>)) {
    for kind in POLLERS {
        let lp = Loop::with_poller(kind).unwrap();
        test(&lp);
        lp.free();
    }
}

/// A handler made of a closure.
struct Call<F>(F);

impl<F: Fn(RawFd, Interest)> IoHandler for Call<F> {
    fn on_io(self: Rc<Self>, fd: RawFd, ready: Interest) {
        (self.0)(fd, ready)
    }
}
impl<F: Fn()> TimerHandler for Call<F> {
    fn on_timer(self: Rc<Self>) {
        (self.0)()
    }
}
impl<F: Fn()> Task for Call<F> {
    fn run(self: Rc<Self>) {
        (self.0)()
    }
}
impl<F: Fn()> Attached for Call<F> {
    fn on_loop_freed(self: Rc<Self>) {
        (self.0)()
    }
}
impl<F: Fn(i32)> SignalHandler for Call<F> {
    fn on_signal(self: Rc<Self>, signum: i32) {
        (self.0)(signum)
    }
}

fn io<F: Fn(RawFd, Interest) + 'static>(f: F) -> Rc<dyn IoHandler> {
    Rc::new(Call(f))
}
fn timer<F: Fn() + 'static>(f: F) -> Rc<dyn TimerHandler> {
    Rc::new(Call(f))
}
fn task<F: Fn() + 'static>(f: F) -> Rc<dyn Task> {
    Rc::new(Call(f))
}

/// What happened, in order.
#[derive(Clone, Default)]
struct Record(Rc<RefCell<Vec<String>>>);

impl Record {
    fn add(&self, what: impl Into<String>) {
        self.0.borrow_mut().push(what.into());
    }
    fn take(&self) -> Vec<String> {
        self.0.take()
    }
}

fn pair() -> (UnixStream, UnixStream) {
    let (a, b) = UnixStream::pair().unwrap();
    a.set_nonblocking(true).unwrap();
    b.set_nonblocking(true).unwrap();
    (a, b)
}

/// A pair whose first end has a byte to read.
fn readable_pair() -> (UnixStream, UnixStream) {
    let (a, mut b) = pair();
    b.write_all(b"x").unwrap();
    (a, b)
}

/// Keeps a slot for what a handler needs but is made after it.
type Later<T> = Rc<RefCell<Option<Rc<T>>>>;

fn later<T>() -> Later<T> {
    Rc::new(RefCell::new(None))
}

fn take<T>(later: &Later<T>) -> Rc<T> {
    later.borrow().clone().unwrap()
}

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
        // One that was due before comes first all the same.
        let seen = Record::default();
        let record = seen.clone();
        let patient = lp.timer(timer(move || record.add("patient")));
        patient.set_deadline(Some(0));
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
fn a_signal_reaches_every_watcher_of_every_loop_and_then_does_what_it_did() {
    for kind in POLLERS {
        let loops = [
            Loop::with_poller(kind).unwrap(),
            Loop::with_poller(kind).unwrap(),
        ];
        let disposition = || {
            // SAFETY: an all-zero sigaction is a valid one to fill.
            unsafe {
                let mut now: libc::sigaction = std::mem::zeroed();
                libc::sigaction(libc::SIGWINCH, std::ptr::null(), &mut now);
                now.sa_sigaction
            }
        };
        let before = disposition();
        let calls = Rc::new(Cell::new(0));
        let watchers: Vec<_> = [&loops[0], &loops[0], &loops[1]]
            .map(|lp| {
                let count = calls.clone();
                let handler = Rc::new(Call(move |signum| {
                    assert_eq!(signum, libc::SIGWINCH);
                    count.set(count.get() + 1);
                }));
                lp.watch_signal(libc::SIGWINCH, handler).unwrap()
            })
            .into();
        assert_ne!(disposition(), before);
        // SAFETY: raises a signal that is handled.
        unsafe { libc::raise(libc::SIGWINCH) };
        assert_eq!(loops[0].run_once(-1), Ok(2));
        assert_eq!(loops[1].run_once(-1), Ok(1));
        watchers[0].stop();
        watchers[0].stop();
        watchers[2].close();
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGWINCH) };
        assert_eq!(loops[0].run_once(-1), Ok(1));
        assert_eq!(calls.get(), 4);
        assert_eq!(loops[1].run_once(0), Ok(0));
        assert_eq!(loops[0].active.get(), 1);
        loops[0].free();
        assert_eq!(disposition(), before);
        loops[1].free();
    }
}

#[test]
fn signals_that_cannot_be_events_are_refused() {
    on_each(|lp| {
        for signum in [
            0,
            -1,
            65,
            i32::MAX,
            libc::SIGKILL,
            libc::SIGSTOP,
            libc::SIGSEGV,
            32,
        ] {
            let refused = lp.watch_signal(signum, Rc::new(Call(|_| {})));
            assert_eq!(refused.map(|_| ()), Err(Errno(libc::EINVAL)), "{signum}");
        }
        assert_eq!(lp.active.get(), 0);
    });
}

/// Whether a host that polls the loop's descriptor would call it now.
fn is_readable(fd: RawFd, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&mut poll, 1, timeout_ms) == 1 }
}

#[test]
fn an_embedded_loop_shows_every_kind_of_work() {
    on_each(|lp| {
        let fd = lp.embed_fd().unwrap();
        assert_eq!(lp.embed_fd(), Ok(fd));
        lp.run_once(0).unwrap();
        assert!(!is_readable(fd, 0));

        let (mut a, mut b) = pair();
        let watcher = lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        assert!(!is_readable(fd, 0));
        b.write_all(b"x").unwrap();
        assert!(is_readable(fd, 0), "at once, without a round");
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(is_readable(fd, 0), "level-triggered");
        watcher.stop();
        assert!(!is_readable(fd, 0));
        watcher.set_interest(Interest::READ);
        assert!(is_readable(fd, 0));
        a.read_exact(&mut [0]).unwrap();
        assert!(!is_readable(fd, 0));

        watcher.again(Interest::READ);
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));

        let weak = Rc::downgrade(lp);
        lp.defer(task(move || weak.upgrade().unwrap().defer(task(|| {}))));
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(is_readable(fd, 0), "what was added in the round");
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));

        let remote = lp.remote();
        std::thread::spawn(move || remote.post(|| {}).unwrap())
            .join()
            .unwrap();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));

        let made = lp.timer(timer(|| {}));
        made.set_deadline(Some(clock::now() + 2 * MILLI));
        assert!(is_readable(fd, -1));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));
        made.set_deadline(Some(0));
        assert!(is_readable(fd, -1));
        made.close();
        assert!(!is_readable(fd, 0));

        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let watcher = lp
            .watch(file.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(is_readable(fd, 0));
        watcher.close();
        lp.run_once(0).unwrap();
        assert!(!is_readable(fd, 0));
    });
}

#[test]
fn an_embedded_loop_survives_the_rebuilding_of_its_poller() {
    on_each(|lp| {
        let fd = lp.embed_fd().unwrap();
        let (a, _peer) = readable_pair();
        let (mut other, mut other_peer) = pair();
        let kept = lp
            .watch(other.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        let doomed = lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        let duplicate = a.try_clone().unwrap();
        drop(a);
        doomed.close();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(0));
        assert_eq!(lp.run_once(0), Ok(0));
        assert!(!is_readable(fd, 0));
        other_peer.write_all(b"x").unwrap();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        other.read_exact(&mut [0]).unwrap();
        lp.remote().wakeup();
        assert!(is_readable(fd, 0));
        kept.close();
        drop(duplicate);
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
