//! The system calls on a stream socket: non-blocking, without SIGPIPE, EINTR retried.

use super::faults::{allowance, Side};
use crate::errno::Errno;
use std::ffi::c_int;
use std::mem::MaybeUninit;
use std::os::fd::RawFd;

/// What `recv` gave.
pub(super) struct Received {
    /// 0 is the end of the stream.
    pub(super) count: usize,
    /// Fewer bytes than there was room for: the kernel has no more at this moment.
    pub(super) drained: bool,
}

/// `recv` without waiting, as it is: -1 leaves `errno`.
///
/// # Safety
/// `buf` points to `len` writable bytes.
#[inline(always)]
pub unsafe fn receive_now(fd: RawFd, buf: *mut u8, len: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { libc::recv(fd, buf.cast(), len, libc::MSG_DONTWAIT) }
}

/// `send` without waiting and without SIGPIPE, as it is: -1 leaves `errno`.
///
/// # Safety
/// `buf` points to `len` readable bytes.
#[inline(always)]
pub unsafe fn send_now(fd: RawFd, buf: *const u8, len: usize) -> isize {
    // SAFETY: the caller's promise.
    unsafe { libc::send(fd, buf.cast(), len, SEND_FLAGS) }
}

/// Receives into `len` bytes at `buf`.
///
/// # Safety
/// `buf` points to `len` writable bytes, with `len` above 0.
#[inline]
pub(super) unsafe fn receive(fd: RawFd, buf: *mut u8, len: usize) -> Result<Received, Errno> {
    let Some(room) = allowance(Side::Receive, len) else {
        return Err(Errno(libc::EAGAIN));
    };
    loop {
        // SAFETY: the caller's promise; `room` is at most `len`.
        let count = unsafe { libc::recv(fd, buf.cast(), room, libc::MSG_DONTWAIT) };
        if count >= 0 {
            let count = count as usize;
            return Ok(Received {
                count,
                drained: count < room,
            });
        }
        let errno = Errno::last();
        if errno.0 != libc::EINTR {
            return Err(errno);
        }
    }
}

const SEND_FLAGS: c_int = libc::MSG_NOSIGNAL | libc::MSG_DONTWAIT;

/// Sends; how many bytes the kernel took.
#[inline]
pub(super) fn send(fd: RawFd, bytes: &[u8]) -> Result<usize, Errno> {
    send_with(fd, bytes, SEND_FLAGS)
}

/// As [`send`], but waiting as the descriptor says (O_NONBLOCK, SO_SNDTIMEO), unless `impatient`.
#[inline]
pub(super) fn send_patiently(fd: RawFd, bytes: &[u8], impatient: bool) -> Result<usize, Errno> {
    match impatient {
        true => send(fd, bytes),
        false => send_with(fd, bytes, libc::MSG_NOSIGNAL),
    }
}

#[inline]
fn send_with(fd: RawFd, bytes: &[u8], flags: c_int) -> Result<usize, Errno> {
    let room = match allowance(Side::Send, bytes.len()) {
        Some(room) => room,
        None if waits(fd, flags) => bytes.len(),
        None => return Err(Errno(libc::EAGAIN)),
    };
    loop {
        // SAFETY: `room` is at most the length of `bytes`.
        let count = unsafe { libc::send(fd, bytes.as_ptr().cast(), room, flags) };
        if count >= 0 {
            return Ok(count as usize);
        }
        let errno = Errno::last();
        if errno.0 != libc::EINTR {
            return Err(errno);
        }
    }
}

/// Receives into several places, waiting as the descriptor says (O_NONBLOCK, SO_RCVTIMEO) unless `impatient`; how many
/// bytes came, 0 at the end of the stream.
///
/// # Safety
/// Each place is an address and as many writable bytes.
#[inline]
pub(super) unsafe fn receive_into(
    fd: RawFd,
    places: &mut [(*mut u8, usize); 2],
    impatient: bool,
) -> Result<usize, Errno> {
    let flags = match impatient {
        true => libc::MSG_DONTWAIT,
        false => 0,
    };
    let room = match allowance(Side::Receive, usize::MAX) {
        Some(room) => room,
        None if waits(fd, flags) => usize::MAX,
        None => return Err(Errno(libc::EAGAIN)),
    };
    let first = places[0].1.min(room);
    let mut vectors = [
        libc::iovec {
            iov_base: places[0].0.cast(),
            iov_len: first,
        },
        libc::iovec {
            iov_base: places[1].0.cast(),
            // Nothing goes to the second place while there is room in the first.
            iov_len: match first == places[0].1 {
                true => places[1].1.min(room - first),
                false => 0,
            },
        },
    ];
    // SAFETY: an all-zero msghdr is a valid one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    message.msg_iov = vectors.as_mut_ptr();
    message.msg_iovlen = vectors.len() as _;
    loop {
        // SAFETY: `message` points to two iovecs over the caller's places.
        let count = unsafe { libc::recvmsg(fd, &mut message, flags) };
        if count >= 0 {
            return Ok(count as usize);
        }
        let errno = Errno::last();
        if errno.0 != libc::EINTR {
            return Err(errno);
        }
    }
}

/// Whether a call with these flags may wait: a fault that is injected must not look like a time-out.
#[cold]
fn waits(fd: RawFd, flags: c_int) -> bool {
    // SAFETY: no memory is involved.
    flags & libc::MSG_DONTWAIT == 0
        && unsafe { libc::fcntl(fd, libc::F_GETFL) } & libc::O_NONBLOCK == 0
}

