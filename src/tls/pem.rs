//! PEM files and PEM in memory: read in bounds, taken apart into certificates and a key. Never asks anybody for a
//! password but the program. Knows nothing of what the certificates are for.

use super::owned::{wipe, Owned, Secret};
use super::password::{self, Question};
use super::types::{invalid, Error, PasswordCallback};
use super::{queue, sys};
use crate::errno::Errno;
use openssl_sys as ffi;
use std::ffi::c_int;
use std::fs::File;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::ptr;

/// The largest file that is read: the bundles of the distributions have a quarter of a megabyte.
const MAX_FILE: usize = 16 << 20;

/// PEM bytes, wiped when dropped, and what to call them in a text.
pub(super) struct Pem {
    bytes: Secret,
    name: String,
}

impl Pem {
    /// Reads a file.
    pub(super) fn file(path: &Path) -> Result<Pem, Error> {
        Self::open(path, 0)
    }

    /// Reads a file that is no symbolic link.
    pub(super) fn file_itself(path: &Path) -> Result<Pem, Error> {
        Self::open(path, libc::O_NOFOLLOW)
    }

    fn open(path: &Path, flags: c_int) -> Result<Pem, Error> {
        let name = path.display().to_string();
        let mut piece = [0u8; 4096];
        let bytes = Self::read(path, flags, &mut piece);
        wipe(&mut piece);
        match bytes {
            Ok(bytes) => Ok(Pem { bytes, name }),
            Err(errno) => Err(Error {
                text: format!("{name}: {errno}"),
                // Files that are there but are no PEM files: directories, and what is too large.
                errno: match errno.0 {
                    libc::EISDIR | libc::EFBIG => Errno(libc::EINVAL),
                    _ => errno,
                },
            }),
        }
    }

    fn read(path: &Path, flags: c_int, piece: &mut [u8]) -> Result<Secret, Errno> {
        let mut file = File::options().read(true).custom_flags(flags).open(path)?;
        let size = file.metadata().map_or(0, |metadata| metadata.len());
        let mut bytes = Secret::with_capacity(usize::try_from(size).unwrap_or(0).min(MAX_FILE) + 1);
        loop {
            match file.read(piece) {
                Ok(0) => return Ok(bytes),
                Ok(n) => bytes.extend(&piece[..n]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error.into()),
            }
            if bytes.bytes().len() > MAX_FILE {
                return Err(Errno(libc::EFBIG));
            }
        }
    }

    /// Takes a copy of bytes in memory; `name` says what they are.
    pub(super) fn memory(bytes: &[u8], name: &str) -> Result<Pem, Error> {
        if bytes.len() > MAX_FILE {
            return Err(invalid(format!("{name}: too large for PEM")));
        }
        let mut copy = Secret::with_capacity(bytes.len());
        copy.extend(bytes);
        Ok(Pem {
            bytes: copy,
            name: name.to_owned(),
        })
    }

    /// What it is called.
    pub(super) fn name(&self) -> &str {
        &self.name
    }

    /// The bytes as they are.
    pub(super) fn bytes(&self) -> &[u8] {
        self.bytes.bytes()
    }

    fn bio(&self) -> Result<Owned<ffi::BIO>, Error> {
        let bytes = self.bytes.bytes();
        if bytes.is_empty() {
            // BIO_new_mem_buf would take a length of 0 for a failure of its own.
            return Err(invalid(format!("{}: is empty", self.name)));
        }
        // SAFETY: the bytes are at most MAX_FILE, and outlive the BIO, which only reads them: it is used and dropped
        // in the methods of this value.
        unsafe {
            Owned::new(ffi::BIO_new_mem_buf(
                bytes.as_ptr().cast(),
                bytes.len() as c_int,
            ))
        }
        .ok_or_else(|| queue::error(&self.name))
    }

