//! A TLS peer on OpenSSL's bare API, with memory BIOs: the test decides which of its bytes travel, and when.

use super::super::*;
use super::support::*;
use openssl_sys as ffi;
use std::ffi::{c_int, CString};
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::os::fd::{AsRawFd, OwnedFd};
use std::sync::{Arc, OnceLock};
use testcerts::{Identity, Recipe};

extern "C" {
    fn SSL_key_update(ssl: *mut ffi::SSL, kind: c_int) -> c_int;
}
pub(super) const KEY_UPDATE_NOT_REQUESTED: c_int = 0;
pub(super) const KEY_UPDATE_REQUESTED: c_int = 1;

/// What is under test: which role is ours, and the one version both may speak.
#[derive(Clone, Copy, Debug)]
pub(super) struct Case {
    pub(super) server: bool,
    pub(super) version: c_int,
}

/// Both roles with both versions.
pub(super) const CASES: [Case; 4] = [
    Case {
        server: false,
        version: ffi::TLS1_3_VERSION,
    },
    Case {
        server: true,
        version: ffi::TLS1_3_VERSION,
    },
    Case {
        server: false,
        version: ffi::TLS1_2_VERSION,
    },
    Case {
        server: true,
        version: ffi::TLS1_2_VERSION,
    },
];
pub(super) const CLIENT13: Case = CASES[0];

fn identity() -> &'static Identity {
    static IDENTITY: OnceLock<Identity> = OnceLock::new();
    IDENTITY.get_or_init(|| {
        Recipe::new("localhost")
            .names(&["localhost"])
            .bake()
            .unwrap()
    })
}

/// A session of ours, of a context that trusts the peer (or, untrusting, nobody).
pub(super) fn session(case: Case, trusting: bool) -> tls::Session {
    let certificate = identity().chain_pem().unwrap();
    let context: Arc<tls::Context>;
    if case.server {
        context = tls::Context::server().unwrap();
        context
            .load_certificate_pem(&certificate, &identity().key_pem().unwrap())
            .unwrap();
    } else {
        context = tls::Context::client(tls::Trust::Nobody).unwrap();
        if trusting {
            context.load_ca_pem(&certificate).unwrap();
        }
    }
    context.set_versions(case.version, case.version).unwrap();
    if case.server {
        return context.accept().unwrap();
    }
    context
        .connect(tls::Peer {
            host: "localhost",
            port: "1",
            server_name: "localhost",
        })
        .unwrap()
}

pub(super) struct RawPeer {
    ctx: *mut ffi::SSL_CTX,
    ssl: *mut ffi::SSL,
    inward: *mut ffi::BIO,
    outward: *mut ffi::BIO,
    pub(super) sock: TcpStream,
    /// Bytes that OpenSSL wrote and nobody sent yet.
    pub(super) out: Vec<u8>,
    /// All that was sent.
    pub(super) sent: usize,
    pub(super) ended: bool,
}

impl Drop for RawPeer {
    fn drop(&mut self) {
        // SAFETY: made in `new`; the SSL owns the BIOs.
        unsafe {
            ffi::SSL_free(self.ssl);
            ffi::SSL_CTX_free(self.ctx);
        }
    }
}

