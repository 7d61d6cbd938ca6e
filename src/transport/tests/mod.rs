//! Real sockets, both ends in the test's own hands.

mod attached;
mod attached_ends;
mod failures;
#[cfg(debug_assertions)]
mod faults;
mod peer;
mod plain;
mod secure;
mod support;
