//! One connection: `machine` and `race` decide, `driver` does (`establish` from a name to a socket, `secure` TLS on it,
//! `upgrade` later), `io` moves the bytes, `idle` ends what moves none; `linger` is what a closed one leaves, `forked` its
//! end in a child of the process.
//!
//! Knows the loop, the resolver and the transport; must not know the C face: whoever owns a connection hears of it
//! through an [`Observer`].

mod attempt;
mod driver;
mod establish;
mod failure;
mod forked;
mod idle;
mod io;
mod linger;
pub mod machine;
mod negotiated;
pub mod options;
mod owner;
mod parked;
pub mod race;
mod secure;
mod seldom;
mod timers;
mod upgrade;
pub mod view;

pub use failure::Failure;
pub use machine::{ErrorKind, State};
pub use owner::Owner;
pub use parked::Found;

use crate::address_text::endpoint_text;
use crate::errno::Errno;
use crate::evloop::{AttachKey, Attached, Interest, Loop, Timer, Watcher};
use crate::log::invalid;
use crate::tls;
use crate::transport::Transport;
use attempt::Attempt;
use machine::{Event, Machine, Start, Timing};
use options::Options;
use seldom::Seldom;
use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::{c_char, CStr};
use std::os::fd::RawFd;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use view::View;

/// Who owns a connection hears of it from the loop, with nothing borrowed: each method may do anything. An observer has no
/// state of its own: what it needs is found through the connection ([`Conn::owner`]).
pub trait Observer {
    /// It is READY.
    fn on_ready(&self, conn: &Rc<Conn>);
    /// It failed.
    fn on_error(&self, conn: &Rc<Conn>);
    /// A read may give something.
    fn on_readable(&self, conn: &Rc<Conn>);
    /// A write may take something.
    fn on_writable(&self, conn: &Rc<Conn>);
}

/// A connection. Owned by its loop until [`Conn::close`]; held by the dispatch that runs it.
#[repr(C)]
pub struct Conn {
    /// The visible members: first, because C programs reach them through the same address.
    pub view: View,
    this: Weak<Conn>,
    lp: Rc<Loop>,
    observer: Cell<&'static dyn Observer>,
    transport: RefCell<Option<Rc<Transport>>>,
    watcher: Cell<Option<Rc<Watcher>>>,
    timer: Cell<Option<Rc<Timer>>>,
    attached: Cell<Option<AttachKey>>,
    machine: RefCell<Machine>,
    /// What only establishing needs: gone once the outcome is known.
    establishing: RefCell<Option<Box<Establishing>>>,
    /// Events that must come from the loop.
    #[allow(clippy::box_collection)]
    // One word while there are none, which is nearly always.
    deferred: Cell<Option<Box<Vec<Event>>>>,
    seldom: OnceCell<Box<Seldom>>,
    /// The program connected the socket: the host is an address, and no name to expect.
    adopted: Cell<bool>,
    /// READY was reached, and no upgrade has begun since.
    established: Cell<bool>,
    /// `close` was called.
    closed: Cell<bool>,
    /// The program wants it to keep `run` running.
    referenced: Cell<bool>,
    /// It is counted by the loop.
    holding: Cell<bool>,
    /// The socket, while bytes may go straight to and from the kernel (READY, plain, nothing wrong), below the fork
    /// generation, so that one look finds out that this is a child, too; [`NOT_DIRECT`] otherwise.
    direct: Cell<u64>,
    /// It was the parent's, and ended in this child.
    forked: Cell<bool>,
    /// What the watcher was told last.
    interest: Cell<Interest>,
    /// A callback of `on_ready_io` is running, which ends by looking at what there is to wait for.
    dispatching: Cell<bool>,
    /// Bits of [`parked`]: who wants to hear of what can be read.
    wants_readable: Cell<u8>,
    wants_writable: Cell<bool>,
    /// A read has returned the failure, or the end of the stream.
    read_done: Cell<bool>,
    /// The kernel has our FIN.
    write_done: Cell<bool>,
    /// The kernel said that both directions are over: asking again would only spin.
    hung_up: Cell<bool>,
    /// A byte moved since the idle time-out last looked.
    moved: Cell<bool>,
}

/// What only establishing needs.
struct Establishing {
    options: Options,
    /// The name as it is looked up, sent and checked.
    ascii_host: String,
    request: Option<Rc<crate::dns::Request>>,
    addresses: Vec<crate::dns::Address>,
    attempts: Vec<Attempt>,
    /// How each address failed, in that order.
    reasons: Vec<(usize, String)>,
    /// An address was tried and none of them connected: a cached name has to go.
    looked_up: bool,
    /// Why the connection cannot be made, or why the lookup failed.
    complaint: Option<String>,
    /// It was READY before: see [`upgrade`].
    upgrade: bool,
    /// The first byte of the peer's handshake is still to be looked at.
    unseen: bool,
}

