//! Own certificates, and servers that want one of the client.

use super::*;
use testcerts::{KeyKind, Purpose};

fn person() -> Recipe<'static> {
    Recipe::new("test client").purpose(Purpose::Client)
}

fn strict(mode: Verify) -> Arc<Context> {
    let server = server(&SERVER);
    server.load_ca_pem(&CA.chain_pem().unwrap()).unwrap();
    server.set_verify(mode).unwrap();
    server
}

/// What the server says.
fn turned_away(client: &Arc<Context>, server: &Arc<Context>) -> Failure {
    match ends(client, SHOP, server).shake().1 {
        Step::Failed(failure) => failure,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_client_shows_its_certificate() {
    for version in BOTH {
        for mode in [Verify::RequireClient, Verify::OptionalClient] {
            let (client, server) = (client(), strict(mode));
            only(&client, version);
            show(&client, &person().issuer(&CA).bake().unwrap());
            let ends = connect(&client, SHOP, &server);
            assert_eq!(
                ends.server.peer_certificate().unwrap().subject,
                "CN=test client"
            );
            assert_eq!(ends.server.verify_result(), 0);
        }
    }
}

#[test]
fn a_missing_certificate_is_refused_where_it_is_required() {
    for version in BOTH {
        let client = client();
        only(&client, version);
        let failure = turned_away(&client, &strict(Verify::RequireClient));
        assert!(failure.certificate);
        assert_eq!(
            failure.text,
            "the client showed no certificate, and one is required"
        );

        let ends = connect(&client, SHOP, &strict(Verify::OptionalClient));
        assert_eq!(ends.server.verify_result(), -1);
        assert_eq!(ends.server.peer_certificate(), None);
    }
}

#[test]
fn the_client_is_told_why_it_was_turned_away() {
    let client = client();
    only(&client, ffi::TLS1_2_VERSION);
    let ends = ends(&client, SHOP, &strict(Verify::RequireClient));
    let (Step::Failed(failure), _) = ends.shake() else {
        panic!("went on without a certificate");
    };
    assert!(!failure.certificate);
    assert_eq!(
        failure.text,
        "the server sent the alert handshake_failure (no TLS version, cipher or certificate in common)"
    );
}

#[test]
fn under_tls_1_3_the_alert_comes_with_the_first_read() {
    let ends = ends(&client(), SHOP, &strict(Verify::RequireClient));
    assert!(matches!(ends.shake(), (Step::Done, Step::Failed(_))));
    let mut byte = 0u8;
    let mut n = 0;
    let failure = with_clean_queue(|| {
        // SAFETY: a live SSL, one byte.
        unsafe {
            ffi::SSL_read_ex(
                ends.client.ssl(),
                std::ptr::from_mut(&mut byte).cast(),
                1,
                &mut n,
            );
        }
        ends.client.failure()
    });
    assert_eq!(
        failure.text,
        "the server sent the alert certificate_required (it wants a certificate of the client)"
    );
}

#[test]
fn a_strangers_certificate_is_refused_even_where_none_is_required() {
    let corp = Recipe::authority("Corp Root").bake().unwrap();
    for version in BOTH {
        for mode in [Verify::RequireClient, Verify::OptionalClient] {
            let client = client();
            only(&client, version);
            show(&client, &person().issuer(&corp).bake().unwrap());
            let failure = turned_away(&client, &strict(mode));
            assert!(failure.certificate);
            assert_eq!(
                failure.text,
                "certificate of \"CN=test client\" (depth 0) is signed by \"CN=Corp Root\" (depth 1), which is not \
                 trusted; add it with netconn_tls_load_ca, or let the client send its intermediate certificates"
            );
        }
    }
}

#[test]
fn the_last_pair_is_the_only_one() {
    // RSA and EC pairs live side by side in OpenSSL: the first would go on being shown to those who prefer it.
    let rsa = Recipe::new("rsa")
        .names(&["shop.example"])
        .key(KeyKind::Rsa(2048));
    let rsa = rsa.issuer(&CA).bake().unwrap();
    let context = server(&rsa);
    let subject = |context: &Arc<Context>| {
        let ends = connect(&client(), SHOP, context);
        ends.client.peer_certificate().unwrap().subject
    };
    assert_eq!(subject(&context), "CN=rsa");
    show(&context, &SERVER);
    assert_eq!(subject(&context), "CN=shop.example");
    show(&context, &rsa);
    assert_eq!(subject(&context), "CN=rsa");
}

#[test]
fn the_chain_of_the_file_is_sent() {
    let middle = Recipe::authority("middle").issuer(&CA).bake().unwrap();
    let leaf = shop().issuer(&middle).bake().unwrap();
    for version in BOTH {
        let client = client();
        only(&client, version);
        connect(&client, SHOP, &server(&leaf.clone().with_chain(&[&middle]))).close();
        assert!(refused(&client, SHOP, &server(&leaf)).0.certificate);
    }
}

#[test]
fn a_pair_that_is_none_changes_nothing() {
    let context = server(&SERVER);
    let stranger = shop().issuer(&CA).bake().unwrap();
    let error = context
        .load_certificate_pem(&SERVER.chain_pem().unwrap(), &stranger.key_pem().unwrap())
        .err()
        .unwrap();
    assert_eq!(
        error.text,
        "the key in memory: is not the key of the certificate in memory"
    );
    assert_eq!(error.errno, Errno(libc::EINVAL));
    connect(&client(), SHOP, &context).close();
}

#[test]
fn a_weak_pair_is_refused_by_the_context() {
    let context = Context::server().unwrap();
    let weak = shop().key(KeyKind::Rsa(1024)).bake().unwrap();
    let error = context
        .load_certificate_pem(&weak.chain_pem().unwrap(), &weak.key_pem().unwrap())
        .err()
        .unwrap();
    assert_eq!(error.text, "the certificate in memory: ee key too small");
}

#[test]
fn a_server_without_a_certificate_says_so() {
    for version in BOTH {
        let (client, server) = (client(), Context::server().unwrap());
        only(&client, version);
        assert_eq!(
            turned_away(&client, &server).text,
            "the server's context has no certificate; load one with netconn_tls_load_certificate"
        );
    }
}
