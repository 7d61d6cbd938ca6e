//! The system calls that changes cost, counted on a kernel that can be told to fail.

use super::*;
use crate::evloop::Loop;

/// Notes what it is asked and answers as it is told.
#[derive(Default)]
struct Kernel {
    calls: Vec<String>,
    add: Option<i32>,
    modify: Option<i32>,
}

fn answer(errno: Option<i32>) -> Result<(), Errno> {
    errno.map_or(Ok(()), |errno| Err(Errno(errno)))
}

impl Backend for Kernel {
    fn add(&mut self, fd: RawFd, _key: Key, interest: Interest) -> Result<(), Errno> {
        self.calls.push(format!("add {fd} {}", interest.0));
        answer(self.add)
    }
    fn modify(&mut self, fd: RawFd, _key: Key, interest: Interest) -> Result<(), Errno> {
        self.calls.push(format!("modify {fd} {}", interest.0));
        answer(self.modify)
    }
    fn remove(&mut self, fd: RawFd) -> Result<(), Errno> {
        self.calls.push(format!("remove {fd}"));
        Ok(())
    }
    fn add_wake(&mut self, _fd: RawFd) -> Result<(), Errno> {
        Ok(())
    }
    fn wait(&mut self, _events: &mut Vec<Event>, _timeout_ms: i32) -> Result<(), Errno> {
        Ok(())
    }
    fn raw_fd(&self) -> RawFd {
        -1
    }
    fn abandon(self) {}
}

struct Nobody;
impl IoHandler for Nobody {
    fn on_io(self: Rc<Self>, _fd: RawFd, _ready: Interest) {}
}

/// A table of its own, with watchers that belong to a loop that never hears of them.
struct Bench {
    lp: Rc<Loop>,
    table: Table,
    kernel: Kernel,
}

const FD: RawFd = 5;

impl Bench {
    fn new() -> Bench {
        Bench {
            lp: Loop::new().unwrap(),
            table: Table::default(),
            kernel: Kernel::default(),
        }
    }
    fn watch(&mut self, interest: Interest) -> Rc<Watcher> {
        let watcher = Rc::new(Watcher::new(&self.lp, FD, interest));
        let watched: Watched = (watcher.clone(), Rc::new(Nobody));
        self.table.add(FD, watched).unwrap();
        watcher
    }
    fn change(&mut self, watcher: &Watcher, interest: Interest) {
        watcher.set_interest(interest);
        self.table.touch(FD);
    }
    /// The system calls of a flush.
    fn flush(&mut self) -> Vec<String> {
        let troubles = self.table.flush(&mut self.kernel, 1);
        assert!(troubles.is_empty());
        std::mem::take(&mut self.kernel.calls)
    }
    fn remove(&mut self, watcher: &Watcher) -> Vec<String> {
        let removed = self.table.remove(watcher, Some(&mut self.kernel), 1);
        assert!(removed.is_some());
        std::mem::take(&mut self.kernel.calls)
    }
}

impl Drop for Bench {
    fn drop(&mut self) {
        self.lp.free();
    }
}

#[test]
fn changes_that_cancel_out_cost_nothing() {
    let mut bench = Bench::new();
    let watcher = bench.watch(Interest::READ);
    assert_eq!(bench.flush(), ["add 5 1"]);
    bench.change(&watcher, Interest::WRITE);
    bench.change(&watcher, Interest::READ);
    assert_eq!(bench.flush(), [""; 0]);
    bench.change(&watcher, Interest::NONE);
    bench.change(&watcher, Interest::READ.with(Interest::WRITE));
    assert_eq!(bench.flush(), ["modify 5 3"]);
    assert_eq!(bench.flush(), [""; 0]);
}

#[test]
fn a_watcher_that_comes_and_goes_before_a_wait_costs_nothing() {
    let mut bench = Bench::new();
    let watcher = bench.watch(Interest::READ);
    assert_eq!(bench.remove(&watcher), [""; 0]);
    let watcher = bench.watch(Interest::NONE);
    assert_eq!(bench.flush(), [""; 0]);
    assert_eq!(bench.remove(&watcher), [""; 0]);
    assert_eq!(bench.flush(), [""; 0]);
}

