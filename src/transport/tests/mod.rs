//! Real sockets, both ends in the test's own hands.

mod failures;
#[cfg(debug_assertions)]
mod faults;
mod peer;
mod plain;
mod secure;
mod support;
