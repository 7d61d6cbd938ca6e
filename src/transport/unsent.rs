//! What a closed connection still owes its peer.

use super::buffers;
use super::socket;
use std::os::fd::{AsRawFd, IntoRawFd, OwnedFd, RawFd};

/// Bytes that were accepted and not yet sent when the transport was closed; FIN follows them.
pub struct Unsent {
    fd: Option<OwnedFd>,
    bytes: Vec<u8>,
    sent: usize,
    done: bool,
}

impl Unsent {
    pub(super) fn new(fd: OwnedFd, bytes: Vec<u8>, sent: usize) -> Unsent {
        Unsent {
            fd: Some(fd),
            bytes,
            sent,
            done: false,
        }
    }

    /// The descriptor to wait on for WRITE.
    pub fn fd(&self) -> RawFd {
        self.fd.as_ref().map_or(-1, AsRawFd::as_raw_fd)
    }

    /// As [`super::Transport::forget_fd`].
    pub fn forget_fd(&mut self) {
        let _ = self.fd.take().map(IntoRawFd::into_raw_fd);
    }

    /// Sends what the kernel takes: true when all is out, or when it never will be.
    pub fn flush(&mut self) -> bool {
        while !self.done {
            let rest = self.bytes.get(self.sent..).unwrap_or(&[]);
            if rest.is_empty() {
                let _ = socket::shut_write(self.fd());
                socket::discard_received(self.fd());
                self.done = true;
                break;
            }
            match socket::send(self.fd(), rest) {
                Ok(count) => self.sent += count,
                Err(errno) if errno.would_block() => return false,
                Err(_) => self.done = true,
            }
        }
        true
    }
}

impl Drop for Unsent {
    fn drop(&mut self) {
        buffers::give(std::mem::take(&mut self.bytes));
    }
}
