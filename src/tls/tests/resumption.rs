//! Sessions are resumed, and never go round verification.

use super::*;
use testcerts::Purpose;

/// Connects twice with `between` in between: whether the second one was resumed.
fn resumed(version: c_int, between: impl FnOnce(&Arc<Context>, &Arc<Context>)) -> bool {
    resumed_by(version, SHOP, SHOP, between)
}

fn resumed_by(
    version: c_int,
    first: Peer<'_>,
    second: Peer<'_>,
    between: impl FnOnce(&Arc<Context>, &Arc<Context>),
) -> bool {
    let (client, server) = (client(), server(&SERVER));
    only(&client, version);
    connect(&client, first, &server).close();
    between(&client, &server);
    let ends = connect(&client, second, &server);
    let reused = ends.client.reused();
    assert_eq!(reused, ends.server.reused());
    if reused {
        assert_eq!(ends.client.verify_result(), 0);
        assert_eq!(
            ends.client.peer_certificate().unwrap().subject,
            "CN=shop.example"
        );
    }
    reused
}

#[test]
fn the_second_connection_resumes() {
    for version in BOTH {
        assert!(resumed(version, |_, _| {}));
    }
}

#[test]
fn tickets_of_tls_1_3_are_used_once() {
    let (client, server) = (client(), server(&SERVER));
    connect(&client, SHOP, &server).close();
    let kept = client.sessions.len();
    assert!(kept > 0);
    let one = client.connect(SHOP).unwrap();
    assert_eq!(client.sessions.len(), kept - 1);
    drop(one);
    assert_eq!(client.sessions.len(), kept - 1);
}

#[test]
fn sessions_of_tls_1_2_are_used_again() {
    let (client, server) = (client(), server(&SERVER));
    only(&client, ffi::TLS1_2_VERSION);
    connect(&client, SHOP, &server).close();
    for _ in 0..3 {
        let ends = connect(&client, SHOP, &server);
        assert!(ends.client.reused());
        ends.close();
        assert_eq!(client.sessions.len(), 1);
    }
}

#[test]
fn another_host_port_or_name_does_not_resume() {
    let others = [
        Peer {
            host: "www.shop.example",
            ..SHOP
        },
        Peer {
            port: "8443",
            ..SHOP
        },
        Peer {
            server_name: "www.shop.example",
            ..SHOP
        },
        Peer {
            server_name: "127.0.0.1",
            ..SHOP
        },
    ];
    for version in BOTH {
        for other in others {
            assert!(!resumed_by(version, SHOP, other, |_, _| {}), "{other:?}");
        }
        let same = Peer {
            host: "SHOP.example",
            port: "443",
            server_name: "Shop.Example.",
        };
        assert!(resumed_by(version, SHOP, same, |_, _| {}));
    }
}

#[test]
fn every_change_of_the_clients_context_discards_its_sessions() {
    type Change = fn(&Context);
    let changes: [(&str, Change); 9] = [
        ("mode", |c| c.set_verify(Verify::Chain).unwrap()),
        ("the same mode by name", |c| {
            c.set_verify(Verify::Full).unwrap()
        }),
        ("callback", |c| {
            c.set_verify_callback(Some(Arc::new(|_| true))).unwrap()
        }),
        ("callback removed", |c| c.set_verify_callback(None).unwrap()),
        ("trust", |c| {
            c.load_ca_pem(&SERVER.chain_pem().unwrap()).unwrap()
        }),
        ("ALPN", |c| c.set_alpn(&[b"h2"]).unwrap()),
        ("own certificate", |c| {
            let person = Recipe::new("me").purpose(Purpose::Client).issuer(&CA);
            show(c, &person.bake().unwrap());
        }),
        ("reuse off", |c| c.set_session_reuse(false).unwrap()),
        ("SSL_CTX handed out", |c| {
            c.ssl_ctx();
        }),
    ];
    for version in BOTH {
        for (name, change) in changes {
            assert!(!resumed(version, |client, _| change(client)), "{name}");
        }
    }
}

#[test]
fn a_ticket_that_arrives_after_a_change_is_not_kept() {
    let (client, server) = (client(), server(&SERVER));
    let ends = ends(&client, SHOP, &server);
    assert!(matches!(ends.shake(), (Step::Done, Step::Done)));
    client.set_verify(Verify::Full).unwrap();
    ends.exchange().unwrap();
    assert_eq!(client.sessions.len(), 0);
}

#[test]
fn a_change_of_the_servers_verification_withdraws_its_tickets() {
    type Change = fn(&Context);
    let changes: [Change; 3] = [
        |s| s.set_verify(Verify::OptionalClient).unwrap(),
        |s| s.set_verify_callback(Some(Arc::new(|_| true))).unwrap(),
        |s| s.load_ca_pem(&CA.chain_pem().unwrap()).unwrap(),
    ];
    for version in BOTH {
        for change in changes {
            assert!(!resumed(version, |_, server| change(server)));
        }
    }
}

