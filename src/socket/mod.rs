//! The Socket family: `Socket_T` and what stands on it. Sockets that block or do not, their options and time-outs, data,
//! TLS on them, poll sets, pools. Stands on `transport/`, `tls/`, `dns/` and the loop's readiness code.
//!
//! Knows no C types beyond those of the system, and no exceptions: a function returns an [`Error`], whose [`Kind`] says
//! which exception the face raises. A program's callbacks are closures that give back what was [`Thrown`] in them; nothing is
//! borrowed and no lock is held while one runs.
//!
//! - [`arena`]: memory that goes all at once
//! - [`buf`]: a ring buffer
//! - [`errno_class`]: what kind of trouble an error number is
//! - [`event`]: what happens to sockets, told to whoever registered
//! - [`error`]: what went wrong, and as which kind
//! - [`handle`]: what a `Socket_T` points to, for ever
//! - [`object`]: the socket behind a live handle
//! - [`common`]: what sockets of every kind share, for programs that do without `Socket_T`
//! - [`descriptor`]: what is asked of a descriptor, whosever it is
//! - [`readiness`]: what a socket and the poll sets that watch it tell each other
//! - [`poll`]: poll sets, with their [`timers`]
//! - [`life`]: making and ending them
//! - [`pool`]: sockets in slots with buffers
//! - [`dns`]: `SocketDNS_T`, names to addresses without a loop

pub mod arena;
pub mod buf;
pub mod common;
mod descriptor;
pub mod dns;
pub mod errno_class;
mod error;
pub mod event;
mod handle;
mod life;
mod object;
pub mod poll;
pub mod pool;
mod readiness;
pub mod timers;

pub use buf::Buf;
pub use error::{Error, Kind, Thrown};
pub use handle::Handle;
pub use life::{live_count, new, pair, take_over};
pub use object::Socket;
pub use readiness::Readiness;
