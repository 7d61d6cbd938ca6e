use super::super::*;
use super::support::*;
use std::io::{IoSlice, Read, Write};
use std::net::Shutdown;
use std::os::fd::{AsRawFd, OwnedFd};

#[test]
fn bytes_go_both_ways() {
    let (ours, mut peer) = tcp();
    let t = Transport::plain(ours);
    assert_blocked(read_some(&t, 10));
    say(&mut peer, b"hello");
    assert_eq!(read_waiting(&t, 10).unwrap(), b"hello");
    assert_eq!(t.write(b"world").unwrap(), 5);
    let mut got = [0; 5];
    peer.read_exact(&mut got).unwrap();
    assert_eq!(&got, b"world");
    assert!(!t.read_again() && !t.has_unsent() && t.pending() == 0);
}

#[test]
fn nothing_asked_is_nothing_done() {
    let (ours, peer) = tcp();
    let t = Transport::plain(ours);
    drop(peer);
    wait(t.fd(), libc::POLLIN);
    assert_eq!(t.read(&mut []).unwrap(), 0);
    assert!(!t.read_ended());
    assert_eq!(t.write(&[]).unwrap(), 0);
    assert_eq!(t.write_vectored(&[IoSlice::new(&[])]).unwrap(), 0);
}

#[test]
fn the_end_is_told_again_and_writing_goes_on() {
    let (ours, mut peer) = tcp();
    let t = Transport::plain(ours);
    say(&mut peer, b"bye");
    peer.shutdown(Shutdown::Write).unwrap();
    assert_eq!(read_waiting(&t, 10).unwrap(), b"bye");
    for _ in 0..3 {
        assert_eq!(read_waiting(&t, 10).unwrap(), b"");
        assert!(t.read_ended() && !t.read_again());
    }
    assert_eq!(t.write(b"still here").unwrap(), 10);
    t.shutdown_write().unwrap();
    assert_eq!(drain(&peer).unwrap(), b"still here");
}

#[test]
fn after_shutdown_writes_are_refused_and_reads_go_on() {
    let (ours, mut peer) = tcp();
    let t = Transport::plain(ours);
    assert_eq!(t.write(b"last words").unwrap(), 10);
    t.shutdown_write().unwrap();
    t.shutdown_write().unwrap();
    assert!(t.write_ended());
    assert_refused(t.write(b"x"), libc::EPIPE);
    assert_refused(t.write_vectored(&[IoSlice::new(b"x")]), libc::EPIPE);
    assert_eq!(drain(&peer).unwrap(), b"last words");
    say(&mut peer, b"answer");
    assert_eq!(read_waiting(&t, 10).unwrap(), b"answer");
}

#[test]
fn what_arrived_before_a_reset_is_read_first() {
    let (ours, mut peer) = tcp();
    let t = Transport::plain(ours);
    say(&mut peer, b"precious");
    wait(t.fd(), libc::POLLIN);
    reset(peer);
    while wait(t.fd(), 0) & (libc::POLLHUP | libc::POLLERR) == 0 {}
    let failure = t.take_socket_error().unwrap();
    assert_eq!(failure.errno, Errno(libc::ECONNRESET));
    assert!(t.take_socket_error().is_none(), "SO_ERROR is told once");
    assert!(t.read_again(), "a failure counts as readable");
    assert_eq!(read_some(&t, 5).unwrap(), b"preci");
    assert_eq!(read_some(&t, 5).unwrap(), b"ous");
    assert!(t.read_again());
    assert_failed(read_some(&t, 5), FailureKind::Io, libc::ECONNRESET);
    assert!(!t.read_again(), "until a read has returned it");
    assert_failed(read_some(&t, 5), FailureKind::Io, libc::ECONNRESET);
    assert_failed(t.write(b"x"), FailureKind::Io, libc::ECONNRESET);
    assert!(!t.read_ended());
}

#[test]
fn what_arrived_before_a_failed_write_is_read_first() {
    let (ours, mut peer) = tcp();
    let t = Transport::plain(ours);
    say(&mut peer, b"precious");
    wait(t.fd(), libc::POLLIN);
    reset(peer);
    wait(t.fd(), 0);
    assert_failed(t.write(b"x"), FailureKind::Io, libc::ECONNRESET);
    assert_eq!(read_some(&t, 100).unwrap(), b"precious");
    assert_failed(read_some(&t, 5), FailureKind::Io, libc::ECONNRESET);
}

#[test]
fn a_write_to_a_closed_unix_peer_is_epipe_without_a_signal() {
    let (ours, mut peer) = unix();
    let t = Transport::plain(ours);
    say(&mut peer, b"first");
    drop(peer);
    // The default action of SIGPIPE would end this process.
    // SAFETY: plain libc calls; no other test depends on the disposition.
    let old = unsafe { libc::signal(libc::SIGPIPE, libc::SIG_DFL) };
    assert_failed(t.write(b"x"), FailureKind::Io, libc::EPIPE);
    assert_failed(
        t.write_vectored(&[IoSlice::new(b"x")]),
        FailureKind::Io,
        libc::EPIPE,
    );
    // SAFETY: as above.
    unsafe { libc::signal(libc::SIGPIPE, old) };
    assert_eq!(read_some(&t, 100).unwrap(), b"first");
    assert_failed(read_some(&t, 5), FailureKind::Io, libc::EPIPE);
}

