//! A value's way from any thread to a closure that runs on the loop.
//!
//! The closure never leaves the loop's thread: it stays in a table there, and only its number and the value travel.

use super::remote::{Message, Remote};
use super::Loop;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::marker::PhantomData;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// A closure that waits for its value.
trait Delivery {
    fn deliver(self: Box<Self>, value: Box<dyn Any + Send>);
}

struct Typed<T, F> {
    deliver: F,
    _value: PhantomData<fn(T)>,
}

impl<T: 'static, F: FnOnce(T)> Delivery for Typed<T, F> {
    fn deliver(self: Box<Self>, value: Box<dyn Any + Send>) {
        // The number was given to a completer of this T alone.
        if let Ok(value) = value.downcast::<T>() {
            (self.deliver)(*value);
        }
    }
}

/// The closures of a loop that wait, by number. Numbers are never used twice.
#[derive(Default)]
pub(super) struct Completions {
    waiting: RefCell<BTreeMap<u64, Box<dyn Delivery>>>,
    next: Cell<u64>,
}

impl Completions {
    pub(super) fn deliver(&self, number: u64, value: Box<dyn Any + Send>) {
        let delivery = self.waiting.borrow_mut().remove(&number);
        if let Some(delivery) = delivery {
            delivery.deliver(value);
        }
    }

    pub(super) fn forget(&self, number: u64) {
        let delivery = self.waiting.borrow_mut().remove(&number);
        drop(delivery);
    }

    pub(super) fn clear(&self) {
        let all = self.waiting.take();
        drop(all);
    }
}

/// A loop-bound half of a [`Completer`]. Dropping it changes nothing.
pub struct Completion {
    lp: Weak<Loop>,
    number: u64,
}

impl Completion {
    /// Another way to the same closure, for when the first was lost in `fork`; the first value to arrive is delivered. Of the
    /// same type, or nothing is. `None` when the loop is gone.
    pub fn completer<T: Send + 'static>(&self) -> Option<Completer<T>> {
        Some(Completer {
            remote: self.lp.upgrade()?.remote.clone(),
            number: self.number,
            sent: false,
            _value: PhantomData,
        })
    }

    /// The closure will never run.
    pub fn cancel(&self) {
        if let Some(lp) = self.lp.upgrade() {
            lp.completions.forget(self.number);
        }
    }
}

/// Carries one value from any thread to a closure that runs on the loop. Dropped without a value, it takes the closure
/// with it.
pub struct Completer<T: Send + 'static> {
    remote: Arc<Remote>,
    number: u64,
    sent: bool,
    _value: PhantomData<fn(T)>,
}

impl<T: Send + 'static> Completer<T> {
    /// Delivers the value: the closure runs on the loop, unless it was cancelled or the loop is gone.
    pub fn complete(mut self, value: T) {
        self.sent = true;
        // Without a loop, in a forked child or without memory there is nobody to tell.
        let _ = self
            .remote
            .send(Message::Deliver(self.number, Box::new(value)));
    }
}

impl<T: Send + 'static> Drop for Completer<T> {
    fn drop(&mut self) {
        if !self.sent {
            let _ = self.remote.send(Message::Abandon(self.number));
        }
    }
}

impl Loop {
    /// A closure that a value from any thread will reach on this loop. Does not keep `run` running by itself.
    pub fn completion<T: Send + 'static>(
        self: &Rc<Loop>,
        deliver: impl FnOnce(T) + 'static,
    ) -> (Completer<T>, Rc<Completion>) {
        let number = self.completions.next.get();
        self.completions.next.set(number + 1);
        if !self.is_freed() {
            let typed = Typed {
                deliver,
                _value: PhantomData,
            };
            let mut waiting = self.completions.waiting.borrow_mut();
            waiting.insert(number, Box::new(typed));
        }
        let completer = Completer {
            remote: self.remote.clone(),
            number,
            sent: false,
            _value: PhantomData,
        };
        let completion = Completion {
            lp: Rc::downgrade(self),
            number,
        };
        (completer, Rc::new(completion))
    }
}
