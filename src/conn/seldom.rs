//! What most connections never have: in a place of its own, so that an idle one is small.

use super::idle::Idle;
use super::{Conn, Failure, Owner};
use std::cell::{Cell, OnceCell, RefCell};
use std::ffi::CString;
use std::rc::Rc;

/// Made when the first of these is needed; stays until the connection goes, because programs are given pointers into it.
#[derive(Default)]
pub(super) struct Seldom {
    /// Who gave it to the program, or uses it for itself.
    pub(super) owner: RefCell<Option<Rc<dyn Owner>>>,
    /// The wait after which a read of the socket left nothing in the kernel, for the owner.
    pub(super) drained_in: Cell<u32>,
    pub(super) idle: Cell<Option<Idle>>,
    pub(super) failure: OnceCell<Failure>,
    /// Texts that somebody asked for.
    pub(super) alpn: OnceCell<CString>,
    pub(super) cipher: OnceCell<CString>,
}

impl Conn {
    pub(super) fn seldom(&self) -> &Seldom {
        self.seldom.get_or_init(Box::default)
    }
}
