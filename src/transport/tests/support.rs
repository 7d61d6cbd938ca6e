//! Sockets and small helpers.

use super::super::*;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::net::UnixStream;
use std::time::Duration;

/// No test waits longer than this for anything.
const PATIENCE_MS: i32 = 20_000;

/// Waits until the kernel reports any of `events`, hang-up or error.
pub(super) fn wait(fd: RawFd, events: i16) -> i16 {
    let mut poll = libc::pollfd {
        fd,
        events,
        revents: 0,
    };
    // SAFETY: one pollfd, as counted.
    let count = unsafe { libc::poll(&mut poll, 1, PATIENCE_MS) };
    assert_eq!(count, 1, "nothing happened on fd {fd} for {events:#x}");
    poll.revents
}

/// Waits until bytes can be sent on one or read on the other.
pub(super) fn wait_either(writes: RawFd, reads: RawFd) {
    let mut polls =
        [(writes, libc::POLLOUT), (reads, libc::POLLIN)].map(|(fd, events)| libc::pollfd {
            fd,
            events,
            revents: 0,
        });
    // SAFETY: two pollfds, as counted.
    let count = unsafe { libc::poll(polls.as_mut_ptr(), 2, PATIENCE_MS) };
    assert!(count > 0, "nothing happened on fds {writes} and {reads}");
}

pub(super) fn wait_interest(fd: RawFd, interest: Interest) {
    let mut events = 0;
    if interest.any(Interest::READ) {
        events |= libc::POLLIN;
    }
    if interest.any(Interest::WRITE) {
        events |= libc::POLLOUT;
    }
    assert_ne!(events, 0);
    wait(fd, events);
}

/// A connected pair over loopback: ours (non-blocking) and the peer's (blocking, with a time limit).
pub(super) fn tcp() -> (OwnedFd, TcpStream) {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let ours = TcpStream::connect(listener.local_addr().unwrap()).unwrap();
    let (peer, _) = listener.accept().unwrap();
    limit(&peer);
    ours.set_nodelay(true).unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours.into(), peer)
}

fn limit(peer: &TcpStream) {
    let limit = Some(Duration::from_millis(PATIENCE_MS as u64));
    peer.set_read_timeout(limit).unwrap();
    peer.set_write_timeout(limit).unwrap();
    peer.set_nodelay(true).unwrap();
}

/// The same over a Unix socket.
pub(super) fn unix() -> (OwnedFd, UnixStream) {
    let (ours, peer) = UnixStream::pair().unwrap();
    let limit = Some(Duration::from_millis(PATIENCE_MS as u64));
    peer.set_read_timeout(limit).unwrap();
    peer.set_write_timeout(limit).unwrap();
    ours.set_nonblocking(true).unwrap();
    (ours.into(), peer)
}

/// Closes with RST.
pub(super) fn reset(peer: TcpStream) {
    socket::reset_on_close(peer.as_raw_fd());
}

/// Reads once into a `Vec`.
pub(super) fn read_some(transport: &Transport, len: usize) -> Result<Vec<u8>, Stop> {
    let mut buf = vec![0u8; len];
    // SAFETY: initialised bytes are a fine place for bytes.
    let place = unsafe { std::slice::from_raw_parts_mut(buf.as_mut_ptr().cast(), len) };
    let count = transport.read(place)?;
    buf.truncate(count);
    Ok(buf)
}

/// Reads once, waiting as the transport says.
pub(super) fn read_waiting(transport: &Transport, len: usize) -> Result<Vec<u8>, Failure> {
    loop {
        match read_some(transport, len) {
            Ok(bytes) => return Ok(bytes),
            Err(Stop::Blocked) => {
                wait_interest(transport.fd(), transport.waits_for(Operation::Read))
            }
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Refused(errno)) => panic!("refused: {errno}"),
        }
    }
}

/// Reads exactly so many bytes.
pub(super) fn read_exactly(transport: &Transport, len: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < len {
        let more = read_waiting(transport, len - all.len()).unwrap();
        assert!(!more.is_empty(), "ended after {} of {len}", all.len());
        all.extend(more);
    }
    all
}

/// Writes everything, waiting as the transport says.
pub(super) fn write_waiting(transport: &Transport, mut bytes: &[u8]) -> Result<(), Failure> {
    while !bytes.is_empty() {
        match transport.write(bytes) {
            Ok(count) => bytes = &bytes[count..],
            Err(Stop::Blocked) => {
                wait_interest(transport.fd(), transport.waits_for(Operation::Write));
            }
            Err(Stop::Failed(failure)) => return Err(failure),
            Err(Stop::Refused(errno)) => panic!("refused: {errno}"),
        }
    }
    Ok(())
}

/// Sends what is queued.
pub(super) fn flush_waiting(transport: &Transport) {
    while transport.has_unsent() {
        match transport.flush() {
            Ok(()) => {}
            Err(Stop::Blocked) => wait_interest(transport.fd(), Interest::WRITE),
            Err(stop) => panic!("{stop:?}"),
        }
    }
}

#[track_caller]
pub(super) fn assert_blocked<T: std::fmt::Debug>(result: Result<T, Stop>) {
    assert!(matches!(result, Err(Stop::Blocked)), "{result:?}");
}

#[track_caller]
pub(super) fn assert_refused<T: std::fmt::Debug>(result: Result<T, Stop>, errno: i32) {
    assert!(
        matches!(result, Err(Stop::Refused(Errno(e))) if e == errno),
        "{result:?}"
    );
}

#[track_caller]
pub(super) fn assert_failed<T: std::fmt::Debug>(
    result: Result<T, Stop>,
    kind: FailureKind,
    errno: i32,
) {
    match result {
        Err(Stop::Failed(failure)) => {
            assert_eq!(
                (failure.kind, failure.errno),
                (kind, Errno(errno)),
                "{failure:?}"
            );
            assert!(!failure.text.is_empty() && !failure.text.contains('\n'));
        }
        other => panic!("{other:?}"),
    }
}

/// Bytes that differ from each other and from shifted copies of themselves.
pub(super) fn pattern(len: usize) -> Vec<u8> {
    (0..len as u32)
        .map(|i| (i.wrapping_mul(2_654_435_761) >> 24) as u8)
        .collect()
}

/// Reads until the end.
pub(super) fn drain(mut peer: impl Read) -> std::io::Result<Vec<u8>> {
    let mut all = Vec::new();
    peer.read_to_end(&mut all).map(|_| all)
}

pub(super) fn say(peer: &mut impl Write, bytes: &[u8]) {
    peer.write_all(bytes).unwrap();
}
