//! What a socket tells of its TLS and of its peer, in every state; and a client's session, to be resumed later. Changes
//! nothing, but for what a renegotiation does.

use super::Live;
use crate::errno::Errno;
use crate::socket::error::{Error, Kind};
use crate::socket::object::Socket;
use crate::tls::{self, CertificateLines, Chain, Place, Saved, Session, X509};
use crate::transport::Halt;
use std::ffi::{c_char, c_int, c_long, CStr, CString};
use std::ptr;
use std::rc::Rc;
use std::sync::{Mutex, PoisonError};

/// X509_V_ERR_INVALID_CALL: nothing was verified.
pub const INVALID_CALL: c_long = 69;
/// So many renegotiations a connection may have.
const RENEGOTIATIONS: c_int = 3;

/// What was told by its address: it stays where it is for as long as the socket lives.
#[derive(Debug, Default)]
pub(super) struct Told(Mutex<Kept>);

#[derive(Debug, Default)]
struct Kept {
    protocols: Vec<CString>,
    chains: Vec<Chain>,
}

impl Told {
    fn with<R>(&self, work: impl FnOnce(&mut Kept) -> R) -> R {
        work(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// TLS whose handshake is complete; `None` without TLS, `Some(None)` before.
fn complete(socket: &Socket) -> Option<Option<Rc<Live>>> {
    let live = socket.tls.live()?;
    Some(Some(live).filter(|live| live.is_ready()))
}

fn with_complete<R>(socket: &Socket, tell: impl FnOnce(&Session) -> R) -> Option<R> {
    let live = complete(socket)??;
    Some(tell(live.session()))
}

/// OpenSSL's name of the cipher, as soon as there is one.
pub fn cipher(socket: &Socket) -> Option<&'static CStr> {
    socket.tls.live()?.session().cipher()
}

/// The version's name; before the handshake, what it would be at best.
pub fn version_name(socket: &Socket) -> Option<&'static CStr> {
    Some(socket.tls.live()?.session().protocol_name())
}

/// The version's number; 0 before the handshake is complete.
pub fn version(socket: &Socket) -> c_int {
    with_complete(socket, Session::protocol).unwrap_or(0)
}

/// OpenSSL's verify code; of a handshake that failed over a certificate, too.
pub fn verify_result(socket: &Socket) -> c_long {
    let Some(live) = socket.tls.live() else {
        return INVALID_CALL;
    };
    let session = live.session();
    match (live.is_ready(), session.verify_result()) {
        (true, _) => session.verify_code(),
        (false, result) if result > 0 && live.attached.failure().is_some() => result as c_long,
        (false, _) => INVALID_CALL,
    }
}

/// OpenSSL's words for such a code.
pub fn verify_text(code: c_long) -> String {
    tls::verify_code_text(code)
}

/// Whether an earlier session was resumed; `None` before the handshake is complete.
pub fn reused(socket: &Socket) -> Option<bool> {
    with_complete(socket, Session::reused)
}

/// The application protocol that was agreed on, NULL where there is none. Lives as long as the socket.
pub fn alpn(socket: &Socket) -> *const c_char {
    let name = with_complete(socket, |session| session.alpn().map(CString::new));
    let Some(Ok(name)) = name.flatten() else {
        return ptr::null();
    };
    socket.tls.told.with(|kept| {
        let known = kept.protocols.iter().position(|known| *known == name);
        let at = known.unwrap_or_else(|| {
            kept.protocols.push(name);
            kept.protocols.len() - 1
        });
        // The text is not in the vector, which may move.
        kept.protocols
            .get(at)
            .map_or(ptr::null(), |name| name.as_ptr())
    })
}

/// The peer's certificate: `None` without TLS, `Some(None)` before the handshake is complete and where there is none.
pub fn certificate(socket: &Socket) -> Option<Option<CertificateLines>> {
    Some(complete(socket)?.and_then(|live| live.session().certificate_lines()))
}

/// The certificates that the peer showed, as an array that lives as long as the socket; `None`s as for [`certificate`].
pub fn chain(socket: &Socket) -> Option<Option<(*const *mut X509, usize)>> {
    let Some(chain) = complete(socket)?.and_then(|live| live.session().chain()) else {
        return Some(None);
    };
    Some(socket.tls.told.with(|kept| {
        let known = kept
            .chains
            .iter()
            .position(|known| known.pointers() == chain.pointers());
        let at = known.unwrap_or_else(|| {
            kept.chains.push(chain);
            kept.chains.len() - 1
        });
        let told = kept.chains.get(at).map(Chain::pointers);
        told.map(|pointers| (pointers.as_ptr(), pointers.len()))
    }))
}

/// Where a socket goes; `None` while it is not connected.
fn place(socket: &Socket) -> Option<Place> {
    // SAFETY: a text of the socket's, NUL-terminated, which lives as long as the socket.
    let host = unsafe { CStr::from_ptr(socket.peer_text()) };
    match (socket.peer.is_known(), socket.domain()) {
        (true, libc::AF_UNIX) => Some(Place {
            host: host.to_string_lossy().into_owned(),
            port: String::new(),
        }),
        (true, _) => Some(Place {
            host: host.to_string_lossy().into_owned(),
            port: socket.peer_port().to_string(),
        }),
        // One without a name.
        (false, libc::AF_UNIX) => Some(Place::default()),
        (false, _) => None,
    }
}

/// A client's session to be resumed later: `None` before the handshake is complete, and where there is none (of TLS 1.3 it
/// comes with the first bytes that are received).
pub fn save(socket: &Socket) -> Option<Saved> {
    with_complete(socket, |session| session.saved(place(socket).as_ref())).flatten()
}

/// Whether a session may be restored: TLS is on, and its handshake has not begun.
pub fn may_restore(socket: &Socket) -> bool {
    let live = socket.tls.live();
    live.is_some_and(|live| {
        !live.is_ready()
            && live.attached.failure().is_none()
            && !live.attached.is_busy()
            && live.session().is_before_handshake()
    })
}

/// Lets a client's handshake resume a session, if everything that judges the peer is as it was; false where it is known by
/// now that it is not.
pub fn restore(socket: &Socket, saved: &Saved) -> bool {
    let (true, Some(live), Some(handle)) =
        (may_restore(socket), socket.tls.live(), socket.handle())
    else {
        return false;
    };
    live.session()
        .offer(saved, move || place(&*handle.socket()?))
}

/// As [`restore`], from the bytes of one.
pub fn restore_bytes(socket: &Socket, bytes: &[u8]) -> bool {
    Saved::from_bytes(bytes).is_some_and(|saved| restore(socket, &saved))
}

/// Goes on with a renegotiation that waits: 1 when it is done, 0 when there is nothing to do (yet), -1 without TLS.
pub fn check_renegotiation(socket: &Socket) -> Result<c_int, Error> {
    let Some(Some(live)) = complete(socket) else {
        return Ok(-1);
    };
    let session = live.session();
    if !session.is_to_renegotiate() {
        return Ok(0);
    }
    let refused = |errno, why: &str| {
        let text = format!("TLS renegotiation: {why}");
        Err(Error::new(Kind::Protocol, errno, text))
    };
    // One that has begun is among them.
    if session.renegotiations() - c_int::from(session.is_shaking()) >= RENEGOTIATIONS {
        session.forbid_renegotiation();
        return refused(Errno(libc::EPROTO), "there were too many");
    }
    let step = live.attached.renegotiate();
    if let Some(thrown) = live.thrown() {
        return Err(thrown);
    }
    match step {
        Ok(()) => Ok(1),
        Err(Halt::Blocked) => Ok(0),
        Err(Halt::Refused(errno)) => refused(errno, &errno.to_string()),
        Err(Halt::Ended) => refused(Errno(libc::EPROTO), "the peer has ended the connection"),
        Err(Halt::Truncated(failure) | Halt::Failed(failure)) => {
            refused(failure.errno, &failure.text)
        }
    }
}

/// Refuses renegotiations from now on; `None` without TLS.
pub fn forbid_renegotiation(socket: &Socket) -> Option<()> {
    socket.tls.live()?.session().forbid_renegotiation();
    Some(())
}

/// How many there were; `None` without TLS.
pub fn renegotiations(socket: &Socket) -> Option<c_int> {
    Some(socket.tls.live()?.session().renegotiations())
}
