//! The folder of PEM files that C tests and the demo read.

use crate::recipe::{Identity, KeyKind, Moment, Purpose, Recipe};
use openssl::error::ErrorStack;
use std::fs;
use std::io;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

const SERVER_NAMES: &[&str] = &["localhost", "*.test.example", "127.0.0.1", "::1"];
const LOCAL_NAMES: &[&str] = &["localhost", "127.0.0.1"];
/// 2020-01-31 12:00:00 UTC
const EXPIRY: i64 = 1_580_472_000;
/// 2090-01-01 00:00:00 UTC
const FAR_FUTURE: i64 = 3_786_912_000;

/// Writes every file that the crate's documentation lists; makes the folder when it is missing.
pub fn write_all(dir: &Path) -> io::Result<()> {
    let cadir = dir.join("cadir");
    fs::create_dir_all(&cadir)?;
    let bake = |recipe: Recipe<'_>| recipe.bake().map_err(failed);
    let save = |name: &str, identity: &Identity| save(dir, name, identity);

    let ca = bake(Recipe::authority("netconn test root"))?;
    save("ca", &ca)?;
    let hashed = format!("{:08x}.0", ca.certificate.subject_name_hash());
    fs::write(cadir.join(hashed), ca.chain_pem().map_err(failed)?)?;
    let other = bake(Recipe::authority("Corp Root"))?;
    save("other-ca", &other)?;
    let intermediate = bake(Recipe::authority("netconn test intermediate").issuer(&ca))?;
    save("intermediate", &intermediate)?;

    let server = Recipe::new("localhost").names(SERVER_NAMES).issuer(&ca);
    save("server", &bake(server.clone())?)?;
    save("server-rsa", &bake(server.clone().key(KeyKind::Rsa(2048)))?)?;
    let encrypted = bake(server)?;
    save("encrypted", &encrypted)?;
    let key = encrypted.encrypted_key_pem("secret").map_err(failed)?;
    write_key(&dir.join("encrypted.key"), &key)?;

    let chain = bake(
        Recipe::new("localhost")
            .names(LOCAL_NAMES)
            .issuer(&intermediate),
    )?;
    save("missing-intermediate", &chain)?;
    save("chain", &chain.with_chain(&[&intermediate]))?;

    let local = Recipe::new("localhost").names(LOCAL_NAMES).issuer(&ca);
    let old_names = ["old.example", "www.old.example"];
    let old = Recipe::new("old.example").names(&old_names).issuer(&ca);
    save("wrong-name", &bake(old)?)?;
    save("cn-only", &bake(Recipe::new("localhost").issuer(&ca))?)?;
    let addresses = Recipe::new("addresses").names(&["127.0.0.1", "::1"]);
    save("ip-only", &bake(addresses.issuer(&ca))?)?;
    let expired = local
        .clone()
        .valid(Moment::Unix(EXPIRY - 86_400 * 365), Moment::Unix(EXPIRY));
    save("expired", &bake(expired)?)?;
    let early = local.clone().valid(
        Moment::Unix(FAR_FUTURE),
        Moment::Unix(FAR_FUTURE + 86_400 * 365),
    );
    save("not-yet-valid", &bake(early)?)?;
    save(
        "self-signed",
        &bake(Recipe::new("localhost").names(LOCAL_NAMES))?,
    )?;
    let untrusted = bake(local.clone().issuer(&other))?;
    save("untrusted", &untrusted.with_chain(&[&other]))?;
    save("weak-key", &bake(local.clone().key(KeyKind::Rsa(1024)))?)?;
    save("weak-signature", &bake(local.sha1())?)?;

    let client = Recipe::new("test client").purpose(Purpose::Client);
    save("client", &bake(client.clone().issuer(&ca))?)?;
    save("untrusted-client", &bake(client.issuer(&other))?)?;

    fs::write(dir.join("empty.pem"), "")?;
    fs::write(dir.join("garbage.pem"), "This is not a certificate.\n")
}

fn save(dir: &Path, name: &str, identity: &Identity) -> io::Result<()> {
    let chain = identity.chain_pem().map_err(failed)?;
    fs::write(dir.join(format!("{name}.pem")), chain)?;
    let key = identity.key_pem().map_err(failed)?;
    write_key(&dir.join(format!("{name}.key")), &key)
}

fn write_key(path: &Path, pem: &[u8]) -> io::Result<()> {
    let mut file = fs::OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(path)?;
    io::Write::write_all(&mut file, pem)
}

fn failed(error: ErrorStack) -> io::Error {
    io::Error::other(error)
}

#[cfg(test)]
mod tests {
    use super::*;
    use openssl::pkey::PKey;
    use openssl::x509::X509;

    #[test]
    fn every_documented_file_is_written_and_every_pair_matches() {
        let dir = std::env::temp_dir().join(format!("testcerts-{}", std::process::id()));
        write_all(&dir).unwrap();
        let documentation = include_str!("lib.rs");
        let mut pairs = 0;
        for row in documentation.lines().filter(|l| l.starts_with("//! | `")) {
            let cell = row.split('|').nth(1).unwrap();
            for name in cell.split('`').filter(|n| n.contains(['.', '/'])) {
                assert!(dir.join(name).exists(), "{name} was not written");
            }
            if cell.contains(".key") {
                let stem = cell.split('`').nth(1).unwrap().trim_end_matches(".pem");
                let leaf = X509::from_pem(&fs::read(dir.join(format!("{stem}.pem"))).unwrap());
                let key = PKey::private_key_from_pem_passphrase(
                    &fs::read(dir.join(format!("{stem}.key"))).unwrap(),
                    b"secret",
                );
                assert!(leaf.unwrap().public_key().unwrap().public_eq(&key.unwrap()));
                pairs += 1;
            }
        }
        assert_eq!(pairs, 19);
        fs::remove_dir_all(&dir).unwrap();
    }
}
