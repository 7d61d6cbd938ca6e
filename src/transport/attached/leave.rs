//! How TLS on somebody else's stream ends in good order: our close_notify, and the peer's.

use super::plain::Plain;
use super::{Attached, ZEROS};
use crate::evloop::Interest;
use crate::transport::engine::{Said, RECORD};
use crate::transport::{buffers, Failure, FailureKind, Halt, Patience};
use openssl_sys as ffi;

/// So many reads of bytes that nobody wants go between two looks at the clock.
const READS: u32 = 16;

/// How far our own close_notify is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Leave {
    NotTaken,
    /// OpenSSL has it, the kernel has not.
    Begun,
    Taken,
}

impl Attached {
    /// Sends close_notify, once, behind what is pending; never waits. Reading may go on.
    pub fn close_notify(&self) -> Result<(), Halt> {
        if self.leave.get() == Leave::Taken {
            return Ok(());
        }
        let busy = self.enter_ready(Patience::None)?;
        while self.pending.get() > 0 {
            self.write_record(&ZEROS[..self.pending.get()])?;
        }
        self.finish_own()?;
        self.leave.set(Leave::Begun);
        // SAFETY: the SSL is alive and its handshake complete. Not called again once it has said 0 or 1: it would read.
        let said = self
            .engine
            .call(|ssl| match unsafe { ffi::SSL_shutdown(ssl) } {
                0 => 1,
                result => result,
            });
        drop(busy);
        if let Some(failure) = self.engine.send_failure() {
            return Err(Halt::Failed(failure));
        }
        match said {
            Said::Done => {
                self.leave.set(Leave::Taken);
                Ok(())
            }
            // An alert that did not go out leaves OpenSSL without a word of why.
            Said::WantRead | Said::WantWrite => Err(self.block(Interest::WRITE)),
            said => Err(self.halt(said)),
        }
    }

    /// Takes leave in both directions, without waiting: sends close_notify, then reads and drops what comes before the
    /// peer's. `Ok(true)` when both were seen, `Ok(false)` when the transport ended or was reset: that is a close, too.
    /// `Blocked` also when `expired` says that it has taken long enough.
    pub fn close(&self, mut expired: impl FnMut() -> bool) -> Result<bool, Halt> {
        match self.close_notify() {
            Ok(()) => {}
            Err(Halt::Failed(failure)) if is_gone(&failure) => return Ok(false),
            Err(halt) => return Err(halt),
        }
        let mut sink = Plain(buffers::take());
        if sink.0.try_reserve(RECORD).is_err() {
            return Err(self.fail(Failure::out_of_memory()));
        }
        let mut reads = 0u32;
        loop {
            match self.read(&mut sink.0.spare_capacity_mut()[..RECORD], Patience::None) {
                Ok(count) => {
                    // SAFETY: the read has put them there.
                    unsafe { sink.wipe_spare(count) };
                    reads = reads.wrapping_add(1);
                    if reads % READS == 0 && expired() {
                        return Err(Halt::Blocked);
                    }
                }
                Err(Halt::Ended) => return Ok(true),
                Err(Halt::Truncated(_)) => return Ok(false),
                Err(Halt::Failed(failure)) if is_gone(&failure) => return Ok(false),
                Err(halt) => return Err(halt),
            }
        }
    }
}

/// Whether there is nobody on the other side any more.
pub(super) fn is_gone(failure: &Failure) -> bool {
    failure.kind == FailureKind::Io
        && matches!(
            failure.errno.0,
            libc::EPIPE | libc::ECONNRESET | libc::ENOTCONN
        )
}
