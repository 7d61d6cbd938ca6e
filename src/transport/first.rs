//! The first bytes of a plain stream, which go out before any other: what the kernel does not take at once waits here. A
//! plain stream has no other queue.

use super::stream::Stream;
use super::unsent::Unsent;
use super::{socket, Stop};
use crate::errno::Errno;
use std::cell::Cell;
use std::os::fd::{FromRawFd, OwnedFd, RawFd};
use std::sync::Arc;

struct Rest {
    bytes: Arc<Vec<u8>>,
    sent: usize,
    /// FIN follows.
    fin: bool,
}

/// See the module. Costs a pointer.
#[derive(Default)]
pub(super) struct First(Cell<Option<Box<Rest>>>);

impl First {
    /// Whether bytes wait for the kernel.
    #[inline]
    pub(super) fn waits(&self) -> bool {
        let rest = self.0.take();
        let waits = rest.is_some();
        self.0.set(rest);
        waits
    }

    pub(super) fn send(&self, stream: &Stream, bytes: Arc<Vec<u8>>) {
        if bytes.is_empty() {
            return;
        }
        stream.note_write();
        self.0.set(Some(Box::new(Rest {
            bytes,
            sent: 0,
            fin: false,
        })));
        // A failure is noted in the stream.
        let _ = self.flush(stream);
    }

    /// Sends what the kernel takes: `Ok` when nothing waits any more.
    #[inline]
    pub(super) fn flush(&self, stream: &Stream) -> Result<(), Stop> {
        match self.0.take() {
            None => Ok(()),
            Some(rest) => self.flush_rest(stream, rest),
        }
    }

    #[cold]
    fn flush_rest(&self, stream: &Stream, mut rest: Box<Rest>) -> Result<(), Stop> {
        while let Some(bytes) = rest.bytes.get(rest.sent..).filter(|b| !b.is_empty()) {
            match socket::send(stream.fd(), bytes) {
                Ok(count) => rest.sent += count,
                Err(errno) if errno.would_block() || errno.0 == libc::EINTR => {
                    self.0.set(Some(rest));
                    return Err(Stop::Blocked);
                }
                // The rest has nowhere to go.
                Err(errno) => return Err(Stop::Failed(stream.fail_io(errno).clone())),
            }
        }
        if rest.fin {
            let failed = |errno: Errno| Stop::Failed(stream.fail_io(errno).clone());
            socket::shut_write(stream.fd()).map_err(failed)?;
        }
        Ok(())
    }

    /// Half-close while bytes wait: FIN follows them.
    pub(super) fn shutdown_write(&self, stream: &Stream) -> Result<(), Stop> {
        if let Some(mut rest) = self.0.take() {
            rest.fin = true;
            self.0.set(Some(rest));
            stream.end_writing();
        }
        self.flush(stream)
    }

    /// What a closed stream still owes, with the descriptor that it gave up.
    pub(super) fn take_unsent(&self, fd: RawFd) -> Option<Unsent> {
        let rest = self.0.take()?;
        // SAFETY: the transport took the descriptor out of its stream for this call, and nobody else owns it.
        let fd = unsafe { OwnedFd::from_raw_fd(fd) };
        let bytes = Arc::try_unwrap(rest.bytes).unwrap_or_else(|shared| shared.to_vec());
        Some(Unsent::new(fd, bytes, rest.sent))
    }
}
