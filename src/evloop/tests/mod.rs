//! The loop through its Rust face, on both pollers.

mod embedded;
mod ending;
mod readiness;
mod signals;
mod timers;
mod work;

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
