//! `struct conn_options` of `net_conn.h`.
#![allow(non_camel_case_types)]

use super::guard::{self, infallible};
use super::shim::NoFrames;
use super::tls_types::SocketTLSContext_T;
use super::types::c_bool;
use crate::conn::options::Options;
use crate::errno::Errno;
use crate::log::invalid;
use std::ffi::{c_char, c_int, c_void};
use std::mem::{offset_of, size_of, MaybeUninit};
use std::sync::Arc;

/// Called with each new socket before it connects; another value than 0 refuses its address, the others are still
/// tried. Runs inside the call that starts the attempt; may close the connection, which is then freed after that call.
pub type conn_socket_cb = Option<unsafe extern "C" fn(fd: c_int, arg: *mut c_void) -> c_int>;

/// How a connection is made. Set by conn_options_init, then changed; read and copied by the call it is given to.
/// Times are in seconds; a time-out of 0 or less means none; NaN is EINVAL.
#[repr(C)]
pub struct conn_options {
    /// sizeof(struct conn_options), set by conn_options_init. A smaller one takes defaults for the rest.
    pub size: usize,
    /// For looking up the name. Default: 10.
    pub resolve_timeout: f64,
    /// For connecting, all attempts together. Default: 10.
    pub connect_timeout: f64,
    /// For the TLS handshake. Default: 10.
    pub tls_timeout: f64,
    /// For everything until CONN_READY together. Default: 0, none.
    pub deadline: f64,
    /// How long one address is tried before the next one is too (RFC 8305, Connection Attempt Delay); at least 0.01.
    /// Default: 0.25.
    pub attempt_delay: f64,
    /// Which addresses are used: AF_UNSPEC (all), AF_INET or AF_INET6. Default: AF_UNSPEC.
    pub family: c_int,
    /// What sockets of its family are bound to, see bind(2); copied. Default: NULL, the kernel chooses.
    pub local_addr: *const libc::sockaddr,
    /// The length of local_addr in bytes.
    pub local_addr_len: libc::socklen_t,
    /// Whether small writes are sent at once (TCP_NODELAY, see tcp(7)). Default: true.
    pub nodelay: c_bool,
    /// Idle seconds before the first TCP keep-alive probe. Default: 0, no probes.
    pub keepalive: f64,
    /// Whether TLS is set up. Default: false.
    pub use_tls: c_bool,
    /// Whether we are the server of the TLS handshake; conn_from_fd and conn_start_tls alone. Default: false.
    pub server_side: c_bool,
    /// Whom to trust and what to show. The connection takes a reference: the caller may free its own. A server side needs
    /// one. Default: NULL, the default client context (conn_set_default_tls).
    pub tls: SocketTLSContext_T,
    /// The name to send (SNI, RFC 6066) and to find in the certificate; copied. Default: NULL, the host.
    pub server_name: *const c_char,
    /// Whether an end of the TCP stream without close_notify counts as the end of the TLS stream. Only for protocols that
    /// tell by themselves where a message ends. Default: false.
    pub allow_truncation: c_bool,
    /// See conn_socket_cb. Default: NULL.
    pub on_socket: conn_socket_cb,
    /// The argument of on_socket.
    pub socket_arg: *mut c_void,
    /// A client's first bytes; copied. Over TLS 1.3 they go out with the first flight (0-RTT, RFC 8446 section 2.3), where a
    /// resumed session allows all of them and the context does (netconn_tls_enable_early_data); otherwise, and when the
    /// server turns them down, they are sent after the handshake, before on_ready runs. A plain connection sends them once it
    /// is connected. Each byte goes out once; what the kernel does not take at once is sent as conn_try_write's bytes are.
    ///
    /// Early data can be recorded on the way and sent again by anybody, to any server that shares the session: only what may
    /// arrive twice without harm belongs here (RFC 8446, appendix E.5). Default: NULL. With server_side: EINVAL.
    pub early_data: *const c_void,
    /// The length of early_data in bytes.
    pub early_data_len: usize,
}

impl conn_options {
    fn built_in() -> conn_options {
        conn_options {
            size: size_of::<conn_options>(),
            resolve_timeout: 10.0,
            connect_timeout: 10.0,
            tls_timeout: 10.0,
            deadline: 0.0,
            attempt_delay: 0.25,
            family: libc::AF_UNSPEC,
            local_addr: std::ptr::null(),
            local_addr_len: 0,
            nodelay: 1,
            keepalive: 0.0,
            use_tls: 0,
            server_side: 0,
            tls: std::ptr::null_mut(),
            server_name: std::ptr::null(),
            allow_truncation: 0,
            on_socket: None,
            socket_arg: std::ptr::null_mut(),
            early_data: std::ptr::null(),
            early_data_len: 0,
        }
    }
}

/// Sets every member to its default, and `size`. NULL is a no-op.
///
/// # Safety
/// `options` is NULL or points to a `struct conn_options`.
#[no_mangle]
pub unsafe extern "C" fn conn_options_init(options: *mut conn_options) {
    infallible((), || {
        if !options.is_null() {
            // SAFETY: not NULL, and the caller promises room for the struct.
            unsafe { options.write(conn_options::built_in()) };
        }
    })
}

/// Where each member ends: a struct of an older program ends between two of them, never inside one.
const ENDS: [usize; 19] = {
    macro_rules! ends {
        ($($this:ident $next:ident),*) => { [$({ let _ = offset_of!(conn_options, $this); offset_of!(conn_options, $next) }),*] };
    }
    ends!(
        size resolve_timeout, resolve_timeout connect_timeout, connect_timeout tls_timeout, tls_timeout deadline,
        deadline attempt_delay, attempt_delay family, family local_addr, local_addr local_addr_len,
        local_addr_len nodelay, nodelay keepalive, keepalive use_tls, use_tls server_side, server_side tls,
        tls server_name, server_name allow_truncation, allow_truncation on_socket, on_socket socket_arg,
        socket_arg early_data, early_data early_data_len
    )
};

