//! Handshakes between our own contexts, in memory: the two ends take turns, so that every run is the same.

mod alpn;
mod family;
mod hostnames;
mod identity;
mod peer;
mod protocol;
mod resumption;
mod saved;
mod sni;
mod verification;

use super::*;
use crate::errno::Errno;
use openssl_sys as ffi;
use std::ffi::c_int;
use std::sync::LazyLock;
use testcerts::{Identity, Recipe};

extern "C" {
    fn BIO_new_bio_pair(
        one: *mut *mut ffi::BIO,
        size: usize,
        other: *mut *mut ffi::BIO,
        size: usize,
    ) -> c_int;
}

const BOTH: [c_int; 2] = [ffi::TLS1_2_VERSION, ffi::TLS1_3_VERSION];
const SHOP: Peer<'static> = Peer {
    host: "shop.example",
    port: "443",
    server_name: "shop.example",
};

/// The authority that tests trust.
static CA: LazyLock<Identity> = LazyLock::new(|| Recipe::authority("test root").bake().unwrap());
/// A server of it.
static SERVER: LazyLock<Identity> = LazyLock::new(|| shop().issuer(&CA).bake().unwrap());

fn shop() -> Recipe<'static> {
    Recipe::new("shop.example").names(&["shop.example", "www.shop.example", "127.0.0.1"])
}

/// A client that trusts `CA`.
fn client() -> Arc<Context> {
    let context = Context::client(Trust::Nobody).unwrap();
    context.load_ca_pem(&CA.chain_pem().unwrap()).unwrap();
    context
}

/// A server that shows `identity`.
fn server(identity: &Identity) -> Arc<Context> {
    let context = Context::server().unwrap();
    // SAFETY: a live context that nobody else uses yet: weak certificates are for clients to judge.
    unsafe { ffi::SSL_CTX_set_security_level(context.ssl_ctx(), 0) };
    show(&context, identity);
    context
}

/// Gives a context its own pair.
fn show(context: &Context, identity: &Identity) {
    let (chain, key) = (identity.chain_pem().unwrap(), identity.key_pem().unwrap());
    context.load_certificate_pem(&chain, &key).unwrap();
}

fn only(context: &Context, version: c_int) {
    context.set_versions(version, version).unwrap();
}

/// Where a handshake stands.
#[derive(Debug)]
enum Step {
    Waiting,
    Done,
    Failed(Failure),
}

fn step(session: &Session) -> Step {
    with_clean_queue(|| {
        // SAFETY: a live SSL with a BIO; asked for its error in the same breath.
        unsafe {
            let done = ffi::SSL_do_handshake(session.ssl());
            if done == 1 {
                return session.confirm().map_or_else(Step::Failed, |()| Step::Done);
            }
            match ffi::SSL_get_error(session.ssl(), done) {
                ffi::SSL_ERROR_WANT_READ => Step::Waiting,
                _ => Step::Failed(session.failure()),
            }
        }
    })
}

/// The two ends of one connection.
struct Ends {
    client: Session,
    server: Session,
}

impl Ends {
    fn new(client: Session, server: Session) -> Ends {
        let (mut one, mut other) = (std::ptr::null_mut(), std::ptr::null_mut());
        // SAFETY: makes two BIOs; each goes to one SSL, which owns it.
        unsafe {
            assert_eq!(BIO_new_bio_pair(&mut one, 1 << 17, &mut other, 1 << 17), 1);
            ffi::SSL_set_bio(client.ssl(), one, one);
            ffi::SSL_set_bio(server.ssl(), other, other);
        }
        Ends { client, server }
    }

    /// Both handshakes, to their ends.
    fn shake(&self) -> (Step, Step) {
        let (mut client, mut server) = (Step::Waiting, Step::Waiting);
        for _ in 0..10 {
            for (session, state) in [(&self.client, &mut client), (&self.server, &mut server)] {
                if matches!(state, Step::Waiting) {
                    *state = step(session);
                }
            }
        }
        (client, server)
    }

    /// A byte from the server, with the tickets before it.
    fn exchange(&self) -> Result<(), Failure> {
        with_clean_queue(|| {
            let mut byte = [b'x'];
            let mut n = 0;
            // SAFETY: live SSLs, one byte each way.
            unsafe {
                let written = ffi::SSL_write_ex(self.server.ssl(), byte.as_ptr().cast(), 1, &mut n);
                assert_eq!(written, 1, "{:?}", self.server.failure());
                match ffi::SSL_read_ex(self.client.ssl(), byte.as_mut_ptr().cast(), 1, &mut n) {
                    1 => Ok(()),
                    _ => Err(self.client.failure()),
                }
            }
        })
    }

    /// Ends it so that its session can be resumed.
    fn close(self) {
        for session in [&self.client, &self.server] {
            let both = ffi::SSL_SENT_SHUTDOWN | ffi::SSL_RECEIVED_SHUTDOWN;
            // SAFETY: a live SSL.
            unsafe { ffi::SSL_set_shutdown(session.ssl(), both) };
        }
    }
}

fn ends(client: &Arc<Context>, peer: Peer<'_>, server: &Arc<Context>) -> Ends {
    Ends::new(client.connect(peer).unwrap(), server.accept().unwrap())
}

/// A handshake that must succeed, with a byte through it.
fn connect(client: &Arc<Context>, peer: Peer<'_>, server: &Arc<Context>) -> Ends {
    let ends = ends(client, peer, server);
    match ends.shake() {
        (Step::Done, Step::Done) => ends.exchange().unwrap(),
        other => panic!("{other:?}"),
    }
    ends
}

/// What the client says of a handshake that must fail at its side.
fn refused(client: &Arc<Context>, peer: Peer<'_>, server: &Arc<Context>) -> (Failure, i64) {
    let ends = ends(client, peer, server);
    match ends.shake().0 {
        Step::Failed(failure) => (failure, ends.client.verify_result()),
        other => panic!("{other:?}"),
    }
}
