//! `net_conn.h`: the bytes of a connection.
#![allow(non_camel_case_types)]

use super::guard::{self, fallible, infallible};
use super::net_conn::{conn_event_cb, hold, look, net_conn, raw, required};
use crate::conn::Conn;
use crate::errno::Errno;
use crate::transport::{self, Operation};
use std::ffi::{c_int, c_void};

/// The socket of a connection that needs nothing but the kernel for these arguments; negative otherwise. What runs on it
/// cannot panic and leaves errno as the kernel does.
///
/// # Safety
/// As for [`hold`].
#[inline(always)]
unsafe fn direct_fd(c: *mut net_conn, buf: *const c_void, len: usize) -> c_int {
    // NULL, no length, and lengths that no buffer has, are for the core to answer: one less, each is negative.
    let odd = (c as usize).wrapping_sub(1) | (buf as usize).wrapping_sub(1) | len.wrapping_sub(1);
    if (odd as isize) < 0 {
        return -1;
    }
    let conn: *const Conn = c.cast_const().cast();
    // SAFETY: not NULL, and the address inside an Rc that the loop owns until the close; nothing runs that could end it.
    unsafe { (*conn).direct_fd() }
}

/// The direct way moved bytes.
///
/// # Safety
/// `c` has given a [`direct_fd`].
#[inline(always)]
unsafe fn moved(c: *mut net_conn) {
    let conn: *const Conn = c.cast_const().cast();
    // SAFETY: not NULL, and the address inside an Rc that the loop owns until the close; nothing has run since the look at
    // it that could end it.
    unsafe { (*conn).note_moved() }
}

/// The direct way did not give a byte: what that means.
///
/// # Safety
/// As for [`hold`].
#[cold]
#[inline(never)]
unsafe fn after_direct(c: *mut net_conn, operation: Operation, count: isize) -> isize {
    fallible(|| {
        let errno = Errno::last();
        // SAFETY: as the caller promises.
        let conn = unsafe { required(c, "conn_try_read or conn_try_write") }?;
        let answer = usize::try_from(count).map_err(|_| errno);
        conn.after_direct(operation, answer).map(|n| n as isize)
    })
}

/// # Safety
/// As for [`conn_try_read`].
#[inline(never)]
unsafe fn read_through_core(c: *mut net_conn, buf: *mut c_void, len: usize) -> isize {
    fallible(|| {
        // SAFETY: as the caller promises.
        let conn = unsafe { required(c, "conn_try_read") }?;
        if len == 0 {
            return conn.read(&mut []).map(|n| n as isize);
        }
        if buf.is_null() {
            return Err(Errno(libc::EINVAL));
        }
        // More than isize::MAX cannot be read at once anyhow.
        let len = len.min(isize::MAX as usize);
        // SAFETY: not NULL, and the caller promises room for `len` bytes, which nobody else uses during the call.
        let buf = unsafe { std::slice::from_raw_parts_mut(buf.cast(), len) };
        conn.read(buf).map(|n| n as isize)
    })
}

/// # Safety
/// As for [`conn_try_write`].
#[inline(never)]
unsafe fn write_through_core(c: *mut net_conn, buf: *const c_void, len: usize) -> isize {
    fallible(|| {
        // SAFETY: as the caller promises.
        let (conn, buf) = unsafe { (required(c, "conn_try_write")?, guard::bytes(buf, len)?) };
        conn.write(buf).map(|n| n as isize)
    })
}

