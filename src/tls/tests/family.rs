//! What only the Socket family asks of a context.

use super::*;
use std::ffi::c_void;
use std::path::PathBuf;
use std::ptr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Mutex;
use testcerts::Purpose;

/// A folder of PEM files, removed when dropped.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn new() -> Folder {
        static FOLDERS: AtomicUsize = AtomicUsize::new(0);
        let n = FOLDERS.fetch_add(1, Ordering::Relaxed);
        let path = std::env::temp_dir().join(format!("netconn-family-{}-{n}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Folder(path)
    }

    /// Writes `NAME.pem` and `NAME.key`.
    pub(super) fn put(&self, name: &str, identity: &Identity) -> (PathBuf, PathBuf) {
        let files = (
            self.path(&format!("{name}.pem")),
            self.path(&format!("{name}.key")),
        );
        std::fs::write(&files.0, identity.chain_pem().unwrap()).unwrap();
        std::fs::write(&files.1, identity.key_pem().unwrap()).unwrap();
        files
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

/// The two ends for sockets; the client expects this name.
pub(super) fn sockets(client: &Arc<Context>, name: Option<&str>, server: &Arc<Context>) -> Ends {
    let session = client.for_socket(ptr::null_mut()).unwrap();
    if let Some(name) = name {
        session.set_hostname(name).unwrap();
    }
    Ends::new(session, server.for_socket(ptr::null_mut()).unwrap())
}

pub(super) fn done(ends: &Ends) {
    match ends.shake() {
        (Step::Done, Step::Done) => ends.exchange().unwrap(),
        other => panic!("{other:?}"),
    }
}

pub(super) fn plain() -> Arc<Context> {
    Context::socket_plain(0, 0, Timeouts::default()).unwrap()
}

pub(super) fn text(result: Result<impl Sized, Error>) -> String {
    result.err().expect("refused").text
}

#[test]
fn the_constructors_verify_as_they_always_did() {
    let folder = Folder::new();
    let (ca, _) = folder.put("ca", &CA);
    let (chain, key) = folder.put("server", &SERVER);
    let stranger = server(&Recipe::new("x").names(&["shop.example"]).bake().unwrap());
    let server = Context::socket_server(&chain, &key, Some(&ca)).unwrap();
    assert!(server.is_server());
    // A server asks for nothing.
    let client = Context::socket_client(Some(&ca)).unwrap();
    done(&sockets(&client, Some("shop.example"), &server));
    // A client verifies, and needs a name.
    let (failure, _) = sockets(&client, Some("shop.example"), &stranger).shake();
    assert!(matches!(
        failure,
        Step::Failed(Failure {
            certificate: true,
            ..
        })
    ));
    let nameless = sockets(&client, None, &server);
    assert!(nameless.client.ready_to_shake().is_err());
    // Even where nobody asked whether it is ready.
    let Step::Failed(failure) = nameless.shake().0 else {
        panic!("went on without a name");
    };
    assert!(
        failure.text.contains("SocketTLS_set_hostname"),
        "{}",
        failure.text
    );
    // The plain one verifies nothing, unless a name is set; what is no socket verifies.
    let plain = plain();
    let ends = sockets(&plain, None, &stranger);
    ends.client.ready_to_shake().unwrap();
    done(&ends);
    assert_ne!(ends.client.verify_result(), 0);
    assert!(matches!(
        sockets(&plain, Some("shop.example"), &stranger).shake().0,
        Step::Failed(_)
    ));
    plain.load_ca_itself(&ca).unwrap();
    done(&sockets(&plain, Some("shop.example"), &server));
    refused(&plain, SHOP, &stranger);
    plain.set_verify_bits(0).unwrap();
    connect(&plain, SHOP, &stranger).close();
}

#[test]
fn versions_and_time_outs_of_the_plain_constructor() {
    let own = Timeouts {
        handshake: 1,
        shutdown: 2,
        poll: -3,
    };
    let context = Context::socket_plain(ffi::TLS1_2_VERSION, ffi::TLS1_2_VERSION, own).unwrap();
    let kept = Timeouts {
        handshake: 1,
        shutdown: 2,
        poll: 100,
    };
    assert_eq!(
        (context.timeouts(), client().timeouts()),
        (kept, Timeouts::default())
    );
    let ends = sockets(&context, None, &server(&SERVER));
    done(&ends);
    assert_eq!(ends.client.version(), "TLSv1.2");
    for (min, max) in [(0x300, 0), (0, 0x305), (0x304, 0x303), (7, 7), (0, -1)] {
        assert!(
            Context::socket_plain(min, max, own).is_err(),
            "{min:x} {max:x}"
        );
    }
}

#[test]
fn a_missing_authority_brings_the_systems_store() {
    let folder = Folder::new();
    // Where this machine has none, the reason of both is told.
    if let Err(error) = Context::socket_client(Some(&folder.path("missing.pem"))) {
        assert!(error.text.contains("missing.pem"), "{}", error.text);
    }
    Context::socket_client(None).unwrap();
}

#[test]
fn bits_are_modes() {
    let person = Recipe::new("person")
        .purpose(Purpose::Client)
        .issuer(&CA)
        .bake()
        .unwrap();
    let stranger = Recipe::new("person")
        .purpose(Purpose::Client)
        .bake()
        .unwrap();
    for version in BOTH {
        for (bits, none, known, unknown) in [
            (0, true, true, true),
            (1, true, true, false),
            (2, false, true, false),
            (3, false, true, false),
            (4, true, true, false),
            (5, true, true, false),
            (6, false, true, false),
            (8, true, true, false),
            (-1, true, true, false),
        ] {
            let server = server(&SERVER);
            server.load_ca_pem(&CA.chain_pem().unwrap()).unwrap();
            server.set_verify_bits(bits).unwrap();
            for (shown, good) in [
                (None, none),
                (Some(&person), known),
                (Some(&stranger), unknown),
            ] {
                let client = client();
                only(&client, version);
                if let Some(identity) = shown {
                    show(&client, identity);
                }
                let ends = sockets(&client, Some("shop.example"), &server);
                assert_eq!(
                    matches!(ends.shake().1, Step::Done),
                    good,
                    "bits {bits}, {version:x}"
                );
            }
        }
    }
}

#[test]
fn the_modes_of_the_other_faces_hold_for_sockets() {
    let (client, server) = (client(), server(&SERVER));
    assert!(sockets(&client, None, &server)
        .client
        .ready_to_shake()
        .is_err());
    client.set_verify(Verify::Chain).unwrap();
    let ends = sockets(&client, None, &server);
    ends.client.ready_to_shake().unwrap();
    done(&ends);
    // A hostname is meant.
    let (step, _) = sockets(&client, Some("old.example"), &server).shake();
    assert!(matches!(step, Step::Failed(_)));
    let stranger = super::server(&Recipe::new("x").names(&["x"]).bake().unwrap());
    let (step, _) = sockets(&client, None, &stranger).shake();
    assert!(matches!(step, Step::Failed(_)));
    client.set_verify(Verify::None).unwrap();
    done(&sockets(&client, None, &stranger));
}

#[test]
fn the_raw_callback_sees_openssls_view() {
    let tag: *mut c_void = ptr::without_provenance_mut(0x5eed);
    let (client, strange) = (
        client(),
        server(&Recipe::new("x").names(&["shop.example"]).bake().unwrap()),
    );
    let calls: Arc<Mutex<Vec<(bool, usize)>>> = Arc::default();
    let notes = Arc::clone(&calls);
    client
        .set_raw_verify_callback(Some(Arc::new(move |preverified, store, tag| {
            notes.lock().unwrap().push((preverified, tag.addr()));
            // SAFETY: OpenSSL's own, alive during the call.
            unsafe { ffi::X509_STORE_CTX_set_error(store.cast(), ffi::X509_V_OK) };
            Some(true)
        })))
        .unwrap();
    let session = client.for_socket(tag).unwrap();
    session.set_hostname("shop.example").unwrap();
    let ends = Ends::new(session, strange.for_socket(ptr::null_mut()).unwrap());
    done(&ends);
    assert_eq!(ends.client.verify_result(), 0);
    let calls = std::mem::take(&mut *calls.lock().unwrap());
    assert!(
        calls.contains(&(false, 0x5eed)) && calls.contains(&(true, 0x5eed)),
        "{calls:?}"
    );
    // Without a socket there is no tag.
    connect(&client, SHOP, &strange).close();
}

#[test]
fn what_the_raw_callback_refuses_has_a_code() {
    let expired = ffi::X509_V_ERR_CERT_HAS_EXPIRED;
    let own = ffi::X509_V_ERR_APPLICATION_VERIFICATION;
    type Answer = (Option<c_int>, Option<bool>);
    let answers: [(Answer, c_int); 4] = [
        ((None, Some(false)), own),
        ((Some(expired), Some(false)), expired),
        ((Some(ffi::X509_V_OK), Some(false)), own),
        ((Some(expired), None), own),
    ];
    for ((code, answer), expected) in answers {
        let client = client();
        client
            .set_raw_verify_callback(Some(Arc::new(move |_, store, _| {
                if let Some(code) = code {
                    // SAFETY: OpenSSL's own, alive during the call.
                    unsafe { ffi::X509_STORE_CTX_set_error(store.cast(), code) };
                }
                answer
            })))
            .unwrap();
        let ends = sockets(&client, Some("shop.example"), &server(&SERVER));
        let Step::Failed(failure) = ends.shake().0 else {
            panic!("was not refused");
        };
        assert!(failure.certificate);
        assert_eq!(ends.client.verify_result(), i64::from(expected));
        // With verification off it is asked as well, and decides nothing.
        client.set_verify_bits(0).unwrap();
        let ends = sockets(&client, None, &server(&SERVER));
        done(&ends);
        assert_eq!(ends.client.verify_result(), i64::from(expected));
    }
}

#[test]
fn the_raw_callback_of_a_freed_context_is_not_called() {
    for (bits, passes) in [(0, true), (1, false)] {
        let client = client();
        client
            .set_raw_verify_callback(Some(Arc::new(|_, _, _| panic!("called"))))
            .unwrap();
        client.set_verify_bits(bits).unwrap();
        let hold = Hold::new(Arc::clone(&client));
        let name = (bits != 0).then_some("shop.example");
        let ends = sockets(&client, name, &server(&SERVER));
        drop(hold);
        assert_eq!(matches!(ends.shake().0, Step::Done), passes);
    }
}

#[test]
fn a_list_without_a_common_protocol_goes_on() {
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        client.set_alpn_optional(&[b"h2", b"x"]).unwrap();
        client.set_alpn_optional(&[]).unwrap();
        server.set_alpn_optional(&[b"y"]).unwrap();
        let ends = sockets(&client, Some("shop.example"), &server);
        done(&ends);
        assert_eq!((ends.client.alpn(), ends.server.alpn()), (None, None));
        // The last setter decides.
        server.set_alpn(&[b"y"]).unwrap();
        assert!(matches!(
            ends_of(&client, &server),
            (Step::Failed(_), Step::Failed(_))
        ));
        server.set_alpn_optional(&[b"y", b"x"]).unwrap();
        let ends = sockets(&client, Some("shop.example"), &server);
        done(&ends);
        assert_eq!(ends.client.alpn(), Some(&b"x"[..]));
    }
    let context = plain();
    for names in [
        vec![&b"x"[..]; 17],
        vec![b""],
        vec![b"a b"],
        vec![b"\x7f"],
        vec![&[b'x'; 256]],
    ] {
        assert!(context.set_alpn_optional(&names).is_err(), "{names:?}");
    }
    context.set_alpn_optional(&[&[b'x'; 255][..]; 16]).unwrap();
}

fn ends_of(client: &Arc<Context>, server: &Arc<Context>) -> (Step, Step) {
    sockets(client, Some("shop.example"), server).shake()
}

#[test]
fn what_the_alpn_callback_throws_is_kept_and_fails_the_handshake() {
    let (client, server) = (client(), server(&SERVER));
    client.set_alpn(&[b"h2"]).unwrap();
    server
        .set_alpn_decider(Some(Arc::new(|_| Err(Box::new(7u8)))))
        .unwrap();
    let ends = sockets(&client, Some("shop.example"), &server);
    assert!(matches!(ends.shake(), (Step::Failed(_), Step::Failed(_))));
    let thrown = ends.server.caught().expect("kept");
    assert_eq!(thrown.downcast_ref::<u8>(), Some(&7));
    assert!(ends.server.caught().is_none() && ends.client.caught().is_none());
    // A session that is no socket's has nobody to throw it at.
    let ends = Ends::new(client.connect(SHOP).unwrap(), server.accept().unwrap());
    assert!(matches!(ends.shake(), (Step::Failed(_), Step::Failed(_))));
    assert!(ends.server.caught().is_none());
}

#[test]
fn ciphers_are_checked_before_they_are_changed() {
    let (client, server) = (client(), server(&SERVER));
    only(&client, ffi::TLS1_2_VERSION);
    let cipher = || {
        let ends = sockets(&client, Some("shop.example"), &server);
        done(&ends);
        ends.client.cipher().unwrap().to_str().unwrap().to_owned()
    };
    // Before the first session, and after it.
    client
        .set_cipher_list(Some(c"ECDHE-ECDSA-AES128-GCM-SHA256"))
        .unwrap();
    assert_eq!(cipher(), "ECDHE-ECDSA-AES128-GCM-SHA256");
    client
        .set_cipher_list(Some(c"ECDHE-ECDSA-CHACHA20-POLY1305"))
        .unwrap();
    assert_eq!(cipher(), "ECDHE-ECDSA-CHACHA20-POLY1305");
    for list in [c"", c"NONSENSE"] {
        assert!(client.set_cipher_list(Some(list)).is_err());
        assert!(client.set_ciphersuites(Some(list)).is_err());
    }
    assert_eq!(cipher(), "ECDHE-ECDSA-CHACHA20-POLY1305");
    client.set_cipher_list(None).unwrap();
    assert!(cipher().contains("GCM"));
    only(&client, ffi::TLS1_3_VERSION);
    client
        .set_ciphersuites(Some(c"TLS_CHACHA20_POLY1305_SHA256"))
        .unwrap();
    assert_eq!(cipher(), "TLS_CHACHA20_POLY1305_SHA256");
    client.set_ciphersuites(None).unwrap();
    assert_eq!(cipher(), "TLS_AES_256_GCM_SHA384");
}

#[test]
fn sockets_resume_nothing_of_the_contexts_memory() {
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        connect(&client, SHOP, &server).close();
        for _ in 0..2 {
            let ends = sockets(&client, Some("shop.example"), &server);
            done(&ends);
            assert!(!ends.client.reused());
            ends.close();
        }
        // And leave it alone.
        assert!(connect(&client, SHOP, &server).client.reused());
    }
}
