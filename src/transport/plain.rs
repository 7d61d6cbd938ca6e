//! A stream without TLS: the kernel's own semantics, with a failure kept until the bytes before it were read.

use super::socket;
use super::stream::Stream;
use super::Stop;
use crate::errno::Errno;
use std::io::IoSlice;
use std::mem::MaybeUninit;

pub(super) fn read(stream: &Stream, buf: &mut [MaybeUninit<u8>]) -> Result<usize, Stop> {
    if stream.read_ended() {
        return Ok(0);
    }
    let (start, len) = socket::raw(buf);
    // SAFETY: `buf` is writable for its length, which the caller of this function has seen to be above 0.
    let answer = unsafe { socket::receive(stream.fd(), start, len) };
    received(stream, answer.map(|received| received.count))
}

/// What the kernel's answer to a read means.
pub(super) fn received(stream: &Stream, answer: Result<usize, Errno>) -> Result<usize, Stop> {
    match answer {
        Ok(count) if count > 0 => Ok(count),
        // A failure told by SO_ERROR or by a write took the kernel's error with it: what looks like the end is not.
        Ok(_) => match stream.failure() {
            Some(failure) => Err(stream.failed_read(failure)),
            None => Ok(stream.end_reading()),
        },
        Err(errno) if blocked(errno) => match stream.failure() {
            Some(failure) => Err(stream.failed_read(failure)),
            None => Err(Stop::Blocked),
        },
        Err(errno) => Err(stream.failed_read(stream.fail_io(errno))),
    }
}

/// A call that was interrupted (by a tracer: what does not wait is not interrupted by signals) can as well be made when
/// the kernel says again that it is ready.
fn blocked(errno: Errno) -> bool {
    errno.would_block() || errno.0 == libc::EINTR
}

pub(super) fn write(stream: &Stream, bytes: &[u8]) -> Result<usize, Stop> {
    stream.check_writable()?;
    sent(stream, socket::send(stream.fd(), bytes))
}

pub(super) fn write_vectored(stream: &Stream, pieces: &[IoSlice<'_>]) -> Result<usize, Stop> {
    stream.check_writable()?;
    sent(stream, socket::send_vectored(stream.fd(), pieces))
}

pub(super) fn shutdown_write(stream: &Stream) -> Result<(), Stop> {
    if stream.write_ended() {
        return Ok(());
    }
    stream.check_writable()?;
    match socket::shut_write(stream.fd()) {
        Ok(()) => {
            stream.end_writing();
            Ok(())
        }
        Err(errno) => Err(Stop::Failed(stream.fail_io(errno).clone())),
    }
}

/// What the kernel's answer to a write means.
#[inline]
pub(super) fn sent(stream: &Stream, result: Result<usize, Errno>) -> Result<usize, Stop> {
    match result {
        Ok(count) => {
            stream.note_write();
            Ok(count)
        }
        Err(errno) if blocked(errno) => Err(Stop::Blocked),
        Err(errno) => Err(Stop::Failed(stream.fail_io(errno).clone())),
    }
}
