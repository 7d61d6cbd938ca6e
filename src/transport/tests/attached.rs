//! TLS on a descriptor that is somebody else's, in good order.

use super::super::*;
use super::peer::{
    session, Case, RawPeer, CASES, CLIENT13, KEY_UPDATE_NOT_REQUESTED, KEY_UPDATE_REQUESTED,
};
use super::support::{pattern, tcp, unix, wait, wait_interest};
use std::io::{IoSlice, Read, Seek, SeekFrom, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::time::Duration;

/// A stream that owns its descriptor, with TLS on it.
pub(super) struct Ours {
    pub(super) tls: Attached,
    pub(super) sock: TcpStream,
}

pub(super) const NOW: Patience = Patience::Descriptors;

pub(super) fn attach(case: Case, ours: OwnedFd, trusting: bool) -> Ours {
    let sock = TcpStream::from(ours);
    let tls = Attached::new(sock.as_raw_fd(), session(case, trusting)).unwrap();
    Ours { tls, sock }
}

pub(super) fn strangers(case: Case) -> (Ours, RawPeer) {
    let (ours, theirs) = tcp();
    (attach(case, ours, true), RawPeer::new(case, theirs))
}

impl Ours {
    pub(super) fn read(&self, len: usize) -> Result<Vec<u8>, Halt> {
        let mut buf = vec![0u8; len];
        // SAFETY: initialised bytes are a fine place for bytes.
        let place = unsafe { std::slice::from_raw_parts_mut(buf.as_mut_ptr().cast(), len) };
        let count = self.tls.read(place, NOW)?;
        buf.truncate(count);
        Ok(buf)
    }

    pub(super) fn wait(&self) {
        wait_interest(self.sock.as_raw_fd(), self.tls.wants());
    }

    fn read_exactly(&self, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < len {
            match self.read(len - all.len()) {
                Ok(more) => all.extend(more),
                Err(Halt::Blocked) => self.wait(),
                Err(halt) => panic!("{halt:?}"),
            }
        }
        all
    }
}

#[track_caller]
pub(super) fn assert_blocked<T: std::fmt::Debug>(result: Result<T, Halt>) {
    assert!(matches!(result, Err(Halt::Blocked)), "{result:?}");
}

/// Brings the handshake of both to its end, tickets included.
pub(super) fn acquaint(ours: &Ours, peer: &mut RawPeer) {
    let mut theirs = false;
    while !(ours.tls.is_ready() && theirs) {
        match ours.tls.handshake(NOW) {
            Ok(()) | Err(Halt::Blocked) => {}
            Err(halt) => panic!("{halt:?}; the peer says {:?}", peer.error()),
        }
        theirs = theirs || peer.handshake();
        peer.send_all();
    }
    assert_blocked(ours.read(1));
    while peer.take_in() {}
    assert_eq!(peer.read_record(), None);
}

pub(super) fn friends(case: Case) -> (Ours, RawPeer) {
    let (ours, mut peer) = strangers(case);
    acquaint(&ours, &mut peer);
    (ours, peer)
}

/// The same over a Unix socket that is full soon.
pub(super) fn cramped_friends(case: Case) -> (Ours, RawPeer) {
    let (ours, theirs) = unix();
    let size: i32 = 16_384;
    // SAFETY: `size` is an int.
    let result = unsafe {
        libc::setsockopt(
            ours.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&raw const size).cast(),
            std::mem::size_of::<i32>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
    let mut peer = RawPeer::new(case, TcpStream::from(OwnedFd::from(theirs)));
    let ours = attach(case, ours, true);
    acquaint(&ours, &mut peer);
    (ours, peer)
}

/// Writes all, reading at the peer when the kernel is full; what the peer has got by then.
fn write_all(ours: &Ours, peer: &mut RawPeer, mut bytes: &[u8]) -> Vec<u8> {
    let mut got = Vec::new();
    while !bytes.is_empty() {
        // Moved each time.
        let copy = bytes.to_vec();
        match ours.tls.write(&copy, NOW) {
            Ok(count) => bytes = &bytes[count..],
            Err(Halt::Blocked) => {
                assert_eq!(ours.tls.wants(), Interest::WRITE);
                while let Some(more) = peer.read_record() {
                    got.extend(more);
                }
            }
            Err(halt) => panic!("{halt:?}"),
        }
    }
    got
}

#[test]
fn bytes_go_both_ways() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        for len in [1, 100, 16_384, 16_385, 65_537, 1 << 20] {
            let bytes = pattern(len);
            let mut got = write_all(&ours, &mut peer, &bytes);
            let rest = len - got.len();
            got.extend(peer.read_exactly(rest));
            assert_eq!(got, bytes);
            peer.write(&bytes[..len.min(65_537)]);
            peer.send_all();
            assert_eq!(ours.read_exactly(len.min(65_537)), bytes[..len.min(65_537)]);
        }
        assert_blocked(ours.read(1));
        assert!(!ours.tls.has_buffered() && ours.tls.decrypted() == 0);
    }
}

