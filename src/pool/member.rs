//! A connection's tie to its pool, and who hears of it while nobody uses it.

use super::key::Key;
use super::shelf::Place;
use super::Pool;
use crate::conn::{Conn, Found, Observer, Owner};
use crate::evloop::Task;
use std::any::Any;
use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

/// Where a connection of a pool is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stay {
    /// With the program.
    Lent,
    /// With the program, which has not heard yet that it is READY.
    HandedOut,
    /// On the shelf.
    Idle(Place),
    /// No longer the pool's.
    Gone,
}

impl Stay {
    pub(super) fn is_idle(self) -> bool {
        matches!(self, Stay::Idle(_))
    }
}

/// The tie, which the connection holds as its owner.
pub(super) struct Member {
    pool: Weak<Pool>,
    key: RefCell<Rc<Key>>,
    pub(super) stay: Cell<Stay>,
    /// Who hears of it while it is lent.
    observer: Cell<&'static dyn Observer>,
}

impl Member {
    pub(super) fn new(
        pool: &Weak<Pool>,
        key: Rc<Key>,
        observer: &'static dyn Observer,
    ) -> Rc<Member> {
        Rc::new(Member {
            pool: pool.clone(),
            key: RefCell::new(key),
            stay: Cell::new(Stay::Gone),
            observer: Cell::new(observer),
        })
    }

    pub(super) fn key(&self) -> Rc<Key> {
        self.key.borrow().clone()
    }

    pub(super) fn set_key(&self, key: Rc<Key>) {
        let before = self.key.replace(key);
        drop(before);
    }

    pub(super) fn is_of(&self, pool: &Pool) -> bool {
        std::ptr::eq(self.pool.as_ptr(), pool)
    }

    /// The pool counts it from now on, as lent, until it is closed.
    pub(super) fn lend(self: &Rc<Self>, conn: &Conn) {
        self.stay.set(Stay::Lent);
        if let Some(pool) = self.pool.upgrade() {
            pool.lent.set(pool.lent.get() + 1);
        }
        conn.set_owner(Some(self.clone()));
    }

    /// The next user has it; `observer` hears from the loop that it is READY: at the end of this round, when the wait's events
    /// have all been told, where that says enough, else after another wait.
    pub(super) fn hand_out(&self, conn: &Rc<Conn>, observer: &'static dyn Observer, known: bool) {
        self.stay.set(Stay::HandedOut);
        self.observer.set(observer);
        conn.hand_out();
        let report = Rc::new(Report(conn.clone()));
        let lp = conn.event_loop();
        match known {
            true => lp.defer_to_round_end(report),
            false => lp.defer(report),
        }
    }

    /// It is not its pool's any more.
    pub(super) fn leave(&self) {
        let stay = self.stay.replace(Stay::Gone);
        let Some(pool) = self.pool.upgrade() else {
            return;
        };
        match stay {
            Stay::Lent | Stay::HandedOut => pool.lent.set(pool.lent.get().saturating_sub(1)),
            Stay::Idle(place) => {
                let idle = pool.shelf.borrow_mut().take(place);
                drop(idle);
            }
            Stay::Gone => {}
        }
    }
}

impl Owner for Member {
    fn on_closed(self: Rc<Self>, _: &Conn) {
        self.leave();
    }

    fn into_any(self: Rc<Self>) -> Rc<dyn Any> {
        self
    }
}

/// Tells the next user that its connection is READY.
struct Report(Rc<Conn>);

impl Task for Report {
    fn run(self: Rc<Self>) {
        let conn = &self.0;
        // Not where it was closed, failed, or given back meanwhile.
        let Some(member) = handed_out(conn) else {
            return;
        };
        if conn.failure().is_some() {
            // It ended with the fork that made this process: the keeper is told.
            return;
        }
        if conn.event_loop().is_crowded() && !conn.was_emptied() {
            // The wait did not tell of everybody.
            look_at(conn);
            if member.stay.get() != Stay::HandedOut {
                return;
            }
        }
        member.stay.set(Stay::Lent);
        conn.report_again(member.observer.get());
    }
}

fn handed_out(conn: &Conn) -> Option<Rc<Member>> {
    let member = conn.owner::<Member>()?;
    (member.stay.get() == Stay::HandedOut).then_some(member)
}

/// Looks whether an unused connection is still what it was; ends it otherwise.
fn look_at(conn: &Rc<Conn>) {
    let found = conn.look();
    if matches!(found, Found::Nothing | Found::Busy) {
        return;
    }
    // Asked now: the look may have run a callback of the program's, which may have acquired it.
    let Some(member) = conn.owner::<Member>() else {
        return;
    };
    match member.stay.get() {
        Stay::Idle(_) => match member.pool.upgrade() {
            Some(pool) => pool.close(conn),
            None => conn.close(),
        },
        Stay::HandedOut => {
            member.stay.set(Stay::Lent);
            conn.fail_handed_out(member.observer.get(), found);
        }
        Stay::Lent | Stay::Gone => {}
    }
}

/// Hears of a connection that nobody uses.
pub(super) struct Keeper;

/// The one there is.
pub(super) static KEEPER: Keeper = Keeper;

impl Observer for Keeper {
    fn on_ready(&self, _: &Rc<Conn>) {}

    fn on_error(&self, conn: &Rc<Conn>) {
        let Some(member) = conn.owner::<Member>() else {
            return;
        };
        match (member.stay.get(), member.pool.upgrade()) {
            (Stay::Idle(_), Some(pool)) => pool.close(conn),
            // The next user hears of it in its place.
            (Stay::HandedOut, _) => {
                member.stay.set(Stay::Lent);
                conn.set_observer(member.observer.get());
                member.observer.get().on_error(conn);
            }
            _ => conn.close(),
        }
    }

    fn on_readable(&self, conn: &Rc<Conn>) {
        look_at(conn);
    }

    fn on_writable(&self, _: &Rc<Conn>) {}
}
