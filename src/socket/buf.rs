//! A ring buffer whose memory is an arena's: bytes go in at the end and come out at the start, in order. It grows only when
//! it is asked to. One thread uses it at a time.
//!
//! Bytes come and go by address: what a program passes may lie in the buffer itself, and what has not been written yet is
//! never read. Must not know what the bytes mean.

use super::arena::Arena;
use super::error::{Error, Kind};
use crate::errno::Errno;
use std::ptr::{self, NonNull};

/// The least capacity of a new buffer.
pub const MIN_CAPACITY: usize = 512;
/// The largest capacity of a new buffer.
pub const MAX_CAPACITY: usize = 1024 * 1024;
/// The largest block that an arena gives, and so the most to which a buffer grows.
const MOST: usize = 256 * 1024 * 1024;

/// A ring buffer. It stands in its arena, as its bytes do, and so has nothing to drop.
#[derive(Debug)]
pub struct Buf {
    arena: NonNull<Arena>,
    bytes: NonNull<u8>,
    capacity: usize,
    /// Where the first byte of the content is: below `capacity`.
    start: usize,
    /// The content's length: at most `capacity`.
    len: usize,
}

fn failed(text: String) -> Error {
    Error::invalid(Kind::Buf, text)
}

fn no_memory(error: Error) -> Error {
    let text = format!("SocketBuf: no memory in the arena: {}", error.text);
    Error::new(Kind::Buf, error.errno, text)
}

/// Copies between blocks that may overlap.
///
/// # Safety
/// `from` is readable, and `to` writable, for `len` bytes.
unsafe fn copy(from: *const u8, to: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::copy(from, to, len) }
}

/// Overwrites bytes in a way that no compiler leaves out.
///
/// # Safety
/// `bytes` is writable for `len` bytes.
unsafe fn wipe(bytes: *mut u8, len: usize) {
    // SAFETY: the caller's promise.
    unsafe { ptr::write_bytes(bytes, 0, len) };
    // As far as the compiler knows, somebody reads them now.
    std::hint::black_box(bytes);
}

impl Buf {
    /// An empty buffer in this arena. It is given back with the arena, and must not be used after that.
    pub fn new(arena: &Arena, capacity: usize) -> Result<NonNull<Buf>, Error> {
        if !(MIN_CAPACITY..=MAX_CAPACITY).contains(&capacity) {
            return Err(failed(format!(
                "SocketBuf: a capacity of {capacity} bytes is not in {MIN_CAPACITY}..{MAX_CAPACITY}"
            )));
        }
        let place = arena.alloc(size_of::<Buf>()).map_err(no_memory)?.cast();
        let bytes = arena.alloc(capacity).map_err(no_memory)?;
        let buffer = Buf {
            arena: NonNull::from(arena),
            bytes,
            capacity,
            start: 0,
            len: 0,
        };
        // SAFETY: a new block of this size, aligned for any type.
        unsafe { place.write(buffer) };
        Ok(place)
    }

    /// How many bytes can be read.
    pub fn available(&self) -> usize {
        self.len
    }

    /// How many bytes can be written.
    pub fn space(&self) -> usize {
        self.capacity - self.len
    }

    /// The content from `offset` on that lies in one piece.
    fn piece(&self, offset: usize) -> (*mut u8, usize) {
        let at = self.wrapped(offset);
        let len = (self.len - offset).min(self.capacity - at);
        // SAFETY: `at` is within the block.
        (unsafe { self.bytes.as_ptr().add(at) }, len)
    }

    /// The room that lies in one piece, from where the next byte goes.
    fn room(&self) -> (*mut u8, usize) {
        let at = self.wrapped(self.len);
        let len = self.space().min(self.capacity - at);
        // SAFETY: `at` is within the block.
        (unsafe { self.bytes.as_ptr().add(at) }, len)
    }

    /// Where the content's byte `offset` is; `offset` is at most `capacity`.
    fn wrapped(&self, offset: usize) -> usize {
        let at = self.start + offset;
        if at < self.capacity {
            at
        } else {
            at - self.capacity
        }
    }

    /// Appends what there is room for; how much that was.
    ///
    /// # Safety
    /// `data` is readable for `len` bytes.
    pub unsafe fn write(&mut self, data: *const u8, len: usize) -> usize {
        let wanted = len.min(self.space());
        let mut done = 0;
        while done < wanted {
            let (to, room) = self.room();
            let now = room.min(wanted - done);
            // SAFETY: the caller's promise, and room that is ours.
            unsafe { copy(data.add(done), to, now) };
            self.len += now;
            done += now;
        }
        done
    }

    /// Copies the first bytes without taking them; how many.
    ///
    /// # Safety
    /// `data` is writable for `len` bytes.
    pub unsafe fn peek(&self, data: *mut u8, len: usize) -> usize {
        let wanted = len.min(self.len);
        let mut done = 0;
        while done < wanted {
            let (from, there) = self.piece(done);
            let now = there.min(wanted - done);
            // SAFETY: content, and the caller's promise.
            unsafe { copy(from, data.add(done), now) };
            done += now;
        }
        done
    }

    /// Takes the first bytes; how many.
    ///
    /// # Safety
    /// `data` is writable for `len` bytes.
    pub unsafe fn read(&mut self, data: *mut u8, len: usize) -> usize {
        // SAFETY: the caller's promise.
        let count = unsafe { self.peek(data, len) };
        self.skip(count);
        count
    }

    fn skip(&mut self, count: usize) {
        self.start = self.wrapped(count);
        self.len -= count;
        if self.len == 0 {
            // The next content lies in one piece.
            self.start = 0;
        }
    }