#[test]
fn nothing_is_read_or_written_before_the_handshake() {
    for case in CASES {
        let (ours, _peer) = strangers(case);
        for result in [
            ours.read(1).map(drop),
            ours.tls.write(b"x", NOW).map(drop),
            ours.tls.close_notify(),
            ours.tls.close(|| false).map(drop),
        ] {
            assert!(matches!(result, Err(Halt::Refused(Errno(libc::ENOTCONN)))));
        }
        assert_eq!(ours.tls.write(b"", NOW).unwrap(), 0);
        assert!(!ours.tls.has_buffered());
    }
}

#[test]
fn each_byte_may_come_alone() {
    for case in CASES {
        let (ours, mut peer) = strangers(case);
        let mut theirs = false;
        let step = || {
            if !ours.tls.is_ready() {
                match ours.tls.handshake(NOW) {
                    Ok(()) | Err(Halt::Blocked) => {}
                    Err(halt) => panic!("{halt:?}"),
                }
            }
            if ours.tls.is_ready() {
                assert_blocked(ours.read(100));
                assert!(!ours.tls.has_buffered());
            }
            ours.tls.is_ready()
        };
        while !(step() && theirs) {
            theirs = theirs || peer.handshake();
            while peer.send(1) == 1 {
                wait(ours.sock.as_raw_fd(), libc::POLLIN);
                step();
            }
        }
        let bytes = pattern(300);
        peer.write(&bytes);
        peer.close_notify();
        let mut got = Vec::new();
        while peer.send(1) == 1 {
            wait(ours.sock.as_raw_fd(), libc::POLLIN);
            match ours.read(1000) {
                Ok(some) => got.extend(some),
                Err(Halt::Ended) => assert_eq!(got.len(), 300),
                Err(halt) => assert!(matches!(halt, Halt::Blocked), "{halt:?}"),
            }
        }
        assert_eq!(got, bytes);
        assert!(matches!(ours.read(1), Err(Halt::Ended)));
    }
}

#[test]
fn what_is_buffered_is_a_whole_record_or_decrypted() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        for bytes in [&b"first"[..], b"second", b"third"] {
            peer.write(bytes);
        }
        peer.collect();
        let half = peer.out.len() - 7;
        peer.send(half);
        wait(ours.sock.as_raw_fd(), libc::POLLIN);
        assert!(!ours.tls.has_buffered(), "the kernel has it");
        assert_eq!(ours.read(2).unwrap(), b"fi");
        assert!(ours.tls.has_buffered() && ours.tls.decrypted() == 3);
        assert_eq!(ours.read(9).unwrap(), b"rst");
        assert!(ours.tls.has_buffered() && ours.tls.decrypted() == 0);
        assert_eq!(ours.read(9).unwrap(), b"second");
        assert!(!ours.tls.has_buffered(), "half a record is nothing");
        assert_blocked(ours.read(9));
        assert!(!ours.tls.has_buffered());
        peer.send_all();
        assert_eq!(ours.read_exactly(5), b"third");
    }
}

