//! Sessions that leave their connection, in memory and as bytes: offered under equal conditions and no others.

use super::*;

extern "C" {
    fn SSL_SESSION_set_time(
        session: *mut ffi::SSL_SESSION,
        time: std::ffi::c_long,
    ) -> std::ffi::c_long;
}

fn place(host: &str, port: &str) -> Place {
    Place {
        host: host.to_owned(),
        port: port.to_owned(),
    }
}

fn here() -> Place {
    place("192.0.2.1", "443")
}

fn of(version: c_int) -> Arc<Context> {
    let client = client();
    only(&client, version);
    client
}

/// The context's own memory is emptied, so that only what is offered can be resumed.
fn fresh(client: &Arc<Context>, peer: Peer<'_>) -> Session {
    drop(client.sessions.discard());
    client.connect(peer).unwrap()
}

fn save(client: &Arc<Context>, server: &Arc<Context>) -> Saved {
    let ends = Ends::new(fresh(client, SHOP), server.accept().unwrap());
    assert!(matches!(ends.shake(), (Step::Done, Step::Done)));
    ends.exchange().unwrap();
    // Dropped without a good end: what was saved does not care.
    ends.client.saved(Some(&here())).unwrap()
}

fn bytes(saved: &Saved) -> Vec<u8> {
    saved.with_bytes(<[u8]>::to_vec).unwrap()
}

/// Connects with an offer: whether it was taken, and whether it was resumed.
fn offer(
    client: &Arc<Context>,
    peer: Peer<'_>,
    server: &Arc<Context>,
    saved: &Saved,
    to: Option<Place>,
) -> (bool, bool) {
    let session = fresh(client, peer);
    let taken = session.offer(saved, move || to.clone());
    let ends = Ends::new(session, server.accept().unwrap());
    ends.client.recall();
    match ends.shake() {
        (Step::Done, Step::Done) => ends.exchange().unwrap(),
        other => panic!("{other:?}"),
    }
    assert!(!ends.client.is_before_handshake());
    let reused = ends.client.reused();
    if reused && ends.client.verifies() {
        assert_eq!(ends.client.verify_result(), 0);
    }
    ends.close();
    (taken, reused)
}

#[test]
fn what_was_saved_is_resumed_from_memory_and_from_bytes() {
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        let saved = save(&client, &server);
        let [copy, again] = [(), ()].map(|()| Saved::from_bytes(&bytes(&saved)).unwrap());
        // The last one with the same settings, as in another process.
        let other = of(version);
        for (client, saved) in [(&client, &saved), (&client, &copy), (&other, &again)] {
            assert!(!saved.expired());
            let outcome = offer(client, SHOP, &server, saved, Some(here()));
            assert_eq!(outcome, (true, true));
            assert_eq!(saved.expired(), version == ffi::TLS1_3_VERSION);
        }
    }
}

#[test]
fn a_resumed_connection_is_saved_again() {
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        let saved = save(&client, &server);
        let session = fresh(&client, SHOP);
        assert!(session.offer(&saved, || Some(here())));
        let ends = Ends::new(session, server.accept().unwrap());
        ends.client.recall();
        assert!(matches!(ends.shake(), (Step::Done, Step::Done)));
        assert!(ends.client.reused());
        // Of TLS 1.3 the next ticket comes with the first bytes; the one that was used is not given out again.
        let again = ends.client.saved(Some(&here()));
        assert_eq!(again.is_some(), version == ffi::TLS1_2_VERSION);
        ends.exchange().unwrap();
        let again = ends.client.saved(Some(&here())).unwrap();
        ends.close();
        let outcome = offer(&client, SHOP, &server, &again, Some(here()));
        assert_eq!(outcome, (true, true));
    }
}

#[test]
fn another_place_or_name_is_not_offered_it() {
    let elsewhere = Peer {
        server_name: "www.shop.example",
        ..SHOP
    };
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        let saved = bytes(&save(&client, &server));
        let saved = || Saved::from_bytes(&saved).unwrap();
        let outcome = |peer, to| offer(&client, peer, &server, &saved(), to);
        assert_eq!(
            outcome(SHOP, Some(place("192.0.2.1", "8443"))),
            (false, false)
        );
        // Not connected, and never to be known.
        assert_eq!(outcome(SHOP, None), (true, false));
        assert_eq!(outcome(elsewhere, Some(here())), (false, false));
        // A verified name stands for all its addresses.
        assert_eq!(outcome(SHOP, Some(place("192.0.2.2", "443"))), (true, true));
    }
}

