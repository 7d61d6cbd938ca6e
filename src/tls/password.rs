//! Passwords of encrypted keys: the program is asked once for each key, its answer is wiped. Nobody is ever asked on the
//! terminal.

use super::context::Context;
use super::owned::{wipe, Secret};
use super::types::{Error, PasswordCallback};
use std::cell::{Cell, OnceCell};
use std::ffi::{c_char, c_int, c_void};
use std::panic::{catch_unwind, AssertUnwindSafe};
use std::ptr;

/// The longest password: what OpenSSL has room for.
const LONGEST: usize = 1024;

impl Context {
    /// Who is asked for the passwords of keys that are loaded later; `None`: nobody.
    pub fn set_password_callback(&self, callback: Option<PasswordCallback>) -> Result<(), Error> {
        self.change(|settings| {
            settings.password = callback;
            Ok(())
        })
    }
}

/// How one key was asked about.
pub(super) struct Question<'a> {
    callback: Option<&'a PasswordCallback>,
    encrypted: Cell<bool>,
    // OpenSSL may ask again, for another way to read the same key.
    answer: OnceCell<Option<Secret>>,
}

impl<'a> Question<'a> {
    pub(super) fn new(callback: Option<&'a PasswordCallback>) -> Question<'a> {
        Question {
            callback,
            encrypted: Cell::new(false),
            answer: OnceCell::new(),
        }
    }

    /// The argument of [`answer`], for as long as this lives.
    pub(super) fn arg(&self) -> *mut c_void {
        ptr::from_ref(self).cast_mut().cast()
    }

    /// Why an encrypted key was not read; `None` for one that is not encrypted.
    pub(super) fn complaint(&self) -> Option<&'static str> {
        match (self.callback, self.answer.get()) {
            _ if !self.encrypted.get() => None,
            (None, _) => Some("the private key is encrypted, and there is no password for it"),
            (Some(_), Some(Some(_))) => Some("the password does not decrypt the private key"),
            _ => Some("the private key is encrypted, and the password callback gave no password"),
        }
    }

    fn ask(&self, size: usize) -> Option<&Secret> {
        self.encrypted.set(true);
        let callback = self.callback?;
        let answer = self.answer.get_or_init(|| {
            let mut room = [0u8; LONGEST];
            let size = size.min(LONGEST);
            let len = callback(&mut room[..size]);
            let mut secret = None;
            if (1..=size).contains(&len) {
                let mut copy = Secret::with_capacity(len);
                copy.extend(&room[..len]);
                secret = Some(copy);
            }
            wipe(&mut room);
            secret
        });
        answer.as_ref()
    }
}

/// In place of OpenSSL's own callback, which would prompt on the terminal. The argument is NULL or a [`Question`].
pub(super) unsafe extern "C" fn answer(
    buffer: *mut c_char,
    size: c_int,
    _writing: c_int,
    question: *mut c_void,
) -> c_int {
    // SAFETY: NULL, or what `Question::arg` gave to a call that is still running.
    let Some(question) = (unsafe { question.cast::<Question<'_>>().as_ref() }) else {
        return -1;
    };
    let size = usize::try_from(size).unwrap_or(0);
    let ask = AssertUnwindSafe(|| question.ask(size).map(Secret::bytes));
    match catch_unwind(ask).ok().flatten() {
        Some(password) if password.len() <= size => {
            // SAFETY: OpenSSL gives `size` writable bytes.
            unsafe { ptr::copy_nonoverlapping(password.as_ptr(), buffer.cast(), password.len()) };
            password.len() as c_int
        }
        _ => -1,
    }
}