impl Establishing {
    fn new(options: Options) -> Box<Establishing> {
        Box::new(Establishing {
            options,
            ascii_host: String::new(),
            request: None,
            addresses: Vec::new(),
            attempts: Vec::new(),
            reasons: Vec::new(),
            looked_up: false,
            complaint: None,
            upgrade: false,
            unseen: false,
        })
    }
}

impl Conn {
    /// Starts to connect. EINVAL for an empty host, for `unix:` with TLS and no server name, for a server side.
    pub fn open(
        lp: &Rc<Loop>,
        host: &CStr,
        port: Option<&CStr>,
        options: Options,
        observer: &'static dyn Observer,
        prepare: impl FnOnce(&Conn),
    ) -> Result<Rc<Conn>, Errno> {
        let unix = host.to_bytes().starts_with(b"unix:");
        if host.is_empty() {
            return Err(invalid("the host is empty"));
        }
        if options.server_side {
            return Err(invalid(
                "server_side is for conn_from_fd and conn_start_tls: a connection that is made here is the client",
            ));
        }
        if options.use_tls && unix && options.server_name.is_none() {
            return Err(invalid(
                "TLS to a Unix socket needs server_name: the path names nobody",
            ));
        }
        if options
            .tls
            .as_ref()
            .is_some_and(|context| context.is_server())
        {
            return Err(invalid(
                "the TLS context is a server's: use netconn_tls_client",
            ));
        }
        let port = port.unwrap_or(if options.use_tls { c"443" } else { c"80" });
        let conn = Conn::new(lp, host, port, options, observer)?;
        prepare(&conn);
        conn.begin();
        conn.alive()
    }

    /// Takes over a connected stream socket; on an error it stays the caller's. ENOTSOCK, ENOTCONN, EBADF, EINVAL.
    pub fn adopt(
        lp: &Rc<Loop>,
        fd: RawFd,
        options: Options,
        observer: &'static dyn Observer,
        prepare: impl FnOnce(&Conn),
    ) -> Result<Rc<Conn>, Errno> {
        options.check_early_data()?;
        if options.use_tls {
            options.check_side()?;
            if !options.server_side && options.server_name.is_none() {
                return Err(invalid(
                    "a TLS client on a descriptor needs server_name: nothing else says whom to expect",
                ));
            }
        }
        let socket = driver::Adopted::check(fd)?;
        let conn = Conn::new(lp, &socket.host, &socket.port, options, observer)?;
        conn.adopted.set(true);
        prepare(&conn);
        conn.begin_adopted(socket)?;
        conn.alive()
    }

    fn new(
        lp: &Rc<Loop>,
        host: &CStr,
        port: &CStr,
        options: Options,
        observer: &'static dyn Observer,
    ) -> Result<Rc<Conn>, Errno> {
        lp.check_process()?;
        let machine = Machine::new(options.limits(), options.use_tls);
        // In one piece, which `drop` gives back.
        let texts = [host.to_bytes_with_nul(), port.to_bytes_with_nul()].concat();
        let host_text: *mut c_char = Box::into_raw(texts.into_boxed_slice()).cast();
        let port_text = host_text.wrapping_add(host.to_bytes_with_nul().len());
        let view = View::new(host_text, port_text, options.use_tls);
        let conn = Rc::new_cyclic(|this| Conn {
            view,
            this: this.clone(),
            lp: lp.clone(),
            observer: Cell::new(observer),
            transport: RefCell::default(),
            watcher: Cell::default(),
            timer: Cell::default(),
            attached: Cell::new(None),
            machine: RefCell::new(machine),
            establishing: RefCell::new(Some(Establishing::new(options))),
            deferred: Cell::default(),
            seldom: OnceCell::new(),
            adopted: Cell::new(false),
            established: Cell::new(false),
            closed: Cell::new(false),
            referenced: Cell::new(true),
            holding: Cell::new(false),
            direct: Cell::new(NOT_DIRECT),
            forked: Cell::new(false),
            interest: Cell::new(Interest::NONE),
            dispatching: Cell::new(false),
            wants_readable: Cell::new(0),
            wants_writable: Cell::new(false),
            read_done: Cell::new(false),
            write_done: Cell::new(false),
            hung_up: Cell::new(false),
            moved: Cell::new(false),
        });
        conn.attached.set(Some(lp.attach(conn.clone())));
        conn.update_hold();
        Ok(conn)
    }

