//! Idle connections by key, to be used again.
//!
//! Stands on [`crate::conn`] as a program does: it opens, closes and reads like anybody else, and has no way of its own to
//! connect or to do TLS. Must not know the C face.
//!
//! - `shelf`: which connection is the newest or the oldest of which key
//! - `key`: what makes two connections exchangeable
//! - `member`: a connection's tie to its pool, and who hears of it while it is idle
//!
//! A connection that lies in the pool stays watched for reading, so that it leaves at once when its peer closes it or sends
//! something. Whoever gets it hears so from the loop, after the kernel was asked whether anything has come: inside a round by
//! the wait of this round, or by the read that left nothing where the connection was used in this round; outside of one by
//! the wait of the next.

mod key;
mod member;
mod shelf;

use crate::clock::{self, Nanos, SECOND};
use crate::conn::options;
use crate::conn::{Conn, Found, Observer};
use crate::errno::Errno;
use crate::evloop::{AttachKey, Attached, Loop, Timer, TimerHandler};
use crate::log::invalid;
use crate::tls;
use key::Key;
use member::{Member, Stay};
use shelf::{Place, Shelf};
use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::ffi::CStr;
use std::rc::{Rc, Weak};
use std::sync::Arc;

/// How much a pool keeps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Idle connections of one key.
    pub of_a_key: usize,
    /// Idle connections.
    pub of_all: usize,
    /// How long one is idle; `None`: for ever.
    pub age: Option<Nanos>,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            of_a_key: 5,
            of_all: 256,
            age: Some(300 * SECOND),
        }
    }
}

impl Limits {
    /// With the age in seconds: 0 and less keep none, infinity is no limit. EINVAL for NaN.
    pub fn new(of_a_key: usize, of_all: usize, age: f64) -> Result<Limits, Errno> {
        if age.is_nan() {
            return Err(invalid("max_idle_seconds is NaN"));
        }
        Ok(Limits {
            of_a_key,
            of_all,
            age: clock::from_seconds(age),
        })
    }

    fn keep_none(&self) -> bool {
        self.of_a_key == 0 || self.of_all == 0 || self.age == Some(0)
    }
}

/// How many of the connections that a pool closed last it knows again.
const REMEMBERED: usize = 16;

struct Idle {
    conn: Rc<Conn>,
    since: Nanos,
    /// The loop's wait when it was released.
    wait: u32,
}

/// A pool of a loop. It lives until [`Pool::free`], or as long as its loop.
pub struct Pool {
    this: Weak<Pool>,
    lp: Rc<Loop>,
    shelf: RefCell<Shelf<Key, Idle>>,
    lent: Cell<usize>,
    limits: Cell<Limits>,
    /// One for all: armed while a connection may grow too old.
    timer: RefCell<Option<Rc<Timer>>>,
    attached: Cell<Option<AttachKey>>,
    /// The memory of connections that the pool has closed, kept so that no new one gets their address at once: a program that
    /// gives one back twice is told so.
    closed: RefCell<VecDeque<Weak<Conn>>>,
    freed: Cell<bool>,
}

/// Whom to connect to.
pub struct Target<'a> {
    /// What is spoken.
    pub scheme: &'a CStr,
    /// As for [`Conn::open`].
    pub host: &'a CStr,
    /// As for [`Conn::open`].
    pub port: Option<&'a CStr>,
    /// Whether TLS is spoken.
    pub use_tls: bool,
}

impl Pool {
    /// A pool, which the loop holds until it is freed.
    pub fn new(lp: &Rc<Loop>) -> Result<Rc<Pool>, Errno> {
        lp.check_process()?;
        let pool = Rc::new_cyclic(|this| Pool {
            this: this.clone(),
            lp: lp.clone(),
            shelf: RefCell::new(Shelf::new()),
            lent: Cell::new(0),
            limits: Cell::default(),
            timer: RefCell::default(),
            attached: Cell::new(None),
            closed: RefCell::default(),
            freed: Cell::new(false),
        });
        pool.attached.set(Some(lp.attach(pool.clone())));
        Ok(pool)
    }

    /// Closes idle connections; lent ones are nobody's but the program's from now on.
    pub fn free(&self) {
        if self.freed.replace(true) {
            return;
        }
        let timer = self.timer.take();
        if let Some(timer) = timer {
            timer.close();
        }
        self.discard(|shelf| shelf.places(|_| true));
        if let Some(key) = self.attached.take() {
            self.lp.detach(key);
        }
    }

    /// The loop it belongs to.
    pub fn event_loop(&self) -> &Rc<Loop> {
        &self.lp
    }