/// Reads at most len bytes into buf.
///
/// Returns the number of bytes; 0 at the end of the stream (over TLS: close_notify was received), and again at each
/// later call; 0 for a len of 0. -1 with errno EAGAIN: nothing can be read now; ENOTCONN: not CONN_READY yet, or
/// establishing failed; EINVAL: c is NULL, or buf is with a len above 0; EPERM: the connection is a parent process's;
/// ECONNRESET with CONN_ERR_TLS: the TCP stream ended without close_notify (truncation; see allow_truncation); else the
/// errno of the failure, after the bytes that had arrived before it were read.
///
/// # Safety
/// `c` is NULL or not closed; `buf` is NULL or has room for `len` bytes; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_try_read(c: *mut net_conn, buf: *mut c_void, len: usize) -> isize {
    // SAFETY: as the caller promises.
    let fd = unsafe { direct_fd(c, buf, len) };
    if fd >= 0 {
        // SAFETY: as the caller promises.
        let count = unsafe { transport::receive_now(fd, buf.cast(), len) };
        if count > 0 {
            // SAFETY: as the caller promises.
            unsafe { moved(c) };
            return count;
        }
        // SAFETY: as the caller promises.
        return unsafe { after_direct(c, Operation::Read, count) };
    }
    // SAFETY: as the caller promises.
    unsafe { read_through_core(c, buf, len) }
}

/// Writes at most len bytes of buf.
///
/// Returns the number of bytes taken, which may be smaller than len; 0 for a len of 0. -1 with errno EAGAIN: nothing
/// can be taken now (try again later with the same or another buffer, or not at all); ENOTCONN: not CONN_READY yet, or
/// establishing failed; EPIPE: the write side was shut; EINVAL: c is NULL, or buf is with a len above 0; EPERM: the
/// connection is a parent process's; else the errno of the failure. Never raises SIGPIPE.
///
/// # Safety
/// `c` is NULL or not closed; `buf` is NULL or points to `len` bytes; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_try_write(c: *mut net_conn, buf: *const c_void, len: usize) -> isize {
    // SAFETY: as the caller promises.
    let fd = unsafe { direct_fd(c, buf, len) };
    if fd >= 0 {
        // SAFETY: as the caller promises.
        let count = unsafe { transport::send_now(fd, buf.cast(), len) };
        if count >= 0 {
            // SAFETY: as the caller promises.
            unsafe { moved(c) };
            return count;
        }
        // SAFETY: as the caller promises.
        return unsafe { after_direct(c, Operation::Write, count) };
    }
    // SAFETY: as the caller promises.
    unsafe { write_through_core(c, buf, len) }
}

/// As conn_try_write, for n pieces, with one system call on a plain connection. EINVAL also for n below 0. At most
/// IOV_MAX (1024) pieces are looked at, from the first on that is not empty.
///
/// # Safety
/// `c` is NULL or not closed; `iov` is NULL or points to `n` valid pieces; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_try_writev(
    c: *mut net_conn,
    iov: *const libc::iovec,
    n: c_int,
) -> isize {
    fallible(|| {
        // SAFETY: as the caller promises.
        let conn = unsafe { required(c, "conn_try_writev") }?;
        let count = usize::try_from(n).map_err(|_| Errno(libc::EINVAL))?;
        if count > 0 && iov.is_null() {
            return Err(Errno(libc::EINVAL));
        }
        // SAFETY: the caller promises n valid pieces.
        let empty = |i| unsafe { (*iov.add(i)).iov_len == 0 };
        // However many: else a call that takes nothing would look like one with nothing to take.
        let first = (0..count).find(|&i| !empty(i)).unwrap_or(count);
        // More than the kernel takes at once are left to the next call.
        let count = (count - first).min(libc::UIO_MAXIOV as usize);
        let mut pieces = [std::io::IoSlice::new(&[]); 16];
        let mut more;
        let pieces = if count <= pieces.len() {
            &mut pieces[..count]
        } else {
            more = vec![std::io::IoSlice::new(&[]); count];
            more.as_mut_slice()
        };
        for (i, piece) in pieces.iter_mut().enumerate() {
            // SAFETY: the place is below n, and the caller promises n valid pieces.
            let bytes = unsafe {
                let one = &*iov.add(first + i);
                guard::bytes(one.iov_base, one.iov_len)?
            };
            *piece = std::io::IoSlice::new(bytes);
        }
        conn.write_vectored(pieces).map(|n| n as isize)
    })
}

