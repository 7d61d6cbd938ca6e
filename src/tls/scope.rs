//! Within which settings sessions are shared: a digest that goes into a server's sessions and tickets, and into what a
//! client keeps outside. Equal settings give the same one in every process; what cannot be compared between processes (a
//! function of the program's, an `SSL_CTX` that it changed) gives one that no other process has.

use super::context::Settings;
use super::types::Error;
use super::{certificate, queue};
use openssl_sys as ffi;
use std::ffi::c_int;
use std::sync::OnceLock;

pub(super) type Scope = [u8; 32];

fn digest(text: &[u8]) -> Result<Scope, Error> {
    certificate::sha256(text).ok_or_else(|| queue::error("TLS: SHA-256"))
}

/// How a server verifies: a change withdraws its tickets too, and equal servers share theirs.
pub(super) fn of_server(settings: &Settings) -> Result<Scope, Error> {
    let mut text = format!(
        "netconn {} {} {}",
        settings.mode(true).word(),
        settings.verify_callbacks_set,
        settings.no_reuse
    )
    .into_bytes();
    for trusted in &settings.trust {
        text.extend_from_slice(trusted);
    }
    digest(&text)
}

/// Everything that decided whether a client believed its server, but for what the session's key says. `handed_out`: how
/// often the program got the `SSL_CTX`, where it may have changed anything.
pub(super) fn of_client(settings: &Settings, handed_out: usize) -> Result<Scope, Error> {
    let mut text = b"netconn client".to_vec();
    for trusted in &settings.trust {
        text.extend_from_slice(trusted);
    }
    // A resumed session goes on under the certificate that its first handshake showed.
    if let Some(identity) = &settings.identity {
        text.extend_from_slice(b" shows ");
        text.extend_from_slice(&identity.digest()?);
    }
    if settings.verify_callback.is_some() || handed_out > 0 {
        text.extend_from_slice(b" of this process ");
        text.extend_from_slice(process()?);
        text.extend_from_slice(&settings.verify_callbacks_set.to_ne_bytes());
        text.extend_from_slice(&handed_out.to_ne_bytes());
        text.extend_from_slice(&settings.number.to_ne_bytes());
    }
    digest(&text)
}

/// What binds a session to the key that it was kept under, besides.
pub(super) fn of_key(key: &str) -> Result<Scope, Error> {
    digest(key.as_bytes())
}

/// A value that no other process has.
fn process() -> Result<&'static [u8; 32], Error> {
    static PROCESS: OnceLock<[u8; 32]> = OnceLock::new();
    if let Some(known) = PROCESS.get() {
        return Ok(known);
    }
    let mut random = [0; 32];
    // SAFETY: 32 writable bytes.
    if unsafe { ffi::RAND_bytes(random.as_mut_ptr(), random.len() as c_int) } != 1 {
        return Err(queue::error("TLS: random bytes"));
    }
    Ok(PROCESS.get_or_init(|| random))
}
