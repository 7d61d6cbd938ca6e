//! OpenSSL's error queue belongs to the thread, and so to the host: stale entries of its own would turn our "want
//! read" into a failure, and ours would confuse its calls. Each call into OpenSSL goes through [`with_clean_queue`].

use super::sys;
use super::Error;
use crate::errno::Errno;
use openssl_sys as ffi;
use std::ffi::{c_char, c_int, CStr, CString};
use std::fmt::Write;
use std::ptr;

/// Runs OpenSSL calls with a clean error queue and leaves the host's entries as they were.
///
/// What belongs together (a call, `SSL_get_error` and `Session::failure`) goes into one closure: what it leaves in the
/// queue is gone afterwards. Calls nest. Costs two looks at the queue where it is empty. A host's marks (`ERR_set_mark`) on
/// its last entry survive with it: so a host may mark, call us, and pop what came since. Marks on earlier entries do not:
/// before OpenSSL 3.2 nobody can see where they are.
#[inline]
pub fn with_clean_queue<R>(call: impl FnOnce() -> R) -> R {
    let _kept = Kept::take();
    call()
}

/// The host's entries, put back when dropped, by a panic too.
struct Kept {
    entries: Vec<Entry>,
    /// On the last one.
    marks: usize,
}

impl Kept {
    #[inline]
    fn take() -> Kept {
        let mut kept = Kept {
            entries: Vec::new(),
            marks: 0,
        };
        // SAFETY: looks at the calling thread's own queue, no arguments.
        while unsafe { sys::ERR_peek_error() } != 0 {
            if is_last() {
                // SAFETY: takes marks off the calling thread's own queue, no arguments.
                while unsafe { sys::ERR_clear_last_mark() } == 1 {
                    kept.marks += 1;
                }
            }
            kept.entries.push(Entry::pop());
        }
        kept
    }
}

impl Drop for Kept {
    #[inline]
    fn drop(&mut self) {
        // SAFETY: these look at and empty the calling thread's own queue, no arguments.
        unsafe {
            if sys::ERR_peek_error() != 0 {
                ffi::ERR_clear_error();
            }
        }
        for entry in &self.entries {
            entry.put_back();
        }
        for _ in 0..self.marks {
            // SAFETY: marks the calling thread's own queue, no arguments.
            unsafe { sys::ERR_set_mark() };
        }
    }
}

/// Whether the queue has one entry: the oldest and the newest have the same copy of a file's name, which each entry has of its
/// own. (Without a name it may be a wrong yes: then the marks of all entries that are left count as the last one's.)
fn is_last() -> bool {
    let (mut oldest, mut newest) = (ptr::null(), ptr::null());
    let none = ptr::null_mut();
    // SAFETY: one valid place to write to, the others are not asked for.
    unsafe {
        sys::ERR_peek_error_all(&mut oldest, ptr::null_mut(), none, none, ptr::null_mut());
        sys::ERR_peek_last_error_all(&mut newest, ptr::null_mut(), none, none, ptr::null_mut());
    }
    ptr::eq::<c_char>(oldest, newest)
}

/// One entry of the queue.
pub(super) struct Entry {
    code: std::ffi::c_ulong,
    file: CString,
    line: c_int,
    function: CString,
    data: Option<CString>,
}

impl Entry {
    /// The oldest entry, taken out. Of an empty queue: code 0.
    pub(super) fn pop() -> Entry {
        let (mut file, mut function, mut data) = (ptr::null(), ptr::null(), ptr::null());
        let (mut line, mut flags) = (0, 0);
        // SAFETY: five valid places to write to.
        let code = unsafe {
            ffi::ERR_get_error_all(&mut file, &mut line, &mut function, &mut data, &mut flags)
        };
        let copy = |text: *const c_char| {
            if text.is_null() {
                CString::default()
            } else {
                // SAFETY: NUL-terminated, OpenSSL's own until this slot of the queue is used again: copied before.
                unsafe { CStr::from_ptr(text) }.to_owned()
            }
        };
        Entry {
            code,
            file: copy(file),
            line,
            function: copy(function),
            data: (flags & ffi::ERR_TXT_STRING != 0).then(|| copy(data)),
        }
    }

    fn put_back(&self) {
        // SAFETY: the strings are NUL-terminated and copied by OpenSSL; the one format is "%s" with one string.
        unsafe {
            ffi::ERR_new();
            ffi::ERR_set_debug(self.file.as_ptr(), self.line, self.function.as_ptr());
            match &self.data {
                Some(data) => {
                    ffi::ERR_set_error(self.library(), self.reason(), c"%s".as_ptr(), data.as_ptr())
                }
                None => ffi::ERR_set_error(self.library(), self.reason(), ptr::null()),
            }
        }
    }

    /// The library's number (`ERR_LIB_*`).
    pub(super) fn library(&self) -> c_int {
        if self.code & sys::ERR_SYSTEM_FLAG != 0 {
            sys::ERR_LIB_SYS
        } else {
            ((self.code >> 23) & 0xff) as c_int
        }
    }

