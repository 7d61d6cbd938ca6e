//! Hostnames of the Socket family: set after the session is made, before its handshake.

use super::*;
use std::ptr;

extern "C" {
    fn SSL_get1_session(ssl: *mut ffi::SSL) -> *mut ffi::SSL_SESSION;
}

fn session(client: &Arc<Context>) -> Session {
    client.for_socket(ptr::null_mut()).unwrap()
}

fn shake(session: Session, server: &Arc<Context>) -> (Ends, Step) {
    let ends = Ends::new(session, server.for_socket(ptr::null_mut()).unwrap());
    let (step, _) = ends.shake();
    (ends, step)
}

#[test]
fn the_form_is_checked() {
    let session = session(&client());
    let long = |n: usize| "x".repeat(n);
    let of_255 = format!("{0}.{0}.{0}.{0}", long(63));
    assert_eq!(of_255.len(), 255);
    for name in [
        "a",
        "A-1.b2",
        "1.2.3",
        "127.0.0.1",
        "::1",
        "localhost",
        &long(63),
        &of_255,
    ] {
        session.set_hostname(name).unwrap();
    }
    let of_256 = format!("{0}.{0}.{0}.{1}", long(63), long(64));
    for name in [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "-a",
        "a-",
        "a.-b",
        "a.b-",
        "a_b",
        "a:443",
        "[::1]",
        "::1%lo",
        "a b",
        "*.a",
        "bücher",
        "a\n",
        &long(64),
        &of_256,
    ] {
        assert!(session.set_hostname(name).is_err(), "{name:?}");
    }
}

#[test]
fn only_clients_set_one_and_only_before_the_handshake() {
    let server = server(&SERVER);
    let session = server.for_socket(ptr::null_mut()).unwrap();
    assert!(session.set_hostname("shop.example").is_err());
    let (client, _) = (client(), session);
    let session = self::session(&client);
    session.set_hostname("shop.example").unwrap();
    let (ends, step) = shake(session, &server);
    assert!(matches!(step, Step::Done));
    assert!(ends.client.set_hostname("shop.example").is_err());
}

#[test]
fn the_last_one_counts() {
    let (client, server) = (client(), server(&SERVER));
    for (names, good) in [
        (["old.example", "shop.example"], true),
        (["shop.example", "old.example"], false),
        (["192.0.2.7", "shop.example"], true),
        (["shop.example", "192.0.2.7"], false),
        (["old.example", "127.0.0.1"], true),
        (["127.0.0.1", "old.example"], false),
    ] {
        for version in BOTH {
            only(&client, version);
            let session = session(&client);
            for name in names {
                session.set_hostname(name).unwrap();
            }
            let (ends, step) = shake(session, &server);
            assert_eq!(matches!(step, Step::Done), good, "{names:?}");
            // SAFETY: a live SSL; NULL or a text of its own.
            let sent = unsafe {
                let name =
                    ffi::SSL_get_servername(ends.server.ssl(), ffi::TLSEXT_NAMETYPE_host_name);
                (!name.is_null()).then(|| std::ffi::CStr::from_ptr(name).to_str().unwrap())
            };
            let host = names[1].parse::<std::net::IpAddr>().is_err();
            assert_eq!(sent, host.then_some(names[1]), "{names:?}");
        }
    }
}

#[test]
fn the_subject_counts_where_there_is_no_name_in_its_place() {
    let client = client();
    let names = |cn: &'static str, names: &[&'static str]| {
        let identity = Recipe::new(cn).names(names).issuer(&CA).bake().unwrap();
        server(&identity)
    };
    for (server, good) in [
        (names("cn.example", &[]), true),
        (names("cn.example", &["127.0.0.1"]), true),
        (names("cn.example", &["old.example"]), false),
        (names("other.example", &[]), false),
    ] {
        let session = session(&client);
        session.set_hostname("cn.example").unwrap();
        let (ends, step) = shake(session, &server);
        assert_eq!(matches!(step, Step::Done), good, "{step:?}");
        if !good {
            assert_eq!(
                ends.client.verify_result(),
                i64::from(ffi::X509_V_ERR_HOSTNAME_MISMATCH)
            );
        }
        // Elsewhere it never does.
        let peer = Peer {
            server_name: "cn.example",
            ..SHOP
        };
        refused(&client, peer, &server);
    }
}

#[test]
fn the_name_is_checked_again_after_a_resumption() {
    for (name, good) in [("www.shop.example", true), ("old.example", false)] {
        for version in BOTH {
            let (client, server) = (client(), server(&SERVER));
            only(&client, version);
            let first = session(&client);
            first.set_hostname("shop.example").unwrap();
            let (ends, _) = shake(first, &server);
            ends.exchange().unwrap();
            // SAFETY: a live SSL; the reference is ours, given back below.
            let kept = unsafe { SSL_get1_session(ends.client.ssl()) };
            ends.close();
            let second = session(&client);
            second.set_hostname(name).unwrap();
            // SAFETY: a live SSL and a live session, whose reference is given back.
            unsafe {
                ffi::SSL_set_session(second.ssl(), kept);
                ffi::SSL_SESSION_free(kept);
            }
            let (ends, step) = shake(second, &server);
            assert_eq!(matches!(step, Step::Done), good, "{name} {step:?}");
            assert!(ends.client.reused());
        }
    }
}
