//! What a session tells of its peer.

use super::*;
use testcerts::{Moment, Purpose};

#[test]
fn the_certificate_is_told_in_lines() {
    let leaf = shop()
        .valid(Moment::Unix(1_580_472_000), Moment::Unix(3_786_912_000))
        .issuer(&CA)
        .bake()
        .unwrap();
    for version in BOTH {
        let (client, server) = (client(), server(&leaf));
        only(&client, version);
        let ends = connect(&client, SHOP, &server);
        let lines = ends.client.certificate_lines().unwrap();
        assert_eq!(lines.subject, "/CN=shop.example");
        assert_eq!(lines.issuer, "/CN=test root");
        assert_eq!(lines.version, 3);
        assert_eq!(
            (lines.not_before, lines.not_after),
            (1_580_472_000, 3_786_912_000)
        );
        let whole = ends.client.peer_certificate().unwrap();
        assert_eq!((lines.serial, lines.sha256), (whole.serial, whole.sha256));
        assert!(ends.server.certificate_lines().is_none());
        assert_eq!(ends.client.protocol(), version);
        let name = ends.client.protocol_name().to_str().unwrap();
        assert_eq!(name, ends.client.version());
        assert_eq!(
            (ends.client.verify_code(), ends.server.verify_code()),
            (0, 0)
        );
        assert_eq!(ends.client.renegotiations(), 0);
        assert!(!ends.client.is_to_renegotiate());
    }
}

#[test]
fn the_chain_begins_with_the_leaf_on_both_sides() {
    let middle = Recipe::authority("middle").issuer(&CA).bake().unwrap();
    let leaf = shop().issuer(&middle).bake().unwrap();
    let leaf = leaf.with_chain(&[&middle]);
    let person = Recipe::new("me").purpose(Purpose::Client).issuer(&middle);
    let person = person.bake().unwrap().with_chain(&[&middle]);
    for version in BOTH {
        let (client, server) = (client(), server(&leaf));
        only(&client, version);
        server.load_ca_pem(&CA.chain_pem().unwrap()).unwrap();
        server.set_verify(Verify::RequireClient).unwrap();
        show(&client, &person);
        let ends = connect(&client, SHOP, &server);
        for (session, subject) in [(&ends.client, "CN=shop.example"), (&ends.server, "CN=me")] {
            let chain = session.chain().unwrap();
            let told: Vec<_> = chain
                .pointers()
                .iter()
                .map(|x509| super::super::certificate::subject(*x509))
                .collect();
            assert_eq!(told, [subject, "CN=middle"]);
        }
        ends.close();
        let ends = connect(&client, SHOP, &server);
        assert!(ends.client.reused());
        for session in [&ends.client, &ends.server] {
            assert!(!session.chain().unwrap().pointers().is_empty());
        }
    }
}