    /// How many are idle.
    pub fn idle_count(&self) -> usize {
        self.shelf.borrow().len()
    }

    /// How many are idle or lent.
    pub fn total_count(&self) -> usize {
        self.idle_count() + self.lent.get()
    }

    /// A connection: an idle one, of which `observer` hears from the loop that it is READY, or a new one. `prepare` runs on
    /// it before anything can be heard of it. EINVAL as [`Conn::open`], and for an empty scheme; EPERM in a forked child.
    pub fn acquire(
        &self,
        target: &Target<'_>,
        observer: &'static dyn Observer,
        prepare: impl Fn(&Conn),
    ) -> Result<Rc<Conn>, Errno> {
        self.lp.check_process()?;
        if target.scheme.is_empty() {
            return Err(invalid("the scheme is empty"));
        }
        if target.host.is_empty() {
            return Err(invalid("the host is empty"));
        }
        let mut options = options::defaults();
        options.use_tls = target.use_tls;
        if target.use_tls && options.tls.is_none() {
            // What is the default now is what the connection will use; where there is none, it fails and says why.
            options.tls = tls::Context::default_client().ok();
        }
        let terms = options.tls.as_ref().filter(|_| target.use_tls);
        let terms = terms.map(|context: &Arc<tls::Context>| {
            let host = target.host.to_str().unwrap_or_default();
            context.terms(options.server_name.as_deref().unwrap_or(host))
        });
        let key = Key::new(
            target.scheme,
            target.host,
            target.port,
            target.use_tls,
            terms,
        );
        while let Some(conn) = self.lend_idle(&key, observer, &prepare) {
            if let Some(conn) = conn {
                return Ok(conn);
            }
        }
        let member = Member::new(&self.this, Rc::new(key), observer);
        Conn::open(
            &self.lp,
            target.host,
            target.port,
            options,
            observer,
            |conn| {
                prepare(conn);
                member.lend(conn);
            },
        )
    }

    /// Takes the newest idle connection of the key: `None` without one, `Some(None)` for one that was over already.
    fn lend_idle(
        &self,
        key: &Key,
        observer: &'static dyn Observer,
        prepare: &impl Fn(&Conn),
    ) -> Option<Option<Rc<Conn>>> {
        let (_, idle) = self.shelf.borrow_mut().take_newest(key)?;
        let Some(member) = idle.conn.owner::<Member>() else {
            return Some(None);
        };
        member.stay.set(Stay::Lent);
        self.lent.set(self.lent.get() + 1);
        let seen = self.lp.is_in_round();
        // Between two runs of the loop any time may have passed: only the kernel knows whether it is still alive. In a round
        // it was asked a moment ago.
        if !seen && !matches!(idle.conn.look(), Found::Nothing) {
            self.close(&idle.conn);
            return Some(None);
        }
        if idle.conn.is_closed() {
            // By one of its TLS callbacks, which the look may run.
            return Some(None);
        }
        prepare(&idle.conn);
        let waited_for = idle.wait != self.lp.wait_number();
        let known = seen && (waited_for || idle.conn.was_emptied());
        member.hand_out(&idle.conn, observer, known);
        Some(Some(idle.conn))
    }

    /// Takes a connection back, or in: keeps it where it can be used again and `keep` says so, else closes it. A connection
    /// of another loop, and one that lies in a pool already, is left alone, and the log has an error.
    pub fn release(&self, conn: &Conn, keep: bool) {
        if !Rc::ptr_eq(conn.event_loop(), &self.lp) {
            crate::log!(
                Error,
                "pconn_release: the connection belongs to another loop than the pool: it stays the caller's"
            );
            return;
        }
        let Some(conn) = &conn.rc() else { return };
        let member = conn.owner::<Member>();
        if member.as_ref().is_some_and(|m| m.stay.get().is_idle()) {
            return released_twice();
        }
        if conn.has_owner() && member.is_none() {
            crate::log!(
                Error,
                "pconn_release: the connection belongs to an object of this library"
            );
            return;
        }
        let limits = self.limits.get();
        let keep = keep
            && !self.freed.get()
            && !limits.keep_none()
            && self.lp.check_process().is_ok()
            && conn.is_reusable()
            && (conn.was_emptied() || matches!(conn.look(), Found::Nothing));
        // The look may have run TLS callbacks of the program's, which may do anything.
        if conn.is_closed() {
            return;
        }
        if !keep || self.freed.get() {
            return self.close(conn);
        }
        let member = match member.filter(|m| m.is_of(self)) {
            Some(member) => member,
            None => self.adopt(conn),
        };
        if let Some(key) = member.key().now(conn) {
            member.set_key(Rc::new(key));
        }
        self.put(conn, &member);
    }