#[test]
fn a_full_kernel_blocks_and_any_buffer_goes_on() {
    let (ours, peer) = tcp();
    let t = Transport::plain(ours);
    let all = pattern(32 << 20);
    let reader = std::thread::spawn({
        let expected = all.clone();
        move || assert!(drain(peer).unwrap() == expected)
    });
    let mut at = 0;
    let mut step = 1;
    while at < all.len() {
        // Each try with another length, and from a copy that moves.
        step = (step * 7 + 3) % 300_000 + 1;
        let moved = all[at..all.len().min(at + step)].to_vec();
        match t.write(&moved) {
            Ok(count) => at += count,
            Err(Stop::Blocked) => wait_interest(t.fd(), t.waits_for(Operation::Write)),
            Err(stop) => panic!("{stop:?}"),
        }
    }
    t.shutdown_write().unwrap();
    reader.join().unwrap();
}

#[test]
fn pieces_go_out_in_order() {
    let (ours, peer) = tcp();
    let t = Transport::plain(ours);
    // More pieces than one sendmsg takes, some empty.
    let all = pattern(5_000);
    let pieces: Vec<IoSlice<'_>> = all
        .chunks(3)
        .flat_map(|chunk| [IoSlice::new(&[]), IoSlice::new(chunk)])
        .collect();
    let mut pieces = &pieces[..];
    let mut total = 0;
    while !pieces.is_empty() {
        let count = t.write_vectored(pieces).unwrap();
        total += count;
        let mut left = count;
        while let Some(first) = pieces.first() {
            if first.len() > left {
                break;
            }
            left -= first.len();
            pieces = &pieces[1..];
        }
        assert_eq!(left, 0, "a piece was split though the kernel had room");
    }
    assert_eq!(total, all.len());
    t.shutdown_write().unwrap();
    assert_eq!(drain(peer).unwrap(), all);
}

#[test]
fn close_with_unread_bytes_still_delivers() {
    let (ours, mut peer) = tcp();
    let t = Transport::plain(ours);
    say(&mut peer, &pattern(100_000));
    wait(t.fd(), libc::POLLIN);
    assert_eq!(t.write(b"goodbye").unwrap(), 7);
    // All of it must be there before the close for the kernel to send FIN.
    while pending_in_kernel(t.fd()) < 100_000 {
        wait(t.fd(), libc::POLLIN);
    }
    assert!(t.close().is_none());
    assert_eq!(t.fd(), -1);
    assert!(t.close().is_none());
    assert_eq!(drain(&peer).unwrap(), b"goodbye");
}

fn pending_in_kernel(fd: i32) -> i32 {
    let mut count = 0;
    // SAFETY: FIONREAD writes an int.
    assert_eq!(unsafe { libc::ioctl(fd, libc::FIONREAD, &mut count) }, 0);
    count
}

#[test]
fn abort_sends_a_reset() {
    let (ours, mut peer) = tcp();
    let t = Transport::plain(ours);
    t.abort();
    assert_eq!(t.fd(), -1);
    wait(peer.as_raw_fd(), libc::POLLIN);
    let error = peer.read(&mut [0; 10]).unwrap_err();
    assert_eq!(error.kind(), std::io::ErrorKind::ConnectionReset);
    t.abort();
}

#[test]
fn drop_closes() {
    let (ours, peer) = unix();
    drop(Transport::plain(ours));
    assert_eq!(drain(peer).unwrap(), b"");
}

#[test]
fn a_plain_transport_is_small() {
    assert!(std::mem::size_of::<Transport>() <= 32);
}

#[test]
fn unsent_goes_out_before_fin() {
    let (ours, mut peer) = tcp();
    let all = pattern(8 << 20);
    let mut unsent = Unsent::new(ours, all.clone(), 0);
    assert!(!unsent.flush(), "the kernel took 8 MiB that nobody reads");
    let reader = std::thread::spawn(move || {
        let mut got = Vec::new();
        peer.read_to_end(&mut got).unwrap();
        // The peer may go on talking to a connection that is closing.
        let _ = peer.write_all(b"too late");
        got
    });
    while !unsent.flush() {
        wait(unsent.fd(), libc::POLLOUT);
    }
    drop(unsent);
    assert!(reader.join().unwrap() == all);
}

#[test]
fn unsent_gives_up_on_a_dead_peer() {
    let (ours, peer) = tcp();
    let fd: OwnedFd = ours;
    let mut unsent = Unsent::new(fd, vec![1; 8 << 20], 0);
    assert!(!unsent.flush());
    reset(peer);
    wait(unsent.fd(), 0);
    assert!(unsent.flush());
    assert!(unsent.flush());
}
