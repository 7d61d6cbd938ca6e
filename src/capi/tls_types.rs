//! `netconn_types.h`: types that several public headers share. Must not know what is done with them.

// C names, and enums that only C programs use.
#![allow(non_camel_case_types, dead_code)]

use crate::errno::Errno;
use crate::tls;
use std::ffi::{c_char, c_uchar};
use std::mem::{offset_of, size_of};

/// OpenSSL's connection object.
pub type SSL = tls::SSL;

/// A TLS context; see `netconn_tls.h`. The address inside an `Arc`, with a holder's count on it.
pub type SocketTLSContext_T = *mut tls::Context;

/// What a peer's OCSP staple said of its certificate.
#[repr(C)]
pub enum netconn_tls_ocsp {
    /// There was none.
    NETCONN_TLS_OCSP_NONE,
    /// Authentic, fresh, and good.
    NETCONN_TLS_OCSP_GOOD,
    /// Authentic, fresh, and revoked.
    NETCONN_TLS_OCSP_REVOKED,
    /// The authority does not know the certificate.
    NETCONN_TLS_OCSP_UNKNOWN,
    /// Malformed, stale, or not signed by whom it should be.
    NETCONN_TLS_OCSP_INVALID,
}

/// An `enum netconn_tls_ocsp` as an integer.
pub type netconn_tls_ocsp_t = i32;

/// A peer's certificate. Texts are UTF-8 and NUL-terminated; one that is too long ends with "...".
#[repr(C)]
pub struct conn_certificate {
    /// sizeof(struct conn_certificate), set by the caller.
    pub size: usize,
    /// "CN=shop.example,O=Shop": the most specific part first, as in RFC 2253.
    pub subject: [c_char; 256],
    /// In the same form.
    pub issuer: [c_char; 256],
    /// subjectAltName: "shop.example, www.shop.example, 192.0.2.7"; empty when there is none.
    pub names: [c_char; 1024],
    /// Hexadecimal.
    pub serial: [c_char; 64],
    /// Seconds since 1970.
    pub not_before: i64,
    /// Seconds since 1970.
    pub not_after: i64,
    /// SHA-256 of the certificate.
    pub sha256: [c_uchar; 32],
    /// SHA-256 of its public key (SubjectPublicKeyInfo).
    pub key_sha256: [c_uchar; 32],
}

/// Fills a C program's struct as far as its size goes: EINVAL for NULL and for a size that is impossible, else what
/// `certificate` says.
///
/// # Safety
/// `out` is NULL or can be written for the size that it names.
pub unsafe fn write_certificate(
    out: *mut conn_certificate,
    certificate: impl FnOnce() -> Result<tls::Certificate, Errno>,
) -> Result<(), Errno> {
    if out.is_null() {
        return Err(Errno(libc::EINVAL));
    }
    // SAFETY: not NULL; every such struct begins with its size.
    let size = unsafe { (*out).size };
    let first = offset_of!(conn_certificate, subject);
    if size < first || size > size_of::<conn_certificate>() {
        return Err(Errno(libc::EINVAL));
    }
    let certificate = certificate()?;
    let whole = conn_certificate {
        size,
        subject: text(&certificate.subject),
        issuer: text(&certificate.issuer),
        names: text(&certificate.names),
        serial: text(&certificate.serial),
        not_before: certificate.not_before,
        not_after: certificate.not_after,
        sha256: certificate.sha256,
        key_sha256: certificate.key_sha256,
    };
    // SAFETY: `size` bytes are at most our struct, and the caller's struct has them.
    unsafe {
        std::ptr::copy_nonoverlapping(
            std::ptr::from_ref(&whole).cast::<u8>(),
            out.cast::<u8>(),
            size,
        );
    }
    Ok(())
}

/// A text in a C array of fixed size, cut between characters.
fn text<const N: usize>(text: &str) -> [c_char; N] {
    let mut out = [0; N];
    let (kept, end) = if text.len() < N {
        (text, "")
    } else {
        let mut cut = N - 4;
        while !text.is_char_boundary(cut) {
            cut -= 1;
        }
        (&text[..cut], "...")
    };
    for (to, from) in out.iter_mut().zip(kept.bytes().chain(end.bytes())) {
        *to = from as c_char;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ffi::CStr;

    fn read(array: &[c_char]) -> &str {
        // SAFETY: `text` leaves a NUL at the end of its array.
        unsafe { CStr::from_ptr(array.as_ptr()) }.to_str().unwrap()
    }

    fn certificate() -> Result<tls::Certificate, Errno> {
        Ok(tls::Certificate {
            subject: "CN=x".into(),
            issuer: "CN=y".into(),
            names: "ü".repeat(600),
            serial: "0A".into(),
            not_before: 1,
            not_after: 2,
            sha256: [3; 32],
            key_sha256: [4; 32],
        })
    }

    #[test]
    fn long_texts_are_cut_between_characters() {
        assert_eq!(read(&text::<8>("1234567")), "1234567");
        assert_eq!(read(&text::<8>("12345678")), "1234...");
        assert_eq!(read(&text::<8>("123ü5678")), "123...");
    }

    #[test]
    fn an_older_programs_struct_is_filled_as_far_as_it_goes() {
        // SAFETY: all zeros is a valid struct of integers.
        let mut out: conn_certificate = unsafe { std::mem::zeroed() };
        out.size = offset_of!(conn_certificate, serial);
        // SAFETY: the struct has more than the size that it names.
        unsafe { write_certificate(&mut out, certificate) }.unwrap();
        assert_eq!(out.size, offset_of!(conn_certificate, serial));
        assert_eq!((read(&out.subject), read(&out.issuer)), ("CN=x", "CN=y"));
        assert!(read(&out.names).ends_with("ü..."));
        assert_eq!((read(&out.serial), out.not_after), ("", 0));
        out.size = size_of::<conn_certificate>();
        // SAFETY: as above.
        unsafe { write_certificate(&mut out, certificate) }.unwrap();
        assert_eq!(
            (read(&out.serial), out.not_before, out.not_after),
            ("0A", 1, 2)
        );
        assert_eq!((out.sha256, out.key_sha256), ([3; 32], [4; 32]));
    }

    #[test]
    fn impossible_sizes_and_a_missing_certificate_are_refused() {
        // SAFETY: all zeros is a valid struct of integers.
        let mut out: conn_certificate = unsafe { std::mem::zeroed() };
        for size in [0, 7, size_of::<conn_certificate>() + 1] {
            out.size = size;
            // SAFETY: nothing is written for such a size.
            let refused = unsafe { write_certificate(&mut out, certificate) };
            assert_eq!(refused, Err(Errno(libc::EINVAL)));
        }
        out.size = size_of::<conn_certificate>();
        // SAFETY: valid, and NULL.
        unsafe {
            assert_eq!(
                write_certificate(&mut out, || Err(Errno(libc::ENOENT))),
                Err(Errno(libc::ENOENT))
            );
            let null = std::ptr::null_mut();
            assert_eq!(
                write_certificate(null, certificate),
                Err(Errno(libc::EINVAL))
            );
        }
    }
}
