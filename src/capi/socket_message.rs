//! `socket/Socket.h`: messages and what travels with them, whole files, limited calls. Must not know how anything is done.

use super::raise::{raising, raising_with, violated};
use super::socket::{live, live_handle, Socket_T};
use super::socket_data::{check, moving, short_of};
use crate::clock::MILLISECOND;
use crate::errno::Errno;
use crate::socket::{self, Error, Kind};
use libc::{msghdr, off_t, ssize_t};
use std::ffi::{c_int, c_void};

/// Sends up to `count` bytes of a file: how many, which may be fewer. From `*offset`, which moves on by what was sent, or,
/// with NULL, from the file's own position, which then does. 0 with errno 0 at the end of the file (and for a `count` of 0),
/// 0 with errno EAGAIN when it would block. The kernel moves the bytes itself where it can (not with TLS).
///
/// `file_fd` may be a pipe when there is no offset and no TLS. Raises as Socket_send; Socket_Failed also for what is wrong
/// with the file: EBADF, EINVAL (an offset below 0), ESPIPE, or what reading it gave.
///
/// # Safety
/// `offset` is NULL or can be read and written.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendfile(
    socket: Socket_T,
    file_fd: c_int,
    offset: *mut off_t,
    count: usize,
) -> ssize_t {
    moving(c"Socket_sendfile", || {
        let handle = live_handle(c"Socket_sendfile", socket);
        // SAFETY: the caller's promise.
        socket::send_file(handle, file_fd, unsafe { offset.as_mut() }, count)
    })
}

/// As Socket_sendfile, until `count` bytes are sent, the file ends or it would block: how many were sent. When they are fewer
/// than `count`, errno tells why: EAGAIN, or 0 for the end of the file. `*offset` moves on by what was sent.
///
/// # Safety
/// `offset` is NULL or can be read and written.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendfileall(
    socket: Socket_T,
    file_fd: c_int,
    offset: *mut off_t,
    count: usize,
) -> ssize_t {
    raising_with(c"Socket_sendfileall", || {
        let handle = live_handle(c"Socket_sendfileall", socket);
        // SAFETY: the caller's promise.
        let offset = unsafe { offset.as_mut() };
        socket::send_whole_file(handle, file_fd, offset, count).map(|sent| short_of(sent, count))
    })
}

/// sendmsg(2) on a plain socket: how many bytes; 0 with errno EAGAIN when it would block. Never raises SIGPIPE.
///
/// Raises Socket_Closed (EPIPE, ECONNRESET), Socket_Failed for the rest: EOPNOTSUPP on a socket with TLS. A NULL `message`
/// aborts.
///
/// # Safety
/// `message` is whole, and what it points to readable.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendmsg(
    socket: Socket_T,
    message: *const msghdr,
    flags: c_int,
) -> ssize_t {
    moving(c"Socket_sendmsg", || {
        let handle = live_handle(c"Socket_sendmsg", socket);
        // SAFETY: the caller's promise.
        match unsafe { message.as_ref() } {
            // SAFETY: as above.
            Some(message) => unsafe { socket::send_message(handle, message, flags) },
            None => violated(c"Socket_sendmsg", "message", "is NULL"),
        }
    })
}

/// recvmsg(2) on a plain socket: how many bytes; 0 with errno EAGAIN when it would block.
///
/// Raises Socket_Closed at the end of the stream and for ECONNRESET, Socket_Failed for the rest: EOPNOTSUPP on a socket with
/// TLS. A NULL `message` aborts.
///
/// # Safety
/// `message` is whole, and what it points to writable.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvmsg(
    socket: Socket_T,
    message: *mut msghdr,
    flags: c_int,
) -> ssize_t {
    moving(c"Socket_recvmsg", || {
        let handle = live_handle(c"Socket_recvmsg", socket);
        // SAFETY: the caller's promise.
        match unsafe { message.as_mut() } {
            // SAFETY: as above.
            Some(message) => unsafe { socket::receive_message(handle, message, flags) },
            None => violated(c"Socket_recvmsg", "message", "is NULL"),
        }
    })
}