/// Sends several pieces with one system call; how many bytes the kernel took.
pub(super) fn send_vectored(fd: RawFd, pieces: &[std::io::IoSlice<'_>]) -> Result<usize, Errno> {
    // The kernel refuses more (IOV_MAX); the rest is the caller's next call.
    const MOST: usize = 1024;
    let mut pieces = &pieces[..pieces.len().min(MOST)];
    if let Some(first) = pieces.iter().position(|piece| !piece.is_empty()) {
        pieces = &pieces[first..];
    }
    let total = pieces
        .iter()
        .fold(0usize, |sum, piece| sum.saturating_add(piece.len()));
    match allowance(Side::Send, total) {
        None => return Err(Errno(libc::EAGAIN)),
        Some(room) if room < total => {
            let Some(first) = pieces.first() else {
                return Ok(0);
            };
            return send(fd, &first[..first.len().min(room)]);
        }
        Some(_) => {}
    }
    // SAFETY: an all-zero msghdr is a valid one.
    let mut message: libc::msghdr = unsafe { std::mem::zeroed() };
    // IoSlice is documented to be an iovec; the kernel only reads through it.
    message.msg_iov = pieces.as_ptr().cast_mut().cast();
    message.msg_iovlen = pieces.len() as _;
    loop {
        // SAFETY: `message` points to `msg_iovlen` iovecs of readable bytes, borrowed for the call.
        let count = unsafe { libc::sendmsg(fd, &message, SEND_FLAGS) };
        if count >= 0 {
            return Ok(count as usize);
        }
        let errno = Errno::last();
        if errno.0 != libc::EINTR {
            return Err(errno);
        }
    }
}

/// The first byte that was received and not read, left where it is.
pub(super) fn peek(fd: RawFd) -> Option<u8> {
    const FLAGS: c_int = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    let mut byte = 0u8;
    // SAFETY: `byte` has room for the one byte.
    let count = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, FLAGS) };
    (count == 1).then_some(byte)
}

/// What a `recv` of one byte would give now, which leaves the byte where it is.
pub(super) fn look(fd: RawFd) -> Result<usize, Errno> {
    const FLAGS: c_int = libc::MSG_PEEK | libc::MSG_DONTWAIT;
    let mut byte = 0u8;
    // SAFETY: `byte` has room for the one byte.
    let count = unsafe { libc::recv(fd, (&raw mut byte).cast(), 1, FLAGS) };
    usize::try_from(count).map_err(|_| Errno::last())
}

/// FIN. A connection that is over in both directions already counts as shut.
pub(super) fn shut_write(fd: RawFd) -> Result<(), Errno> {
    // SAFETY: no memory is involved.
    if unsafe { libc::shutdown(fd, libc::SHUT_WR) } == 0 {
        return Ok(());
    }
    match Errno::last() {
        Errno(libc::ENOTCONN) => match take_error(fd) {
            Ok(Errno(0)) | Err(_) => Ok(()),
            Ok(errno) => Err(errno),
        },
        errno => Err(errno),
    }
}

/// SO_ERROR, which reading it clears; 0 for none.
pub fn take_error(fd: RawFd) -> Result<Errno, Errno> {
    let mut value: c_int = 0;
    let mut len = std::mem::size_of::<c_int>() as libc::socklen_t;
    // SAFETY: `value` has room for the `len` bytes of an int.
    let result = unsafe {
        libc::getsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_ERROR,
            (&mut value as *mut c_int).cast(),
            &mut len,
        )
    };
    match result {
        0 => Ok(Errno(value)),
        _ => Err(Errno::last()),
    }
}

/// Drops what was received and not read: a TCP socket closed with unread bytes sends RST, which makes the peer lose what
/// we sent last. For TCP, MSG_TRUNC means that the kernel does not even copy them.
#[inline(never)]
pub fn discard_received(fd: RawFd) {
    const FLAGS: c_int = libc::MSG_TRUNC | libc::MSG_DONTWAIT;
    /// A peer that goes on sending gets its reset.
    const MOST_CALLS: usize = 64;
    let mut sink = [MaybeUninit::<u8>::uninit(); 16 * 1024];
    for _ in 0..MOST_CALLS {
        // SAFETY: `sink` has room for its own length.
        let count = unsafe { libc::recv(fd, sink.as_mut_ptr().cast(), sink.len(), FLAGS) };
        if count < sink.len() as isize {
            return;
        }
    }
}

/// The next `close` sends RST and drops what was not sent.
pub(super) fn reset_on_close(fd: RawFd) {
    let linger = libc::linger {
        l_onoff: 1,
        l_linger: 0,
    };
    // SAFETY: `linger` is readable for its own size.
    unsafe {
        libc::setsockopt(
            fd,
            libc::SOL_SOCKET,
            libc::SO_LINGER,
            (&linger as *const libc::linger).cast(),
            std::mem::size_of::<libc::linger>() as libc::socklen_t,
        )
    };
}

/// The address and length of a buffer to receive into.
#[inline]
pub(super) fn raw(buf: &mut [MaybeUninit<u8>]) -> (*mut u8, usize) {
    (buf.as_mut_ptr().cast(), buf.len())
}
