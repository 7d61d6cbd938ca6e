//! The program's own resolver, called in the resolver's threads in place of the system's. What it answers is copied as a
//! list of somebody who may make mistakes.

use super::service::Service;
use super::status::{eai, ResolveError};
use super::system::{self, Found};
use super::Question;
use crate::errno::Errno;
use std::ffi::{c_char, c_int, c_void};
use std::ptr;

/// As `getaddrinfo`, with an argument of the program's.
pub(super) type Function = unsafe extern "C" fn(
    host: *const c_char,
    service: *const c_char,
    hints: *const libc::addrinfo,
    out: *mut *mut libc::addrinfo,
    arg: *mut c_void,
) -> c_int;

/// As `freeaddrinfo`.
pub(super) type Release = unsafe extern "C" fn(list: *mut libc::addrinfo);

/// A program's functions, and what to call the first with.
#[derive(Clone, Copy)]
pub struct Custom {
    function: Function,
    release: Option<Release>,
    arg: *mut c_void,
}

// SAFETY: whoever makes one promises, by `new`, that the functions may be called with `arg` on any thread.
unsafe impl Send for Custom {}
// SAFETY: as above, by several at a time.
unsafe impl Sync for Custom {}

impl Custom {
    /// # Safety
    /// `function` may be called with `arg` on any thread, by several at a time, for as long as a lookup may be under way. With 0
    /// it gives NULL or a list that is valid until it was given to `release`.
    pub unsafe fn new(function: Function, release: Option<Release>, arg: *mut c_void) -> Custom {
        Custom {
            function,
            release,
            arg,
        }
    }

    /// Looks a name up, for as long as it takes.
    pub(super) fn lookup(&self, question: &Question) -> Found {
        let Some(host) = &question.host else {
            // No name: nothing that a resolver would know better.
            return system::lookup(question);
        };
        let host = system::c_string(host)?;
        let (service, flags) = match &question.service {
            Service::Port(0) => (None, 0),
            Service::Port(port) => (
                Some(system::c_string(&port.to_string())?),
                libc::AI_NUMERICSERV,
            ),
            Service::Name(name) => (Some(system::c_string(name)?), 0),
        };
        // SAFETY: a struct of integers and pointers, for which all zeros are valid values.
        let mut hints: libc::addrinfo = unsafe { std::mem::zeroed() };
        hints.ai_flags = flags;
        hints.ai_family = question.family;
        hints.ai_socktype = question.socktype;
        hints.ai_protocol = question.protocol;
        let mut list: *mut libc::addrinfo = ptr::null_mut();
        Errno(0).set();
        // SAFETY: by the contract of `new`; the texts are NUL-terminated (the service may be NULL), the hints complete, and
        // `list` is a place for the result, all for the length of the call.
        let status = unsafe {
            (self.function)(
                host.as_ptr(),
                service.as_ref().map_or(ptr::null(), |s| s.as_ptr()),
                &hints,
                &mut list,
                self.arg,
            )
        };
        if status == eai::EAI_SYSTEM {
            return Err(ResolveError::system(Errno::last()));
        }
        if status != 0 {
            // Whatever stands in `list`: with a failure it counts as little as with `getaddrinfo`.
            return Err(ResolveError::new(status));
        }
        // SAFETY: status 0: NULL or a list that is valid until it is released.
        let copied = unsafe { system::copy(list) };
        if let (Some(release), false) = (self.release, list.is_null()) {
            // SAFETY: the list that the function has just given, for the first and last time; nothing of the copy points into it.
            unsafe { release(list) };
        }
        let mut copied = copied?;
        copied.retain(|address| {
            let family = c_int::from(address.addr.family());
            question.family == libc::AF_UNSPEC || question.family == family
        });
        if let Service::Port(port @ 1..) = question.service {
            // A resolver that knows names alone leaves the port to whoever asked.
            for address in &mut copied {
                if let Some(mut addr) = address.addr.as_socket().filter(|addr| addr.port() == 0) {
                    addr.set_port(port);
                    address.addr = addr.into();
                }
            }
        }
        if copied.is_empty() {
            return Err(ResolveError::new(eai::EAI_NODATA));
        }
        Ok(copied)
    }
}
