//! Whom a context trusts: files, hashed directories, memory, and the system's store, wherever it is. Knows nothing of
//! verification.

use super::certificate::sha256;
use super::owned::Owned;
use super::pem::Pem;
use super::types::{invalid, Error};
use super::{queue, sys};
use crate::errno::Errno;
use crate::log::environment;
use openssl_sys as ffi;
use std::collections::BTreeSet;
use std::ffi::{CStr, CString};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

/// Where the distributions keep their bundle, for an OpenSSL that was not built for this one.
const KNOWN_FILES: [&str; 7] = [
    "/etc/ssl/certs/ca-certificates.crt",
    "/etc/pki/tls/certs/ca-bundle.crt",
    "/etc/ssl/ca-bundle.pem",
    "/etc/pki/ca-trust/extracted/pem/tls-ca-bundle.pem",
    "/etc/pki/tls/cacert.pem",
    "/etc/ssl/cert.pem",
    "/usr/local/share/certs/ca-root-nss.crt",
];
/// Where they keep hashed directories.
const KNOWN_DIRS: [&str; 2] = ["/etc/ssl/certs", "/etc/pki/tls/certs"];

/// What was added to a store.
pub(super) struct Added {
    /// Tells this trust from another.
    pub(super) digest: [u8; 32],
    /// The certificates, where they are in memory; a directory is searched when a name is needed.
    pub(super) authorities: Vec<Owned<ffi::X509>>,
}

/// Adds a PEM file or a hashed directory.
pub(super) fn add_path(store: *mut ffi::X509_STORE, path: &Path) -> Result<Added, Error> {
    if path.is_dir() {
        add_directory(store, path)
    } else {
        add_pem(store, &Pem::file(path)?)
    }
}

/// What is at a path that was checked; what is no file that can be loaded is a hashed directory that has nothing in it yet.
pub(super) enum Anything<'a> {
    Pem(Pem, Added),
    Hashed(&'a Path, BTreeSet<Vec<u8>>),
}

impl Anything<'_> {
    /// Reads, and tells the log of what is amiss: to be called where nothing is locked, for the log may be the program's.
    pub(super) fn read(path: &Path) -> Anything<'_> {
        if !path.is_dir() {
            let read = Pem::file_itself(path).and_then(|pem| Ok((authorities(&pem)?, pem)));
            match read {
                Ok((added, pem)) => return Anything::Pem(pem, added),
                Err(error) => {
                    crate::log!(Warn, "TLS: {}: nobody is trusted for it yet", error.text);
                }
            }
        }
        let hashed = hashed_names(path).unwrap_or_default();
        if hashed.is_empty() {
            crate::log!(
                Warn,
                "TLS: {}: no certificate in it has its hash as its name; run \"openssl rehash\" on it",
                path.display()
            );
        }
        Anything::Hashed(path, hashed)
    }

    /// Adds it.
    pub(super) fn add(self, store: *mut ffi::X509_STORE) -> Result<Added, Error> {
        match self {
            Anything::Pem(pem, added) => {
                add_all(store, &pem, &added)?;
                Ok(added)
            }
            Anything::Hashed(path, hashed) => add_hashed(store, path, hashed),
        }
    }
}

/// Adds every certificate of a PEM, or none.
pub(super) fn add_pem(store: *mut ffi::X509_STORE, pem: &Pem) -> Result<Added, Error> {
    let added = authorities(pem)?;
    add_all(store, pem, &added)?;
    Ok(added)
}

fn authorities(pem: &Pem) -> Result<Added, Error> {
    Ok(Added {
        authorities: pem.certificates()?,
        digest: digest(pem.bytes())?,
    })
}

fn add_all(store: *mut ffi::X509_STORE, pem: &Pem, added: &Added) -> Result<(), Error> {
    for authority in &added.authorities {
        // SAFETY: a live store takes a reference of its own to a live certificate.
        if unsafe { ffi::X509_STORE_add_cert(store, authority.as_ptr()) } != 1 {
            return Err(queue::error(pem.name()));
        }
    }
    Ok(())
}

fn add_directory(store: *mut ffi::X509_STORE, path: &Path) -> Result<Added, Error> {
    let name = path.display();
    let hashed = hashed_names(path)?;
    if hashed.is_empty() {
        return Err(invalid(format!(
            "{name}: no certificate in it has its hash as its name; run \"openssl rehash\" on it"
        )));
    }
    add_hashed(store, path, hashed)
}

