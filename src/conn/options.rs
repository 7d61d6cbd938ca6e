//! How a connection is made: the options, checked and owned.

use super::machine::Limits;
use crate::clock::{self, Nanos, SECOND};
use crate::errno::Errno;
use crate::tls::{self, Context, Hold};
use std::ffi::c_int;
use std::os::fd::RawFd;
use std::sync::{Arc, PoisonError, RwLock};

/// Called on each new socket before `connect`; another value than 0 refuses the address.
pub type OnSocket = Arc<dyn Fn(RawFd) -> c_int + Send + Sync>;

/// RFC 8305 section 5: the attempt delay must not be below 10 ms.
const MINIMUM_ATTEMPT_DELAY: Nanos = SECOND / 100;

/// `struct conn_options`, with what it points to copied.
#[derive(Clone)]
pub struct Options {
    /// For the lookup.
    pub resolve_timeout: Option<Nanos>,
    /// For all attempts together.
    pub connect_timeout: Option<Nanos>,
    /// For the handshake.
    pub tls_timeout: Option<Nanos>,
    /// For everything until READY.
    pub deadline: Option<Nanos>,
    /// RFC 8305 "connection attempt delay"
    pub attempt_delay: Nanos,
    /// `AF_UNSPEC`, `AF_INET`, `AF_INET6`
    pub family: c_int,
    /// Bound for addresses of its family.
    pub local_addr: Option<socket2::SockAddr>,
    /// `TCP_NODELAY`
    pub nodelay: bool,
    /// Idle time before the first keep-alive probe.
    pub keepalive: Option<Nanos>,
    /// Whether TLS follows.
    pub use_tls: bool,
    /// Whether we are the server of it.
    pub server_side: bool,
    /// The context, or the default client context.
    pub tls: Option<Arc<Context>>,
    /// The name to send and verify, or the host.
    pub server_name: Option<String>,
    /// An end without close_notify counts as an end.
    pub allow_truncation: bool,
    /// Sees each socket before it connects.
    pub on_socket: Option<OnSocket>,
    /// A client's first bytes: with the TLS handshake where that can be, else right after establishing.
    pub early_data: Option<Arc<Vec<u8>>>,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            resolve_timeout: Some(10 * SECOND),
            connect_timeout: Some(10 * SECOND),
            tls_timeout: Some(10 * SECOND),
            deadline: None,
            attempt_delay: SECOND / 4,
            family: libc::AF_UNSPEC,
            local_addr: None,
            nodelay: true,
            keepalive: None,
            use_tls: false,
            server_side: false,
            tls: None,
            server_name: None,
            allow_truncation: false,
            on_socket: None,
            early_data: None,
        }
    }
}

impl Options {
    /// A time-out in seconds: 0 or less, and infinity, mean none; NaN is EINVAL.
    pub fn timeout(seconds: f64) -> Result<Option<Nanos>, Errno> {
        if seconds.is_nan() {
            return Err(crate::log::invalid("a time-out is NaN"));
        }
        Ok(clock::from_seconds(seconds).filter(|nanos| *nanos > 0))
    }

    /// The attempt delay in seconds: at least RFC 8305's lower bound; infinity waits for a failure.
    pub fn delay(seconds: f64) -> Result<Nanos, Errno> {
        if seconds.is_nan() {
            return Err(crate::log::invalid("a time in the options is NaN"));
        }
        // A quarter of the clock's range is as good as for ever, and adds up without overflow.
        let delay = clock::from_seconds(seconds).unwrap_or(Nanos::MAX / 4);
        Ok(delay.max(MINIMUM_ATTEMPT_DELAY))
    }

    /// Whether early data fits the side that we are to be: EINVAL.
    pub(super) fn check_early_data(&self) -> Result<(), Errno> {
        if self.server_side && self.early_data.is_some() {
            return Err(crate::log::invalid(
                "early_data is a client's: it is what goes out with the first flight",
            ));
        }
        Ok(())
    }

    /// Whether a context fits the side of the handshake that we are to be: EINVAL.
    pub(super) fn check_side(&self) -> Result<(), Errno> {
        let fits = self.server_side == self.tls.as_ref().is_some_and(|c| c.is_server());
        // Where no context can be made, the loop says why.
        if fits || tls::available().is_err() {
            return Ok(());
        }
        Err(crate::log::invalid(if self.server_side {
            "a TLS server needs a context of netconn_tls_server in tls"
        } else {
            "the TLS context is a server's: set server_side, or use netconn_tls_client"
        }))
    }

    pub(super) fn limits(&self) -> Limits {
        Limits {
            resolve: self.resolve_timeout,
            connect: self.connect_timeout,
            tls: self.tls_timeout,
            deadline: self.deadline,
            attempt_delay: self.attempt_delay,
        }
    }
}

/// What the process connects with, and its hold on the context: whose callbacks are called though the program has
/// freed its handle.
struct Defaults {
    options: Options,
    _hold: Option<Hold>,
}

static DEFAULTS: RwLock<Option<Defaults>> = RwLock::new(None);

/// What a connection without options of its own uses.
pub fn defaults() -> Options {
    let slot = DEFAULTS.read().unwrap_or_else(PoisonError::into_inner);
    let chosen = slot.as_ref().map(|defaults| defaults.options.clone());
    chosen.unwrap_or_default()
}

/// Replaces [`defaults`]; `None` brings the built-in ones back.
pub fn set_defaults(options: Option<Options>) {
    let new = options.map(|options| Defaults {
        _hold: options.tls.clone().map(Hold::new),
        options,
    });
    let old = {
        let mut slot = DEFAULTS.write().unwrap_or_else(PoisonError::into_inner);
        std::mem::replace(&mut *slot, new)
    };
    // Outside the lock: it may hold the last reference to a context.
    drop(old);
}
