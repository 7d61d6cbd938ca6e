//! TLS streams in bad order: cut, reset, refused, and callbacks that come back.

use super::super::*;
use super::peer::*;
use super::support::*;
use openssl_sys as ffi;
use std::cell::{Cell, RefCell};
use std::ffi::c_int;
use std::net::Shutdown;
use std::os::fd::AsRawFd;

/// Brings `t` so far that the peer has sent `most` bytes, and stops there. The result of the last step, and whether the
/// peer had more to send.
fn deliver(t: &Transport, peer: &mut RawPeer, most: usize) -> Result<(), Stop> {
    loop {
        let result = t.handshake();
        if !matches!(result, Err(Stop::Blocked)) {
            return result;
        }
        peer.handshake();
        let room = most - peer.sent;
        if room == 0 || peer.send(room) == 0 {
            return result;
        }
        wait(t.fd(), libc::POLLIN);
    }
}

/// Runs the handshake until `t` needs nothing more; the bytes it needed.
fn needed(case: Case) -> usize {
    let (t, mut peer) = strangers(case);
    let mut most = 0;
    loop {
        most += 1;
        match deliver(&t, &mut peer, most) {
            Ok(()) => return most,
            Err(Stop::Blocked) => {}
            Err(stop) => panic!("{stop:?}"),
        }
    }
}

#[test]
fn a_handshake_cut_at_any_byte_fails_once_and_clearly() {
    for case in CASES {
        for most in 0..needed(case) - 20 {
            let (t, mut peer) = strangers(case);
            assert_blocked(deliver(&t, &mut peer, most));
            peer.sock.shutdown(Shutdown::Write).unwrap();
            wait(t.fd(), libc::POLLIN);
            for _ in 0..2 {
                let failure = match t.handshake() {
                    Err(Stop::Failed(failure)) => failure,
                    other => panic!("{case:?} at {most}: {other:?}"),
                };
                assert_eq!(failure.kind, FailureKind::Tls, "{case:?} at {most}");
                assert_eq!(failure.errno, Errno(libc::ECONNRESET));
                assert!(
                    failure.text.contains("during the handshake"),
                    "{}",
                    failure.text
                );
            }
            assert!(t.close().is_none());
        }
    }
}

#[test]
fn a_reset_in_the_handshake_is_one_of_tls() {
    for case in CASES {
        for most in (0..needed(case) - 20).step_by(97) {
            let (t, mut peer) = strangers(case);
            assert_blocked(deliver(&t, &mut peer, most));
            socket::reset_on_close(peer.sock.as_raw_fd());
            drop(peer);
            while wait(t.fd(), 0) & (libc::POLLHUP | libc::POLLERR) == 0 {}
            if most % 2 == 0 {
                let failure = t.take_socket_error().unwrap();
                assert_eq!(failure.kind, FailureKind::Tls);
            }
            assert_failed(t.handshake(), FailureKind::Tls, libc::ECONNRESET);
            assert_refused_or_failed(&t);
        }
    }
}

fn assert_refused_or_failed(t: &Transport) {
    assert!(matches!(t.write(b"x"), Err(Stop::Failed(_))));
    assert!(matches!(read_some(t, 1), Err(Stop::Failed(_))));
}

#[test]
fn nonsense_in_the_handshake_is_eproto() {
    for case in CASES {
        let (t, mut peer) = strangers(case);
        assert_blocked(t.handshake());
        while peer.take_in() {}
        peer.out = b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
        peer.send_all();
        wait(t.fd(), libc::POLLIN);
        assert_failed(t.handshake(), FailureKind::Tls, libc::EPROTO);
        assert_failed(t.handshake(), FailureKind::Tls, libc::EPROTO);
        assert_eq!(drain_errors(), []);
    }
}

#[test]
fn an_untrusted_certificate_is_refused_with_an_alert() {
    for case in CASES.into_iter().filter(|case| !case.server) {
        let (t, mut peer) = strangers_with(case, false, false);
        let failure = loop {
            match t.handshake() {
                Err(Stop::Blocked) => {
                    peer.handshake();
                    peer.send_all();
                }
                Err(Stop::Failed(failure)) => break failure,
                other => panic!("{other:?}"),
            }
        };
        assert_eq!(failure.kind, FailureKind::Certificate);
        assert_eq!(failure.errno, Errno(libc::EPROTO));
        drop(t);
        wait(peer.sock.as_raw_fd(), libc::POLLIN);
        if peer.handshake() {
            peer.read_in_vain();
        }
        let error = peer.error();
        assert!(error.contains("alert"), "{error}");
    }
}

#[test]
fn what_arrived_before_a_reset_is_read_first() {
    for case in CASES {
        for by_write in [false, true] {
            let (t, mut peer) = friends(case);
            let all = pattern(50_000);
            peer.write(&all);
            peer.send_all();
            wait(t.fd(), libc::POLLIN);
            let mut got = read_some(&t, 10).unwrap();
            socket::reset_on_close(peer.sock.as_raw_fd());
            drop(peer);
            while wait(t.fd(), 0) & (libc::POLLHUP | libc::POLLERR) == 0 {}
            if by_write {
                assert_failed(t.write(b"x"), FailureKind::Io, libc::ECONNRESET);
            } else {
                assert!(t.take_socket_error().is_some());
            }
            assert!(t.read_again());
            while got.len() < all.len() {
                got.extend(read_some(&t, 1 << 16).unwrap());
            }
            assert!(got == all);
            assert!(t.read_again());
            assert_failed(read_some(&t, 10), FailureKind::Io, libc::ECONNRESET);
            assert!(!t.read_again());
            assert_failed(t.write(b"x"), FailureKind::Io, libc::ECONNRESET);
            assert!(t.close().is_none());
        }
    }
}