#[test]
fn reuse_off_keeps_and_issues_nothing() {
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        client.set_session_reuse(false).unwrap();
        connect(&client, SHOP, &server).close();
        assert_eq!(client.sessions.len(), 0);
        client.set_session_reuse(true).unwrap();
        server.set_session_reuse(false).unwrap();
        connect(&client, SHOP, &server).close();
        assert!(!connect(&client, SHOP, &server).client.reused());
        server.set_session_reuse(true).unwrap();
        connect(&client, SHOP, &server).close();
        assert!(connect(&client, SHOP, &server).client.reused());
    }
}

#[test]
fn a_failed_connection_is_not_resumed() {
    // Without close_notify OpenSSL takes the session out of use.
    let (client, server) = (client(), server(&SERVER));
    only(&client, ffi::TLS1_2_VERSION);
    drop(connect(&client, SHOP, &server));
    assert!(!connect(&client, SHOP, &server).client.reused());
}

/// As if a session had come under a key where it does not belong: the last line of defence.
#[test]
fn the_name_is_checked_again_after_a_resumption() {
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        let other = Peer {
            server_name: "other.example",
            ..SHOP
        };
        connect(&client, SHOP, &server).close();
        let generation = client.sessions.generation();
        let (session, _) = client
            .sessions
            .take(generation, "shop.example:443 name=shop.example verify=full");
        let wrong = "shop.example:443 name=other.example verify=full".into();
        drop(client.sessions.put(generation, &wrong, session.unwrap()));
        let ends = ends(&client, other, &server);
        let (Step::Failed(failure), _) = ends.shake() else {
            panic!("resumed for another name");
        };
        assert!(ends.client.reused());
        assert!(failure.certificate);
        assert_eq!(ends.client.verify_result(), 62);
        assert_eq!(
            failure.text,
            "certificate of \"CN=shop.example\" (depth 0) of the resumed session is for shop.example, \
             www.shop.example, 127.0.0.1; not for other.example"
        );
        assert_eq!(client.sessions.take(generation, &wrong).0.map(|_| ()), None);
    }
}

/// As above, with a session of which nothing was verified.
#[test]
fn the_stored_verdict_is_checked_again_after_a_resumption() {
    for version in BOTH {
        let (client, server) = (client(), server(&shop().bake().unwrap()));
        only(&client, version);
        client.set_verify(Verify::None).unwrap();
        connect(&client, SHOP, &server).close();
        let generation = client.sessions.generation();
        let (session, _) = client
            .sessions
            .take(generation, "shop.example:443 name=shop.example verify=none");
        client.set_verify(Verify::Full).unwrap();
        let generation = client.sessions.generation();
        let key = "shop.example:443 name=shop.example verify=full".into();
        drop(client.sessions.put(generation, &key, session.unwrap()));
        let (failure, code) = refused(&client, SHOP, &server);
        assert_eq!((failure.certificate, code), (true, 18));
        assert!(
            failure.text.contains("of the resumed session was refused"),
            "{failure:?}"
        );
    }
}

#[test]
fn a_client_certificate_is_remembered_by_the_session() {
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        server.load_ca_pem(&CA.chain_pem().unwrap()).unwrap();
        server.set_verify(Verify::RequireClient).unwrap();
        let person = Recipe::new("me").purpose(Purpose::Client).issuer(&CA);
        show(&client, &person.bake().unwrap());
        connect(&client, SHOP, &server).close();
        let ends = connect(&client, SHOP, &server);
        assert!(ends.server.reused());
        assert_eq!(ends.server.verify_result(), 0);
        assert_eq!(ends.server.peer_certificate().unwrap().subject, "CN=me");
    }
}

#[test]
fn a_client_that_only_the_callback_accepts_is_judged_each_time() {
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        server.set_verify(Verify::RequireClient).unwrap();
        server
            .set_verify_callback(Some(Arc::new(|_| true)))
            .unwrap();
        show(
            &client,
            &Recipe::new("me").purpose(Purpose::Client).bake().unwrap(),
        );
        for tickets in [true, false] {
            if !tickets {
                // SAFETY: a live context that nobody uses right now.
                unsafe { ffi::SSL_CTX_set_options(server.ssl_ctx(), ffi::SSL_OP_NO_TICKET as _) };
            }
            connect(&client, SHOP, &server).close();
            let ends = connect(&client, SHOP, &server);
            assert!(!ends.server.reused());
            assert_ne!(ends.server.verify_result(), 0);
            ends.close();
        }
    }
}
