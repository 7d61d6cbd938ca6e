//! The functions that programs give to TLS contexts, through `netconn_tls.h` and `tls/SocketTLSContext.h`, as the contexts
//! call them. Must not know what is decided with the answers.

use super::shim::{catching, NoFrames};
use super::socket::Socket_T;
use super::tls_types::SocketTLSContext_T;
use crate::tls::{
    self, AlpnCallback, AlpnDecider, Checked, RawVerifyCallback, VerifyCallback, X509_STORE_CTX,
};
use std::convert::Infallible;
use std::ffi::{c_char, c_int, c_long, c_void, CStr, CString};
use std::sync::Arc;

/// A C program's argument for its callback.
pub(super) struct Arg(pub(super) *mut c_void);
// SAFETY: the program shares the context with its threads, and so what it gave to the context's callbacks.
unsafe impl Send for Arg {}
// SAFETY: as above.
unsafe impl Sync for Arg {}

impl Arg {
    pub(super) fn get(&self) -> *mut c_void {
        self.0
    }
}

/// What a callback is told of its own context: the handle, which is not freed while callbacks are called.
#[derive(Clone, Copy)]
struct ContextHandle(SocketTLSContext_T);
// SAFETY: an address that is only passed on.
unsafe impl Send for ContextHandle {}
// SAFETY: as above.
unsafe impl Sync for ContextHandle {}

impl ContextHandle {
    fn get(self) -> SocketTLSContext_T {
        self.0
    }
}

type VerifyFunction =
    unsafe extern "C" fn(c_int, c_int, *const c_char, c_long, *mut c_void) -> c_int;
type RawVerifyFunction = unsafe extern "C" fn(
    c_int,
    *mut X509_STORE_CTX,
    SocketTLSContext_T,
    Socket_T,
    *mut c_void,
) -> c_int;
type AlpnFunction = unsafe extern "C" fn(*const *const c_char, usize, *mut c_void) -> *const c_char;
type AlpnDeciderFunction =
    unsafe extern "C" fn(*mut *const c_char, usize, *mut c_void) -> *const c_char;

pub(super) fn verify_callback(function: VerifyFunction, arg: Arg) -> VerifyCallback {
    Arc::new(move |checked: &Checked<'_>| {
        // The subject has its control characters escaped.
        let subject = CString::new(checked.subject).unwrap_or_default();
        let _frames = NoFrames::begin();
        // SAFETY: the program's function with the program's argument; the text outlives the call.
        let answer = unsafe {
            function(
                c_int::from(checked.preverified),
                checked.depth,
                subject.as_ptr(),
                c_long::from(checked.error),
                arg.get(),
            )
        };
        answer != 0
    })
}

/// The Socket family's: it sees OpenSSL's own object, and may raise.
pub(super) fn raw_verify_callback(
    function: RawVerifyFunction,
    own: SocketTLSContext_T,
    arg: Arg,
) -> RawVerifyCallback {
    let own = ContextHandle(own);
    Arc::new(move |preverified, store, tag| {
        let (own, arg) = (own.get(), arg.get());
        let answer = catching(move || {
            // SAFETY: the program's function with the program's argument; store, context and socket are alive during the
            // call. The tag is the socket's handle.
            unsafe { function(c_int::from(preverified), store.cast(), own, tag.cast(), arg) }
        });
        match answer {
            Ok(answer) => Some(answer != 0),
            Err(thrown) => {
                crate::log!(
                    Warn,
                    "TLS: the verify callback raised an exception, which refuses: {}",
                    thrown.reason.to_string_lossy()
                );
                None
            }
        }
    })
}

pub(super) fn alpn_callback(function: AlpnFunction, arg: Arg) -> AlpnCallback {
    Arc::new(move |offered: &[&[u8]]| {
        let chosen = choose(offered, |names, count| {
            let _frames = NoFrames::begin();
            // SAFETY: the program's function with the program's argument; the names outlive the call.
            Ok::<_, Infallible>(unsafe { function(names, count, arg.get()) })
        });
        chosen.unwrap_or_default()
    })
}

/// The Socket family's: it may raise.
pub(super) fn alpn_decider(function: AlpnDeciderFunction, arg: Arg) -> AlpnDecider {
    Arc::new(move |offered: &[&[u8]]| {
        let arg = arg.get();
        choose(offered, |names, count| {
            // SAFETY: the program's function with the program's argument; the names outlive the call.
            catching(move || unsafe { function(names, count, arg) })
                .map_err(|thrown| -> tls::Thrown { Box::new(thrown) })
        })
    })
}

/// Which of the names that a client offers `ask` gives back; `None` for none of them. It is shown an array of C strings and
/// their number; what it gives back is NULL or a C string that is valid until it was read here.
fn choose<E>(
    offered: &[&[u8]],
    ask: impl FnOnce(*mut *const c_char, usize) -> Result<*const c_char, E>,
) -> Result<Option<usize>, E> {
    // A name with a NUL in it cannot be shown to C.
    let names: Vec<(usize, CString)> = offered
        .iter()
        .enumerate()
        .filter_map(|(i, name)| Some((i, CString::new(*name).ok()?)))
        .collect();
    let mut pointers: Vec<*const c_char> = names.iter().map(|(_, name)| name.as_ptr()).collect();
    let answer = ask(pointers.as_mut_ptr(), pointers.len())?;
    if answer.is_null() {
        return Ok(None);
    }
    // SAFETY: not NULL: a C string, as both headers ask of the program.
    let answer = unsafe { CStr::from_ptr(answer) };
    let found = names.iter().find(|(_, name)| name.as_c_str() == answer);
    if found.is_none() {
        crate::log!(
            Warn,
            "TLS: the ALPN callback chose \"{}\", which was not offered",
            answer.to_string_lossy()
        );
    }
    Ok(found.map(|(i, _)| *i))
}