/// Looks at bytes that have come, without taking them and without waiting: how many. 0 with errno EAGAIN when there are none,
/// 0 with errno 0 at the end of the stream.
///
/// Raises Socket_Closed for ECONNRESET, Socket_Failed for the rest: EOPNOTSUPP on a socket with TLS. A NULL `buf` or a `len`
/// of 0 aborts.
///
/// # Safety
/// `buf` is writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_peek(socket: Socket_T, buf: *mut c_void, len: usize) -> ssize_t {
    moving(c"Socket_peek", || {
        check(c"Socket_peek", buf, len);
        // SAFETY: the caller's promise.
        unsafe { socket::peek(live_handle(c"Socket_peek", socket), buf.cast(), len) }
    })
}

/// Moves up to `len` bytes from one plain socket to another inside the kernel: how many; 0 with errno EAGAIN when none are
/// there. What was taken from `in` is sent, however long that takes.
///
/// Raises Socket_Closed at the end of `in`'s stream, or when `out`'s peer is gone; Socket_Failed for the rest: EOPNOTSUPP where
/// one has TLS. A `len` of 0 aborts.
#[no_mangle]
pub extern "C" fn Socket_splice(r#in: Socket_T, out: Socket_T, len: usize) -> ssize_t {
    moving(c"Socket_splice", || {
        if len == 0 {
            violated(c"Socket_splice", "len", "is 0");
        }
        let source = live_handle(c"Socket_splice", r#in);
        socket::splice(source, live_handle(c"Socket_splice", out), len)
    })
}

/// What C is told of descriptors that went or did not.
fn passed(done: bool) -> (c_int, Option<Errno>) {
    match done {
        true => (1, None),
        false => (0, Some(Errno(libc::EAGAIN))),
    }
}

/// Sends a copy of a descriptor over a Unix socket, with one byte: 1, or 0 with errno EAGAIN when it would block. `fd` stays
/// the caller's.
///
/// Raises Socket_Closed (EPIPE, ECONNRESET, ENOTCONN), Socket_Failed for the rest: no Unix socket or one with TLS (EOPNOTSUPP), a
/// descriptor that is not open (EBADF).
#[no_mangle]
pub extern "C" fn Socket_sendfd(socket: Socket_T, fd: c_int) -> c_int {
    raising_with(c"Socket_sendfd", || {
        socket::send_fds(live_handle(c"Socket_sendfd", socket), &[fd]).map(passed)
    })
}

/// As Socket_sendfd, for `count` (1 to 253) descriptors with one byte.
///
/// Raises Socket_Failed also for NULL and another count (EINVAL).
///
/// # Safety
/// `fds` is NULL or has `count` entries.
#[no_mangle]
pub unsafe extern "C" fn Socket_sendfds(
    socket: Socket_T,
    fds: *const c_int,
    count: usize,
) -> c_int {
    raising_with(c"Socket_sendfds", || {
        let handle = live_handle(c"Socket_sendfds", socket);
        if fds.is_null() || count > socket::MOST_FDS {
            return Err(Error::invalid(
                Kind::Socket,
                "Socket_sendfds: descriptors are NULL or more than 253",
            ));
        }
        // SAFETY: not NULL, and the caller's promise.
        let fds = unsafe { std::slice::from_raw_parts(fds, count) };
        socket::send_fds(handle, fds).map(passed)
    })
}

/// Receives a descriptor with its byte over a Unix socket, close-on-exec and the caller's: 1; 0 with errno EAGAIN when it
/// would block. `*fd` is -1 where none was received.
///
/// Raises Socket_Closed at the end of the stream (and ECONNRESET, ENOTCONN), Socket_Failed for the rest: NULL (EINVAL), no Unix
/// socket or one with TLS (EOPNOTSUPP), a byte without a descriptor (ENOMSG), more than one or some that were lost (EMSGSIZE;
/// those that came are closed).
///
/// # Safety
/// `fd` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvfd(socket: Socket_T, fd: *mut c_int) -> c_int {
    raising_with(c"Socket_recvfd", || {
        let handle = live_handle(c"Socket_recvfd", socket);
        // SAFETY: the caller's promise.
        let Some(place) = (unsafe { fd.as_mut() }) else {
            return Err(Error::invalid(
                Kind::Socket,
                "Socket_recvfd: the place for a descriptor is NULL",
            ));
        };
        *place = -1;
        match socket::receive_fds(handle, std::slice::from_mut(place))? {
            Some(0) => Err(Error::new(
                Kind::Socket,
                Errno(libc::ENOMSG),
                "receiving descriptors: the byte came without one",
            )),
            received => Ok(passed(received.is_some())),
        }
    })
}