    /// What a constructor returns: ECANCELED when a callback that ran inside it closed the connection.
    fn alive(self: Rc<Self>) -> Result<Rc<Conn>, Errno> {
        if self.closed.get() {
            Err(Errno(libc::ECANCELED))
        } else {
            Ok(self)
        }
    }

    /// The connection as what counts it.
    pub fn rc(&self) -> Option<Rc<Conn>> {
        self.this.upgrade()
    }

    /// Ends it, in any state and from any callback. Nothing of it is called afterwards.
    pub fn close(&self) {
        self.end(false)
    }

    /// As [`Conn::close`], with RST; nothing lingers.
    pub fn abort(&self) {
        self.end(true)
    }

    fn end(&self, reset: bool) {
        let Some(this) = self.rc() else { return };
        if self.closed.replace(true) {
            return;
        }
        // In a forked child the socket, the TLS state and the kernel's registrations are the parent's, who goes on with
        // them: only our descriptor goes.
        let ours = self.lp.check_process().is_ok();
        if reset || !ours {
            if let (true, true, Some(transport)) = (reset, ours, self.transport()) {
                // Out of the kernel's set first: a description that lives on (dup, fork) would go on with its events.
                self.drop_watcher();
                transport.abort();
            }
            self.drop_transport();
        }
        this.step(Event::Close);
        self.observer.set(&Deaf);
        self.drop_timer();
        self.update_hold();
        if let Some(key) = self.attached.take() {
            self.lp.detach(key);
        }
        self.leave_owner();
    }

    /// Whether it was closed.
    pub fn is_closed(&self) -> bool {
        self.closed.get()
    }

    /// As given.
    pub fn host(&self) -> &CStr {
        // SAFETY: `new` made the text, NUL included, and `drop` alone gives it back.
        unsafe { CStr::from_ptr(self.view.host.get()) }
    }

    /// As given, or the default.
    pub fn port(&self) -> &CStr {
        // SAFETY: as in `host`.
        unsafe { CStr::from_ptr(self.view.port.get()) }
    }

    /// The loop it belongs to.
    pub fn event_loop(&self) -> &Rc<Loop> {
        &self.lp
    }

    /// The state, as the visible member shows it.
    pub fn state(&self) -> State {
        match self.view.state.get() {
            1 => State::Resolving,
            2 => State::Connecting,
            3 => State::TlsHandshake,
            4 => State::Ready,
            5 => State::Closed,
            6 => State::Error,
            _ => State::Init,
        }
    }

    /// Why it failed.
    pub fn failure(&self) -> Option<&Failure> {
        self.seldom.get()?.failure.get()
    }

    /// Lengths of the phases that have ended.
    pub fn timing(&self) -> Timing {
        self.machine.borrow().timing()
    }

    /// Where the timing lives, for as long as the connection does.
    pub fn timing_address(&self) -> *const Timing {
        // SAFETY: the machine lives as long as the connection, at the same place; the address is all that is taken here.
        unsafe { &raw const (*self.machine.as_ptr()).timing }
    }

    /// Whether it keeps `run` running.
    pub fn set_ref(&self, keeps_running: bool) {
        self.referenced.set(keeps_running);
        self.update_hold();
    }

    /// Whether `on_readable` is wanted.
    pub fn want_readable(&self, wanted: bool) {
        let others = self.wants_readable.get() & !parked::WANTED;
        self.wants_readable
            .set(others | if wanted { parked::WANTED } else { 0 });
        self.update_interest();
    }

    /// Whether `on_writable` is wanted.
    pub fn want_writable(&self, wanted: bool) {
        self.wants_writable.set(wanted);
        self.update_interest();
    }

    /// Decrypted bytes that a read gives without the kernel.
    pub fn pending(&self) -> usize {
        self.transport().map_or(0, |t| t.pending())
    }

    /// Runs `look` on the TLS session, once the handshake has begun.
    pub fn with_session<R>(&self, look: impl FnOnce(&tls::Session) -> R) -> Option<R> {
        self.transport()?.session().map(look)
    }

    /// The address of one end. ENOTCONN when there is none; there is no peer before READY.
    pub fn socket_address(&self, peer: bool) -> Result<socket2::SockAddr, Errno> {
        if peer && !self.established.get() {
            return Err(Errno(libc::ENOTCONN));
        }
        // The newest attempt's, while attempts race.
        let fd = self.view.fd.get();
        if fd < 0 {
            return Err(Errno(libc::ENOTCONN));
        }
        // SAFETY: the connection shows no descriptor but one of its own, and nothing closes it during this call.
        let fd = unsafe { std::os::fd::BorrowedFd::borrow_raw(fd) };
        let socket = socket2::SockRef::from(&fd);
        let address = if peer {
            socket.peer_addr()
        } else {
            socket.local_addr()
        };
        Ok(address?)
    }

