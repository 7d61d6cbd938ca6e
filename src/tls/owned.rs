//! References to OpenSSL's objects that this room owns. Knows nothing of what the objects are for.

use super::sys;
use openssl_sys as ffi;
use std::ffi::c_void;
use std::ptr::NonNull;

/// A kind of object, with how a reference to it is given back.
pub(super) trait Object {
    /// Gives one reference back.
    ///
    /// # Safety
    /// The caller owns the reference.
    unsafe fn release(this: *mut Self);
}

macro_rules! objects {
    ($($object:ty => $free:path),* $(,)?) => {$(
        impl Object for $object {
            unsafe fn release(this: *mut Self) {
                // SAFETY: the caller owns the reference that this gives back.
                unsafe { $free(this) };
            }
        }
    )*};
}
objects! {
    ffi::X509 => ffi::X509_free,
    ffi::EVP_PKEY => ffi::EVP_PKEY_free,
    ffi::BIO => ffi::BIO_free_all,
    ffi::SSL_CTX => ffi::SSL_CTX_free,
    ffi::SSL_SESSION => ffi::SSL_SESSION_free,
}

/// One reference, given back when dropped.
pub(super) struct Owned<T: Object>(NonNull<T>);

impl<T: Object> Owned<T> {
    /// Takes over a reference that OpenSSL gave; `None` for NULL.
    ///
    /// # Safety
    /// The caller owns the reference, or `object` is NULL.
    pub(super) unsafe fn new(object: *mut T) -> Option<Owned<T>> {
        NonNull::new(object).map(Owned)
    }

    pub(super) fn as_ptr(&self) -> *mut T {
        self.0.as_ptr()
    }

    /// Gives the reference away.
    pub(super) fn into_raw(self) -> *mut T {
        std::mem::ManuallyDrop::new(self).0.as_ptr()
    }
}

impl<T: Object> Drop for Owned<T> {
    fn drop(&mut self) {
        // SAFETY: this value owned the reference, and is gone now.
        unsafe { T::release(self.0.as_ptr()) };
    }
}

// SAFETY: OpenSSL counts references of these kinds atomically and locks what is filled in later (the parsed extensions
// of a certificate, the encoding of a key); nothing here writes to them once they are shared.
unsafe impl Send for Owned<ffi::X509> {}
// SAFETY: as above.
unsafe impl Sync for Owned<ffi::X509> {}
// SAFETY: as above.
unsafe impl Send for Owned<ffi::EVP_PKEY> {}
// SAFETY: as above.
unsafe impl Sync for Owned<ffi::EVP_PKEY> {}
// SAFETY: as above.
unsafe impl Send for Owned<ffi::SSL_SESSION> {}
// SAFETY: as above; its reference count is atomic. Its settings are changed under the write lock of the context, and
// what a running handshake reads of it is either copied when the SSL is made or never changed after it was made.
unsafe impl Send for Owned<ffi::SSL_CTX> {}
// SAFETY: as above.
unsafe impl Sync for Owned<ffi::SSL_CTX> {}

/// Bytes that must not stay in memory: wiped when dropped and when they move.
pub(super) struct Secret(Vec<u8>);

impl Secret {
    /// Room for `capacity` bytes.
    pub(super) fn with_capacity(capacity: usize) -> Secret {
        Secret(Vec::with_capacity(capacity))
    }

    /// Appends; where the bytes have to move, the old place is wiped.
    pub(super) fn extend(&mut self, bytes: &[u8]) {
        if self.0.capacity() - self.0.len() < bytes.len() {
            let mut larger = Vec::with_capacity((self.0.len() + bytes.len()) * 2);
            larger.extend_from_slice(&self.0);
            wipe(&mut self.0);
            self.0 = larger;
        }
        self.0.extend_from_slice(bytes);
    }

    pub(super) fn bytes(&self) -> &[u8] {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        wipe(&mut self.0);
    }
}

/// Overwrites in a way that the compiler keeps.
pub fn wipe(bytes: &mut [u8]) {
    // SAFETY: writes to `len` bytes that we hold exclusively.
    unsafe { sys::OPENSSL_cleanse(bytes.as_mut_ptr().cast::<c_void>(), bytes.len()) };
}