    /// The reason's number, within its library.
    pub(super) fn reason(&self) -> c_int {
        if self.code & sys::ERR_SYSTEM_FLAG != 0 {
            (self.code & 0x7fff_ffff) as c_int
        } else {
            (self.code & 0x7f_ffff) as c_int
        }
    }

    /// Whether it only says that no further PEM block was found.
    pub(super) fn is_end_of_pem(&self) -> bool {
        self.library() == sys::ERR_LIB_PEM && self.reason() == sys::PEM_R_NO_START_LINE
    }

    /// Whether it says that there is nothing to decode.
    pub(super) fn is_nothing_to_decode(&self) -> bool {
        self.is_end_of_pem() || self.library() == sys::ERR_LIB_OSSL_DECODER
    }

    /// The reason in OpenSSL's words, with what it says in addition.
    pub(super) fn text(&self) -> String {
        let mut text = if self.library() == sys::ERR_LIB_SYS {
            Errno(self.reason()).to_string()
        } else {
            // SAFETY: gives NULL or a text that lives as long as the process.
            let reason = unsafe { ffi::ERR_reason_error_string(self.code) };
            if reason.is_null() {
                format!("OpenSSL error {:08X}", self.code)
            } else {
                // SAFETY: not NULL, NUL-terminated.
                unsafe { CStr::from_ptr(reason) }
                    .to_string_lossy()
                    .into_owned()
            }
        };
        if let Some(data) = self.data.as_ref().filter(|data| !data.is_empty()) {
            let _ = write!(text, " ({})", data.to_string_lossy());
        }
        text
    }
}

/// Whether the queue's newest entry says that no further PEM block was found.
pub(super) fn only_end_of_pem() -> bool {
    // SAFETY: looks at the calling thread's own queue.
    let code = unsafe { ffi::ERR_peek_last_error() };
    ((code >> 23) & 0xff) as c_int == sys::ERR_LIB_PEM
        && (code & 0x7f_ffff) as c_int == sys::PEM_R_NO_START_LINE
}

/// Takes everything out of the queue: the oldest entry, which is the cause; those after it are its consequences.
pub(super) fn take_first() -> Option<Entry> {
    let first = Entry::pop();
    // SAFETY: empties the calling thread's own queue.
    unsafe { ffi::ERR_clear_error() };
    (first.code != 0).then_some(first)
}

/// What OpenSSL just reported, as our error: ENOMEM or EINVAL.
pub(super) fn error(what: impl std::fmt::Display) -> Error {
    match take_first() {
        Some(first) if first.reason() == sys::ERR_R_MALLOC_FAILURE => Error {
            errno: Errno(libc::ENOMEM),
            text: format!("{what}: out of memory"),
        },
        Some(first) => Error {
            errno: Errno(libc::EINVAL),
            text: format!("{what}: {}", first.text()),
        },
        None => Error {
            errno: Errno(libc::ENOMEM),
            text: format!("{what}: OpenSSL failed without a reason"),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(library: c_int, reason: c_int, data: &CStr) {
        // SAFETY: NUL-terminated strings, one "%s".
        unsafe {
            ffi::ERR_new();
            ffi::ERR_set_debug(c"host.c".as_ptr(), 7, c"host".as_ptr());
            ffi::ERR_set_error(library, reason, c"%s".as_ptr(), data.as_ptr());
        }
    }

    #[test]
    fn the_hosts_entries_survive_with_order_and_data_and_ours_vanish() {
        let texts = std::thread::spawn(|| {
            put(sys::ERR_LIB_SSL, 134, c"first");
            put(sys::ERR_LIB_SYS, libc::ENOENT, c"second");
            with_clean_queue(|| {
                // SAFETY: looks at the thread's own queue.
                assert_eq!(unsafe { sys::ERR_peek_error() }, 0);
                put(sys::ERR_LIB_SSL, 267, c"ours");
                with_clean_queue(|| put(sys::ERR_LIB_SSL, 1, c"inner"));
                assert_eq!(Entry::pop().reason(), 267);
                put(sys::ERR_LIB_SSL, 267, c"ours");
            });
            let (first, second) = (Entry::pop(), Entry::pop());
            assert_eq!((first.library(), first.reason(), first.line), (20, 134, 7));
            assert_eq!(first.file.as_c_str(), c"host.c");
            assert_eq!(first.function.as_c_str(), c"host");
            assert_eq!((second.library(), second.reason()), (2, libc::ENOENT));
            assert_eq!(Entry::pop().code, 0);
            (first.text(), second.text())
        })
        .join()
        .unwrap();
        assert_eq!(texts.0, "certificate verify failed (first)");
        assert_eq!(texts.1, "No such file or directory (second)");
    }

    #[test]
    fn a_panic_inside_keeps_the_hosts_entries() {
        std::thread::spawn(|| {
            put(sys::ERR_LIB_SSL, 134, c"kept");
            let _ = std::panic::catch_unwind(|| with_clean_queue(|| panic!("as expected")));
            assert_eq!(Entry::pop().reason(), 134);
        })
        .join()
        .unwrap();
    }
}
