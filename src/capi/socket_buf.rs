//! `socket/SocketBuf.h`: the ring buffer. Must not know how it turns.

// C names.
#![allow(non_camel_case_types)]

use super::arena::{self, Arena_T};
use super::raise::{raising, violated};
use super::types::c_bool;
use crate::socket::{Buf, Error, Kind};
use std::ffi::{c_char, c_int, c_void, CStr};

/// A ring buffer in an arena.
pub type SocketBuf_T = *mut Buf;

/// The buffer behind a handle, which must not be NULL.
///
/// # Safety
/// `buf` is NULL or a buffer whose arena is alive and which no other thread uses meanwhile.
unsafe fn live<'a>(function: &CStr, buf: SocketBuf_T) -> &'a mut Buf {
    // SAFETY: the caller's promise.
    match unsafe { buf.as_mut() } {
        Some(buf) => buf,
        None => violated(function, "buf", "is NULL"),
    }
}

/// NULL is no place for bytes, but for none.
fn place(function: &str, data: *const c_void, len: usize) -> Result<(), Error> {
    if data.is_null() && len > 0 {
        let text = format!("{function}: the data is NULL, its length {len}");
        return Err(Error::invalid(Kind::Buf, text));
    }
    Ok(())
}

/// Makes an empty buffer of `capacity` bytes: 512 to 1 MiB. Its memory is the arena's, all of it, and goes with it.
///
/// Raises SocketBuf_Failed: a NULL arena, another capacity (EINVAL), an arena that gives no more (ENOMEM).
///
/// # Safety
/// `arena` is NULL or a live arena.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_new(arena: Arena_T, capacity: usize) -> SocketBuf_T {
    raising(c"SocketBuf_new", || {
        if arena.is_null() {
            return Err(Error::invalid(
                Kind::Buf,
                "SocketBuf_new: the arena is NULL",
            ));
        }
        // SAFETY: the caller's promise.
        let arena = unsafe { arena::arena(arena) }?;
        Buf::new(arena, capacity).map(|buf| buf.as_ptr())
    })
}

/// Stores NULL. The memory stays with the arena, and so does what is in it: SocketBuf_secureclear first where that matters.
///
/// # Safety
/// `buf` is NULL or points to a handle.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_release(buf: *mut SocketBuf_T) {
    raising(c"SocketBuf_release", || {
        if !buf.is_null() {
            // SAFETY: not NULL, and the caller's promise.
            unsafe { *buf = std::ptr::null_mut() };
        }
        Ok(())
    })
}

/// Appends what there is room for, up to `len` bytes; how many that were. Never grows.
///
/// Raises SocketBuf_Failed when `data` is NULL and `len` is not 0.
///
/// # Safety
/// `buf` is a buffer, `data` readable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_write(
    buf: SocketBuf_T,
    data: *const c_void,
    len: usize,
) -> usize {
    raising(c"SocketBuf_write", || {
        place("SocketBuf_write", data, len)?;
        // SAFETY: the caller's promise.
        Ok(unsafe { live(c"SocketBuf_write", buf).write(data.cast(), len) })
    })
}

/// Takes up to `len` bytes from the start; how many that were.
///
/// Raises SocketBuf_Failed when `data` is NULL and `len` is not 0.
///
/// # Safety
/// `buf` is a buffer, `data` writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_read(buf: SocketBuf_T, data: *mut c_void, len: usize) -> usize {
    raising(c"SocketBuf_read", || {
        place("SocketBuf_read", data, len)?;
        // SAFETY: the caller's promise.
        Ok(unsafe { live(c"SocketBuf_read", buf).read(data.cast(), len) })
    })
}

/// As SocketBuf_read, but the bytes stay.
///
/// # Safety
/// `buf` is a buffer, `data` writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_peek(buf: SocketBuf_T, data: *mut c_void, len: usize) -> usize {
    raising(c"SocketBuf_peek", || {
        place("SocketBuf_peek", data, len)?;
        // SAFETY: the caller's promise.
        Ok(unsafe { live(c"SocketBuf_peek", buf).peek(data.cast(), len) })
    })
}

/// Drops `len` bytes at the start.
///
/// Raises SocketBuf_Failed, and drops none, when there are fewer.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_consume(buf: SocketBuf_T, len: usize) {
    raising(c"SocketBuf_consume", || {
        // SAFETY: the caller's promise.
        unsafe { live(c"SocketBuf_consume", buf) }.consume(len)
    })
}

/// How many bytes can be read.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_available(buf: SocketBuf_T) -> usize {
    raising(c"SocketBuf_available", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { live(c"SocketBuf_available", buf) }.available())
    })
}

/// How many bytes can be written.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_space(buf: SocketBuf_T) -> usize {
    raising(c"SocketBuf_space", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { live(c"SocketBuf_space", buf) }.space())
    })
}

