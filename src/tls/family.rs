//! What only the Socket family asks of a context: its constructors, modes as bits, versions one by one. The context is the
//! same that all faces share.

use super::context::Context;
use super::types::{invalid, Error, RawVerifyCallback, Timeouts, Verify};
use super::verify::Judge;
use super::{paths, queue, trust};
use openssl_sys as ffi;
use std::ffi::c_int;
use std::path::Path;
use std::sync::Arc;

/// `TLSVerifyMode`'s bits.
const PEER: c_int = 1;
const FAIL_IF_NO_PEER_CERT: c_int = 2;
const CLIENT_ONCE: c_int = 4;

impl Context {
    /// A server's context with its pair; clients are asked for nothing, and judged by `ca` once they are.
    pub fn socket_server(
        chain: &Path,
        key: &Path,
        ca: Option<&Path>,
    ) -> Result<Arc<Context>, Error> {
        let context = Context::server()?;
        context.load_certificate_itself(chain, key)?;
        if let Some(ca) = ca {
            context.load_ca_itself(ca)?;
        }
        Ok(context)
    }

    /// A client's context that verifies. Without a `ca` that can be loaded it trusts whom the system trusts, and says so
    /// in the log.
    pub fn socket_client(ca: Option<&Path>) -> Result<Arc<Context>, Error> {
        queue::with_clean_queue(|| {
            let context = Context::new(false)?;
            let store = context.store();
            let loaded = ca.map(|ca| {
                let ca = paths::checked(ca)?;
                match ca.is_dir() {
                    true => trust::Anything::read(ca).add(store),
                    false => paths::pem(ca).and_then(|pem| trust::add_pem(store, &pem)),
                }
            });
            let why = match loaded {
                Some(Ok(added)) => {
                    context.change(|settings| {
                        settings.trust = [added.digest].into();
                        Ok(())
                    })?;
                    return Ok(Arc::new(context));
                }
                Some(Err(error)) => error.text,
                None => "no CA is named".to_owned(),
            };
            match trust::add_system(store) {
                Ok(trusted) => {
                    crate::log!(Warn, "TLS: {why}: the system's trust store is used");
                    context.change(|settings| {
                        settings.trust = trusted;
                        Ok(())
                    })?;
                }
                Err(error) if ca.is_some() => {
                    return Err(Error {
                        errno: error.errno,
                        text: format!("{why}; {}", error.text),
                    })
                }
                Err(error) => crate::log!(Warn, "TLS: {why}, and {}", error.text),
            }
            Ok(Arc::new(context))
        })
    }

    /// A client's context that trusts nobody yet, and whose sockets verify nothing until a mode or a hostname is set.
    /// Versions as for [`Context::set_versions`]; time-outs that are not above 0 are the default's.
    pub fn socket_plain(min: c_int, max: c_int, timeouts: Timeouts) -> Result<Arc<Context>, Error> {
        let known =
            |version| version == 0 || (ffi::TLS1_VERSION..=ffi::TLS1_3_VERSION).contains(&version);
        let min = if min == 0 { ffi::TLS1_2_VERSION } else { min };
        if !known(min) || !known(max) || (max != 0 && max < min) {
            return Err(invalid(format!(
                "TLS: the versions {min:#06x} to {max:#06x} are no range; 0x0303 is TLS 1.2 and 0x0304 is TLS 1.3"
            )));
        }
        queue::with_clean_queue(|| {
            let mut context = Context::new(false)?;
            let default = Timeouts::default();
            let or = |chosen, default| if chosen > 0 { chosen } else { default };
            context.timeouts = Timeouts {
                handshake: or(timeouts.handshake, default.handshake),
                shutdown: or(timeouts.shutdown, default.shutdown),
                poll: or(timeouts.poll, default.poll),
            };
            context.change(|settings| {
                settings.lax = true;
                context.show_mode(Verify::None, 0);
                Ok(())
            })?;
            context.set_min_version(min)?;
            context.set_max_version(max)?;
            Ok(Arc::new(context))
        })
    }

