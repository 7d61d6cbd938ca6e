//! What a certificate says, as values: names, dates, digests. Judges nothing.

use super::owned::Owned;
use super::types::Certificate;
use super::{queue, sys};
use openssl_sys as ffi;
use std::ffi::{c_int, c_uint};
use std::fmt::Write;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::ptr;
use std::sync::atomic::{AtomicPtr, Ordering};

impl Certificate {
    /// Reads a live certificate.
    pub(super) fn of(x509: *mut ffi::X509) -> Option<Certificate> {
        if x509.is_null() {
            return None;
        }
        queue::with_clean_queue(|| {
            // SAFETY: a live certificate; the times are its own.
            let (not_before, not_after) = unsafe {
                (
                    ffi::X509_getm_notBefore(x509),
                    ffi::X509_getm_notAfter(x509),
                )
            };
            Some(Certificate {
                subject: subject(x509),
                issuer: issuer(x509),
                names: names(x509).join(", "),
                serial: serial(x509),
                not_before: seconds(not_before)?,
                not_after: seconds(not_after)?,
                sha256: digest(x509)?,
                key_sha256: key_digest(x509)?,
            })
        })
    }
}

/// The subject in one line.
pub(super) fn subject(x509: *mut ffi::X509) -> String {
    // SAFETY: a live certificate; the name is its own.
    name(unsafe { ffi::X509_get_subject_name(x509) })
}

/// The issuer in one line.
pub(super) fn issuer(x509: *mut ffi::X509) -> String {
    // SAFETY: as above.
    name(unsafe { ffi::X509_get_issuer_name(x509) })
}

/// RFC 2253 with UTF-8 left readable; control characters and separators inside values are escaped.
fn name(name: *const ffi::X509_NAME) -> String {
    // SAFETY: a memory BIO of our own; a live name (or NULL, refused); the bytes are copied while the BIO lives.
    unsafe {
        let Some(bio) = Owned::new(ffi::BIO_new(ffi::BIO_s_mem())) else {
            return String::new();
        };
        let flags = sys::XN_FLAG_RFC2253 & !sys::ASN1_STRFLGS_ESC_MSB;
        if name.is_null() || sys::X509_NAME_print_ex(bio.as_ptr(), name, 0, flags) < 0 {
            return String::new();
        }
        let mut data = ptr::null_mut();
        let len = ffi::BIO_get_mem_data(bio.as_ptr(), &mut data);
        if data.is_null() || len <= 0 {
            return String::new();
        }
        let bytes = std::slice::from_raw_parts(data.cast::<u8>(), len as usize);
        String::from_utf8_lossy(bytes).into_owned()
    }
}

/// The names in subjectAltName that a name or an address could match, in order; others (directory names, ...) are left
/// out.
pub(super) fn names(x509: *mut ffi::X509) -> Vec<String> {
    let mut found = Vec::new();
    // SAFETY: a live certificate; what comes back is a stack of GENERAL_NAME that we own, read and free. Each entry's
    // pointer is an ASN1_STRING for the three types that are looked into.
    unsafe {
        let stack = ffi::X509_get_ext_d2i(
            x509,
            ffi::NID_subject_alt_name,
            ptr::null_mut(),
            ptr::null_mut(),
        );
        if stack.is_null() {
            return found;
        }
        let stack = stack.cast::<ffi::OPENSSL_STACK>();
        for i in 0..ffi::OPENSSL_sk_num(stack) {
            let entry = ffi::OPENSSL_sk_value(stack, i).cast::<ffi::GENERAL_NAME>();
            let kind = (*entry).type_;
            if !matches!(
                kind,
                ffi::GEN_DNS | ffi::GEN_IPADD | ffi::GEN_EMAIL | ffi::GEN_URI
            ) {
                continue;
            }
            let string = (*entry).d.cast::<ffi::ASN1_STRING>();
            let len = usize::try_from(ffi::ASN1_STRING_length(string)).unwrap_or(0);
            let data = ffi::ASN1_STRING_get0_data(string);
            if len == 0 || data.is_null() {
                continue;
            }
            found.push(general_name(kind, std::slice::from_raw_parts(data, len)));
        }
        ffi::OPENSSL_sk_pop_free(stack, Some(free_general_name));
    }
    found
}

