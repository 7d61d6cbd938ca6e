//! Certificates for netconn's tests and its demo, made anew by each run: nothing expires in the repository, and no key
//! is ever committed.
//!
//! Rust tests bake what they need with [`Recipe`]; C tests and the demo get a folder of PEM files from [`write_all`].
//! Keys are P-256 unless a name says otherwise (RSA takes a tenth of a second each).
//!
//! # The files of `write_all`
//!
//! `NAME.pem` is a certificate (or a chain, leaf first) and `NAME.key` its private key.
//!
//! | file | what it is |
//! |---|---|
//! | `ca.pem`, `ca.key` | the authority that tests trust: `CN=netconn test root` |
//! | `cadir/` | the same authority as a hashed directory |
//! | `intermediate.pem`, `intermediate.key` | an authority signed by `ca` |
//! | `other-ca.pem`, `other-ca.key` | an authority that nobody trusts: `CN=Corp Root` |
//! | `server.pem`, `server.key` | for localhost, *.test.example, 127.0.0.1 and ::1 |
//! | `server-rsa.pem`, `server-rsa.key` | the same names on an RSA key (2048 bits) |
//! | `encrypted.pem`, `encrypted.key` | the same names; the key is encrypted with the password `secret` |
//! | `chain.pem`, `chain.key` | for localhost and 127.0.0.1, signed by `intermediate`, which is in the file |
//! | `missing-intermediate.pem`, `missing-intermediate.key` | the same without the intermediate |
//! | `wrong-name.pem`, `wrong-name.key` | `CN=old.example`, for old.example and www.old.example |
//! | `cn-only.pem`, `cn-only.key` | `CN=localhost` and no subjectAltName |
//! | `ip-only.pem`, `ip-only.key` | for 127.0.0.1 and ::1, no DNS name |
//! | `expired.pem`, `expired.key` | for localhost and 127.0.0.1, until 2020-01-31 12:00:00 UTC |
//! | `not-yet-valid.pem`, `not-yet-valid.key` | for localhost and 127.0.0.1, from 2090-01-01 00:00:00 UTC |
//! | `self-signed.pem`, `self-signed.key` | for localhost and 127.0.0.1, its own issuer |
//! | `untrusted.pem`, `untrusted.key` | for localhost and 127.0.0.1, signed by `other-ca`, which is in the file |
//! | `weak-key.pem`, `weak-key.key` | for localhost and 127.0.0.1, RSA with 1024 bits |
//! | `weak-signature.pem`, `weak-signature.key` | for localhost and 127.0.0.1, signed with SHA-1 |
//! | `client.pem`, `client.key` | `CN=test client`, for client authentication only |
//! | `untrusted-client.pem`, `untrusted-client.key` | the same, signed by `other-ca` |
//! | `empty.pem`, `garbage.pem` | nothing, and something that is not PEM |

mod files;
mod recipe;

pub use files::write_all;
pub use recipe::{Identity, KeyKind, Moment, Purpose, Recipe};
