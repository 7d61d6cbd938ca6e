//! Real sockets, both ends in the test's own hands.

mod plain;
mod support;