unsafe extern "C" fn free_general_name(name: *mut std::ffi::c_void) {
    // SAFETY: called for each entry of a stack of GENERAL_NAME that is being freed.
    unsafe { ffi::GENERAL_NAME_free(name.cast()) };
}

fn general_name(kind: c_int, bytes: &[u8]) -> String {
    if kind == ffi::GEN_IPADD {
        return match bytes.len() {
            4 => <[u8; 4]>::try_from(bytes).map(|b| Ipv4Addr::from(b).to_string()),
            _ => <[u8; 16]>::try_from(bytes).map(|b| Ipv6Addr::from(b).to_string()),
        }
        .unwrap_or_else(|_| "malformed address".to_owned());
    }
    let mut text = String::from(match kind {
        ffi::GEN_EMAIL => "email:",
        ffi::GEN_URI => "URI:",
        _ => "",
    });
    for byte in bytes {
        // A comma or a control character inside a name must not look like the end of it.
        match byte {
            b' ' | b',' | b'\\' | 0..=0x1f | 0x7f..=0xff => {
                let _ = write!(text, "\\x{byte:02x}");
            }
            _ => text.push(char::from(*byte)),
        }
    }
    text
}

pub(super) fn serial(x509: *mut ffi::X509) -> String {
    // SAFETY: the serial number is the live certificate's own; the number and its text are ours and freed here.
    unsafe {
        let number = ffi::ASN1_INTEGER_to_BN(ffi::X509_get_serialNumber(x509), ptr::null_mut());
        if number.is_null() {
            return String::new();
        }
        let hex = ffi::BN_bn2hex(number);
        ffi::BN_free(number);
        if hex.is_null() {
            return String::new();
        }
        let text = std::ffi::CStr::from_ptr(hex).to_string_lossy().into_owned();
        ffi::OPENSSL_free(hex.cast());
        text
    }
}

fn broken_down(time: *const ffi::ASN1_TIME) -> Option<libc::tm> {
    // SAFETY: all zeros is a valid tm; a live time is read, and the tm written.
    unsafe {
        let mut tm: libc::tm = std::mem::zeroed();
        (!time.is_null() && sys::ASN1_TIME_to_tm(time, &mut tm) == 1).then_some(tm)
    }
}

/// Seconds since 1970.
pub(super) fn seconds(time: *const ffi::ASN1_TIME) -> Option<i64> {
    let mut tm = broken_down(time)?;
    #[allow(clippy::useless_conversion)] // time_t has 32 bits in some places.
    // SAFETY: a valid tm; timegm knows no time zone.
    Some(i64::from(unsafe { libc::timegm(&mut tm) }))
}

/// `2026-01-31 12:00:00 UTC`
pub(super) fn date(time: *const ffi::ASN1_TIME) -> Option<String> {
    let tm = broken_down(time)?;
    Some(format!(
        "{:04}-{:02}-{:02} {:02}:{:02}:{:02} UTC",
        tm.tm_year + 1900,
        tm.tm_mon + 1,
        tm.tm_mday,
        tm.tm_hour,
        tm.tm_min,
        tm.tm_sec
    ))
}

/// SHA-256 of the whole certificate.
pub(super) fn digest(x509: *mut ffi::X509) -> Option<[u8; 32]> {
    let mut out = [0u8; 32];
    let mut len: c_uint = 0;
    // SAFETY: a live certificate; SHA-256 writes 32 bytes.
    let done = unsafe { ffi::X509_digest(x509, ffi::EVP_sha256(), out.as_mut_ptr(), &mut len) };
    (done == 1).then_some(out)
}