    /// Makes a connection that is not lent by this pool its own.
    fn adopt(&self, conn: &Rc<Conn>) -> Rc<Member> {
        if let Some(member) = conn.owner::<Member>() {
            member.leave();
        }
        let member = Member::new(&self.this, Rc::new(Key::adopted(conn)), &member::KEEPER);
        member.lend(conn);
        member
    }

    fn put(&self, conn: &Rc<Conn>, member: &Rc<Member>) {
        let since = clock::now();
        let limits = self.limits.get();
        conn.park(&member::KEEPER);
        let key = member.key();
        let idle = Idle {
            conn: conn.clone(),
            since,
            wait: self.lp.wait_number(),
        };
        let place = self.shelf.borrow_mut().put(&key, idle);
        self.lent.set(self.lent.get().saturating_sub(1));
        member.stay.set(Stay::Idle(place));
        self.discard(|shelf| shelf.surplus_of(&key, limits.of_a_key));
        self.discard_oldest();
        self.arm(false);
    }

    /// Closes idle connections.
    pub fn shutdown_all(&self) {
        self.discard(|shelf| shelf.places(|_| true));
    }

    /// Closes idle connections to a host, whatever their scheme and port.
    pub fn flush_for_host(&self, host: &CStr) {
        let host = key::same_host(host);
        self.discard(|shelf| shelf.places(|key| key.is_for(&host)));
    }

    /// Changes the limits; what is too much goes at once, oldest first.
    pub fn set_limits(&self, limits: Limits) {
        self.limits.set(limits);
        if limits.keep_none() {
            return self.shutdown_all();
        }
        self.discard(|shelf| shelf.surplus(limits.of_a_key));
        self.discard_oldest();
        self.discard_old();
        self.arm(true);
    }

    /// A connection that the pool has closed comes back, whose address no other connection has had since.
    pub fn knows_closed(&self, conn: *const Conn) -> bool {
        let known = self.closed.borrow().iter().any(|c| c.as_ptr() == conn);
        if known {
            released_twice();
        }
        known
    }

    fn discard_oldest(&self) {
        let most = self.limits.get().of_all;
        while self.idle_count() > most {
            self.discard(|shelf| shelf.oldest().map(|(place, _)| place).into_iter().collect());
        }
    }

    fn discard_old(&self) {
        let now = clock::now();
        while self.next_too_old().is_some_and(|at| at <= now) {
            self.discard(|shelf| shelf.oldest().map(|(place, _)| place).into_iter().collect());
        }
    }

    /// When the oldest idle connection has been idle for too long.
    fn next_too_old(&self) -> Option<Nanos> {
        let age = self.limits.get().age?;
        let shelf = self.shelf.borrow();
        let (_, oldest) = shelf.oldest()?;
        oldest.since.checked_add(age)
    }

    /// Arms the timer for the oldest. One that is armed for a connection that has left meanwhile fires for nothing, once:
    /// that is cheaper than to move it with each connection that comes and goes.
    fn arm(&self, anew: bool) {
        let Some(this) = self.this.upgrade().filter(|_| !self.freed.get()) else {
            return;
        };
        let timer = {
            let mut slot = self.timer.borrow_mut();
            slot.get_or_insert_with(|| self.lp.timer(this)).clone()
        };
        if anew || !timer.is_armed() {
            timer.set_deadline(self.next_too_old());
        }
    }

    /// Closes the idle connections that `choose` names.
    fn discard(&self, choose: impl FnOnce(&Shelf<Key, Idle>) -> Vec<Place>) {
        let places = choose(&self.shelf.borrow());
        for place in places {
            let idle = self.shelf.borrow_mut().take(place);
            if let Some(idle) = idle {
                if let Some(member) = idle.conn.owner::<Member>() {
                    member.stay.set(Stay::Gone);
                }
                self.close(&idle.conn);
            }
        }
    }

    /// Closes a connection, idle or lent.
    fn close(&self, conn: &Rc<Conn>) {
        conn.close();
        let mut closed = self.closed.borrow_mut();
        let oldest = (closed.len() >= REMEMBERED).then(|| closed.pop_front());
        closed.push_back(Rc::downgrade(conn));
        drop(closed);
        drop(oldest);
    }
}

impl TimerHandler for Pool {
    fn on_timer(self: Rc<Self>) {
        self.discard_old();
        self.arm(true);
    }
}

impl Attached for Pool {
    fn on_loop_freed(self: Rc<Self>) {
        self.attached.set(None);
        self.free();
    }
}

fn released_twice() {
    crate::log!(
        Error,
        "pconn_release: the connection was given to the pool before: it is not the caller's any more"
    );
}
