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
