//! `netconn_tls.h`: passwords of keys, and the key log.

// C names; what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::netconn_tls::{explained, path, required};
use super::shim::NoFrames;
use super::tls_callbacks::Arg;
use super::tls_types::SocketTLSContext_T;
use crate::tls::{KeyLogTo, PasswordCallback};
use std::ffi::{c_char, c_int, c_void, CStr};
use std::sync::Arc;

/// Writes the password of an encrypted key to `buf`, which has room for `size` bytes (a NUL at its end is not needed), and
/// returns its length; 0 or less: there is none. A length above `size` counts as none. The library wipes its copies.
///
/// Runs inside the call that loads the key, without a lock, once for each key; must not throw or longjmp.
pub type netconn_tls_password_cb =
    Option<unsafe extern "C" fn(buf: *mut c_char, size: c_int, arg: *mut c_void) -> c_int>;

/// Who knows the passwords of keys that are loaded from now on (PKCS#8 and traditional PEM); NULL: nobody, and an encrypted
/// key is refused. The password is never asked for on the terminal.
///
/// Returns 0; -1 with errno EINVAL.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_password_callback(
    context: SocketTLSContext_T,
    callback: netconn_tls_password_cb,
    arg: *mut c_void,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        let callback = callback.map(|function| password_callback(function, Arg(arg)));
        context.set_password_callback(callback).map(|()| 0)
    })
}

type PasswordFunction = unsafe extern "C" fn(*mut c_char, c_int, *mut c_void) -> c_int;

fn password_callback(function: PasswordFunction, arg: Arg) -> PasswordCallback {
    Arc::new(move |room: &mut [u8]| {
        let size = c_int::try_from(room.len()).unwrap_or(c_int::MAX);
        let _frames = NoFrames::begin();
        // SAFETY: the program's function with the program's argument; the room is ours, and outlives the call.
        let len = unsafe { function(room.as_mut_ptr().cast(), size, arg.get()) };
        usize::try_from(len).unwrap_or(0)
    })
}

/// Writes the secrets of connections made from now on to a file, in the format of NSS that Wireshark and others read: for
/// looking at recorded traffic while a program is being made. Whoever reads the file can read what the connections carry.
/// Off by default, and said in the log at the level warn.
///
/// `path`: a file that is made with mode 0600, or appended to; several contexts and processes may share one, each line is
/// written whole. NULL: what the environment variable SSLKEYLOGFILE names; unset or empty is as "". "": no key log any
/// more.
///
/// Returns 0; -1 with errno EINVAL, ENOENT (no such directory), EACCES or what else
/// open(2) gives; then everything stays as it was. What cannot be written later (a full disk) is said in the log, and the
/// connection goes on.
#[no_mangle]
pub unsafe extern "C" fn netconn_tls_set_keylog(
    context: SocketTLSContext_T,
    path: *const c_char,
) -> c_int {
    explained(|| {
        // SAFETY: a live context or NULL.
        let context = unsafe { required(context) }?;
        let to = match path {
            path if path.is_null() => KeyLogTo::Environment,
            // SAFETY: not NULL: a C string.
            path if unsafe { CStr::from_ptr(path) }.is_empty() => KeyLogTo::Off,
            // SAFETY: as above.
            path => KeyLogTo::File(unsafe { self::path(path, "key log") }?),
        };
        context.set_keylog(to).map(|()| 0)
    })
}
