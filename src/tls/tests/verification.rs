//! Who is refused, and what is said about it.

use super::*;
use std::sync::Mutex;
use testcerts::{KeyKind, Moment, Purpose};

/// The certificate is refused under both versions, with this code and text.
fn refuses(identity: &Identity, peer: Peer<'_>, code: i64, text: &str) {
    for version in BOTH {
        let (client, server) = (client(), server(identity));
        only(&client, version);
        let (failure, result) = refused(&client, peer, &server);
        assert_eq!(failure.text, text);
        assert!(failure.certificate);
        assert_eq!(result, code);
    }
}

#[test]
fn a_good_certificate_is_accepted_and_shown() {
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        let ends = connect(&client, SHOP, &server);
        let name = if version == ffi::TLS1_3_VERSION {
            "TLSv1.3"
        } else {
            "TLSv1.2"
        };
        assert_eq!(ends.client.version(), name);
        assert_eq!(ends.server.version(), name);
        assert!(ends
            .client
            .cipher()
            .unwrap()
            .to_str()
            .unwrap()
            .contains("AES"));
        assert_eq!(ends.client.verify_result(), 0);
        assert_eq!(ends.server.verify_result(), -1);
        assert!(!ends.client.reused());
        let certificate = ends.client.peer_certificate().unwrap();
        assert_eq!(certificate.subject, "CN=shop.example");
        assert_eq!(
            certificate.names,
            "shop.example, www.shop.example, 127.0.0.1"
        );
        assert_eq!(ends.server.peer_certificate(), None);
        assert_eq!(ends.client.alpn(), None);
    }
}

#[test]
fn names_and_addresses_are_checked() {
    let (client, server) = (client(), server(&SERVER));
    for name in ["WWW.shop.example", "shop.example.", "127.0.0.1"] {
        let peer = Peer {
            server_name: name,
            ..SHOP
        };
        connect(&client, peer, &server).close();
    }
    let other = |server_name| Peer {
        server_name,
        ..SHOP
    };
    refuses(
        &SERVER,
        other("other.example"),
        62,
        "certificate of \"CN=shop.example\" (depth 0) is for shop.example, www.shop.example, 127.0.0.1; \
         not for other.example",
    );
    refuses(
        &SERVER,
        other("[::1]"),
        64,
        "certificate of \"CN=shop.example\" (depth 0) is for shop.example, www.shop.example, 127.0.0.1; not for ::1",
    );
    let cn_only = Recipe::new("shop.example").issuer(&CA).bake().unwrap();
    refuses(
        &cn_only,
        SHOP,
        62,
        "certificate of \"CN=shop.example\" (depth 0) is for no host at all (it has no subjectAltName); \
         not for shop.example",
    );
}

#[test]
fn only_names_are_sent() {
    let seen = |name: &str| {
        let peer = Peer {
            server_name: name,
            ..SHOP
        };
        let session = client().connect(peer).unwrap();
        // SAFETY: a live SSL; the name is its own, copied at once.
        unsafe {
            let name = ffi::SSL_get_servername(session.ssl(), ffi::TLSEXT_NAMETYPE_host_name);
            (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_owned())
        }
    };
    assert_eq!(seen("shop.example.").unwrap().as_c_str(), c"shop.example");
    assert_eq!(
        seen("bücher.example").unwrap().as_c_str(),
        c"xn--bcher-kva.example"
    );
    assert_eq!(seen("127.0.0.1"), None);
    assert_eq!(seen("[::1]"), None);
}

#[test]
fn dates_are_checked() {
    let expired = shop()
        .issuer(&CA)
        .valid(Moment::Unix(0), Moment::Unix(1_769_860_800));
    refuses(
        &expired.bake().unwrap(),
        SHOP,
        10,
        "certificate of \"CN=shop.example\" (depth 0) has expired on 2026-01-31 12:00:00 UTC (leaf)",
    );
    let early = shop()
        .issuer(&CA)
        .valid(Moment::Unix(3_786_912_000), Moment::Unix(3_786_912_001));
    refuses(
        &early.bake().unwrap(),
        SHOP,
        9,
        "certificate of \"CN=shop.example\" (depth 0) is not yet valid, valid from 2090-01-01 00:00:00 UTC (leaf)",
    );
    let old = Recipe::authority("old intermediate")
        .issuer(&CA)
        .valid(Moment::Unix(0), Moment::Unix(1_769_860_800))
        .bake()
        .unwrap();
    let leaf = shop().issuer(&old).bake().unwrap().with_chain(&[&old]);
    refuses(
        &leaf,
        SHOP,
        10,
        "certificate of \"CN=old intermediate\" (depth 1) has expired on 2026-01-31 12:00:00 UTC (intermediate)",
    );
}