    /// How long its sockets wait.
    pub fn timeouts(&self) -> Timeouts {
        self.timeouts
    }

    /// As [`Context::load_certificate`], at paths without tricks.
    pub fn load_certificate_itself(&self, chain: &Path, key: &Path) -> Result<(), Error> {
        self.load_identity(&paths::pem(chain)?, &paths::pem(key)?)
    }

    /// As [`Context::load_ca`], at a path without tricks; one where nothing can be loaded is kept as a hashed directory.
    pub fn load_ca_itself(&self, path: &Path) -> Result<(), Error> {
        let path = paths::checked(path)?;
        queue::with_clean_queue(|| {
            let found = trust::Anything::read(path);
            self.change(|settings| {
                let added = found.add(self.store())?;
                Context::trusts(settings, self.is_server(), added);
                Ok(())
            })
        })
    }

    /// What is checked, in bits: 0 nothing; 1 the peer; 2 the peer, and a client must show a certificate; 4 the peer, and
    /// a client that renegotiates is not asked again. Others count as 1.
    pub fn set_verify_bits(&self, bits: c_int) -> Result<(), Error> {
        let known = PEER | FAIL_IF_NO_PEER_CERT | CLIENT_ONCE;
        let bits = if bits & !known == 0 {
            bits
        } else {
            crate::log!(
                Warn,
                "TLS: there is no verification mode {bits}: the peer is verified"
            );
            PEER
        };
        let server = self.is_server();
        let mode = match bits {
            0 => Verify::None,
            _ if !server => Verify::Full,
            _ if bits & FAIL_IF_NO_PEER_CERT != 0 => Verify::RequireClient,
            _ => Verify::OptionalClient,
        };
        self.change(|settings| {
            settings.verify = Some(mode);
            settings.once = bits & CLIENT_ONCE != 0;
            self.show_mode(mode, settings.once());
            Ok(())
        })?;
        if mode == Verify::None && !server {
            self.warn_of_anybody();
        }
        Ok(())
    }

    /// The program's word on each certificate, with OpenSSL's view of it; `None` removes it. In place of
    /// [`Context::set_verify_callback`]'s, and the reverse.
    pub fn set_raw_verify_callback(
        &self,
        callback: Option<RawVerifyCallback>,
    ) -> Result<(), Error> {
        self.set_judge(callback.map(Judge::Raw))
    }

    /// The lowest version; 0 is the default, TLS 1.2.
    pub fn set_min_version(&self, version: c_int) -> Result<(), Error> {
        let version = if version == 0 {
            ffi::TLS1_2_VERSION
        } else {
            version
        };
        self.change(|_| {
            // SAFETY: a live context whose write lock is held; sessions copy it when they are made.
            match unsafe { ffi::SSL_CTX_set_min_proto_version(self.raw(), version) } {
                1 => Ok(()),
                _ => Err(unknown_version(version)),
            }
        })?;
        if version < ffi::TLS1_2_VERSION {
            crate::log!(
                Warn,
                "TLS: versions below 1.2 are allowed, as far as OpenSSL's security level lets them"
            );
        }
        Ok(())
    }

    /// The highest version; 0 is the highest there is.
    pub fn set_max_version(&self, version: c_int) -> Result<(), Error> {
        self.change(|_| {
            // SAFETY: as above.
            match unsafe { ffi::SSL_CTX_set_max_proto_version(self.raw(), version) } {
                1 => Ok(()),
                _ => Err(unknown_version(version)),
            }
        })
    }
}

fn unknown_version(version: c_int) -> Error {
    let _ = queue::take_first();
    invalid(format!(
        "TLS: there is no version {version:#06x}; 0x0303 is TLS 1.2 and 0x0304 is TLS 1.3"
    ))
}
