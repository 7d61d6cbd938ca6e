//! Application protocols.

use super::*;
use std::sync::Mutex;

fn pair(offered: &[&[u8]]) -> (Arc<Context>, Arc<Context>) {
    let client = client();
    client.set_alpn(offered).unwrap();
    (client, server(&SERVER))
}

#[test]
fn the_servers_order_decides() {
    for version in BOTH {
        let (client, server) = pair(&[b"http/1.1", b"h2", b"x"]);
        only(&client, version);
        server.set_alpn(&[b"spdy", b"h2", b"http/1.1"]).unwrap();
        let ends = connect(&client, SHOP, &server);
        assert_eq!(ends.client.alpn(), Some(&b"h2"[..]));
        assert_eq!(ends.server.alpn(), Some(&b"h2"[..]));
    }
}

#[test]
fn no_common_protocol_fails_with_the_right_alert() {
    for version in BOTH {
        let (client, server) = pair(&[b"h2"]);
        only(&client, version);
        server.set_alpn(&[b"http/1.1"]).unwrap();
        let (Step::Failed(client), Step::Failed(server)) = ends(&client, SHOP, &server).shake()
        else {
            panic!("went on without a common protocol");
        };
        assert_eq!(
            server.text,
            "no application protocol (ALPN) in common with the client"
        );
        assert_eq!(
            client.text,
            "the server sent the alert no_application_protocol (no ALPN protocol in common)"
        );
        assert!(!client.certificate && !server.certificate);
    }
}

#[test]
fn a_server_without_a_list_is_accepted_by_a_client_that_offers_one() {
    let (client, server) = pair(&[b"h2"]);
    assert_eq!(connect(&client, SHOP, &server).client.alpn(), None);
}

#[test]
fn a_client_without_a_list_is_accepted_by_a_server_that_has_one() {
    let (client, server) = pair(&[]);
    server.set_alpn(&[b"h2"]).unwrap();
    assert_eq!(connect(&client, SHOP, &server).server.alpn(), None);
}

#[test]
fn the_callback_decides_instead_of_the_list() {
    let (client, server) = pair(&[b"a", b"b", b"c"]);
    let seen = Arc::new(Mutex::new(Vec::new()));
    let notes = Arc::clone(&seen);
    server
        .set_alpn_callback(Some(Arc::new(move |names| {
            *notes.lock().unwrap() = names.concat();
            names.iter().position(|name| *name == b"b")
        })))
        .unwrap();
    server.set_alpn(&[b"c"]).unwrap();
    assert_eq!(
        connect(&client, SHOP, &server).client.alpn(),
        Some(&b"b"[..])
    );
    assert_eq!(*seen.lock().unwrap(), b"abc");

    // None, and an answer that was not offered: without a protocol.
    for answer in [None, Some(7)] {
        server
            .set_alpn_callback(Some(Arc::new(move |_| answer)))
            .unwrap();
        assert_eq!(connect(&client, SHOP, &server).client.alpn(), None);
    }
    server.set_alpn_callback(None).unwrap();
    assert_eq!(
        connect(&client, SHOP, &server).client.alpn(),
        Some(&b"c"[..])
    );
}

#[test]
fn the_callback_of_a_freed_context_fails_the_handshake() {
    let (client, server) = pair(&[b"a"]);
    server
        .set_alpn_callback(Some(Arc::new(|_| Some(0))))
        .unwrap();
    let hold = Hold::new(Arc::clone(&server));
    let ends = ends(&client, SHOP, &server);
    drop(hold);
    assert!(matches!(ends.shake(), (Step::Failed(_), Step::Failed(_))));
}
