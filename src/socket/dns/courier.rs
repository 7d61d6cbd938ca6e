//! The thread that calls the programs' callbacks, one after the other, and lets requests fail that have waited too long. It comes
//! with the first request and goes with the last resolver, or when there was nothing to do for a while.

use super::table::Table;
use crate::clock::{self, SECOND};
use crate::dns::SignalsBlocked;
use crate::errno::Errno;
use std::os::unix::thread::JoinHandleExt;
use std::sync::{Condvar, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// There is something to do for it.
static WORK: Condvar = Condvar::new();
/// A callback has returned.
static RETURNED: Condvar = Condvar::new();
/// Without work it goes after this time.
const IDLE: Duration = Duration::from_secs(5);
/// As much as a thread of the program's own would have.
const STACK: usize = 8 << 20;

/// Tells the courier to look.
pub(super) fn tell() {
    WORK.notify_one();
}

/// Sees to it that there is one.
pub(super) fn ensure(table: &mut Table) -> Result<(), Errno> {
    if table.courier.is_some() {
        return Ok(());
    }
    let number = table.number();
    let _blocked = SignalsBlocked::new();
    let handle = std::thread::Builder::new()
        .name("netconn-dns-cb".to_owned())
        // The program's code runs on it.
        .stack_size(STACK)
        .spawn(move || work(number))
        .map_err(Errno::from)?;
    table.courier = Some((number, handle));
    Ok(())
}

impl Table {
    /// It is to end; whoever gets the handle waits for it. One that is inside a callback (of a resolver that has ended there) goes
    /// by itself: that may wait for whoever would wait for it here.
    pub(super) fn dismiss_courier(&mut self) -> Option<JoinHandle<()>> {
        let (_, handle) = self.courier.take()?;
        WORK.notify_all();
        self.running_on.is_none().then_some(handle)
    }
}

/// Whose standing for a thread costs the program's threads nothing, unlike the standard library's.
pub(super) fn this_thread() -> libc::pthread_t {
    // SAFETY: no arguments.
    unsafe { libc::pthread_self() }
}

/// Waits until it has ended, but not for itself.
pub(super) fn join(courier: JoinHandle<()>) {
    if courier.as_pthread_t() != this_thread() {
        // A panic was caught and logged inside it.
        let _ = courier.join();
    }
}

/// Waits while the callback that is running is such a one, unless this thread is inside it.
pub(super) fn wait_while_running(such: impl Fn(&Table, u64) -> bool) {
    let this = this_thread();
    let mut table = Table::lock();
    while table.running_on.is_some_and(|thread| thread != this) && such(&table, table.running) {
        table = RETURNED.wait(table).unwrap_or_else(PoisonError::into_inner);
    }
}

fn work(number: u64) {
    let mut table = Table::lock();
    loop {
        if table
            .courier
            .as_ref()
            .is_none_or(|(current, _)| *current != number)
        {
            return;
        }
        let expired = table.expire(clock::now());
        if !expired.is_empty() {
            drop(table);
            for ((host, port), left) in expired {
                drop(left);
                super::table::emit_timeout(&host, port);
            }
            table = Table::lock();
            continue;
        }
        if let Some((request, callback, outcome)) = table.next_delivery() {
            drop(table);
            if let Err(thrown) = callback(request, outcome) {
                crate::log!(
                    Error,
                    "a resolver's callback raised an exception, which ends here: {}",
                    thrown.reason.to_string_lossy()
                );
            }
            table = Table::lock();
            table.delivered(request);
            RETURNED.notify_all();
            continue;
        }
        let due = table.deadlines.first().map(|(deadline, _)| *deadline);
        let wait = match due {
            Some(deadline) => Duration::from_nanos(
                deadline
                    .saturating_sub(clock::now())
                    .clamp(1, 3600 * SECOND),
            ),
            None => IDLE,
        };
        let (guard, waited) = WORK
            .wait_timeout(table, wait)
            .unwrap_or_else(PoisonError::into_inner);
        table = guard;
        let idle = due.is_none() && table.deadlines.is_empty() && table.deliveries.is_empty();
        if waited.timed_out() && idle {
            if table
                .courier
                .as_ref()
                .is_some_and(|(current, _)| *current == number)
            {
                // Nobody will wait for it.
                drop(table.courier.take());
            }
            return;
        }
    }
}
