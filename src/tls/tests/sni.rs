//! A server's certificates for names.

use super::family::{done, plain, sockets, text, Folder};
use super::*;
use std::path::Path;
use testcerts::KeyKind;

/// Whom the client was shown.
fn shown(client: &Arc<Context>, name: &str, server: &Arc<Context>) -> String {
    // Names are not judged here.
    client
        .set_raw_verify_callback(Some(Arc::new(|_, _, _| Some(true))))
        .unwrap();
    let ends = sockets(client, Some(name), server);
    done(&ends);
    ends.client
        .peer_certificate()
        .map_or_else(String::new, |shown| shown.subject)
}

#[test]
fn each_name_is_shown_its_certificate() {
    let folder = Folder::new();
    let one = Recipe::new("one")
        .names(&["one.example"])
        .issuer(&CA)
        .bake()
        .unwrap();
    let wild = Recipe::new("wild")
        .names(&["*.wild.example"])
        .issuer(&CA)
        .bake()
        .unwrap();
    let cn = Recipe::new("cn.example").issuer(&CA).bake().unwrap();
    let rsa = Recipe::new("rsa")
        .names(&["rsa.example"])
        .key(KeyKind::Rsa(2048))
        .issuer(&CA)
        .bake()
        .unwrap();
    for version in BOTH {
        let (client, server) = (client(), server(&SERVER));
        only(&client, version);
        let add = |name: Option<&str>, identity: &Identity| {
            let (chain, key) = folder.put("pair", identity);
            server.add_certificate(name, &chain, &key)
        };
        add(Some("One.Example"), &one).unwrap();
        add(Some("a.wild.example"), &wild).unwrap();
        add(Some("cn.example"), &cn).unwrap();
        add(Some("rsa.example"), &rsa).unwrap();
        for (name, subject) in [
            ("one.example", "CN=one"),
            ("ONE.example", "CN=one"),
            ("a.wild.example", "CN=wild"),
            ("b.wild.example", "CN=shop.example"),
            ("cn.example", "CN=cn.example"),
            ("rsa.example", "CN=rsa"),
            ("shop.example", "CN=shop.example"),
            ("127.0.0.1", "CN=shop.example"),
        ] {
            assert_eq!(shown(&client, name, &server), subject, "{name}");
        }
        assert!(text(add(Some("b.wild.example.x"), &wild)).contains("is not for"));
        for name in ["*.wild.example", "", "a..b", "a.wild.example."] {
            assert!(add(Some(name), &wild).is_err(), "{name:?}");
        }
        add(None, &wild).unwrap();
        assert_eq!(shown(&client, "b.wild.example", &server), "CN=wild");
        add(Some("one.example"), &one).unwrap();
    }
    let (chain, key) = folder.put("pair", &one);
    assert!(text(plain().add_certificate(None, &chain, &key)).contains("for servers"));
}

#[test]
fn the_table_has_its_limits_and_a_failed_call_changes_nothing() {
    let folder = Folder::new();
    let names: Vec<String> = (0..101).map(|i| format!("n{i}.example")).collect();
    let all: Vec<&str> = names.iter().map(String::as_str).collect();
    let many = Recipe::new("many").names(&all).issuer(&CA).bake().unwrap();
    let (chain, key) = folder.put("many", &many);
    let (client, server) = (client(), server(&SERVER));
    let add = |name: &str, chain: &Path| server.add_certificate(Some(name), chain, &key);
    for name in &names[..100] {
        add(name, &chain).unwrap();
    }
    assert!(text(add("n100.example", &chain)).contains("100 names"));
    // One that is there is replaced.
    add("N7.example", &chain).unwrap();

    let (_, other) = folder.put("other", &SERVER);
    assert!(
        text(server.add_certificate(Some("n1.example"), &chain, &other)).contains("is not the key")
    );
    let long = |n: usize| {
        let certificates = std::iter::repeat_n(CA.chain_pem().unwrap(), n).flatten();
        let bytes: Vec<u8> = many
            .chain_pem()
            .unwrap()
            .into_iter()
            .chain(certificates)
            .collect();
        let path = folder.path(&format!("long{n}.pem"));
        std::fs::write(&path, bytes).unwrap();
        path
    };
    add("n1.example", &long(9)).unwrap();
    assert!(text(add("n1.example", &long(10))).contains("more than 10 certificates"));
    let padded = |n: usize| {
        let mut bytes = many.chain_pem().unwrap();
        bytes.resize(n, b'\n');
        let path = folder.path(&format!("padded{n}.pem"));
        std::fs::write(&path, bytes).unwrap();
        path
    };
    add("n1.example", &padded(1 << 20)).unwrap();
    assert!(text(add("n1.example", &padded((1 << 20) + 1))).contains("1 MiB"));
    std::fs::write(folder.path("none.pem"), "nothing").unwrap();
    assert!(text(add("n1.example", &folder.path("none.pem"))).contains("no certificate"));
    // What OpenSSL would refuse in each handshake.
    let strong = Context::server().unwrap();
    let weak = Recipe::new("weak")
        .names(&["weak.example"])
        .key(KeyKind::Rsa(1024))
        .issuer(&CA)
        .bake()
        .unwrap();
    let (weak_chain, weak_key) = folder.put("weak", &weak);
    assert!(
        text(strong.add_certificate(Some("weak.example"), &weak_chain, &weak_key))
            .contains("too small")
    );
    assert_eq!(shown(&client, "n1.example", &server), "CN=many");
    assert_eq!(shown(&client, "n100.example", &server), "CN=shop.example");
}