impl RawPeer {
    pub(super) fn new(case: Case, sock: TcpStream) -> RawPeer {
        sock.set_nonblocking(true).unwrap();
        // SAFETY: OpenSSL's constructors, each checked; strings and PEM bytes live during their calls.
        unsafe {
            let ctx = ffi::SSL_CTX_new(if case.server {
                ffi::TLS_client_method()
            } else {
                ffi::TLS_server_method()
            });
            assert!(!ctx.is_null());
            assert_eq!(ffi::SSL_CTX_set_min_proto_version(ctx, case.version), 1);
            assert_eq!(ffi::SSL_CTX_set_max_proto_version(ctx, case.version), 1);
            if !case.server {
                let folder = certificates();
                let name = |file: &str| {
                    CString::new(folder.join(file).to_str().unwrap().to_owned()).unwrap()
                };
                let certificate = name("cert.pem");
                let key = name("key.pem");
                assert_eq!(
                    ffi::SSL_CTX_use_certificate_chain_file(ctx, certificate.as_ptr()),
                    1
                );
                assert_eq!(
                    ffi::SSL_CTX_use_PrivateKey_file(ctx, key.as_ptr(), ffi::SSL_FILETYPE_PEM),
                    1
                );
            }
            let ssl = ffi::SSL_new(ctx);
            let inward = ffi::BIO_new(ffi::BIO_s_mem());
            let outward = ffi::BIO_new(ffi::BIO_s_mem());
            assert!(!ssl.is_null() && !inward.is_null() && !outward.is_null());
            ffi::SSL_set_bio(ssl, inward, outward);
            if case.server {
                ffi::SSL_set_connect_state(ssl);
            } else {
                ffi::SSL_set_accept_state(ssl);
            }
            RawPeer {
                ctx,
                ssl,
                inward,
                outward,
                sock,
                out: Vec::new(),
                sent: 0,
                ended: false,
            }
        }
    }

