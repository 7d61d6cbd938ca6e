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
//! - [`object`]: the socket behind a live handle, with its `stats`, `timeouts`, `limit`, `endpoint`s and `tls`
//! - [`readiness`]: what a socket and the poll sets that watch it tell each other
//! - [`poll`]: poll sets, with their [`timers`]
//! - [`life`]: making and ending them
//! - [`pool`]: sockets in slots with buffers
//! - [`dns`]: `SocketDNS_T`, names to addresses without a loop
//! - [`reconnect`]: a connection that is made again when it breaks
//! - [`address`], [`connect`], [`accept`]: names and addresses, from either side
//! - [`data`], [`all`], [`file`], [`message`]: bytes
//! - [`unix`]: paths and abstract names
//! - [`options`]: what a program sets and asks
//! - [`option`], [`wait`]: what the kernel keeps, and waiting for it
//! - [`common`]: what sockets of every kind share, for programs that do without `Socket_T`

mod accept;
mod address;
mod all;
pub mod arena;
pub mod buf;
pub mod common;
mod connect;
mod data;
pub mod dns;
mod endpoint;
pub mod errno_class;
mod error;
pub mod event;
mod file;
mod handle;
mod held;
mod life;
mod limit;
mod message;
mod object;
mod option;
mod options;
pub mod poll;
pub mod pool;
mod readiness;
pub mod reconnect;
mod stats;
mod timeouts;
pub mod timers;
pub mod tls;
mod unix;
mod wait;

pub use accept::{accept, accept_within};
pub use address::{bind, bind_one_of, is_wildcard, listen, Bound};
pub use all::{receive_all, receive_all_pieces, send_all, send_all_pieces, Patience, Progress};
pub use buf::Buf;
pub use connect::{connect, connect_one_of, start_connect, Connected};
pub use data::{receive, receive_pieces, send, send_pieces, Moved, Piece};
pub use error::{Error, Kind, Thrown};
pub use file::{send_file, send_whole_file};
pub use handle::Handle;
pub use life::{duplicate, live_count, made, new, pair, take_over};
pub use message::{peek, receive_fds, receive_message, send_fds, send_message, splice, MOST_FDS};
pub use object::{Route, Socket};
pub use options::{ignore_sigpipe, receive_limited, send_limited, TcpInfo};
pub use readiness::Readiness;
pub use stats::{now_ms, Counts, Snapshot};
pub use timeouts::{defaults, set_defaults, Timeouts};
pub use unix::{bind_path, bind_unix, check_path, connect_path, connect_unix};
pub use wait::{wait, Deadline};
