//! TLS streams in good order: bytes, ends, key updates, closes.

use super::super::*;
use super::peer::*;
use super::support::*;
use openssl_sys as ffi;
use std::io::IoSlice;
use std::net::Shutdown;
use std::os::fd::AsRawFd;

#[test]
fn bytes_go_both_ways() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        for len in [1, 100, 16_384, 16_385, 65_537] {
            let bytes = pattern(len);
            write_waiting(&t, &bytes).unwrap();
            flush_waiting(&t);
            assert_eq!(peer.read_exactly(len), bytes);
            peer.write(&bytes);
            peer.send_all();
            assert_eq!(read_exactly(&t, len), bytes);
        }
        assert_blocked(read_some(&t, 1));
        assert!(!t.read_again() && t.pending() == 0);
        assert_eq!(ssl_get_fd(&t), t.fd());
    }
}

#[test]
fn nothing_is_read_or_written_before_the_handshake() {
    for case in CASES {
        let (t, _peer) = strangers(case);
        assert_refused(read_some(&t, 1), libc::ENOTCONN);
        assert_refused(t.write(b"x"), libc::ENOTCONN);
        assert_refused(t.shutdown_write(), libc::ENOTCONN);
        assert!(t.close().is_none());
    }
}

#[test]
fn each_byte_may_come_alone() {
    for case in CASES {
        let (t, mut peer) = strangers(case);
        let (mut ours, mut theirs) = (false, false);
        let mut step = |t: &Transport| {
            if !ours {
                match t.handshake() {
                    Ok(()) => ours = true,
                    Err(Stop::Blocked) => {}
                    Err(stop) => panic!("{stop:?}"),
                }
            }
            if ours {
                assert_blocked(read_some(t, 100));
                assert!(!t.read_again(), "half a record is nothing to read");
            }
            ours
        };
        while !(step(&t) && theirs) {
            theirs = theirs || peer.handshake();
            while peer.send(1) == 1 {
                wait(t.fd(), libc::POLLIN);
                step(&t);
            }
        }
        let bytes = pattern(300);
        peer.write(&bytes);
        peer.close_notify();
        let mut got = Vec::new();
        while peer.send(1) == 1 {
            wait(t.fd(), libc::POLLIN);
            match read_some(&t, 1000) {
                Ok(some) => got.extend(some),
                Err(stop) => assert!(matches!(stop, Stop::Blocked), "{stop:?}"),
            }
            assert!(!t.read_again());
        }
        assert_eq!(got, bytes);
        assert!(t.read_ended());
    }
}

#[test]
fn one_recv_feeds_many_records_and_the_flag_says_so() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        for i in 0..10u8 {
            peer.write(&[i; 10]);
        }
        peer.send_all();
        wait(t.fd(), libc::POLLIN);
        for i in 0..10u8 {
            assert_eq!(read_some(&t, 100).unwrap(), [i; 10]);
            assert_eq!(t.read_again(), i < 9);
        }
        assert_blocked(read_some(&t, 100));
    }
}

#[test]
fn a_record_is_read_byte_by_byte_without_the_kernel() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        let bytes = pattern(16_384);
        peer.write(&bytes);
        peer.write(b"next");
        peer.send_all();
        wait(t.fd(), libc::POLLIN);
        let mut got = read_waiting(&t, 1).unwrap();
        while got.len() < bytes.len() {
            assert!(t.read_again());
            assert_eq!(t.pending(), bytes.len() - got.len());
            got.extend(read_some(&t, 1).unwrap());
        }
        assert_eq!(got, bytes);
        assert_eq!(read_waiting(&t, 100).unwrap(), b"next");
        assert!(!t.read_again());
    }
}