    /// Takes what the kernel has; whether there was anything.
    pub(super) fn take_in(&mut self) -> bool {
        let mut buf = [0u8; 65536];
        match self.sock.read(&mut buf) {
            Ok(0) => {
                self.ended = true;
                false
            }
            Ok(count) => {
                // SAFETY: a memory BIO and `count` readable bytes.
                let taken =
                    unsafe { ffi::BIO_write(self.inward, buf.as_ptr().cast(), count as c_int) };
                assert_eq!(taken, count as c_int);
                true
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => false,
            Err(error) if error.kind() == ErrorKind::ConnectionReset => {
                self.ended = true;
                false
            }
            Err(error) => panic!("{error}"),
        }
    }

    /// Moves OpenSSL's output to `out`.
    pub(super) fn collect(&mut self) {
        let mut buf = [0u8; 65536];
        loop {
            // SAFETY: a memory BIO and a writable buffer.
            let count =
                unsafe { ffi::BIO_read(self.outward, buf.as_mut_ptr().cast(), buf.len() as c_int) };
            if count <= 0 {
                return;
            }
            self.out.extend_from_slice(&buf[..count as usize]);
        }
    }

    /// Sends at most so many bytes of `out`; how many the kernel took.
    pub(super) fn send(&mut self, most: usize) -> usize {
        self.collect();
        let len = self.out.len().min(most);
        match self.sock.write(&self.out[..len]) {
            Ok(count) => {
                self.out.drain(..count);
                self.sent += count;
                count
            }
            Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
            Err(error) => panic!("{error}"),
        }
    }

    /// Sends all of `out`; the kernel must have room.
    pub(super) fn send_all(&mut self) {
        self.collect();
        while !self.out.is_empty() {
            assert!(self.send(usize::MAX) > 0, "the kernel is full");
        }
    }

    /// One step with what has arrived; whether the handshake is complete.
    pub(super) fn handshake(&mut self) -> bool {
        while self.take_in() {}
        // SAFETY: the SSL is alive.
        let done = unsafe { ffi::SSL_do_handshake(self.ssl) } == 1;
        self.collect();
        done
    }

    /// The last error's text; empties the queue.
    pub(super) fn error(&self) -> String {
        // SAFETY: static texts of OpenSSL's.
        unsafe {
            let text = ffi::ERR_reason_error_string(ffi::ERR_peek_last_error());
            ffi::ERR_clear_error();
            if text.is_null() {
                return String::new();
            }
            std::ffi::CStr::from_ptr(text).to_str().unwrap().to_owned()
        }
    }

    /// Encrypts into `out`.
    pub(super) fn write(&mut self, bytes: &[u8]) {
        // SAFETY: the SSL is alive, the bytes are readable.
        let count =
            unsafe { ffi::SSL_write(self.ssl, bytes.as_ptr().cast(), bytes.len() as c_int) };
        assert_eq!(count, bytes.len() as c_int);
        self.collect();
    }

    /// What arrived, decrypted, one record at most; `None` when nothing is there.
    pub(super) fn read_record(&mut self) -> Option<Vec<u8>> {
        while self.take_in() {}
        let mut buf = vec![0u8; 1 << 15];
        // SAFETY: the SSL is alive, the buffer is writable.
        let count = unsafe { ffi::SSL_read(self.ssl, buf.as_mut_ptr().cast(), buf.len() as c_int) };
        self.collect();
        if count <= 0 {
            // SAFETY: looks at the SSL and empties the queue.
            let error = unsafe {
                let error = ffi::SSL_get_error(self.ssl, count);
                ffi::ERR_clear_error();
                error
            };
            assert!(
                matches!(error, ffi::SSL_ERROR_WANT_READ | ffi::SSL_ERROR_ZERO_RETURN),
                "{error}"
            );
            return None;
        }
        buf.truncate(count as usize);
        Some(buf)
    }

    /// A read that fails, its reason left for `error`.
    pub(super) fn read_in_vain(&mut self) {
        let mut byte = 0u8;
        // SAFETY: the SSL is alive, the byte is writable.
        let count = unsafe { ffi::SSL_read(self.ssl, (&mut byte as *mut u8).cast(), 1) };
        assert!(count <= 0);
    }

    /// Waits for so many decrypted bytes.
    pub(super) fn read_exactly(&mut self, len: usize) -> Vec<u8> {
        let mut all = Vec::new();
        while all.len() < len {
            match self.read_record() {
                Some(bytes) => all.extend(bytes),
                None => {
                    assert!(!self.ended, "ended after {} of {len}", all.len());
                    wait(self.sock.as_raw_fd(), libc::POLLIN);
                }
            }
        }
        assert_eq!(all.len(), len);
        all
    }

    pub(super) fn close_notify(&mut self) {
        // SAFETY: the SSL is alive.
        unsafe { ffi::SSL_shutdown(self.ssl) };
        self.collect();
    }

    pub(super) fn got_close_notify(&mut self) -> bool {
        assert_eq!(self.read_record(), None);
        // SAFETY: looks at the SSL.
        unsafe { ffi::SSL_get_shutdown(self.ssl) & ffi::SSL_RECEIVED_SHUTDOWN != 0 }
    }

    /// A KeyUpdate message goes out before the next record (here: at once).
    pub(super) fn key_update(&mut self, kind: c_int) {
        // SAFETY: the SSL is alive and its handshake complete.
        unsafe {
            assert_eq!(SSL_key_update(self.ssl, kind), 1);
            assert_eq!(ffi::SSL_do_handshake(self.ssl), 1);
        }
        self.collect();
    }
}

/// The peer's certificate as files: the only way OpenSSL's bare API takes a chain.
fn certificates() -> &'static std::path::Path {
    static FOLDER: OnceLock<std::path::PathBuf> = OnceLock::new();
    FOLDER.get_or_init(|| {
        let folder =
            std::env::temp_dir().join(format!("netconn-transport-tests-{}", std::process::id()));
        std::fs::create_dir_all(&folder).unwrap();
        std::fs::write(folder.join("cert.pem"), identity().chain_pem().unwrap()).unwrap();
        std::fs::write(folder.join("key.pem"), identity().key_pem().unwrap()).unwrap();
        folder
    })
}

/// A transport and its peer, connected, before the handshake.
pub(super) fn strangers_with(
    case: Case,
    trusting: bool,
    allow_truncation: bool,
) -> (Transport, RawPeer) {
    let (ours, theirs) = tcp();
    over(case, ours, theirs, trusting, allow_truncation)
}

pub(super) fn strangers(case: Case) -> (Transport, RawPeer) {
    strangers_with(case, true, false)
}