fn add_hashed(
    store: *mut ffi::X509_STORE,
    path: &Path,
    hashed: BTreeSet<Vec<u8>>,
) -> Result<Added, Error> {
    let name = path.display();
    let bytes = path.as_os_str().as_bytes();
    if bytes.contains(&b':') {
        // OpenSSL would take it for a list.
        return Err(invalid(format!(
            "{name}: the name of a hashed directory must not contain a colon"
        )));
    }
    let path = CString::new(bytes).map_err(|_| invalid(format!("{name}: not a path")))?;
    // SAFETY: a live store; NUL-terminated, copied.
    if unsafe { sys::X509_STORE_load_path(store, path.as_ptr()) } != 1 {
        return Err(queue::error(name));
    }
    // A name says whose certificate it is.
    let mut text = path.into_bytes();
    for name in hashed {
        text.push(0);
        text.extend(name);
    }
    Ok(Added {
        digest: digest(&text)?,
        authorities: Vec::new(),
    })
}

fn digest(bytes: &[u8]) -> Result<[u8; 32], Error> {
    sha256(bytes).ok_or_else(|| queue::error("TLS: SHA-256"))
}

/// The entries that are named as `openssl rehash` names them, `HHHHHHHH.N`, in order.
fn hashed_names(path: &Path) -> Result<BTreeSet<Vec<u8>>, Error> {
    let mut names = BTreeSet::new();
    let failed = |error: std::io::Error| {
        let errno = Errno::from(error);
        Error {
            errno,
            text: format!("{}: {errno}", path.display()),
        }
    };
    for entry in std::fs::read_dir(path).map_err(failed)? {
        let name = entry.map_err(failed)?.file_name();
        let name = name.as_bytes();
        if name.len() >= 10
            && name[..8].iter().all(u8::is_ascii_hexdigit)
            && name[8] == b'.'
            && name[9..].iter().all(u8::is_ascii_digit)
        {
            names.insert(name.to_vec());
        }
    }
    Ok(names)
}

/// Adds the system's store: what `SSL_CERT_FILE` and `SSL_CERT_DIR` name, each in place of OpenSSL's own default; where
/// neither is set and there is no default, the places of the distributions. Gives the digests of what was added.
pub(super) fn add_system(store: *mut ffi::X509_STORE) -> Result<BTreeSet<[u8; 32]>, Error> {
    let set = [environment("SSL_CERT_FILE"), environment("SSL_CERT_DIR")];
    let chosen = set.iter().any(Option::is_some);
    let [file, dirs] = set;
    // SAFETY: both give static, NUL-terminated strings.
    let (default_file, default_dir) = unsafe {
        (
            CStr::from_ptr(sys::X509_get_default_cert_file()),
            CStr::from_ptr(sys::X509_get_default_cert_dir()),
        )
    };
    let file = file.unwrap_or_else(|| default_file.to_string_lossy().into_owned());
    let dirs = dirs.unwrap_or_else(|| default_dir.to_string_lossy().into_owned());
    let places = std::iter::once(file.as_str()).chain(dirs.split(':'));

    let mut search = Search {
        store,
        tried: Vec::new(),
        added: BTreeSet::new(),
    };
    // All of them, as OpenSSL does.
    let mut found = false;
    for place in places.filter(|place| !place.is_empty()) {
        found |= search.add(place, chosen);
    }
    // The first of them: they are copies of each other.
    let found = found
        || (!chosen
            && KNOWN_FILES
                .iter()
                .chain(&KNOWN_DIRS)
                .any(|place| search.add(place, false)));
    if found {
        Ok(search.added)
    } else {
        Err(search.nothing())
    }
}

struct Search {
    store: *mut ffi::X509_STORE,
    tried: Vec<PathBuf>,
    added: BTreeSet<[u8; 32]>,
}

impl Search {
    fn add(&mut self, place: &str, complain: bool) -> bool {
        let path = Path::new(place);
        match add_path(self.store, path) {
            Ok(added) => {
                self.added.insert(added.digest);
                true
            }
            Err(error) => {
                if complain && error.errno != Errno(libc::ENOENT) {
                    crate::log!(Warn, "the system's trust store: {}", error.text);
                }
                self.tried.push(path.to_owned());
                false
            }
        }
    }

    fn nothing(&self) -> Error {
        let places: Vec<String> = self
            .tried
            .iter()
            .map(|place| place.display().to_string())
            .collect();
        Error {
            errno: Errno(libc::ENOENT),
            text: format!(
                "no trusted certificate was found in {}; install the ca-certificates of your system, or set \
                 SSL_CERT_FILE or SSL_CERT_DIR",
                places.join(", ")
            ),
        }
    }
}