/// 1 when nothing can be read, else 0.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_empty(buf: SocketBuf_T) -> c_int {
    raising(c"SocketBuf_empty", || {
        // SAFETY: the caller's promise.
        Ok((unsafe { live(c"SocketBuf_empty", buf) }.available() == 0).into())
    })
}

/// 1 when nothing can be written, else 0.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_full(buf: SocketBuf_T) -> c_int {
    raising(c"SocketBuf_full", || {
        // SAFETY: the caller's promise.
        Ok((unsafe { live(c"SocketBuf_full", buf) }.space() == 0).into())
    })
}

/// Drops the content; its bytes stay in the memory until others take their place.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_clear(buf: SocketBuf_T) {
    raising(c"SocketBuf_clear", || {
        // SAFETY: the caller's promise.
        unsafe { live(c"SocketBuf_clear", buf) }.clear();
        Ok(())
    })
}

/// Drops the content and overwrites all memory of the buffer.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_secureclear(buf: SocketBuf_T) {
    raising(c"SocketBuf_secureclear", || {
        // SAFETY: the caller's promise.
        unsafe { live(c"SocketBuf_secureclear", buf) }.secureclear();
        Ok(())
    })
}

/// Sees to it that at least `min_space` bytes can be written: grows where there is less room. What it grew out of is
/// overwritten, and stays the arena's.
///
/// Raises SocketBuf_Failed (ENOMEM), and leaves the buffer as it was, when the arena does not give so much.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_reserve(buf: SocketBuf_T, min_space: usize) {
    raising(c"SocketBuf_reserve", || {
        // SAFETY: the caller's promise.
        unsafe { live(c"SocketBuf_reserve", buf) }.reserve(min_space)
    })
}

/// As SocketBuf_reserve: 1 when there is room for `min_space` bytes now, 0 when the arena does not give so much.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_ensure(buf: SocketBuf_T, min_space: usize) -> c_int {
    raising(c"SocketBuf_ensure", || {
        // SAFETY: the caller's promise.
        let done = unsafe { live(c"SocketBuf_ensure", buf) }.reserve(min_space);
        Ok(done.is_ok().into())
    })
}

/// Moves the content so that all of it, and all of the room, lies in one piece.
///
/// # Safety
/// `buf` is a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_compact(buf: SocketBuf_T) {
    raising(c"SocketBuf_compact", || {
        // SAFETY: the caller's promise.
        unsafe { live(c"SocketBuf_compact", buf) }.compact();
        Ok(())
    })
}

/// The start of the content, and in `len` how much of it lies there in one piece (the rest follows when this was consumed);
/// NULL and 0 when it is empty. Valid until the buffer is changed.
///
/// Raises SocketBuf_Failed when `len` is NULL.
///
/// # Safety
/// `buf` is a buffer, `len` NULL or a place.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_readptr(buf: SocketBuf_T, len: *mut usize) -> *const c_void {
    raising(c"SocketBuf_readptr", || {
        place("SocketBuf_readptr", len.cast(), 1)?;
        // SAFETY: the caller's promise.
        let (at, count) = unsafe { live(c"SocketBuf_readptr", buf) }.readable();
        // SAFETY: not NULL, and the caller's promise.
        unsafe { *len = count };
        Ok(if count == 0 {
            std::ptr::null()
        } else {
            at.cast()
        })
    })
}

/// Where the next bytes go, and in `len` how many fit there in one piece; NULL and 0 when the buffer is full. Write them
/// there, then tell SocketBuf_written. Valid until the buffer is changed.
///
/// Raises SocketBuf_Failed when `len` is NULL.
///
/// # Safety
/// `buf` is a buffer, `len` NULL or a place.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_writeptr(buf: SocketBuf_T, len: *mut usize) -> *mut c_void {
    raising(c"SocketBuf_writeptr", || {
        place("SocketBuf_writeptr", len.cast(), 1)?;
        // SAFETY: the caller's promise.
        let (at, count) = unsafe { live(c"SocketBuf_writeptr", buf) }.writable();
        // SAFETY: not NULL, and the caller's promise.
        unsafe { *len = count };
        Ok(if count == 0 {
            std::ptr::null_mut()
        } else {
            at.cast()
        })
    })
}

/// `len` bytes were written to where SocketBuf_writeptr said.
///
/// Raises SocketBuf_Failed, and counts none, when that is more than it said.
///
/// # Safety
/// `buf` is a buffer; these bytes were written.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_written(buf: SocketBuf_T, len: usize) {
    raising(c"SocketBuf_written", || {
        // SAFETY: the caller's promise.
        unsafe { live(c"SocketBuf_written", buf) }.written(len)
    })
}