/// The options of a C program, checked and owned; `None` for NULL. EINVAL.
///
/// # Safety
/// `options` is NULL or points to as many bytes as its `size` says, and what it points to is valid.
pub(super) unsafe fn read(options: *const conn_options) -> Result<Option<Options>, Errno> {
    if options.is_null() {
        return Ok(None);
    }
    // SAFETY: every such struct begins with its size, which is always there to be read.
    let size = unsafe { (*options).size };
    if size == 0 || size > size_of::<conn_options>() {
        return Err(invalid(
            "the options have a size that this library does not know: call conn_options_init first",
        ));
    }
    let mut given = MaybeUninit::new(conn_options::built_in());
    let whole = if size == size_of::<conn_options>() {
        size
    } else {
        ENDS.iter()
            .copied()
            .filter(|end| *end <= size)
            .max()
            .unwrap_or(0)
    };
    // SAFETY: `whole` is at most `size`, which the caller has, and at most the size of the struct. Every member is a plain
    // integer, float or pointer (a function pointer may be any address or NULL), so any bytes are a valid value.
    let given = unsafe {
        std::ptr::copy_nonoverlapping(options.cast::<u8>(), given.as_mut_ptr().cast::<u8>(), whole);
        given.assume_init()
    };
    if ![libc::AF_UNSPEC, libc::AF_INET, libc::AF_INET6].contains(&given.family) {
        return Err(invalid("family is AF_UNSPEC, AF_INET or AF_INET6"));
    }
    // SAFETY: the caller promises that what the options point to is valid.
    let (server_name, tls, local_addr, early_data) = unsafe {
        (
            guard::text(given.server_name)?,
            super::netconn_tls::context(given.tls),
            local_address(given.local_addr, given.local_addr_len)?,
            guard::bytes(given.early_data, given.early_data_len)?,
        )
    };
    if server_name.is_some_and(str::is_empty) {
        // A name that nobody can have would never match; it is not the same as no name.
        return Err(invalid("server_name is empty: NULL means the host"));
    }
    Ok(Some(Options {
        resolve_timeout: Options::timeout(given.resolve_timeout)?,
        connect_timeout: Options::timeout(given.connect_timeout)?,
        tls_timeout: Options::timeout(given.tls_timeout)?,
        deadline: Options::timeout(given.deadline)?,
        attempt_delay: Options::delay(given.attempt_delay)?,
        family: given.family,
        local_addr,
        nodelay: given.nodelay != 0,
        keepalive: Options::timeout(given.keepalive)?,
        use_tls: given.use_tls != 0,
        server_side: given.server_side != 0,
        tls,
        server_name: server_name.map(str::to_owned),
        allow_truncation: given.allow_truncation != 0,
        on_socket: on_socket(given.on_socket, given.socket_arg),
        early_data: copy(early_data)?,
    }))
}

/// A copy that connections share; ENOMEM. `None` for no bytes.
fn copy(bytes: &[u8]) -> Result<Option<Arc<Vec<u8>>>, Errno> {
    let mut copy = Vec::new();
    copy.try_reserve_exact(bytes.len())
        .map_err(|_| Errno(libc::ENOMEM))?;
    copy.extend_from_slice(bytes);
    Ok((!copy.is_empty()).then(|| Arc::new(copy)))
}

/// # Safety
/// `addr` is NULL or points to `len` bytes of a socket address.
unsafe fn local_address(
    addr: *const libc::sockaddr,
    len: libc::socklen_t,
) -> Result<Option<socket2::SockAddr>, Errno> {
    if addr.is_null() {
        return Ok(None);
    }
    // SAFETY: as the caller promises.
    let bytes = unsafe { guard::bytes(addr.cast(), len as usize) }?;
    let mut storage = socket2::SockAddrStorage::zeroed();
    if bytes.len() < size_of::<libc::sa_family_t>() || bytes.len() > storage.size_of() as usize {
        return Err(invalid(
            "local_addr_len is not the length of a socket address",
        ));
    }
    // SAFETY: the family is the first member of every socket address on Linux, and its bytes are there; `addr` may be
    // unaligned.
    let family = unsafe { std::ptr::read_unaligned(&raw const (*addr).sa_family) };
    let shortest = match i32::from(family) {
        libc::AF_INET => size_of::<libc::sockaddr_in>(),
        libc::AF_INET6 => size_of::<libc::sockaddr_in6>(),
        libc::AF_UNIX => size_of::<libc::sa_family_t>(),
        _ => return Err(invalid("local_addr is of an unknown address family")),
    };
    if bytes.len() < shortest {
        return Err(invalid(
            "local_addr_len is too short for the address family",
        ));
    }
    // SAFETY: the storage is larger than the address; zeroed storage with the caller's bytes in front is a valid one.
    let address = unsafe {
        std::ptr::copy_nonoverlapping(bytes.as_ptr(), (&raw mut storage).cast::<u8>(), bytes.len());
        socket2::SockAddr::new(storage, len)
    };
    Ok(Some(address))
}

/// The program's callback with its argument, as a value that may travel with the default options.
fn on_socket(callback: conn_socket_cb, arg: *mut c_void) -> Option<crate::conn::options::OnSocket> {
    let callback = callback?;
    // As a number: whether the argument may be used on several threads is the program's to know.
    let arg = arg as usize;
    Some(Arc::new(move |fd| {
        let _frames = NoFrames::begin();
        // SAFETY: the program gave this callback for the sockets of its connections.
        unsafe { callback(fd, arg as *mut c_void) }
    }))
}