#[test]
fn half_a_record_does_not_spin() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        peer.write(b"whole");
        let whole = peer.out.len();
        peer.write(&pattern(1000));
        peer.send(whole + 500);
        wait(t.fd(), libc::POLLIN);
        assert_eq!(read_some(&t, 100).unwrap(), b"whole");
        // Half a record is inside: one try in vain is right, a second would be a spin.
        assert!(t.read_again());
        assert_blocked(read_some(&t, 100));
        assert!(!t.read_again());
        peer.send_all();
        assert_eq!(read_waiting(&t, 2000).unwrap(), pattern(1000));
        assert!(!t.read_again());
    }
}

#[test]
fn close_notify_is_the_end_and_writing_goes_on() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        peer.write(b"bye");
        peer.close_notify();
        peer.send_all();
        assert_eq!(read_waiting(&t, 10).unwrap(), b"bye");
        assert!(t.read_again(), "the end is inside");
        for _ in 0..3 {
            assert_eq!(read_waiting(&t, 10).unwrap(), b"");
            assert!(t.read_ended() && !t.read_again());
        }
        assert_eq!(t.write(b"still here").unwrap(), 10);
        assert_eq!(peer.read_exactly(10), b"still here");
        t.shutdown_write().unwrap();
        wait(peer.sock.as_raw_fd(), libc::POLLIN);
        assert!(peer.got_close_notify());
    }
}

#[test]
fn after_shutdown_reading_goes_on() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        assert_eq!(t.write(b"last words").unwrap(), 10);
        t.shutdown_write().unwrap();
        t.shutdown_write().unwrap();
        assert!(t.write_ended() && !t.has_unsent());
        assert_refused(t.write(b"x"), libc::EPIPE);
        assert_eq!(peer.read_exactly(10), b"last words");
        while !peer.ended {
            assert!(peer.got_close_notify());
            wait(peer.sock.as_raw_fd(), libc::POLLIN);
        }
        if case.version == ffi::TLS1_3_VERSION {
            // Asks for an answer that may not be given any more.
            peer.key_update(KEY_UPDATE_REQUESTED);
        }
        peer.write(b"answer");
        peer.send_all();
        assert_eq!(read_waiting(&t, 100).unwrap(), b"answer");
        peer.write(b"more");
        peer.close_notify();
        peer.send_all();
        assert_eq!(read_waiting(&t, 100).unwrap(), b"more");
        assert_eq!(read_waiting(&t, 100).unwrap(), b"");
    }
}

#[test]
fn a_fin_without_close_notify_is_a_truncation() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        peer.write(b"first");
        peer.send_all();
        peer.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_waiting(&t, 100).unwrap(), b"first");
        for _ in 0..2 {
            let failure = read_waiting(&t, 100).unwrap_err();
            assert_eq!(failure.kind, FailureKind::Tls);
            assert_eq!(failure.errno, Errno(libc::ECONNRESET));
            assert!(failure.text.contains("truncated"), "{}", failure.text);
            assert!(!t.read_ended() && !t.read_again());
        }
        assert_failed(t.write(b"x"), FailureKind::Tls, libc::ECONNRESET);
    }
}

#[test]
fn a_truncation_may_be_allowed() {
    for case in CASES {
        let (t, mut peer) = friends_that_may_cut(case);
        peer.write(b"first");
        peer.send_all();
        peer.sock.shutdown(Shutdown::Write).unwrap();
        assert_eq!(read_waiting(&t, 100).unwrap(), b"first");
        assert_eq!(read_waiting(&t, 100).unwrap(), b"");
        assert!(t.read_ended());
        assert_eq!(t.write(b"go on").unwrap(), 5);
        assert_eq!(peer.read_exactly(5), b"go on");
    }
}

#[test]
fn key_updates_pass_unnoticed() {
    for case in CASES
        .into_iter()
        .filter(|case| case.version == ffi::TLS1_3_VERSION)
    {
        let (t, mut peer) = friends(case);
        for kind in [KEY_UPDATE_NOT_REQUESTED, KEY_UPDATE_REQUESTED] {
            for _ in 0..3 {
                peer.key_update(kind);
                peer.send_all();
                wait(t.fd(), libc::POLLIN);
                assert_blocked(read_some(&t, 10));
                assert_eq!(t.waits_for(Operation::Read), Interest::READ);
                peer.write(b"new key");
                peer.send_all();
                assert_eq!(read_waiting(&t, 10).unwrap(), b"new key");
                assert_eq!(t.write(b"yes").unwrap(), 3);
                assert_eq!(peer.read_exactly(3), b"yes");
            }
        }
    }
}