/// Where these `n` bytes are in the content for the first time, counted from its start; -1 when they are not, 0 for none.
///
/// Raises SocketBuf_Failed when `needle` is NULL and `n` is not 0.
///
/// # Safety
/// `buf` is a buffer, `needle` readable for `n` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_find(
    buf: SocketBuf_T,
    needle: *const c_void,
    n: usize,
) -> libc::ssize_t {
    raising(c"SocketBuf_find", || {
        place("SocketBuf_find", needle, n)?;
        let needle = match n {
            0 => &[],
            // SAFETY: not NULL, and the caller's promise.
            _ => unsafe { std::slice::from_raw_parts(needle.cast::<u8>(), n) },
        };
        // SAFETY: the caller's promise.
        let found = unsafe { live(c"SocketBuf_find", buf) }.find(needle);
        Ok(found.map_or(-1, |at| at as libc::ssize_t))
    })
}

/// Takes a line and its newline, and stores it without, NUL-terminated; its length. -1 while no newline is there, and then
/// nothing is taken. Of a line that is longer than `max - 1` bytes these are taken, and the rest is the next line's.
///
/// Raises SocketBuf_Failed when `line` is NULL or `max` is 0.
///
/// # Safety
/// `buf` is a buffer, `line` writable for `max` bytes.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_readline(
    buf: SocketBuf_T,
    line: *mut c_char,
    max: usize,
) -> libc::ssize_t {
    raising(c"SocketBuf_readline", || {
        if line.is_null() || max == 0 {
            return Err(Error::invalid(
                Kind::Buf,
                "SocketBuf_readline: there is no room for a line",
            ));
        }
        // SAFETY: the caller's promise.
        let taken = unsafe { live(c"SocketBuf_readline", buf).readline(line.cast(), max) };
        Ok(taken.map_or(-1, |count| count as libc::ssize_t))
    })
}

/// The entries of a vector, each with NULL only for no bytes, in sum no more than an ssize_t counts.
///
/// # Safety
/// `iov` is NULL or readable for `count` entries.
unsafe fn entries<'a>(
    function: &str,
    iov: *const libc::iovec,
    count: c_int,
) -> Result<&'a [libc::iovec], Error> {
    let wrong = |what| Err(Error::invalid(Kind::Buf, format!("{function}: {what}")));
    if count < 0 || (iov.is_null() && count > 0) {
        return wrong("there are no entries to move bytes by");
    }
    if count == 0 {
        return Ok(&[]);
    }
    // SAFETY: not NULL, and the caller's promise.
    let entries = unsafe { std::slice::from_raw_parts(iov, count as usize) };
    let mut sum = 0usize;
    for entry in entries {
        place(function, entry.iov_base, entry.iov_len)?;
        sum = match sum.checked_add(entry.iov_len) {
            Some(sum) if sum <= isize::MAX as usize => sum,
            _ => return wrong("the entries' lengths overflow"),
        };
    }
    Ok(entries)
}

/// Takes bytes from the start and fills the entries in order; how many bytes that were.
///
/// Raises SocketBuf_Failed: a negative count, a NULL entry of some length, lengths that overflow.
///
/// # Safety
/// `buf` is a buffer, `iov` readable for `count` entries, each of them writable.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_readv(
    buf: SocketBuf_T,
    iov: *const libc::iovec,
    count: c_int,
) -> libc::ssize_t {
    raising(c"SocketBuf_readv", || {
        // SAFETY: the caller's promise.
        let entries = unsafe { entries("SocketBuf_readv", iov, count) }?;
        let mut sum = 0;
        for entry in entries {
            // SAFETY: the caller's promise.
            let count =
                unsafe { live(c"SocketBuf_readv", buf).read(entry.iov_base.cast(), entry.iov_len) };
            sum += count;
            if count < entry.iov_len {
                break;
            }
        }
        Ok(sum as libc::ssize_t)
    })
}

/// Appends the entries' bytes in order, as far as there is room; how many bytes that were.
///
/// Raises SocketBuf_Failed: a negative count, a NULL entry of some length, lengths that overflow.
///
/// # Safety
/// `buf` is a buffer, `iov` readable for `count` entries, each of them readable.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_writev(
    buf: SocketBuf_T,
    iov: *const libc::iovec,
    count: c_int,
) -> libc::ssize_t {
    raising(c"SocketBuf_writev", || {
        // SAFETY: the caller's promise.
        let entries = unsafe { entries("SocketBuf_writev", iov, count) }?;
        let mut sum = 0;
        for entry in entries {
            // SAFETY: the caller's promise.
            let count = unsafe {
                live(c"SocketBuf_writev", buf).write(entry.iov_base.cast(), entry.iov_len)
            };
            sum += count;
            if count < entry.iov_len {
                break;
            }
        }
        Ok(sum as libc::ssize_t)
    })
}

/// Whether what the buffer knows of itself fits together; false for NULL. For tests and assertions.
///
/// # Safety
/// `buf` is NULL or a buffer.
#[no_mangle]
pub unsafe extern "C" fn SocketBuf_check_invariants(buf: SocketBuf_T) -> c_bool {
    raising(c"SocketBuf_check_invariants", || {
        // SAFETY: the caller's promise.
        Ok(unsafe { buf.as_ref() }.is_some_and(Buf::is_sound).into())
    })
}
