//! `core/Arena.h`: memory that goes all at once. Must not know how it is cut.

// C names.
#![allow(non_camel_case_types, non_snake_case)]
// "# Safety" would stand in the header, where each comment already says what a C programmer must see to.
#![allow(clippy::missing_safety_doc)]

use super::raise::{raising, raising_at};
use crate::socket::arena::Arena;
use crate::socket::{Error, Kind};
use std::ffi::{c_char, c_int, c_void};

/// A region of memory: the address of a box.
pub type Arena_T = *mut Arena;

/// The arena behind a handle; Arena_Failed (EINVAL) for NULL.
///
/// # Safety
/// `arena` is NULL or was given out by this library and not disposed of, which holds for `'a`.
pub(super) unsafe fn arena<'a>(arena: Arena_T) -> Result<&'a Arena, Error> {
    // SAFETY: the caller's promise.
    unsafe { arena.as_ref() }.ok_or_else(|| Error::invalid(Kind::Arena, "the arena is NULL"))
}

/// Makes an arena that several threads may use at a time. To be ended with Arena_dispose.
///
/// Raises Arena_Failed when there is no memory.
#[no_mangle]
pub unsafe extern "C" fn Arena_new() -> Arena_T {
    raising(c"Arena_new", || Arena::boxed().map(Box::into_raw))
}

/// As Arena_new, for use by one thread at a time.
#[no_mangle]
pub unsafe extern "C" fn Arena_new_unlocked() -> Arena_T {
    raising(c"Arena_new_unlocked", || Arena::boxed().map(Box::into_raw))
}

/// Gives an arena's memory back, all of it, and stores NULL. What stands on it (pools, buffers) must be freed before. NULL and
/// a NULL arena are no-ops.
#[no_mangle]
pub unsafe extern "C" fn Arena_dispose(ap: *mut Arena_T) {
    raising(c"Arena_dispose", || {
        if ap.is_null() {
            return Ok(());
        }
        // SAFETY: not NULL, and points to a handle.
        let arena = unsafe { std::mem::replace(&mut *ap, std::ptr::null_mut()) };
        if !arena.is_null() {
            // SAFETY: from `Box::into_raw` in Arena_new; the program gives it up.
            drop(unsafe { Box::from_raw(arena) });
        }
        Ok(())
    })
}

/// `n` bytes of the arena, which nobody has written: aligned for any type (16), valid until the arena ends or is cleared. Never
/// NULL. `file` (of static storage) and `line` say where it was asked for; ALLOC gives them.
///
/// Raises Arena_Failed, from there: `arena` is NULL, `n` is 0 or more than 256 MiB (EINVAL); there is no memory, or what
/// SocketConfig_set_max_memory allows is used up (ENOMEM).
#[no_mangle]
pub unsafe extern "C" fn Arena_alloc(
    arena: Arena_T,
    n: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    // SAFETY: the program's file and arena are what the comment asks for.
    unsafe {
        raising_at(c"Arena_alloc", file, line, || {
            Ok(self::arena(arena)?.alloc(n)?.as_ptr().cast())
        })
    }
}

/// `count` times `n` bytes of the arena, all zero; else as Arena_alloc. CALLOC gives `file` and `line`.
///
/// Raises Arena_Failed as Arena_alloc, and when `count` is 0 or the product does not fit (EINVAL).
#[no_mangle]
pub unsafe extern "C" fn Arena_calloc(
    arena: Arena_T,
    count: usize,
    n: usize,
    file: *const c_char,
    line: c_int,
) -> *mut c_void {
    // SAFETY: as in Arena_alloc.
    unsafe {
        raising_at(c"Arena_calloc", file, line, || {
            Ok(self::arena(arena)?.calloc(count, n)?.as_ptr().cast())
        })
    }
}

/// Gives all blocks back; the arena can be used on. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn Arena_clear(arena: Arena_T) {
    raising(c"Arena_clear", || {
        // SAFETY: NULL or a live arena.
        if let Some(arena) = unsafe { arena.as_ref() } {
            arena.clear();
        }
        Ok(())
    })
}

/// As Arena_clear, but keeps some memory for the next blocks. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn Arena_reset(arena: Arena_T) {
    raising(c"Arena_reset", || {
        // SAFETY: NULL or a live arena.
        if let Some(arena) = unsafe { arena.as_ref() } {
            arena.reset();
        }
        Ok(())
    })
}
