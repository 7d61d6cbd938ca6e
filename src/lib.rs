//! netconn: one connection layer for C programs.
//!
//! The map, one line for each room. A room imports only rooms above it in this list; `capi` is the face: it imports
//! all of them and none imports it.
//!
//! - [`errno`]: the error number that C callers see, as a value
//! - [`log`]: the one sink for what the library has to say
//! - [`clock`]: the monotonic clock, in nanoseconds
//! - [`backoff`]: how long to wait before the next attempt
//! - `address_text`: addresses, hosts and ports, as messages name them
//! - [`evloop`]: the loop: readiness, timers, signals, posted work, embedding
//! - [`dns`]: literals, resolver threads, cancellation, cache, address order
//! - [`tls`]: contexts, verification, sessions, ALPN; knows no sockets and no loops
//! - [`transport`]: what bytes travel on: a TCP or Unix stream, plain or TLS; one read/write/shutdown surface
//! - [`conn`]: `machine` and `race`, the pure state machine, and `driver`, the machine on a loop
//! - [`pool`]: idle connections by key, to be used again
//! - [`socket`]: `Socket_T` and what stands on it: options, time-outs, data, TLS, poll sets, pools
//! - [`capi`]: a file or more for each public header: the only place with exported `extern "C"` functions

mod address_text;
pub mod backoff;
pub mod capi;
pub mod clock;
pub mod conn;
pub mod dns;
pub mod errno;
pub mod evloop;
pub mod log;
pub mod pool;
pub mod socket;
#[cfg(feature = "tls")]
pub mod tls;
#[cfg(not(feature = "tls"))]
#[path = "tls/absent.rs"]
pub mod tls;
pub mod transport;