/// As conn_try_write, for at most count bytes of a file: on a plain connection with sendfile(2), where the kernel can do
/// so with this file, else (over TLS; procfs; a pipe) by copying, with the same result. The file may be a pipe too, as long
/// as offset is NULL.
///
/// offset: where to begin, moved by what was taken; NULL: the file's own position, which is moved instead. The
/// connection never takes more than it says: what it does not take is not lost.
///
/// Returns the number of bytes taken, at most 4 MiB; 0 at the end of the file, and for a count of 0. -1 with the errnos of
/// conn_try_write (EAGAIN also where a pipe has nothing now), or for what is wrong with the file, which does the
/// connection no harm: EBADF (not open for reading), EINVAL (an offset below 0; a socket or a terminal), ESPIPE (an offset
/// into a pipe), or what reading it gives (EISDIR, EIO, ...). Reading a file may wait for its disk; see pread(2). Never
/// raises SIGPIPE.
///
/// # Safety
/// `c` is NULL or not closed; `offset` is NULL or valid; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_try_sendfile(
    c: *mut net_conn,
    fd: c_int,
    offset: *mut libc::off_t,
    count: usize,
) -> isize {
    fallible(|| {
        // SAFETY: as the caller promises.
        let conn = unsafe { required(c, "conn_try_sendfile") }?;
        if offset.is_null() {
            return conn.send_file(fd, None, count).map(|n| n as isize);
        }
        // SAFETY: not NULL, and the caller promises that it is valid.
        let mut place = unsafe { offset.read() };
        let result = conn.send_file(fd, Some(&mut place), count);
        // SAFETY: as above: the caller's offset is none of the connection's memory, which a callback may have freed.
        unsafe { offset.write(place) };
        result.map(|n| n as isize)
    })
}

/// Shuts the write side: what was written, close_notify (over TLS), then FIN. Reading goes on. The connection is
/// CONN_CLOSED when the peer's end of the stream was read too.
///
/// Returns 0, also when it was shut already; -1 with errno EINVAL (c is NULL), ENOTCONN (not CONN_READY yet, or
/// establishing failed), else the failure's.
///
/// # Safety
/// `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_shutdown(c: *mut net_conn) -> c_int {
    fallible(|| {
        // SAFETY: as the caller promises.
        unsafe { required(c, "conn_shutdown") }?
            .shutdown()
            .map(|()| 0)
    })
}

/// Sets the callback for "a read may give something": bytes, the end of the stream or a failure. May be set in any state,
/// takes effect once on_ready has run. It fires in each round of the loop while the condition holds, also for bytes that
/// wait inside TLS; it may be spurious (the read then gives EAGAIN). The end and a failure count until a read has
/// returned them. NULL removes it.
///
/// # Safety
/// `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_set_readable_callback(
    c: *mut net_conn,
    cb: conn_event_cb,
    arg: *mut c_void,
) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_set_readable_callback") } {
            conn.view.readable_cb.set(raw(cb));
            conn.view.readable_arg.set(arg);
            conn.view.rw_arg.set(arg);
            conn.want_readable(cb.is_some());
        }
    })
}

/// Sets the callback for "a write may take something", in the manner of conn_set_readable_callback. It fires in each round
/// while bytes can be taken: remove it when there is nothing to write.
///
/// # Safety
/// `c` is NULL or not closed; the call is made on the loop's thread.
#[no_mangle]
pub unsafe extern "C" fn conn_set_writable_callback(
    c: *mut net_conn,
    cb: conn_event_cb,
    arg: *mut c_void,
) {
    infallible((), || {
        // SAFETY: as the caller promises.
        if let Some(conn) = unsafe { hold(c, "conn_set_writable_callback") } {
            conn.view.writable_cb.set(raw(cb));
            conn.view.writable_arg.set(arg);
            conn.view.rw_arg.set(arg);
            conn.want_writable(cb.is_some());
        }
    })
}

/// Bytes that a read gives without asking the kernel (decrypted already); 0 for NULL.
///
/// # Safety
/// `c` is NULL or not closed.
#[no_mangle]
pub unsafe extern "C" fn conn_pending(c: *mut net_conn) -> usize {
    // SAFETY: as the caller promises.
    unsafe { look(c, "conn_pending", 0, |conn| conn.pending()) }
}