#[test]
fn a_write_that_is_blocked_goes_on_with_any_buffer() {
    for case in CASES {
        let (ours, mut peer) = cramped_friends(case);
        let bytes = pattern(300_000);
        let mut sent = 0;
        // Until the kernel is full, in pieces of a size that does not divide anything.
        let blocked = loop {
            match ours.tls.write(&bytes[sent..sent + 10_001], NOW) {
                Ok(count) => sent += count,
                Err(halt) => break halt,
            }
        };
        assert!(matches!(blocked, Halt::Blocked));
        assert_eq!(ours.tls.wants(), Interest::WRITE);
        assert!(ours.tls.is_ready());
        assert_blocked(ours.tls.write(&bytes[sent..sent + 10_001], NOW));
        let mut got = peer.read_record().unwrap_or_default();
        while let Some(more) = peer.read_record() {
            got.extend(more);
        }
        // Fewer bytes than the first time; they are counted one by one until all of the record was reported.
        for len in [1, 5000, 40_000] {
            loop {
                match ours.tls.write(&bytes[sent..sent + len], NOW) {
                    Ok(count) => {
                        sent += count;
                        break;
                    }
                    Err(halt) => assert!(matches!(halt, Halt::Blocked), "{halt:?}"),
                }
                while let Some(more) = peer.read_record() {
                    got.extend(more);
                }
            }
        }
        while let Some(more) = peer.read_record() {
            got.extend(more);
        }
        got.extend(write_all(&ours, &mut peer, &bytes[sent..]));
        let rest = bytes.len() - got.len();
        got.extend(peer.read_exactly(rest));
        assert!(got == bytes);
    }
}

#[test]
fn small_pieces_share_a_record() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        let (a, b, c) = (pattern(10), pattern(300), pattern(20_000));
        let pieces = [&a[..], &[], &b[..], &c[..]].map(IoSlice::new);
        assert_eq!(ours.tls.write_vectored(&pieces, NOW).unwrap(), 16_384);
        let mut all = a.clone();
        all.extend(&b);
        all.extend(&c);
        all.truncate(16_384);
        wait(peer.sock.as_raw_fd(), libc::POLLIN);
        assert_eq!(peer.read_record().unwrap(), all);
        assert_eq!(
            ours.tls
                .write_vectored(&[IoSlice::new(&c), IoSlice::new(&a)], NOW)
                .unwrap(),
            16_384
        );
        assert_eq!(peer.read_exactly(16_384), c[..16_384]);
        assert_eq!(ours.tls.write_vectored(&[], NOW).unwrap(), 0);
    }
}

#[test]
fn a_file_goes_from_where_it_is_told() {
    let path = std::env::temp_dir().join(format!("netconn-attached-{}", std::process::id()));
    let mut file = std::fs::OpenOptions::new()
        .create(true)
        .truncate(true)
        .read(true)
        .write(true)
        .open(&path)
        .unwrap();
    std::fs::remove_file(&path).unwrap();
    let bytes = pattern(50_000);
    file.write_all(&bytes).unwrap();
    for case in CASES {
        let (ours, mut peer) = friends(case);
        file.seek(SeekFrom::Start(49_990)).unwrap();
        let send = |offset: Option<&mut libc::off_t>, count| {
            ours.tls.send_file(file.as_raw_fd(), offset, count, NOW)
        };
        let mut offset = 0;
        while offset < 40_000 {
            let left = 40_000 - offset as usize;
            assert!(send(Some(&mut offset), left).unwrap() > 0);
        }
        assert_eq!(peer.read_exactly(40_000), bytes[..40_000]);
        assert_eq!(send(None, 100).unwrap(), 10);
        assert_eq!(send(None, 100).unwrap(), 0);
        assert_eq!(peer.read_exactly(10), bytes[49_990..]);
        assert!(matches!(
            ours.tls.send_file(-1, None, 1, NOW),
            Err(Halt::Refused(Errno(libc::EBADF)))
        ));
        assert!(matches!(
            send(Some(&mut -1), 1),
            Err(Halt::Refused(Errno(libc::EINVAL)))
        ));
    }
}

