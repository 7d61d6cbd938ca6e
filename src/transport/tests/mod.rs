//! Real sockets, both ends in the test's own hands.

mod failures;
mod peer;
mod plain;
mod secure;
mod support;