    fn transport(&self) -> Option<Rc<Transport>> {
        self.transport.borrow().clone()
    }

    /// Whether the loop counts it: it is neither closed nor in the state CLOSED or ERROR.
    fn update_hold(&self) {
        let ended = matches!(self.state(), State::Closed | State::Error);
        let hold = self.referenced.get() && !self.closed.get() && !ended;
        if self.holding.replace(hold) != hold {
            if hold {
                self.lp.hold();
            } else {
                self.lp.release();
            }
        }
    }

    fn watcher(&self) -> Option<Rc<Watcher>> {
        let watcher = self.watcher.take();
        self.watcher.set(watcher.clone());
        watcher
    }

    /// Ends the watcher, at once: the descriptor may be closed right after.
    fn drop_watcher(&self) {
        self.direct.set(NOT_DIRECT);
        self.view.io_watcher.set(std::ptr::null_mut());
        if let Some(watcher) = self.watcher.take() {
            watcher.close();
        }
    }

    /// Closes the connection's socket without ceremony.
    fn drop_transport(&self) {
        self.drop_watcher();
        self.view.fd.set(-1);
        self.view.ssl.set(std::ptr::null_mut());
        if let Some(transport) = self.transport.take() {
            if self.lp.has_lost_descriptors() {
                transport.forget_fd();
            }
            transport.cancel();
        }
    }

    fn drop_timer(&self) {
        self.view.connect_timer.set(std::ptr::null_mut());
        if let Some(timer) = self.timer.take() {
            timer.close();
        }
    }

    /// Host or port, which a program may have given in bytes that are no text.
    fn text(&self, member: &Cell<*mut c_char>) -> Result<&str, std::str::Utf8Error> {
        // SAFETY: host and port point into the texts that `new` made and `drop` alone gives back.
        unsafe { CStr::from_ptr(member.get()) }.to_str()
    }

    /// `host:port`, for messages.
    fn endpoint(&self) -> String {
        let unreadable = "\u{fffd}";
        endpoint_text(
            self.text(&self.view.host).unwrap_or(unreadable),
            self.text(&self.view.port).unwrap_or(unreadable),
        )
    }

    fn set_failure(&self, kind: ErrorKind, code: i32, message: String) {
        let mut failure = Failure::new(kind, code, message);
        if matches!(kind, ErrorKind::Tls | ErrorKind::Certificate) {
            failure.verify_result = self.session_verify_result();
        }
        crate::log!(Debug, "{}", failure.message.to_string_lossy());
        // The first fatal cause stays.
        let _ = self.seldom().failure.set(failure);
    }

    fn set_state(&self, state: State) {
        if self.view.state.replace(state as i32) != state as i32 {
            crate::log!(Debug, "{}: {}", self.endpoint(), state.name());
            self.update_hold();
        }
    }
}

impl Drop for Conn {
    fn drop(&mut self) {
        let (host, port) = (self.view.host.get(), self.view.port.get());
        // SAFETY: `new` made one boxed slice of both texts with their NULs, host first; nothing else frees it, and this runs
        // once.
        unsafe {
            let length =
                CStr::from_ptr(host).count_bytes() + CStr::from_ptr(port).count_bytes() + 2;
            let texts = std::ptr::slice_from_raw_parts_mut(host.cast::<u8>(), length);
            drop(Box::from_raw(texts));
        }
    }
}

impl Attached for Conn {
    fn on_loop_freed(self: Rc<Self>) {
        self.attached.set(None);
        self.close();
    }

    fn on_forked(self: Rc<Self>) {
        self.end_in_child();
    }
}

/// No descriptor, in any generation.
const NOT_DIRECT: u64 = u64::MAX;

/// The observer of a closed connection.
struct Deaf;

impl Observer for Deaf {
    fn on_ready(&self, _: &Rc<Conn>) {}
    fn on_error(&self, _: &Rc<Conn>) {}
    fn on_readable(&self, _: &Rc<Conn>) {}
    fn on_writable(&self, _: &Rc<Conn>) {}
}

/// The context and peer of a TLS client; see [`tls::Context::connect`].
fn client_context(options: &Options) -> Result<Arc<tls::Context>, tls::Error> {
    match &options.tls {
        Some(context) => Ok(context.clone()),
        None => tls::Context::default_client(),
    }
}

/// The whole interest of a READY connection lies in [`io`]; this is what it starts from.
const ALWAYS: Interest = Interest::HANGUP;

/// The first event of a name.
const LOOKUP: Event = Event::Start(Start::Lookup);
