//! `SocketReconnect_T`

mod machine;
#[cfg(test)]
mod machine_tests;
mod policy;
