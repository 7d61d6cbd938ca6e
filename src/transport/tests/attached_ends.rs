//! TLS on a descriptor that is somebody else's: how it ends, well or not.

use super::super::*;
use super::attached::{assert_blocked, attach, cramped_friends, friends, strangers, NOW};
use super::peer::{RawPeer, CASES, CLIENT13, KEY_UPDATE_REQUESTED};
use super::support::{pattern, tcp, wait, wait_interest};
use std::io::{Read, Write};
use std::net::Shutdown;
use std::os::fd::AsRawFd;

fn failed<T: std::fmt::Debug>(result: Result<T, Halt>) -> Failure {
    match result {
        Err(Halt::Failed(failure)) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn close_notify_is_an_end_and_a_cut_is_none() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        peer.write(b"bye");
        peer.close_notify();
        peer.send_all();
        wait(ours.sock.as_raw_fd(), libc::POLLIN);
        assert_eq!(ours.read(9).unwrap(), b"bye");
        for _ in 0..2 {
            assert!(matches!(ours.read(9), Err(Halt::Ended)));
        }
        assert_eq!(ours.tls.write(b"still", NOW).unwrap(), 5);

        let (ours, mut peer) = friends(case);
        peer.write(b"cut");
        peer.send_all();
        peer.sock.shutdown(Shutdown::Write).unwrap();
        wait(ours.sock.as_raw_fd(), libc::POLLIN);
        assert_eq!(ours.read(9).unwrap(), b"cut");
        wait(ours.sock.as_raw_fd(), libc::POLLRDHUP);
        for _ in 0..2 {
            match ours.read(9) {
                Err(Halt::Truncated(failure)) => {
                    assert_eq!(failure.errno, Errno(libc::EPROTO));
                    assert!(failure.text.contains("without close_notify"));
                }
                other => panic!("{other:?}"),
            }
        }
        // Nobody has said that nothing can be sent.
        assert_eq!(ours.tls.write(b"half-open", NOW).unwrap(), 9);
        drop(peer);
        while wait(ours.sock.as_raw_fd(), 0) & libc::POLLHUP == 0 {
            let _ = ours.tls.write(b"x", NOW);
        }
        assert!(matches!(ours.tls.write(b"x", NOW), Err(Halt::Truncated(_))));
    }
}

#[test]
fn a_reset_is_the_sockets_failure() {
    for case in CASES {
        let (ours, peer) = friends(case);
        reset_peer(peer);
        while wait(ours.sock.as_raw_fd(), 0) & (libc::POLLHUP | libc::POLLERR) == 0 {}
        let failure = failed(ours.read(9));
        assert_eq!(
            (failure.kind, failure.errno),
            (FailureKind::Io, Errno(libc::ECONNRESET))
        );
        let failure = failed(ours.tls.write(b"x", NOW));
        assert_eq!(
            (failure.kind, failure.errno),
            (FailureKind::Io, Errno(libc::ECONNRESET)),
            "as it was"
        );
        assert!(!ours.tls.close(|| false).unwrap(), "a reset is a close");
    }
}

fn reset_peer(peer: RawPeer) {
    socket::reset_on_close(peer.sock.as_raw_fd());
    drop(peer);
}

#[test]
fn a_bad_record_is_final() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        peer.write(b"tampered with");
        let last = peer.out.len() - 1;
        peer.out[last] ^= 1;
        peer.send_all();
        wait(ours.sock.as_raw_fd(), libc::POLLIN);
        for result in [
            ours.read(9).map(drop),
            ours.read(9).map(drop),
            ours.tls.write(b"x", NOW).map(drop),
            ours.tls.close_notify(),
            ours.tls.close(|| false).map(drop),
        ] {
            let failure = failed(result);
            assert_eq!(
                (failure.kind, failure.errno),
                (FailureKind::Tls, Errno(libc::EPROTO))
            );
        }
    }
}

#[test]
fn a_failed_handshake_is_final_and_the_peer_hears_of_it() {
    for case in CASES.into_iter().filter(|case| !case.server) {
        let (ours, theirs) = tcp();
        let ours = attach(case, ours, false);
        let mut peer = RawPeer::new(case, theirs);
        let failure = loop {
            match ours.tls.handshake(NOW) {
                Err(Halt::Blocked) => {}
                result => break failed(result),
            }
            peer.handshake();
            peer.send_all();
            wait(ours.sock.as_raw_fd(), libc::POLLIN);
        };
        assert_eq!(
            (failure.kind, failure.errno),
            (FailureKind::Certificate, Errno(libc::EPROTO))
        );
        assert_eq!(failed(ours.tls.handshake(NOW)).text, failure.text);
        assert_eq!(failed(ours.read(1)).text, failure.text);
        wait(peer.sock.as_raw_fd(), libc::POLLIN);
        assert!(!peer.handshake());
        assert!(peer.error().contains("unknown ca"));
    }
}