#[test]
fn issuers_are_checked() {
    refuses(
        &shop().bake().unwrap(),
        SHOP,
        18,
        "certificate of \"CN=shop.example\" (depth 0) is self-signed and not trusted; \
         add it with netconn_tls_load_ca",
    );
    let corp = Recipe::authority("Corp Root").bake().unwrap();
    let middle = Recipe::authority("Corp CA").issuer(&corp).bake().unwrap();
    let leaf = shop().issuer(&middle).bake().unwrap();
    refuses(
        &leaf.clone().with_chain(&[&middle, &corp]),
        SHOP,
        19,
        "certificate of \"CN=Corp CA\" (depth 1) is signed by \"CN=Corp Root\" (depth 2), which is not trusted; \
         add it with netconn_tls_load_ca",
    );
    refuses(
        &leaf.clone().with_chain(&[&middle]),
        SHOP,
        20,
        "certificate of \"CN=Corp CA\" (depth 1) is signed by \"CN=Corp Root\" (depth 2), which is not trusted; \
         add it with netconn_tls_load_ca",
    );
    refuses(
        &leaf,
        SHOP,
        20,
        "certificate of \"CN=shop.example\" (depth 0) is signed by \"CN=Corp CA\" (depth 1), which is not trusted; \
         add it with netconn_tls_load_ca, or let the server send its intermediate certificates",
    );
    // What the text says helps.
    let client = client();
    client.load_ca_pem(&corp.chain_pem().unwrap()).unwrap();
    let whole = leaf.with_chain(&[&middle]);
    connect(&client, SHOP, &server(&whole)).close();
}

#[test]
fn a_stranger_with_the_authoritys_name_is_refused() {
    let impostor = Recipe::authority("test root").bake().unwrap();
    let leaf = shop().issuer(&impostor).bake().unwrap();
    for version in BOTH {
        let (client, server) = (client(), server(&leaf));
        only(&client, version);
        assert!(refused(&client, SHOP, &server).0.certificate);
    }
}

#[test]
fn purposes_and_strength_are_checked() {
    let purpose = shop().purpose(Purpose::Client).issuer(&CA).bake().unwrap();
    refuses(
        &purpose,
        SHOP,
        26,
        "certificate of \"CN=shop.example\" (depth 0) may not be used as a server's (its key usage says so)",
    );
    refuses(
        &shop().key(KeyKind::Rsa(1024)).issuer(&CA).bake().unwrap(),
        SHOP,
        66,
        "certificate of \"CN=shop.example\" (depth 0) has a key that is too weak, 1024 bits (leaf)",
    );
    refuses(
        &shop().sha1().issuer(&CA).bake().unwrap(),
        SHOP,
        68,
        "certificate of \"CN=shop.example\" (depth 0) is signed with ecdsa-with-SHA1, which is too weak (leaf)",
    );
    let no_authority = shop().issuer(&CA).bake().unwrap();
    let leaf = shop().issuer(&no_authority).bake().unwrap();
    let (failure, code) = refused(&client(), SHOP, &server(&leaf.with_chain(&[&no_authority])));
    assert!(failure.certificate && code != 0, "{failure:?}");
}