#[test]
fn the_last_watcher_leaves_at_once_and_others_before_the_next_wait() {
    let mut bench = Bench::new();
    let reader = bench.watch(Interest::READ);
    let writer = bench.watch(Interest::WRITE);
    assert_eq!(bench.flush(), ["add 5 3"]);
    assert_eq!(bench.remove(&reader), [""; 0]);
    assert_eq!(bench.flush(), ["modify 5 2"]);
    bench.change(&writer, Interest::NONE);
    assert_eq!(bench.flush(), ["remove 5"]);
    bench.change(&writer, Interest::HANGUP);
    assert_eq!(bench.flush(), ["add 5 4"]);
    assert_eq!(bench.remove(&writer), ["remove 5"]);
}

#[test]
fn a_second_watcher_makes_sure_that_the_registration_is_there() {
    let mut bench = Bench::new();
    let _first = bench.watch(Interest::READ);
    bench.flush();
    let _second = bench.watch(Interest::READ);
    bench.kernel.modify = Some(libc::ENOENT);
    assert_eq!(bench.flush(), ["modify 5 1", "add 5 1"]);
    bench.kernel.modify = None;
    assert_eq!(bench.flush(), [""; 0]);
}

#[test]
fn a_registration_that_is_there_already_is_taken_over() {
    let mut bench = Bench::new();
    let _watcher = bench.watch(Interest::READ);
    bench.kernel.add = Some(libc::EEXIST);
    assert_eq!(bench.flush(), ["add 5 1", "modify 5 1"]);
}

#[test]
fn what_cannot_be_polled_is_asked_for_once() {
    let mut bench = Bench::new();
    let watcher = bench.watch(Interest::READ);
    bench.kernel.add = Some(libc::EPERM);
    assert_eq!(bench.flush(), ["add 5 1"]);
    assert!(bench.table.has_unpollable());
    bench.change(&watcher, Interest::WRITE);
    assert_eq!(bench.flush(), [""; 0]);
    bench.change(&watcher, Interest::NONE);
    assert_eq!(bench.flush(), [""; 0]);
    assert!(!bench.table.has_unpollable());
}

#[test]
fn what_the_kernel_refuses_is_said_once_and_tried_again() {
    let mut bench = Bench::new();
    let watcher = bench.watch(Interest::READ);
    bench.kernel.add = Some(libc::ENOSPC);
    let troubles = bench.table.flush(&mut bench.kernel, 1);
    assert!(matches!(
        troubles[..],
        [Trouble::Refused(FD, Errno(libc::ENOSPC))]
    ));
    assert_eq!(bench.table.failed, [FD]);
    bench.kernel.calls.clear();
    bench.table.retry_failed();
    assert_eq!(bench.flush(), ["add 5 1"]);
    bench.kernel.add = None;
    bench.table.retry_failed();
    assert_eq!(bench.flush(), ["add 5 1"]);
    assert!(bench.table.failed.is_empty());
    bench.kernel.add = Some(libc::ENOMEM);
    bench.remove(&watcher);
    let watcher = bench.watch(Interest::READ);
    assert_eq!(
        bench.table.flush(&mut bench.kernel, 1).len(),
        1,
        "said again for another one"
    );
    bench.remove(&watcher);
    assert!(bench.table.failed.is_empty());
}

#[test]
fn a_descriptor_closed_under_its_watcher_is_reported() {
    let mut bench = Bench::new();
    let _watcher = bench.watch(Interest::READ);
    bench.kernel.add = Some(libc::EBADF);
    let troubles = bench.table.flush(&mut bench.kernel, 1);
    assert!(matches!(troubles[..], [Trouble::Closed(FD)]));
}

#[test]
fn an_event_of_a_removed_registration_is_stale_in_its_round_and_undead_after() {
    let mut bench = Bench::new();
    let watcher = bench.watch(Interest::READ);
    bench.flush();
    let event = Event::new(Key::new(FD, 0), Event::IN);
    assert!(bench.table.target(event).is_some());
    bench.remove(&watcher);
    assert!(bench.table.target(event).is_none());
    assert!(matches!(bench.table.unusual(event, 1), Unusual::Nobody));
    assert!(matches!(bench.table.unusual(event, 2), Unusual::Undead));
    let _next = bench.watch(Interest::READ);
    bench.flush();
    assert!(bench.table.target(event).is_none());
    assert!(matches!(bench.table.unusual(event, 2), Unusual::Undead));
    let wake = Event::new(Key::WAKE, Event::IN);
    assert!(matches!(bench.table.unusual(wake, 2), Unusual::Nobody));
}

#[test]
fn one_watcher_is_one_small_allocation() {
    assert!(size_of::<Descriptor>() <= 48);
    assert!(size_of::<Watcher>() <= 16);
}
