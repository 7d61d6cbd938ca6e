//! Whose a connection is beside the loop's: a pool that lent it, and whatever else is built on top of connections.
//!
//! The connection knows its owner, so that an [`Observer`], which has no state of its own, finds there what it needs; and
//! the owner hears of the close, so that a program may close what it borrowed.

use super::{Conn, Observer};
use std::any::Any;
use std::rc::Rc;

/// Owns connections, one or several.
pub trait Owner: Any {
    /// The connection was closed, by whomever, and is nobody's any more. Runs inside the close (inside `Loop::free` too), with
    /// nothing borrowed, and calls no C code.
    fn on_closed(self: Rc<Self>, conn: &Conn);

    /// Itself, for [`Conn::owner`].
    fn into_any(self: Rc<Self>) -> Rc<dyn Any>;
}

impl Conn {
    /// Gives it to an owner, or to nobody. The owner it had is not told. A closed connection takes none.
    pub fn set_owner(&self, owner: Option<Rc<dyn Owner>>) {
        if !self.closed.get() && (owner.is_some() || self.has_owner()) {
            let before = self.seldom().owner.replace(owner);
            drop(before);
        }
    }

    /// Its owner, where that is a `T`.
    pub fn owner<T: Owner>(&self) -> Option<Rc<T>> {
        let owner = self.seldom.get()?.owner.borrow().clone()?;
        owner.into_any().downcast().ok()
    }

    /// Whether somebody owns it.
    pub fn has_owner(&self) -> bool {
        let seldom = self.seldom.get();
        seldom.is_some_and(|seldom| seldom.owner.borrow().is_some())
    }

    /// Who hears of it from now on. A closed connection is heard of no more.
    pub fn set_observer(&self, observer: &'static dyn Observer) {
        if !self.closed.get() {
            self.observer.set(observer);
        }
    }

    /// It was closed.
    pub(super) fn leave_owner(&self) {
        let owner = self.seldom.get().and_then(|seldom| seldom.owner.take());
        if let Some(owner) = owner {
            owner.on_closed(self);
        }
    }
}
