//! What the process has once: a resolver for everybody, and how long its names may take.

use super::Error;
use crate::clock::Nanos;
use crate::socket::{dns, timeouts};
use std::ffi::c_int;
use std::sync::{Mutex, MutexGuard, PoisonError};

struct Process {
    /// 0 before it is asked for, and after its end.
    resolver: u64,
    /// `None`: as sockets begin with.
    timeout: Option<c_int>,
}

static PROCESS: Mutex<Process> = Mutex::new(Process {
    resolver: 0,
    timeout: None,
});

fn lock() -> MutexGuard<'static, Process> {
    PROCESS.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Process {
    fn timeout(&self) -> c_int {
        self.timeout.unwrap_or_else(|| timeouts::defaults().dns)
    }
}

/// The resolver, made when it is first asked for.
pub fn resolver() -> Result<u64, Error> {
    let mut process = lock();
    if process.resolver == 0 {
        let made = dns::new()?;
        dns::set_timeout(made, process.timeout())?;
        process.resolver = made;
    }
    Ok(process.resolver)
}

/// How long a name may take, in milliseconds; 0: no limit.
pub fn name_timeout() -> c_int {
    lock().timeout()
}

/// The same; `None`: no limit.
pub(super) fn name_limit() -> Option<Nanos> {
    timeouts::limit(name_timeout())
}

/// Sets it, for the resolver's later requests, too; below 0: as sockets begin with.
pub fn set_name_timeout(ms: c_int) -> Result<(), Error> {
    let mut process = lock();
    process.timeout = (ms >= 0).then_some(ms);
    match process.resolver {
        0 => Ok(()),
        resolver => dns::set_timeout(resolver, process.timeout()),
    }
}

/// Ends the resolver; the next one to ask for it gets another.
pub fn end() {
    let resolver = std::mem::take(&mut lock().resolver);
    // Waits for callbacks, which may ask for the next one.
    dns::free(resolver);
}
