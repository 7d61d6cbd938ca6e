//! A connection's end in a child of `fork`: it is the parent's, who goes on with it.
//!
//! Two processes on one socket would each take bytes that the other waits for, and on one TLS state use a nonce twice. So
//! the child lets go of everything at once, without a byte or a FIN: its descriptors are closed, and those of the parent
//! keep the socket as it is. (Where the host has closed them already, their numbers are left alone.) The program hears of it from the loop.

use super::machine::{ErrorKind, Event, State};
use super::{Conn, Establishing};
use std::rc::Rc;

impl Conn {
    /// The loop is taken over by a child.
    pub(super) fn end_in_child(self: &Rc<Self>) {
        if self.closed.get() || self.forked.replace(true) {
            return;
        }
        let ended = matches!(self.state(), State::Closed | State::Error);
        if !ended {
            let endpoint = self.endpoint();
            self.set_failure(
                ErrorKind::Io,
                libc::ECANCELED,
                format!("connection to {endpoint} failed: it is the parent's, and this is a forked child"),
            );
        }
        self.let_go();
        if self.state() == State::Ready {
            self.set_state(State::Error);
        }
        // In place of what the loop was to hear: that was about what the parent has. Where a failure is still to be told, it
        // is told all the same.
        self.deferred.take();
        self.defer(Event::Forked);
    }

    /// Closes every descriptor, and forgets the lookup.
    fn let_go(&self) {
        let establishing =
            |e: &mut Establishing| (e.request.take(), std::mem::take(&mut e.attempts));
        let (request, attempts) = self.with_establishing(establishing).unwrap_or_default();
        if let Some(request) = request {
            request.cancel();
        }
        for attempt in attempts {
            self.drop_attempt(attempt);
        }
        self.drop_transport();
    }
}