fn key_digest(x509: *mut ffi::X509) -> Option<[u8; 32]> {
    // SAFETY: the key is the live certificate's own; the encoding is ours: measured, hashed, freed.
    unsafe {
        let mut der = ptr::null_mut();
        let len = sys::i2d_X509_PUBKEY(sys::X509_get_X509_PUBKEY(x509), &mut der);
        if len <= 0 || der.is_null() {
            return None;
        }
        let hash = sha256(std::slice::from_raw_parts(der, len as usize));
        ffi::OPENSSL_free(der.cast());
        hash
    }
}

/// SHA-256.
pub(super) fn sha256(bytes: &[u8]) -> Option<[u8; 32]> {
    let mut out = [0u8; 32];
    let mut len: c_uint = 0;
    let kind = fetched_sha256()?;
    // SAFETY: reads `bytes`, writes the 32 bytes of a SHA-256.
    let done = unsafe {
        sys::EVP_Digest(
            bytes.as_ptr().cast(),
            bytes.len(),
            out.as_mut_ptr(),
            &mut len,
            kind,
            ptr::null_mut(),
        )
    };
    (done == 1).then_some(out)
}

/// Looked up once: OpenSSL looks for the implementation of `EVP_sha256()` each time, which costs more than to use it.
fn fetched_sha256() -> Option<*const ffi::EVP_MD> {
    static FETCHED: AtomicPtr<ffi::EVP_MD> = AtomicPtr::new(ptr::null_mut());
    let known = FETCHED.load(Ordering::Acquire);
    if !known.is_null() {
        return Some(known);
    }
    // SAFETY: the default library context, a NUL-terminated name; the reference that comes back is kept for good, or given
    // back where another thread was first.
    unsafe {
        let made = ffi::EVP_MD_fetch(ptr::null_mut(), c"SHA256".as_ptr(), ptr::null());
        if made.is_null() {
            return None;
        }
        let first =
            FETCHED.compare_exchange(ptr::null_mut(), made, Ordering::AcqRel, Ordering::Acquire);
        match first {
            Ok(_) => Some(made),
            Err(known) => {
                ffi::EVP_MD_free(made);
                Some(known)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::pem::Pem;
    use super::*;
    use testcerts::{Identity, Moment, Recipe};

    fn read(identity: &Identity) -> Certificate {
        let pem = Pem::memory(&identity.chain_pem().unwrap(), "memory").unwrap();
        let certificates = pem.certificates().unwrap();
        Certificate::of(certificates[0].as_ptr()).unwrap()
    }

    #[test]
    fn everything_is_read() {
        let ca = Recipe::authority("Corp Root").bake().unwrap();
        let leaf = Recipe::new("old.example")
            .names(&["old.example", "*.old.example", "192.0.2.7", "2001:db8::1"])
            .valid(Moment::Unix(1_580_472_000), Moment::Unix(3_786_912_000))
            .issuer(&ca)
            .bake()
            .unwrap();
        let certificate = read(&leaf);
        assert_eq!(certificate.subject, "CN=old.example");
        assert_eq!(certificate.issuer, "CN=Corp Root");
        assert_eq!(
            certificate.names,
            "old.example, *.old.example, 192.0.2.7, 2001:db8::1"
        );
        assert_eq!(certificate.not_before, 1_580_472_000);
        assert_eq!(certificate.not_after, 3_786_912_000);
        let serial = leaf.certificate.serial_number().to_bn().unwrap();
        assert_eq!(certificate.serial, serial.to_hex_str().unwrap().to_string());
        let der = leaf.certificate.to_der().unwrap();
        assert_eq!(certificate.sha256, sha256(&der).unwrap());
        let key = leaf.key.public_key_to_der().unwrap();
        assert_eq!(certificate.key_sha256, sha256(&key).unwrap());
    }

    #[test]
    fn a_subject_cannot_pretend_to_be_longer_than_it_is() {
        let identity = Recipe::new("a,O=Other\n\"ü").bake().unwrap();
        assert_eq!(read(&identity).subject, "CN=a\\,O=Other\\0A\\\"ü");
    }

    #[test]
    fn no_names_is_an_empty_list() {
        assert_eq!(read(&Recipe::new("x").bake().unwrap()).names, "");
    }
}