#[test]
fn a_flood_of_key_updates_is_bounded_and_ends() {
    let (t, mut peer) = cramped_friends(CLIENT13);
    // The peer asks for answers and does not read them.
    let mut asked = 0;
    loop {
        for _ in 0..100 {
            peer.key_update(KEY_UPDATE_REQUESTED);
            asked += 1;
        }
        peer.send_all();
        wait(t.fd(), libc::POLLIN);
        assert_blocked(read_some(&t, 10));
        if t.waits_for(Operation::Read) == Interest::WRITE {
            break;
        }
        assert!(asked < 100_000, "the answers are not bounded");
    }
    assert!(t.has_unsent() && !t.read_again());
    assert_blocked(t.write(b"x"));
    // It reads at last.
    peer.write(b"enough");
    peer.send_all();
    loop {
        let _ = t.flush();
        match read_some(&t, 10) {
            Ok(bytes) => {
                assert_eq!(bytes, b"enough");
                break;
            }
            Err(stop) => assert!(matches!(stop, Stop::Blocked), "{stop:?}"),
        }
        assert_eq!(peer.read_record(), None);
    }
    flush_draining(&t, &mut peer);
    assert_eq!(t.write(b"well").unwrap(), 4);
    assert_eq!(peer.read_exactly(4), b"well");
}

/// Flushes while the peer reads what is not data.
fn flush_draining(t: &Transport, peer: &mut RawPeer) {
    while t.flush().is_err() {
        wait_either(t.fd(), peer.sock.as_raw_fd());
        assert_eq!(peer.read_record(), None);
    }
}

#[test]
fn a_full_kernel_blocks_and_any_buffer_goes_on() {
    for case in CASES {
        let (t, mut peer) = cramped_friends(case);
        let all = pattern(3 << 20);
        let (mut at, mut step, mut blocked) = (0, 1, 0);
        let mut got = Vec::new();
        while at < all.len() {
            step = (step * 7 + 3) % 300_000 + 1;
            let moved = all[at..all.len().min(at + step)].to_vec();
            match t.write(&moved) {
                Ok(count) => at += count,
                Err(Stop::Blocked) => {
                    blocked += 1;
                    assert_eq!(t.waits_for(Operation::Write), Interest::WRITE);
                    assert!(t.has_unsent());
                    // Reading is not in the way of it.
                    assert_blocked(read_some(&t, 1));
                    wait_either(t.fd(), peer.sock.as_raw_fd());
                    while let Some(bytes) = peer.read_record() {
                        got.extend(bytes);
                    }
                }
                Err(stop) => panic!("{stop:?}"),
            }
        }
        assert!(blocked > 0);
        while t.flush().is_err() {
            wait_either(t.fd(), peer.sock.as_raw_fd());
            got.extend(peer.read_record().unwrap_or_default());
        }
        let rest = peer.read_exactly(all.len() - got.len());
        got.extend(rest);
        assert!(got == all);
    }
}

#[test]
fn small_pieces_share_a_record() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        let all = pattern(3000);
        let pieces: Vec<IoSlice<'_>> = all
            .chunks(7)
            .flat_map(|chunk| [IoSlice::new(&[]), IoSlice::new(chunk)])
            .collect();
        assert_eq!(t.write_vectored(&pieces).unwrap(), all.len());
        wait(peer.sock.as_raw_fd(), libc::POLLIN);
        assert_eq!(peer.read_record().unwrap(), all);
        // A large first piece goes alone.
        let large = pattern(20_000);
        let count = t
            .write_vectored(&[IoSlice::new(&large), IoSlice::new(b"tail")])
            .unwrap();
        assert_eq!(count, large.len());
        assert_eq!(peer.read_exactly(count), large);
        // More than one gathering holds.
        let pieces = [IoSlice::new(&large[..10_000]); 10];
        let count = t.write_vectored(&pieces).unwrap();
        assert!((16_384..=100_000).contains(&count));
        let expected: Vec<u8> = large[..10_000]
            .iter()
            .copied()
            .cycle()
            .take(count)
            .collect();
        flush_waiting(&t);
        assert_eq!(peer.read_exactly(count), expected);
    }
}