    /// Drops the first `count` bytes, which must be there.
    pub fn consume(&mut self, count: usize) -> Result<(), Error> {
        if count > self.len {
            return Err(failed(format!(
                "SocketBuf: {count} bytes cannot be consumed, {} are there",
                self.len
            )));
        }
        self.skip(count);
        Ok(())
    }

    /// Drops the content.
    pub fn clear(&mut self) {
        self.start = 0;
        self.len = 0;
    }

    /// Drops the content and overwrites all memory of the buffer.
    pub fn secureclear(&mut self) {
        self.clear();
        // SAFETY: the buffer's own block.
        unsafe { wipe(self.bytes.as_ptr(), self.capacity) };
    }

    /// Sees to it that at least `space` bytes can be written, by growing; the content stays as it is.
    pub fn reserve(&mut self, space: usize) -> Result<(), Error> {
        if space <= self.space() {
            return Ok(());
        }
        let least = self.len.checked_add(space).filter(|least| *least <= MOST);
        let Some(least) = least else {
            return Err(Error::new(
                Kind::Buf,
                Errno(libc::ENOMEM),
                format!("SocketBuf: {space} more bytes are beyond what an arena gives"),
            ));
        };
        let capacity = self.capacity.saturating_mul(2).clamp(least, MOST);
        // SAFETY: the buffer stands in this arena, so it is alive while the buffer is.
        let arena = unsafe { self.arena.as_ref() };
        let bytes = arena.alloc(capacity).map_err(no_memory)?;
        // SAFETY: a new block that is larger than the content; the old one is the buffer's own. It stays the arena's, so what
        // was in it must not.
        unsafe {
            self.peek(bytes.as_ptr(), self.len);
            wipe(self.bytes.as_ptr(), self.capacity);
        }
        self.bytes = bytes;
        self.capacity = capacity;
        self.start = 0;
        Ok(())
    }

    /// Moves the content so that it lies in one piece, at the beginning of the memory.
    pub fn compact(&mut self) {
        let (start, len, capacity) = (self.start, self.len, self.capacity);
        if start == 0 {
            return;
        }
        let bytes = self.bytes.as_ptr();
        if start + len <= capacity {
            // SAFETY: both are within the block.
            unsafe { copy(bytes.add(start), bytes, len) };
        } else {
            // The whole ring, with the room in it.
            // SAFETY: the buffer's own block; what was not written yet is moved without being looked at.
            let ring = unsafe {
                std::slice::from_raw_parts_mut(bytes.cast::<std::mem::MaybeUninit<u8>>(), capacity)
            };
            ring.rotate_left(start);
        }
        self.start = 0;
    }

    /// The part of the content that lies in one piece, from its first byte on.
    pub fn readable(&self) -> (*const u8, usize) {
        let (at, len) = self.piece(0);
        (at, len)
    }

    /// The part of the room that lies in one piece: to be written to, and then told with [`Buf::written`].
    pub fn writable(&mut self) -> (*mut u8, usize) {
        self.room()
    }

    /// So many bytes were written where [`Buf::writable`] said.
    pub fn written(&mut self, count: usize) -> Result<(), Error> {
        let (_, room) = self.room();
        if count > room {
            return Err(failed(format!(
                "SocketBuf: {count} bytes were not written, there is room for {room} in one piece"
            )));
        }
        self.len += count;
        Ok(())
    }

    fn byte(&self, offset: usize) -> u8 {
        let at = self.wrapped(offset);
        // SAFETY: a byte of the content, which was written.
        unsafe { *self.bytes.as_ptr().add(at) }
    }

    /// Where these bytes are in the content first, from its first byte.
    pub fn find(&self, needle: &[u8]) -> Option<usize> {
        let Some((&first, rest)) = needle.split_first() else {
            return Some(0);
        };
        let mut from = 0;
        while needle.len() <= self.len - from {
            let at = self.find_byte(first, from)?;
            if needle.len() > self.len - at {
                return None;
            }
            let matches = |(i, b): (usize, &u8)| self.byte(at + 1 + i) == *b;
            if rest.iter().enumerate().all(matches) {
                return Some(at);
            }
            from = at + 1;
        }
        None
    }

    fn find_byte(&self, byte: u8, mut from: usize) -> Option<usize> {
        while from < self.len {
            let (at, len) = self.piece(from);
            // SAFETY: content, which was written.
            let piece = unsafe { std::slice::from_raw_parts(at, len) };
            if let Some(found) = piece.iter().position(|b| *b == byte) {
                return Some(from + found);
            }
            from += len;
        }
        None
    }

    /// Takes a line with its newline, and gives it without, NUL-terminated; `None` while no newline is there. Of a line that
    /// is longer than `max - 1` bytes these are given, and the rest of it stays.
    ///
    /// # Safety
    /// `line` is writable for `max` bytes, of which there is at least one.
    pub unsafe fn readline(&mut self, line: *mut u8, max: usize) -> Option<usize> {
        let end = self.find_byte(b'\n', 0)?;
        let count = end.min(max - 1);
        // SAFETY: the caller's promise; with the NUL it is at most `max`.
        unsafe {
            self.read(line, count);
            line.add(count).write(0);
        }
        if count == end {
            self.skip(1);
        }
        Some(count)
    }

    /// Whether the buffer is what it should be.
    pub fn is_sound(&self) -> bool {
        self.capacity >= MIN_CAPACITY
            && self.capacity <= MOST
            && self.start < self.capacity
            && self.len <= self.capacity
    }
}
