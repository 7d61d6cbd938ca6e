//! What a closed connection still has to send: it stays in the loop until the kernel has taken it, at most 5 seconds.

use crate::clock::{self, SECOND};
use crate::evloop::{AttachKey, Attached, Interest, IoHandler, Loop, Timer, TimerHandler, Watcher};
use crate::transport::Unsent;
use std::cell::{Cell, RefCell};
use std::os::fd::RawFd;
use std::rc::Rc;

const LINGER: clock::Nanos = 5 * SECOND;

struct Linger {
    lp: Rc<Loop>,
    unsent: RefCell<Option<Unsent>>,
    watcher: RefCell<Option<Rc<Watcher>>>,
    timer: RefCell<Option<Rc<Timer>>>,
    key: Cell<Option<AttachKey>>,
}

/// Takes over the descriptor and keeps the loop running until all is sent.
pub(super) fn start(lp: &Rc<Loop>, unsent: Unsent) {
    let fd = unsent.fd();
    let linger = Rc::new(Linger {
        lp: lp.clone(),
        unsent: RefCell::new(Some(unsent)),
        watcher: RefCell::default(),
        timer: RefCell::default(),
        key: Cell::new(None),
    });
    match lp.watch(fd, Interest::WRITE, linger.clone()) {
        Ok(watcher) => *linger.watcher.borrow_mut() = Some(watcher),
        Err(errno) => {
            crate::log!(
                Warn,
                "bytes of a closed connection are lost: cannot watch its socket: {errno}"
            );
            return;
        }
    }
    let timer = lp.timer(linger.clone());
    timer.set_deadline(Some(clock::now() + LINGER));
    *linger.timer.borrow_mut() = Some(timer);
    linger.key.set(Some(lp.attach(linger.clone())));
    lp.hold();
}

impl Linger {
    fn end(&self) {
        if let Some(watcher) = self.watcher.take() {
            watcher.close();
        }
        if let Some(timer) = self.timer.take() {
            timer.close();
        }
        let mut unsent = self.unsent.take();
        if self.lp.has_lost_descriptors() {
            unsent.iter_mut().for_each(Unsent::forget_fd);
        }
        // Closes the descriptor.
        drop(unsent);
        if let Some(key) = self.key.take() {
            self.lp.detach(key);
            self.lp.release();
        }
    }
}

impl IoHandler for Linger {
    fn on_io(self: Rc<Self>, _fd: RawFd, _ready: Interest) {
        let done = self.unsent.borrow_mut().as_mut().is_none_or(Unsent::flush);
        if done {
            self.end();
        }
    }
}

impl TimerHandler for Linger {
    fn on_timer(self: Rc<Self>) {
        crate::log!(
            Warn,
            "the peer of a closed connection did not take its last bytes within 5 seconds"
        );
        self.end();
    }
}

impl Attached for Linger {
    fn on_loop_freed(self: Rc<Self>) {
        self.end();
    }

    fn on_forked(self: Rc<Self>) {
        // The parent sends it.
        self.end();
    }
}