/// As Socket_recvfd, for all that came with a byte, up to `max` (1 to 253): their number is put into `*received`, which may be
/// 0. All entries of `fds` that were not received are -1.
///
/// Raises Socket_Failed also when more came than there is room for (EMSGSIZE); then all of them are closed.
///
/// # Safety
/// `fds` is NULL or has room for `max` entries; `received` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_recvfds(
    socket: Socket_T,
    fds: *mut c_int,
    max: usize,
    received: *mut usize,
) -> c_int {
    raising_with(c"Socket_recvfds", || {
        let handle = live_handle(c"Socket_recvfds", socket);
        // SAFETY: the caller's promise.
        let count = unsafe { received.as_mut() };
        let (Some(count), false) = (count, fds.is_null() || max > socket::MOST_FDS) else {
            return Err(Error::invalid(
                Kind::Socket,
                "Socket_recvfds: a place is NULL, or there is room for more than 253",
            ));
        };
        *count = 0;
        // SAFETY: not NULL, and the caller's promise.
        let places = unsafe { std::slice::from_raw_parts_mut(fds, max) };
        places.fill(-1);
        let taken = socket::receive_fds(handle, places)?;
        *count = taken.unwrap_or(0);
        Ok(passed(taken.is_some()))
    })
}

/// The rate of the limited calls in bytes a second, which is also the most they move at once; 0: no limit. Both directions
/// share it. The allowance is full afterwards.
#[no_mangle]
pub extern "C" fn Socket_setbandwidth(socket: Socket_T, bytes_per_second: usize) {
    raising(c"Socket_setbandwidth", || {
        live(c"Socket_setbandwidth", socket).set_bandwidth(bytes_per_second);
        Ok(())
    })
}

/// The rate of the limited calls in bytes a second; 0: no limit.
#[no_mangle]
pub extern "C" fn Socket_getbandwidth(socket: Socket_T) -> usize {
    raising(c"Socket_getbandwidth", || {
        Ok(live(c"Socket_getbandwidth", socket).bandwidth())
    })
}

/// As Socket_send, of at most as many bytes as the rate allows now; 0 with errno EAGAIN when that is none.
///
/// # Safety
/// `buf` is readable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_send_limited(
    socket: Socket_T,
    buf: *const c_void,
    len: usize,
) -> ssize_t {
    moving(c"Socket_send_limited", || {
        check(c"Socket_send_limited", buf, len);
        let handle = live_handle(c"Socket_send_limited", socket);
        // SAFETY: the caller's promise.
        unsafe { socket::send_limited(handle, buf.cast(), len) }
    })
}

/// As Socket_recv, of at most as many bytes as the rate allows now; 0 with errno EAGAIN when that is none.
///
/// # Safety
/// `buf` is writable for `len` bytes.
#[no_mangle]
pub unsafe extern "C" fn Socket_recv_limited(
    socket: Socket_T,
    buf: *mut c_void,
    len: usize,
) -> ssize_t {
    moving(c"Socket_recv_limited", || {
        check(c"Socket_recv_limited", buf, len);
        let handle = live_handle(c"Socket_recv_limited", socket);
        // SAFETY: the caller's promise.
        unsafe { socket::receive_limited(handle, buf.cast(), len) }
    })
}

/// How many milliseconds until the rate allows this many bytes: 0 for now, -1 for never (more than the rate).
#[no_mangle]
pub extern "C" fn Socket_bandwidth_wait_ms(socket: Socket_T, bytes: usize) -> i64 {
    raising(c"Socket_bandwidth_wait_ms", || {
        let wait = live(c"Socket_bandwidth_wait_ms", socket).bandwidth_wait(bytes);
        Ok(wait.map_or(-1, |nanos| nanos.div_ceil(MILLISECOND) as i64))
    })
}