#[test]
fn without_a_verified_name_the_address_counts() {
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        client.set_verify(Verify::Chain).unwrap();
        let saved = save(&client, &server);
        let outcome = |to| offer(&client, SHOP, &server, &saved, Some(to));
        assert_eq!(outcome(place("192.0.2.2", "443")), (false, false));
        assert_eq!(outcome(here()), (true, true));
    }
}

#[test]
fn other_settings_are_not_offered_it() {
    type Change = fn(&Context);
    let changes: [(&str, Change); 7] = [
        ("mode", |c| c.set_verify(Verify::Chain).unwrap()),
        ("callback", |c| {
            c.set_verify_callback(Some(Arc::new(|_| true))).unwrap()
        }),
        ("trust", |c| {
            c.load_ca_pem(&SERVER.chain_pem().unwrap()).unwrap()
        }),
        ("ALPN", |c| c.set_alpn(&[b"h2"]).unwrap()),
        ("own certificate", |c| show(c, &shop().bake().unwrap())),
        ("reuse off", |c| c.set_session_reuse(false).unwrap()),
        ("SSL_CTX handed out", |c| {
            c.ssl_ctx();
        }),
    ];
    for version in BOTH {
        for (name, change) in changes {
            let (client, server) = (of(version), server(&SERVER));
            let saved = save(&client, &server);
            change(&client);
            let outcome = offer(&client, SHOP, &server, &saved, Some(here()));
            assert_eq!(outcome, (false, false), "{name}");
        }
    }
}

#[test]
fn what_nobody_can_compare_stays_with_its_context() {
    let (one, other, server) = (client(), client(), server(&SERVER));
    for context in [&one, &other] {
        context
            .set_verify_callback(Some(Arc::new(|checked| checked.preverified)))
            .unwrap();
    }
    let saved = save(&one, &server);
    let copy = Saved::from_bytes(&bytes(&saved)).unwrap();
    let at = Some(here());
    assert_eq!(
        offer(&other, SHOP, &server, &copy, at.clone()),
        (false, false)
    );
    assert_eq!(offer(&one, SHOP, &server, &copy, at), (true, true));
}

#[test]
fn a_session_of_no_verification_is_for_none() {
    let (client, server) = (client(), server(&shop().bake().unwrap()));
    client.set_verify(Verify::None).unwrap();
    let saved = save(&client, &server);
    let outcome = |client| offer(client, SHOP, &server, &saved, Some(here()));
    assert!(outcome(&client).0);
    let strict = super::client();
    strict.load_ca_pem(&SERVER.chain_pem().unwrap()).unwrap();
    let session = fresh(&strict, SHOP);
    assert!(!session.offer(&saved, || Some(here())));
}

#[test]
fn a_callbacks_mercy_is_not_saved() {
    let (client, server) = (client(), server(&shop().bake().unwrap()));
    client
        .set_verify_callback(Some(Arc::new(|_| true)))
        .unwrap();
    let ends = connect(&client, SHOP, &server);
    assert!(ends.client.saved(Some(&here())).is_none());
}

#[test]
fn there_is_nothing_to_save_before_and_nothing_to_offer_after() {
    let (client, server) = (client(), server(&SERVER));
    let saved = save(&client, &server);
    let ends = ends(&client, SHOP, &server);
    assert!(ends.client.is_before_handshake());
    assert!(ends.client.saved(Some(&here())).is_none());
    assert!(!ends.server.offer(&saved, || Some(here())));
    assert!(matches!(step(&ends.client), Step::Waiting));
    assert!(!ends.client.offer(&saved, || Some(here())));
    ends.shake();
    ends.exchange().unwrap();
    assert!(ends.client.saved(None).is_none() && ends.server.saved(Some(&here())).is_none());
    assert!(ends.client.saved(Some(&here())).is_some());
}

#[test]
fn what_is_too_old_is_not_offered() {
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        let saved = save(&client, &server);
        // SAFETY: a session of ours.
        unsafe { SSL_SESSION_set_time(saved.raw(), 1000) };
        let copy = Saved::from_bytes(&bytes(&saved)).unwrap();
        for saved in [saved, copy] {
            assert!(saved.expired());
            assert!(!fresh(&client, SHOP).offer(&saved, || Some(here())));
        }
    }
}