#[test]
fn key_updates_and_their_answers_do_not_show() {
    for case in CASES
        .into_iter()
        .filter(|case| case.version == CLIENT13.version)
    {
        let (ours, mut peer) = cramped_friends(case);
        for kind in [KEY_UPDATE_NOT_REQUESTED, KEY_UPDATE_REQUESTED] {
            peer.key_update(kind);
            peer.write(b"after");
            peer.send_all();
            assert_eq!(ours.read_exactly(5), b"after");
            assert_eq!(ours.tls.write(b"answer", NOW).unwrap(), 6);
            assert_eq!(peer.read_exactly(6), b"answer");
        }
        // The answer is due while a record waits for the kernel.
        let bytes = pattern(200_000);
        let mut sent = 0;
        while let Ok(count) = ours.tls.write(&bytes[sent..], NOW) {
            sent += count;
        }
        peer.key_update(KEY_UPDATE_REQUESTED);
        peer.write(b"again");
        peer.send_all();
        assert_eq!(ours.read_exactly(5), b"again");
        let mut got = write_all(&ours, &mut peer, &bytes[sent..]);
        let rest = bytes.len() - got.len();
        got.extend(peer.read_exactly(rest));
        assert!(got == bytes);
    }
}

#[test]
fn a_blocking_descriptor_waits_and_its_time_out_counts() {
    for case in CASES {
        let (ours, theirs) = tcp();
        let ours = attach(case, ours, true);
        ours.sock.set_nonblocking(false).unwrap();
        let mut peer = RawPeer::new(case, theirs);
        std::thread::scope(|scope| {
            let ours = scope.spawn(move || {
                ours.tls.handshake(NOW).unwrap();
                // A second thread after the first: nothing stays behind in one.
                ours.tls.write(&pattern(100), NOW).unwrap();
                let mut got = Vec::new();
                while got.len() < 100_000 {
                    got.extend(ours.read(1 << 20).unwrap());
                }
                assert!(got == pattern(100_000));
                assert_blocked(
                    ours.tls.handshake(Patience::None).and(
                        ours.tls
                            .read(&mut [std::mem::MaybeUninit::uninit()], Patience::None),
                    ),
                );
                ours.sock
                    .set_read_timeout(Some(Duration::from_millis(20)))
                    .unwrap();
                assert_blocked(ours.read(1));
                ours
            });
            while !peer.handshake() {
                peer.send_all();
                wait(peer.sock.as_raw_fd(), libc::POLLIN);
            }
            peer.send_all();
            assert_eq!(peer.read_exactly(100), pattern(100));
            peer.write(&pattern(100_000));
            // In two parts, so that a record is cut.
            peer.send(50_000);
            while !peer.out.is_empty() {
                peer.send(usize::MAX);
            }
            let ours = ours.join().unwrap();
            ours.sock.set_read_timeout(None).unwrap();
            peer.write(b"end");
            peer.send_all();
            assert_eq!(ours.read(10).unwrap(), b"end");
        });
    }
}

#[test]
fn detaching_gives_back_what_was_read_ahead() {
    for case in CASES {
        let (ours, mut peer) = friends(case);
        peer.write(b"last");
        peer.close_notify();
        peer.out.extend(b"plain text");
        peer.send_all();
        assert_eq!(ours.read_exactly(4), b"last");
        assert!(matches!(ours.read(10), Err(Halt::Ended)));
        assert!(ours.tls.close(|| false).unwrap());
        let mut ahead = ours.tls.detach();
        drop(ours.tls);
        ours.sock.set_nonblocking(false).unwrap();
        (&ours.sock).write_all(b"and plain here").unwrap();
        while ahead.len() < 10 {
            let mut more = [0; 10];
            let count = (&ours.sock).read(&mut more).unwrap();
            ahead.extend(&more[..count]);
        }
        assert_eq!(ahead, b"plain text");
        assert!(peer.got_close_notify());
    }
}