#[test]
fn a_handshake_that_is_cut_fails() {
    for case in CASES {
        let (ours, peer) = strangers(case);
        assert_blocked(ours.tls.handshake(NOW));
        peer.sock.shutdown(Shutdown::Write).unwrap();
        wait(ours.sock.as_raw_fd(), libc::POLLRDHUP);
        for _ in 0..2 {
            let failure = failed(ours.tls.handshake(NOW));
            assert!(failure.text.contains("during the handshake"));
            assert_eq!(failure.errno, Errno(libc::ECONNRESET));
        }
        let (ours, peer) = strangers(case);
        assert_blocked(ours.tls.handshake(NOW));
        reset_peer(peer);
        while wait(ours.sock.as_raw_fd(), 0) & (libc::POLLHUP | libc::POLLERR) == 0 {}
        let failure = failed(ours.tls.handshake(NOW));
        assert_eq!(failure.errno, Errno(libc::ECONNRESET));
    }
}

#[test]
fn leave_is_taken_once_and_behind_what_is_pending() {
    for case in CASES {
        let (ours, mut peer) = cramped_friends(case);
        let bytes = pattern(200_000);
        let mut sent = 0;
        while let Ok(count) = ours.tls.write(&bytes[sent..sent + 9000], NOW) {
            sent += count;
        }
        assert_blocked(ours.tls.close_notify());
        assert_eq!(ours.tls.wants(), Interest::WRITE);
        let mut got = Vec::new();
        loop {
            let left = ours.tls.close_notify();
            while let Some(more) = peer.read_record() {
                got.extend(more);
            }
            match left {
                Ok(()) => break,
                halt => assert_blocked(halt),
            }
        }
        // What was pending went out as it was.
        assert_eq!(got.len(), sent + 9000);
        assert!(got == bytes[..got.len()]);
        assert!(peer.got_close_notify());
        ours.tls.close_notify().unwrap();
        assert!(matches!(ours.tls.write(b"x", NOW), Err(Halt::Ended)));
        assert_eq!(peer.read_record(), None);
        // The other direction goes on.
        peer.write(b"more");
        peer.send_all();
        wait(ours.sock.as_raw_fd(), libc::POLLIN);
        assert_eq!(ours.read(9).unwrap(), b"more");
    }
}

#[test]
fn leave_is_taken_behind_an_answer_that_waits_for_the_kernel() {
    let (ours, mut peer) = cramped_friends(CLIENT13);
    let filler = [0u8; 4096];
    while (&ours.sock).write(&filler).is_ok() {}
    peer.key_update(KEY_UPDATE_REQUESTED);
    peer.write(b"after");
    peer.send_all();
    wait(ours.sock.as_raw_fd(), libc::POLLIN);
    assert_eq!(ours.read(9).unwrap(), b"after");
    assert_blocked(ours.tls.write(b"x", NOW));
    assert_blocked(ours.tls.close_notify());
    assert_blocked(ours.tls.close(|| false));
    assert_blocked(ours.read(9));
    let mut sink = [0u8; 4096];
    while peer.sock.read(&mut sink).is_ok() {}
    ours.tls.close_notify().unwrap();
    assert!(matches!(ours.tls.write(b"x", NOW), Err(Halt::Ended)));
}

#[test]
fn a_close_drops_what_comes_and_waits_for_the_peers() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        peer.write(&pattern(60_000));
        peer.send_all();
        wait(ours.sock.as_raw_fd(), libc::POLLIN);
        assert_blocked(ours.tls.close(|| false));
        assert_eq!(ours.tls.wants(), Interest::READ);
        assert!(peer.got_close_notify());
        peer.write(b"one more");
        peer.close_notify();
        peer.send_all();
        while let Err(halt) = ours.tls.close(|| false) {
            assert!(matches!(halt, Halt::Blocked), "{halt:?}");
            wait_interest(ours.sock.as_raw_fd(), ours.tls.wants());
        }
        assert!(ours.tls.close(|| false).unwrap());

        let (ours, peer) = friends(case);
        peer.sock.shutdown(Shutdown::Write).unwrap();
        wait(ours.sock.as_raw_fd(), libc::POLLRDHUP);
        assert!(!ours.tls.close(|| false).unwrap());
    }
}

#[test]
fn a_send_that_failed_hides_nothing_that_arrived() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        peer.write(b"precious");
        peer.send_all();
        ours.sock.shutdown(Shutdown::Write).unwrap();
        let failure = failed(ours.tls.write(b"x", NOW));
        assert_eq!(failure.errno, Errno(libc::EPIPE));
        wait(ours.sock.as_raw_fd(), libc::POLLIN);
        assert_eq!(ours.read(9).unwrap(), b"precious");
        assert_blocked(ours.read(9));
    }
}

#[test]
fn a_cancelled_stream_leaves_the_descriptor_alone() {
    let (ours, _peer) = friends(CLIENT13);
    let fd = ours.sock.as_raw_fd();
    ours.tls.cancel();
    let failure = failed(ours.read(1));
    assert_eq!(failure.errno, Errno(libc::EBADF));
    drop(ours.tls);
    // SAFETY: no memory is involved.
    assert!(unsafe { libc::fcntl(fd, libc::F_GETFD) } >= 0);
}
