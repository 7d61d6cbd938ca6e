//! What handlers of a program's hear of.

/// A lookup has waited too long.
pub(super) fn dns_timeout(_host: &str, _port: u16) {}