fn over(
    case: Case,
    ours: OwnedFd,
    theirs: TcpStream,
    trusting: bool,
    allow_truncation: bool,
) -> (Transport, RawPeer) {
    let transport =
        Transport::secure(ours, session(case, trusting), allow_truncation, None).unwrap();
    (transport, RawPeer::new(case, theirs))
}

/// Brings the handshake of both to its end, tickets included.
pub(super) fn acquaint(t: &Transport, peer: &mut RawPeer) {
    let (mut ours, mut theirs) = (false, false);
    while !(ours && theirs) {
        if !ours {
            ours = match t.handshake() {
                Ok(()) => true,
                Err(Stop::Blocked) => false,
                Err(stop) => panic!("{stop:?}; the peer says {:?}", peer.error()),
            };
        }
        flush_waiting(t);
        if !theirs {
            theirs = peer.handshake();
        }
        peer.send_all();
    }
    // What TLS 1.3 sends after the handshake.
    assert_blocked(read_some(t, 1));
    while peer.take_in() {}
    assert_eq!(peer.read_record(), None);
}

/// A transport and its peer after the handshake.
pub(super) fn friends(case: Case) -> (Transport, RawPeer) {
    let (t, mut peer) = strangers(case);
    acquaint(&t, &mut peer);
    (t, peer)
}

pub(super) fn friends_that_may_cut(case: Case) -> (Transport, RawPeer) {
    let (t, mut peer) = strangers_with(case, true, true);
    acquaint(&t, &mut peer);
    (t, peer)
}

/// The same over a Unix socket with a small buffer, so that it is full soon. (TCP with small buffers waits for its
/// delayed acknowledgements and window probes: one segment of the loopback has 64 KiB.)
pub(super) fn cramped_friends(case: Case) -> (Transport, RawPeer) {
    let (ours, theirs) = unix();
    let size: c_int = 16_384;
    // SAFETY: `size` is an int.
    let result = unsafe {
        libc::setsockopt(
            ours.as_raw_fd(),
            libc::SOL_SOCKET,
            libc::SO_SNDBUF,
            (&size as *const c_int).cast(),
            std::mem::size_of::<c_int>() as libc::socklen_t,
        )
    };
    assert_eq!(result, 0);
    // recv and send are the same for both kinds of stream.
    let theirs = TcpStream::from(OwnedFd::from(theirs));
    let (t, mut peer) = over(case, ours, theirs, true, false);
    acquaint(&t, &mut peer);
    (t, peer)
}

/// Puts an error of the host's own into OpenSSL's queue.
pub(super) fn host_error() -> std::ffi::c_ulong {
    // SAFETY: a NULL path makes BIO_new_file fail; the queue then holds an error.
    unsafe {
        let missing =
            ffi::SSL_CTX_use_certificate_chain_file(empty_ctx(), c"/nonexistent/netconn".as_ptr());
        assert_eq!(missing, 0);
        let code = ffi::ERR_peek_last_error();
        assert_ne!(code, 0);
        code
    }
}

fn empty_ctx() -> *mut ffi::SSL_CTX {
    static CTX: OnceLock<usize> = OnceLock::new();
    // SAFETY: a constructor; the context lives as long as the process.
    *CTX.get_or_init(|| unsafe { ffi::SSL_CTX_new(ffi::TLS_method()) } as usize) as *mut _
}

/// How many errors the thread's queue holds; empties it.
pub(super) fn drain_errors() -> Vec<std::ffi::c_ulong> {
    let mut all = Vec::new();
    loop {
        // SAFETY: the thread's own queue.
        match unsafe { ffi::ERR_get_error() } {
            0 => return all,
            code => all.push(code),
        }
    }
}

/// `SSL_get_fd`, a function that openssl-sys does not declare.
pub(super) fn ssl_get_fd(t: &Transport) -> c_int {
    extern "C" {
        fn SSL_get_fd(ssl: *const ffi::SSL) -> c_int;
    }
    // SAFETY: the session's SSL is alive.
    unsafe { SSL_get_fd(t.session().unwrap().ssl()) }
}