#[test]
fn close_says_goodbye() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        // Unread bytes at both levels.
        peer.write(&pattern(1000));
        peer.write(&pattern(1000));
        peer.send_all();
        read_waiting(&t, 10).unwrap();
        peer.write(&pattern(5000));
        peer.send_all();
        wait(t.fd(), libc::POLLIN);
        assert_eq!(t.write(b"goodbye").unwrap(), 7);
        assert!(t.close().is_none());
        assert_eq!((t.fd(), ssl_get_fd(&t)), (-1, -1));
        assert_eq!(peer.read_exactly(7), b"goodbye");
        while !peer.got_close_notify() {
            wait(peer.sock.as_raw_fd(), libc::POLLIN);
        }
    }
}

#[test]
fn close_hands_over_what_the_kernel_does_not_take() {
    for case in CASES {
        let (t, mut peer) = cramped_friends(case);
        let all = pattern(1 << 20);
        let all = &all[..t.write(&all).unwrap()];
        assert!(t.has_unsent());
        let mut unsent = t.close().unwrap();
        drop(t);
        let mut got = Vec::new();
        while !unsent.flush() {
            wait_either(unsent.fd(), peer.sock.as_raw_fd());
            got.extend(peer.read_record().unwrap_or_default());
        }
        drop(unsent);
        let rest = peer.read_exactly(all.len() - got.len());
        got.extend(rest);
        assert!(got == all);
        while !peer.got_close_notify() {
            wait(peer.sock.as_raw_fd(), libc::POLLIN);
        }
    }
}

#[test]
fn shutdown_waits_for_the_kernel() {
    for case in CASES {
        let (t, mut peer) = cramped_friends(case);
        let all = pattern(1 << 20);
        let all = &all[..t.write(&all).unwrap()];
        assert!(t.has_unsent());
        assert_blocked(t.shutdown_write());
        assert!(t.write_ended() && t.has_unsent());
        assert_refused(t.write(b"x"), libc::EPIPE);
        let mut got = Vec::new();
        while t.has_unsent() {
            wait_either(t.fd(), peer.sock.as_raw_fd());
            got.extend(peer.read_record().unwrap_or_default());
            if let Err(stop) = t.flush() {
                assert!(matches!(stop, Stop::Blocked), "{stop:?}");
            }
        }
        let rest = peer.read_exactly(all.len() - got.len());
        got.extend(rest);
        assert!(got == all);
        while !peer.ended {
            assert!(peer.got_close_notify());
            wait(peer.sock.as_raw_fd(), libc::POLLIN);
        }
    }
}

#[test]
fn buffers_come_and_go() {
    for case in CASES {
        // More than a thread keeps warm.
        let mut all: Vec<_> = (0..70).map(|_| friends(case)).collect();
        for round in 0..3u8 {
            for (t, peer) in &mut all {
                peer.write(&[round; 50]);
                peer.write(&[round; 60]);
                peer.send_all();
                wait(t.fd(), libc::POLLIN);
                assert_eq!(read_some(t, 100).unwrap(), [round; 50]);
            }
            for (t, peer) in &mut all {
                // Bytes inside OpenSSL keep its buffer.
                t.release_buffers();
                assert_eq!(read_some(t, 100).unwrap(), [round; 60]);
                t.release_buffers();
                assert_eq!(t.write(&[round; 70]).unwrap(), 70);
                t.release_buffers();
                assert_eq!(peer.read_exactly(70), [round; 70]);
            }
            all.pop();
        }
    }
}