    /// Every certificate in it, in order; at least one.
    pub(super) fn certificates(&self) -> Result<Vec<Owned<ffi::X509>>, Error> {
        let bio = self.bio()?;
        let mut certificates = Vec::new();
        loop {
            // SAFETY: a live BIO; no certificate to reuse; without a question nobody is asked.
            let certificate = unsafe {
                Owned::new(sys::PEM_read_bio_X509_AUX(
                    bio.as_ptr(),
                    ptr::null_mut(),
                    Some(password::answer),
                    ptr::null_mut(),
                ))
            };
            match certificate {
                Some(certificate) => certificates.push(certificate),
                None if certificates.is_empty() || !queue::only_end_of_pem() => {
                    return Err(match queue::take_first() {
                        Some(entry) if !entry.is_end_of_pem() => {
                            invalid(format!("{}: {}", self.name, entry.text()))
                        }
                        _ => invalid(format!("{}: no certificate in it (PEM)", self.name)),
                    });
                }
                None => {
                    let _ = queue::take_first();
                    return Ok(certificates);
                }
            }
        }
    }

    /// The private key in it; `password` is asked where it is encrypted.
    pub(super) fn key(
        &self,
        password: Option<&PasswordCallback>,
    ) -> Result<Owned<ffi::EVP_PKEY>, Error> {
        let bio = self.bio()?;
        let question = Question::new(password);
        // SAFETY: a live BIO; no key to reuse; the callback gets our question, which outlives the call.
        let key = unsafe {
            Owned::new(ffi::PEM_read_bio_PrivateKey(
                bio.as_ptr(),
                ptr::null_mut(),
                Some(password::answer),
                question.arg(),
            ))
        };
        key.ok_or_else(|| {
            let entry = queue::take_first();
            let name = &self.name;
            invalid(match (question.complaint(), entry) {
                (Some(complaint), _) => format!("{name}: {complaint}"),
                (None, Some(entry)) if !entry.is_nothing_to_decode() => {
                    format!("{name}: {}", entry.text())
                }
                _ => format!("{name}: no private key in it (PEM)"),
            })
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use testcerts::Recipe;

    #[test]
    fn a_chain_is_read_in_order_and_a_key_beside_it() {
        let ca = Recipe::authority("root").bake().unwrap();
        let leaf = Recipe::new("leaf").issuer(&ca).bake().unwrap();
        let mut bytes = leaf.key_pem().unwrap();
        bytes.extend(leaf.clone().with_chain(&[&ca]).chain_pem().unwrap());
        let pem = Pem::memory(&bytes, "memory").unwrap();
        queue::with_clean_queue(|| {
            let certificates = pem.certificates().unwrap();
            let subjects: Vec<String> = certificates
                .iter()
                .map(|c| super::super::certificate::subject(c.as_ptr()))
                .collect();
            assert_eq!(subjects, ["CN=leaf", "CN=root"]);
            assert!(pem.key(None).is_ok());
        });
    }

    #[test]
    fn what_is_wrong_is_said() {
        let identity = Recipe::new("x").bake().unwrap();
        let locked = identity.encrypted_key_pem("secret").unwrap();
        let key_text = |bytes: &[u8]| {
            let pem = Pem::memory(bytes, "k").unwrap();
            queue::with_clean_queue(|| pem.key(None).err().unwrap().text)
        };
        assert_eq!(
            key_text(&locked),
            "k: the private key is encrypted, and there is no password for it"
        );
        assert_eq!(key_text(b"garbage"), "k: no private key in it (PEM)");
        assert_eq!(key_text(b""), "k: is empty");

        let certificates = |bytes: &[u8]| {
            let pem = Pem::memory(bytes, "c").unwrap();
            queue::with_clean_queue(|| pem.certificates().err().map(|error| error.text))
        };
        assert_eq!(
            certificates(b"x"),
            Some("c: no certificate in it (PEM)".into())
        );
        let mut broken = identity.chain_pem().unwrap();
        assert_eq!(certificates(&broken), None);
        let good = broken.clone();
        broken.truncate(good.len() - 40);
        assert!(certificates(&broken).is_some());
        // A broken certificate behind a good one is not skipped.
        assert!(certificates(&[good, broken].concat()).is_some());
    }

    #[test]
    fn a_missing_file_and_a_directory_have_their_errno() {
        let missing = Pem::file(Path::new("/nonexistent/ca.pem")).err().unwrap();
        assert_eq!(missing.errno, Errno(libc::ENOENT));
        assert_eq!(
            missing.text,
            "/nonexistent/ca.pem: No such file or directory"
        );
        let directory = Pem::file(Path::new("/")).err().unwrap();
        assert_eq!(directory.errno, Errno(libc::EINVAL));
    }
}
