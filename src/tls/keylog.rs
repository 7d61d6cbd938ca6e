//! The key log: the secrets of connections, in the format of NSS, for programs that look into recorded traffic. Off unless
//! the program asks for it.

use super::context::Context;
use super::owned::Secret;
use super::session::State;
use super::types::{Error, KeyLogTo};
use crate::errno::Errno;
use crate::log;
use openssl_sys as ffi;
use std::ffi::{c_char, CStr};
use std::fs::{File, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::Arc;

/// The variable that other programs with a key log read too.
const VARIABLE: &str = "SSLKEYLOGFILE";

/// An open key log.
pub(super) struct KeyLog {
    file: File,
    path: PathBuf,
    failed: AtomicBool,
}

impl Context {
    /// Writes the secrets of later connections to a file, which is made (mode 0600) or appended to.
    pub fn set_keylog(&self, to: KeyLogTo<'_>) -> Result<(), Error> {
        let keylog = match to {
            KeyLogTo::Off => None,
            KeyLogTo::File(path) => Some(KeyLog::open(path)?),
            KeyLogTo::Environment => match log::environment(VARIABLE) {
                Some(path) if !path.is_empty() => Some(KeyLog::open(Path::new(&path))?),
                // A program may always ask, and leave it to who runs it.
                _ => None,
            },
        };
        self.change(|settings| {
            if keylog.is_some() {
                // SAFETY: the context is alive and the write lock is held; the callback is static, and stays. Handshakes
                // that are running on other threads read this word, old or new: their settings have no key log.
                unsafe { ffi::SSL_CTX_set_keylog_callback(self.raw(), Some(each_line)) };
            }
            settings.keylog = keylog.map(Arc::new);
            Ok(())
        })
    }
}

impl KeyLog {
    fn open(path: &Path) -> Result<KeyLog, Error> {
        // Each line is one write at the end of the file, whoever else writes to it. A pipe that nobody reads must not
        // hold a connection up.
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(libc::O_NOCTTY | libc::O_NONBLOCK)
            .open(path);
        let file = file.map_err(|error| {
            let errno = Errno::from(error);
            Error {
                errno,
                text: format!("{}: {errno}", path.display()),
            }
        })?;
        crate::log!(
            Warn,
            "TLS: the keys of connections are written to {}: whoever reads it can read what they carry",
            path.display()
        );
        Ok(KeyLog {
            file,
            path: path.to_owned(),
            failed: AtomicBool::new(false),
        })
    }

    fn write(&self, line: &[u8]) {
        let mut whole = Secret::with_capacity(line.len() + 1);
        whole.extend(line);
        whole.extend(b"\n");
        let answer = loop {
            match (&self.file).write(whole.bytes()) {
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                answer => break answer,
            }
        };
        let why = match answer {
            Ok(count) if count == whole.bytes().len() => return,
            Ok(_) => Errno(libc::ENOSPC),
            Err(error) => Errno::from(error),
        };
        if !self.failed.swap(true, Ordering::Relaxed) {
            crate::log!(Warn, "TLS: the key log {}: {why}", self.path.display());
        }
    }
}

/// OpenSSL has a line, without its end.
unsafe extern "C" fn each_line(ssl: *const ffi::SSL, line: *const c_char) {
    let _ = catch_unwind(AssertUnwindSafe(|| {
        // SAFETY: OpenSSL calls this with a live SSL during one of its session's calls, and a NUL-terminated line.
        let (state, line) = unsafe { (State::of(ssl), CStr::from_ptr(line)) };
        if let Some(keylog) = state.and_then(|state| state.settings().keylog.as_ref()) {
            keylog.write(line.to_bytes());
        }
    }));
}