#[test]
fn a_forged_record_ends_the_stream_with_eproto() {
    for case in CASES {
        let (t, mut peer) = friends(case);
        peer.write(b"good");
        peer.write(b"forged");
        let last = peer.out.len() - 1;
        peer.out[last] ^= 1;
        peer.send_all();
        assert_eq!(read_waiting(&t, 100).unwrap(), b"good");
        for _ in 0..2 {
            let failure = read_waiting(&t, 100).unwrap_err();
            assert_eq!(
                (failure.kind, failure.errno),
                (FailureKind::Tls, Errno(libc::EPROTO))
            );
            assert!(!t.read_again());
        }
        assert_failed(t.write(b"x"), FailureKind::Tls, libc::EPROTO);
        assert_failed(t.shutdown_write(), FailureKind::Tls, libc::EPROTO);
        assert!(t.close().is_none());
        assert_eq!(drain_errors(), []);
    }
}

#[test]
fn the_hosts_errors_are_left_alone() {
    for case in CASES {
        drain_errors();
        let (t, mut peer) = strangers(case);
        assert_eq!(drain_errors(), []);
        let host = host_error();
        assert_blocked(t.handshake());
        let kept = drain_errors();
        assert_eq!(kept.last(), Some(&host));
        acquaint(&t, &mut peer);

        let host = host_error();
        assert_blocked(read_some(&t, 10));
        assert_eq!(t.write(b"x").unwrap(), 1);
        assert_eq!(drain_errors().last(), Some(&host));
        // An empty queue stays empty.
        peer.write(b"x");
        peer.send_all();
        assert_eq!(read_waiting(&t, 1).unwrap(), b"x");
        assert_eq!(drain_errors(), []);

        host_error();
        peer.sock.shutdown(Shutdown::Write).unwrap();
        assert!(read_waiting(&t, 1).is_err());
        assert_eq!(drain_errors().last(), Some(&host));
    }
}

thread_local! {
    static INSIDE: RefCell<Option<std::rc::Rc<Transport>>> = const { RefCell::new(None) };
    static CALLED: Cell<u32> = const { Cell::new(0) };
    static CLOSING: Cell<bool> = const { Cell::new(false) };
}

extern "C" {
    fn SSL_set_info_callback(
        ssl: *mut ffi::SSL,
        callback: Option<unsafe extern "C" fn(*const ffi::SSL, c_int, c_int)>,
    );
    fn SSL_up_ref(ssl: *mut ffi::SSL) -> c_int;
}

unsafe extern "C" fn come_back(_ssl: *const ffi::SSL, _at: c_int, _value: c_int) {
    let Some(t) = INSIDE.with(|inside| inside.borrow().clone()) else {
        return;
    };
    CALLED.with(|called| called.set(called.get() + 1));
    if t.session().is_some() {
        t.release_buffers();
        assert_refused(t.handshake(), libc::EBUSY);
    }
    if CLOSING.with(Cell::get) {
        assert!(t.close().is_none());
        t.abort();
        assert!(t.fd() >= 0, "the descriptor lives as long as the call");
    }
}

#[test]
fn a_callback_that_comes_back_finds_it_busy() {
    for case in CASES {
        let (t, mut peer) = strangers(case);
        let t = std::rc::Rc::new(t);
        // SAFETY: the SSL is alive, the callback is a function.
        unsafe { SSL_set_info_callback(t.session().unwrap().ssl(), Some(come_back)) };
        INSIDE.with(|inside| *inside.borrow_mut() = Some(t.clone()));
        CALLED.with(|called| called.set(0));
        assert_blocked(t.handshake());
        assert!(case.server || CALLED.with(Cell::get) > 0);
        if case.server {
            peer.handshake();
            peer.send_all();
            wait(t.fd(), libc::POLLIN);
        }
        CLOSING.with(|closing| closing.set(true));
        if !case.server {
            peer.handshake();
            peer.send_all();
            wait(t.fd(), libc::POLLIN);
        }
        assert_failed(t.handshake(), FailureKind::Io, libc::ECANCELED);
        CLOSING.with(|closing| closing.set(false));
        INSIDE.with(|inside| *inside.borrow_mut() = None);
        assert!(CALLED.with(Cell::get) > 0);
        drop(t);
        while !peer.ended {
            wait(peer.sock.as_raw_fd(), libc::POLLIN);
            while peer.take_in() {}
        }
    }
}

#[test]
fn the_ssl_may_outlive_the_transport() {
    let (t, _peer) = friends(CLIENT13);
    let ssl = t.session().unwrap().ssl();
    // SAFETY: the host takes its own reference.
    unsafe { SSL_up_ref(ssl) };
    drop(t);
    let mut buf = [0u8; 10];
    // SAFETY: the reference keeps the SSL alive; its BIO is dead and says so.
    unsafe {
        assert!(ffi::SSL_read(ssl, buf.as_mut_ptr().cast(), 10) <= 0);
        assert!(ffi::SSL_write(ssl, buf.as_ptr().cast(), 10) <= 0);
        ffi::SSL_free(ssl);
        ffi::ERR_clear_error();
    }
}
