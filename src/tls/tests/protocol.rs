//! Versions, peers that speak something else, and the host's error queue.

use super::*;

#[test]
fn versions_are_what_was_asked_for() {
    let client = client();
    assert!(client.set_versions(0x0304, 0x0303).is_err());
    assert!(client.set_versions(0x0305, 0).is_err());
    assert!(client.set_versions(0x0300, 0).is_err());
    assert!(client.set_versions(0, 0x0302).is_err());
    assert!(client.set_versions(0, 7).is_err());
    let below = client.set_versions(0x0302, 0).err().unwrap();
    assert!(below.text.contains("security level"), "{}", below.text);
    // None of that changed anything.
    assert_eq!(
        connect(&client, SHOP, &server(&SERVER)).client.version(),
        "TLSv1.3"
    );
    client.set_versions(0, 0x0303).unwrap();
    assert_eq!(
        connect(&client, SHOP, &server(&SERVER)).client.version(),
        "TLSv1.2"
    );
    client.set_versions(0, 0).unwrap();
    assert_eq!(
        connect(&client, SHOP, &server(&SERVER)).client.version(),
        "TLSv1.3"
    );
}

#[test]
fn without_a_common_version_both_say_so() {
    let (client, server) = (client(), server(&SERVER));
    only(&client, ffi::TLS1_3_VERSION);
    only(&server, ffi::TLS1_2_VERSION);
    let (Step::Failed(client), Step::Failed(server)) = ends(&client, SHOP, &server).shake() else {
        panic!("agreed on a version that is not allowed");
    };
    assert_eq!(
        client.text,
        "the server sent the alert protocol_version (no TLS version in common)"
    );
    assert_eq!(
        server.text,
        "the client speaks no TLS version that is allowed here (unsupported protocol)"
    );
}

#[test]
fn a_server_of_tls_1_1_is_refused() {
    let server = server(&SERVER);
    // SAFETY: a live context that nobody uses; its level is 0 already.
    unsafe { ffi::SSL_CTX_set_cipher_list(server.ssl_ctx(), c"ALL".as_ptr()) };
    server.set_versions(0x0301, 0x0302).unwrap();
    let (failure, code) = refused(&client(), SHOP, &server);
    assert_eq!((failure.certificate, code), (false, -1));
    assert_eq!(
        failure.text,
        "the server sent the alert protocol_version (no TLS version in common)"
    );
}

/// What a session says to these bytes.
fn hears(session: &Session, bytes: &[u8]) -> Failure {
    // SAFETY: two memory BIOs, owned by the SSL; the bytes are copied.
    unsafe {
        let (input, output) = (
            ffi::BIO_new(ffi::BIO_s_mem()),
            ffi::BIO_new(ffi::BIO_s_mem()),
        );
        ffi::BIO_write(input, bytes.as_ptr().cast(), bytes.len() as c_int);
        ffi::SSL_set_bio(session.ssl(), input, output);
    }
    match step(session) {
        Step::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_peer_that_speaks_something_else_is_recognised() {
    let client = client();
    for reply in [
        &b"HTTP/1.1 400 Bad Request\r\n\r\n"[..],
        b"220 mail.example ESMTP\r\n",
        b"SSH-2.0-x\r\n",
    ] {
        let failure = hears(&client.connect(SHOP).unwrap(), reply);
        assert_eq!(
            failure.text,
            "the peer does not seem to speak TLS (wrong version number)"
        );
        assert!(!failure.certificate);
    }
    let server = server(&SERVER);
    let failure = hears(
        &server.accept().unwrap(),
        b"GET / HTTP/1.1\r\nHost: shop.example\r\n\r\n",
    );
    assert_eq!(
        failure.text,
        "the peer does not seem to speak TLS (http request)"
    );
    let failure = hears(&server.accept().unwrap(), b"\x00\x00\x00\x00hello there");
    assert!(
        failure
            .text
            .starts_with("the peer does not seem to speak TLS"),
        "{failure:?}"
    );
}

#[test]
fn a_failure_leaves_no_entry_and_takes_none_of_the_hosts() {
    std::thread::spawn(|| {
        // SAFETY: puts an entry into this thread's queue, as a host might leave one.
        unsafe {
            ffi::ERR_new();
            ffi::ERR_set_error(20, 134, std::ptr::null());
        }
        let identity = shop().bake().unwrap();
        assert!(refused(&client(), SHOP, &server(&identity)).0.certificate);
        connect(&client(), SHOP, &server(&SERVER)).close();
        // SAFETY: takes this thread's entries.
        unsafe {
            assert_eq!(ffi::ERR_get_error() & 0x7f_ffff, 134);
            assert_eq!(ffi::ERR_get_error(), 0);
        }
    })
    .join()
    .unwrap();
}

#[test]
fn app_data_stays_the_programs() {
    let session = client().connect(SHOP).unwrap();
    // SAFETY: a live SSL; index 0 is app_data.
    unsafe { assert!(ffi::SSL_get_ex_data(session.ssl(), 0).is_null()) };
}

#[test]
fn an_ssl_that_outlives_its_session_is_judged_by_openssl_alone() {
    let client_end = client().connect(SHOP).unwrap();
    let ssl = client_end.ssl();
    let Ends { client, server } = Ends::new(client_end, server(&SERVER).accept().unwrap());
    // SAFETY: one more reference to a live SSL, given back below.
    unsafe {
        extern "C" {
            fn SSL_up_ref(ssl: *mut ffi::SSL) -> c_int;
        }
        SSL_up_ref(ssl);
        drop(client);
        for _ in 0..4 {
            with_clean_queue(|| ffi::SSL_do_handshake(ssl));
            step(&server);
        }
        assert_eq!(ffi::SSL_get_verify_result(ssl), 0);
        assert_eq!(ffi::SSL_is_init_finished(ssl), 1);
        ffi::SSL_free(ssl);
    }
}

#[test]
fn contexts_are_changed_while_other_threads_connect() {
    let (client, server) = (client(), server(&SERVER));
    let authority = CA.chain_pem().unwrap();
    std::thread::scope(|threads| {
        for _ in 0..3 {
            threads.spawn(|| {
                for _ in 0..20 {
                    connect(&client, SHOP, &server).close();
                }
            });
        }
        for context in [&client, &server] {
            let authority = &authority;
            threads.spawn(move || {
                for i in 0..60 {
                    context.set_alpn(&[&b"h2"[..]][..i % 2]).unwrap();
                    context.load_ca_pem(authority).unwrap();
                    context.set_versions(0, 0x0303 + (i % 2) as c_int).unwrap();
                    show(context, &SERVER);
                    context.set_session_reuse(i % 3 > 0).unwrap();
                }
            });
        }
    });
}