#[test]
fn bytes_that_were_changed_are_no_session() {
    let (client, server) = (client(), server(&SERVER));
    let good = bytes(&save(&client, &server));
    for len in 0..good.len() {
        assert!(Saved::from_bytes(&good[..len]).is_none(), "{len}");
    }
    let mut bad = good.clone();
    for at in 0..good.len() {
        bad[at] ^= 1 << (at % 8);
        assert!(Saved::from_bytes(&bad).is_none(), "{at}");
        bad[at] = good[at];
    }
    bad.push(0);
    assert!(Saved::from_bytes(&bad).is_none());
    assert!(Saved::from_bytes(&vec![b'x'; 1 << 20]).is_none());
}

/// What is changed and given a right digest is left to OpenSSL's parser and to the conditions.
#[test]
fn no_bytes_do_harm() {
    let (client, server) = (client(), server(&SERVER));
    let good = bytes(&save(&client, &server));
    let body = good.len() - 32;
    for at in 0..body {
        for value in [0x00, 0x7f, 0x80, 0x84, 0xff] {
            let mut bad = good[..body].to_vec();
            bad[at] = value;
            let digest = super::super::certificate::sha256(&bad).unwrap();
            bad.extend_from_slice(&digest);
            let Some(saved) = Saved::from_bytes(&bad) else {
                continue;
            };
            let session = fresh(&client, SHOP);
            session.offer(&saved, || Some(here()));
            session.recall();
        }
    }
}

#[test]
fn a_session_over_which_a_connection_fails_is_not_offered_again() {
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        let saved = save(&client, &server);
        let session = fresh(&client, SHOP);
        assert!(session.offer(&saved, || Some(here())));
        let ends = Ends::new(session, server.accept().unwrap());
        ends.client.recall();
        assert!(matches!(ends.shake(), (Step::Done, Step::Done)));
        assert!(ends.client.reused());
        drop(ends);
        assert!(saved.expired());
    }
}

/// A client for sockets, whose hostname comes after it was made.
fn for_socket(client: &Arc<Context>) -> Session {
    client.for_socket(std::ptr::null_mut()).unwrap()
}

fn shaken(session: Session, server: &Arc<Context>) -> Ends {
    let ends = Ends::new(session, server.for_socket(std::ptr::null_mut()).unwrap());
    ends.client.recall();
    match ends.shake() {
        (Step::Done, Step::Done) => ends.exchange().unwrap(),
        other => panic!("{other:?}"),
    }
    ends
}

#[test]
fn of_sockets_the_hostname_may_come_after_the_offer() {
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        let first = for_socket(&client);
        first.set_hostname("shop.example").unwrap();
        let ends = shaken(first, &server);
        let saved = bytes(&ends.client.saved(Some(&here())).unwrap());
        for (name, resumed) in [("Shop.Example", true), ("www.shop.example", false)] {
            let session = for_socket(&client);
            let saved = Saved::from_bytes(&saved).unwrap();
            assert!(session.offer(&saved, || Some(here())));
            session.set_hostname(name).unwrap();
            let ends = shaken(session, &server);
            assert_eq!(ends.client.reused(), resumed, "{name}");
            ends.close();
        }
        // A connection of the other family looks for the name in another place of the certificate.
        let saved = Saved::from_bytes(&saved).unwrap();
        assert!(!fresh(&client, SHOP).offer(&saved, || Some(here())));
    }
}

#[test]
fn a_hostname_on_a_context_that_verifies_nothing_is_verified() {
    for version in BOTH {
        let (client, server) = (of(version), server(&SERVER));
        client.set_verify(Verify::None).unwrap();
        let ends = shaken(for_socket(&client), &server);
        let unverified = bytes(&ends.client.saved(Some(&here())).unwrap());
        for (name, resumed) in [(None, true), (Some("shop.example"), false)] {
            let session = for_socket(&client);
            let saved = Saved::from_bytes(&unverified).unwrap();
            assert!(session.offer(&saved, || Some(here())));
            if let Some(name) = name {
                session.set_hostname(name).unwrap();
            }
            let ends = shaken(session, &server);
            assert_eq!(ends.client.reused(), resumed, "{name:?}");
            ends.close();
        }
    }
}
