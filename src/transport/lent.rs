//! What a BIO needs besides where its descriptor belongs to somebody else, who may have made it blocking or not, polls it
//! himself, and may take TLS off again.
//!
//! What was read ahead stays here, where it is still bytes of the wire, and OpenSSL gets no more than it asks for: a
//! header, then a body. And a record that the kernel does not take whole is OpenSSL's to offer again: nobody would flush a
//! tail that was kept here.

use super::buffers;
use super::socket;
use crate::errno::Errno;
use std::cell::Cell;
use std::os::fd::RawFd;

/// So much is read ahead: two large records.
const ROOM: usize = 34 * 1024;
/// A record's type and version and the length of its body.
const HEADER: usize = 5;
const APPLICATION_DATA: u8 = 23;

/// See the module.
pub(super) struct Lent {
    /// Received and not yet asked for: from `start` on.
    ahead: Cell<Vec<u8>>,
    start: Cell<usize>,
    /// How many bytes these are.
    len: Cell<usize>,
    /// The kernel may not wait, whatever the descriptor says.
    impatient: Cell<bool>,
    /// How much of the record that was offered last the kernel has not taken.
    untaken: Cell<usize>,
    /// The type in that record's header.
    kind: Cell<u8>,
}

impl Lent {
    pub(super) fn new() -> Lent {
        Lent {
            ahead: Cell::new(Vec::new()),
            start: Cell::new(0),
            len: Cell::new(0),
            impatient: Cell::new(false),
            untaken: Cell::new(0),
            kind: Cell::new(0),
        }
    }

    pub(super) fn set_impatient(&self, impatient: bool) {
        self.impatient.set(impatient);
    }

    /// Whether nothing was read ahead.
    pub(super) fn is_empty(&self) -> bool {
        self.len.get() == 0
    }

    /// Bytes for OpenSSL. 0: the end of the stream.
    ///
    /// # Safety
    /// `buf` points to `len` writable bytes, with `len` above 0.
    #[inline]
    pub(super) unsafe fn receive(
        &self,
        fd: RawFd,
        buf: *mut u8,
        len: usize,
    ) -> Result<usize, Errno> {
        let kept = self.len.get();
        if kept > 0 {
            let count = kept.min(len);
            let ahead = self.ahead.take();
            let start = self.start.get();
            // SAFETY: `len` bytes lie behind `start` (`fill`), and `count` is no more than there is room for; OpenSSL's
            // buffer is not ours.
            unsafe { std::ptr::copy_nonoverlapping(ahead.as_ptr().add(start), buf, count) };
            self.ahead.set(ahead);
            self.start.set(start + count);
            self.len.set(kept - count);
            return Ok(count);
        }
        // SAFETY: the caller's promise.
        unsafe { self.fill(fd, buf, len) }
    }

    /// Asks the kernel, for OpenSSL's buffer first.
    ///
    /// # Safety
    /// As [`Lent::receive`].
    unsafe fn fill(&self, fd: RawFd, buf: *mut u8, len: usize) -> Result<usize, Errno> {
        let mut ahead = self.ahead.take();
        ahead.clear();
        if ahead.capacity() == 0 {
            ahead = buffers::take();
        }
        // Without memory there is no reading ahead.
        let room = match ahead.try_reserve(ROOM) {
            Ok(()) => ROOM,
            Err(_) => 0,
        };
        let mut places = [(buf, len), (ahead.as_mut_ptr(), room)];
        // SAFETY: the caller's buffer and ours, each writable for its length.
        let received = unsafe { socket::receive_into(fd, &mut places, self.impatient.get()) };
        let surplus = match received {
            Ok(count) => count.saturating_sub(len).min(room),
            Err(_) => 0,
        };
        // SAFETY: the kernel has filled so much of the capacity.
        unsafe { ahead.set_len(surplus) };
        self.ahead.set(ahead);
        self.start.set(0);
        self.len.set(surplus);
        received.map(|count| count - surplus)
    }

    /// Sends some of a record. What the kernel does not take, OpenSSL offers again.
    #[inline]
    pub(super) fn send(&self, fd: RawFd, record: &[u8]) -> Result<usize, Errno> {
        if self.untaken.get() == 0 {
            self.untaken.set(record.len());
            self.kind.set(record.first().copied().unwrap_or(0));
        }
        let count = socket::send_patiently(fd, record, self.impatient.get())?;
        self.untaken.set(self.untaken.get().saturating_sub(count));
        Ok(count)
    }

    /// Whether OpenSSL holds the rest of a record that looks like one with the program's bytes. (Under TLS 1.3 all records
    /// do, whatever they carry.)
    pub(super) fn holds_data(&self) -> bool {
        self.untaken.get() > 0 && self.kind.get() == APPLICATION_DATA
    }

    /// Whether what was read ahead begins with a whole record.
    pub(super) fn has_record(&self) -> bool {
        let kept = self.len.get();
        if kept < HEADER {
            return false;
        }
        let ahead = self.ahead.take();
        let body = match ahead.get(self.start.get()..) {
            Some([_, _, _, high, low, ..]) => usize::from(u16::from_be_bytes([*high, *low])),
            _ => usize::MAX,
        };
        self.ahead.set(ahead);
        kept - HEADER >= body
    }

    /// Gives an empty buffer back.
    #[inline]
    pub(super) fn release(&self) {
        if self.len.get() == 0 {
            buffers::give(self.ahead.take());
        }
    }

    /// Bytes that come before those of the descriptor.
    pub(super) fn put(&self, bytes: Vec<u8>) {
        self.start.set(0);
        self.len.set(bytes.len());
        self.ahead.set(bytes);
    }

    /// What was read ahead: no longer for OpenSSL.
    pub(super) fn take(&self) -> Vec<u8> {
        let mut ahead = self.ahead.take();
        ahead.drain(..self.start.replace(0).min(ahead.len()));
        self.len.set(0);
        ahead
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        buffers::give(self.ahead.take());
    }
}