#[test]
fn a_subject_of_any_length_and_shape_fits_a_line() {
    let name = "x".repeat(60) + "\n";
    let identity = Recipe::new(&name).bake().unwrap();
    let (failure, _) = refused(&client(), SHOP, &server(&identity));
    assert!(!failure.text.contains('\n'), "{failure:?}");
    let names: Vec<String> = (0..1000).map(|i| format!("host-{i}.example")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let identity = Recipe::new("many")
        .names(&names)
        .issuer(&CA)
        .bake()
        .unwrap();
    let (failure, _) = refused(&client(), SHOP, &server(&identity));
    assert!(
        failure.text.len() < 500 && failure.text.contains("...; not for"),
        "{failure:?}"
    );
}

#[test]
fn without_a_name_check_the_chain_still_counts() {
    let client = client();
    client.set_verify(Verify::Chain).unwrap();
    let other = Peer {
        server_name: "other.example",
        ..SHOP
    };
    connect(&client, other, &server(&SERVER)).close();
    let (failure, code) = refused(&client, other, &server(&shop().bake().unwrap()));
    assert!(failure.certificate && code == 18);
}

#[test]
fn verification_off_shows_what_it_would_have_found() {
    let client = client();
    client.set_verify(Verify::None).unwrap();
    for version in BOTH {
        only(&client, version);
        let ends = connect(&client, SHOP, &server(&shop().bake().unwrap()));
        assert_eq!(ends.client.verify_result(), 18);
    }
}

#[test]
fn a_full_check_needs_a_name() {
    let nameless = Peer {
        server_name: "",
        ..SHOP
    };
    let error = client().connect(nameless).err().unwrap();
    assert_eq!(
        error.text,
        "TLS: there is no name to verify the certificate with"
    );
    let client = client();
    client.set_verify(Verify::Chain).unwrap();
    connect(&client, nameless, &server(&SERVER)).close();
}

#[test]
fn roles_are_not_mixed_up() {
    let (client, server) = (client(), server(&SERVER));
    assert!(client.accept().is_err() && server.connect(SHOP).is_err());
    assert!(client.set_verify(Verify::RequireClient).is_err());
    assert!(client.set_verify(Verify::OptionalClient).is_err());
    assert!(server.set_verify(Verify::Full).is_err());
    assert!(server.set_verify(Verify::Chain).is_err());
    assert!(client.set_alpn_callback(None).is_err());
}

type Calls = Arc<Mutex<Vec<(bool, c_int, String, i64)>>>;

/// A callback that gives `answer` and notes what it was told.
fn watch(
    context: &Context,
    answer: impl Fn(&Checked<'_>) -> bool + Send + Sync + 'static,
) -> Calls {
    let calls = Calls::default();
    let notes = Arc::clone(&calls);
    let callback: VerifyCallback = Arc::new(move |checked| {
        let note = (
            checked.preverified,
            checked.depth,
            checked.subject.to_owned(),
            i64::from(checked.error),
        );
        notes.lock().unwrap().push(note);
        answer(checked)
    });
    context.set_verify_callback(Some(callback)).unwrap();
    calls
}

#[test]
fn the_callback_sees_each_certificate_and_may_refuse() {
    let client = client();
    let calls = watch(&client, |checked| checked.preverified);
    connect(&client, SHOP, &server(&SERVER)).close();
    assert_eq!(
        *calls.lock().unwrap(),
        [
            (true, 1, "CN=test root".to_owned(), 0),
            (true, 0, "CN=shop.example".to_owned(), 0)
        ]
    );
    watch(&client, |checked| checked.depth > 0);
    let (failure, code) = refused(&client, SHOP, &server(&SERVER));
    assert_eq!(code, 50);
    assert_eq!(
        failure.text,
        "certificate of \"CN=shop.example\" (depth 0) was refused by the verify callback"
    );
}

#[test]
fn the_callback_may_accept_what_openssl_refuses() {
    for version in BOTH {
        let client = client();
        let calls = watch(&client, |_| true);
        only(&client, version);
        let self_signed = server(&Recipe::new("other").names(&["other"]).bake().unwrap());
        for _ in 0..2 {
            // Asked again each time: what it accepted is not resumed.
            calls.lock().unwrap().clear();
            let ends = connect(&client, SHOP, &self_signed);
            assert!(!ends.client.reused());
            assert_ne!(ends.client.verify_result(), 0);
            let calls = calls.lock().unwrap();
            assert!(
                calls.iter().all(|call| call.0 == (call.3 == 0)),
                "{calls:?}"
            );
            let errors: Vec<i64> = calls.iter().map(|call| call.3).collect();
            assert!(errors.contains(&18) && errors.contains(&62), "{errors:?}");
            ends.close();
        }
    }
}

#[test]
fn the_callback_works_whatever_was_set_before_or_after_it() {
    for early in [true, false] {
        let client = client();
        let set = || watch(&client, |_| false);
        if early {
            set();
        }
        client.set_verify(Verify::Chain).unwrap();
        client.set_alpn(&[b"h2"]).unwrap();
        client.load_ca_pem(&CA.chain_pem().unwrap()).unwrap();
        if !early {
            set();
        }
        assert_eq!(refused(&client, SHOP, &server(&SERVER)).1, 50);
        client.set_verify_callback(None).unwrap();
        connect(&client, SHOP, &server(&SERVER)).close();
    }
}

#[test]
fn a_panic_in_a_callback_refuses() {
    let client = client();
    watch(&client, |_| panic!("as expected"));
    assert!(refused(&client, SHOP, &server(&SERVER)).0.certificate);
}

#[test]
fn callbacks_of_a_freed_context_are_not_called() {
    let client = client();
    let calls = watch(&client, |_| true);
    let hold = Hold::new(Arc::clone(&client));
    let ends = ends(&client, SHOP, &server(&SERVER));
    drop(hold);
    let (Step::Failed(failure), _) = ends.shake() else {
        panic!("a handshake that needs the callback went on without it");
    };
    assert!(calls.lock().unwrap().is_empty());
    assert!(
        failure
            .text
            .ends_with("needs the verify callback of a context that was freed"),
        "{failure:?}"
    );
}

#[test]
fn a_context_may_be_dropped_before_its_sessions() {
    let (client, server) = (client(), server(&SERVER));
    let ends = ends(&client, SHOP, &server);
    drop((client, server));
    assert!(matches!(ends.shake(), (Step::Done, Step::Done)));
    ends.exchange().unwrap();
}
