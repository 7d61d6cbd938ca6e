//! TLS on a connection that was READY without (STARTTLS): back to the handshake, with new callbacks and new limits.
//!
//! A plain connection keeps no bytes of the stream, so what the peer has sent and nobody has read is the handshake's.
//! Where that is no TLS, somebody put plain bytes between the agreement and the handshake, and it fails with words that
//! say so.

use super::machine::{Event, State};
use super::options::Options;
use super::{Conn, Establishing, NOT_DIRECT};
use crate::dns;
use crate::errno::Errno;
use crate::log::invalid;
use crate::transport::{self, FailureKind, Transport};
use std::net::IpAddr;
use std::rc::Rc;

impl Conn {
    /// Starts the handshake; `prepare` changes the callbacks once nothing can be refused any more. EISCONN, ENOTCONN,
    /// EAGAIN, EPIPE, EBUSY, EPERM, EINVAL leave everything as it was; ECANCELED: closed by a callback that ran inside.
    pub fn upgrade(
        self: &Rc<Self>,
        mut options: Options,
        prepare: impl FnOnce(&Conn),
    ) -> Result<(), Errno> {
        self.lp.check_process()?;
        match self.state() {
            State::Ready => {}
            State::TlsHandshake => return Err(Errno(libc::EISCONN)),
            _ => return Err(Errno(libc::ENOTCONN)),
        }
        self.check_in_use()?;
        self.check_in_use()?;
        let transport = self.transport().ok_or(Errno(libc::ENOTCONN))?;
        if transport.session().is_some() {
            return Err(Errno(libc::EISCONN));
        }
        if transport.write_ended() {
            return Err(Errno(libc::EPIPE));
        }
        if transport.has_unsent() {
            // Its first bytes (early_data), which TLS must not overtake.
            return Err(Errno(libc::EBUSY));
        }
        options.use_tls = true;
        options.check_early_data()?;
        options.check_side()?;
        let host = self.text(&self.view.host).unwrap_or_default();
        let nameless = self.adopted.get() || host.starts_with("unix:");
        if nameless && !options.server_side && options.server_name.is_none() {
            return Err(invalid(
                "a TLS client needs server_name here: the connection has an address or a path, which names nobody",
            ));
        }
        let limits = options.limits();
        let mut establishing = Establishing::new(options);
        establishing.ascii_host = name_to_expect(host);
        establishing.upgrade = true;
        establishing.unseen = true;

        prepare(self);
        self.view.use_tls.set(true);
        self.direct.set(NOT_DIRECT);
        self.established.set(false);
        // What ended in plain text is for the handshake to meet.
        self.read_done.set(false);
        self.hung_up.set(false);
        drop(self.establishing.replace(Some(establishing)));
        self.step(Event::Upgrade(limits));
        if self.closed.get() {
            return Err(Errno(libc::ECANCELED));
        }
        Ok(())
    }

    /// Whether this is the handshake of an upgrade.
    pub(super) fn is_upgrade(&self) -> bool {
        self.with_establishing(|e| e.upgrade).unwrap_or(false)
    }

    /// The failure to report where the first byte after the plain text is none of TLS.
    pub(super) fn foreign_first_byte(&self, transport: &Transport) -> Option<transport::Failure> {
        if !self.with_establishing(|e| e.unseen)? {
            return None;
        }
        let first = transport.peek()?;
        self.with_establishing(|e| e.unseen = false);
        // Each type of a record (RFC 8446, 5.1), and the greeting of clients that are older than TLS: for OpenSSL to
        // answer.
        if (20..=24).contains(&first) || first >= 0x80 {
            return None;
        }
        transport.discard_received();
        Some(transport::Failure {
            kind: FailureKind::Tls,
            errno: Errno(libc::EPROTO),
            text: "what the peer sent after the plain text is not TLS: it does not start TLS here, or plain bytes were \
                   slipped in before the handshake (STARTTLS injection)"
                .to_owned(),
        })
    }
}

/// The name or the address that a certificate has to be for, where the options name none.
fn name_to_expect(host: &str) -> String {
    let bare = host.trim_start_matches('[').trim_end_matches(']');
    let bare = bare.split('%').next().unwrap_or(bare);
    match bare.parse::<IpAddr>() {
        Ok(_) => bare.to_owned(),
        // It was looked up in this form, so there is one.
        Err(_) => dns::to_ascii(host).unwrap_or_default(),
    }
}
