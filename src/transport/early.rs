//! Early data of one TLS stream, in both roles: what a client sends with its first flight, what a server takes before the
//! handshake is complete. Costs a pointer where there is none.
//!
//! A client's bytes go out once, whatever becomes of them: early where the session allows all of them, otherwise (and when
//! the server turns them down) as the first bytes after the handshake. A server keeps what came early until the handshake
//! is complete: only then is it known that the flight was no copy of an older one.

use super::engine::Said;
use super::secure::{self, Secure};
use super::stream::Stream;
use crate::tls;
use openssl_sys as ffi;
use std::cell::Cell;
use std::mem::MaybeUninit;
use std::sync::Arc;

/// One read of early data.
const PIECE: usize = 4096;
/// Where one record is not enough, each is somewhat smaller than it could be: OpenSSL's servers, when they ask for another
/// key share, skip early records as if they were plaintext, and none that is larger with its tag than a plaintext may be.
const SMALLER_RECORD: usize = secure::RECORD - 256;

enum Stage {
    /// A client that has not begun.
    Unsent(Arc<Vec<u8>>),
    /// A client in the middle of writing its first flight: how much of it OpenSSL has.
    Writing(Arc<Vec<u8>>, usize),
    /// A client whose bytes are with the first flight; kept for a server that does not take them.
    Sent(Arc<Vec<u8>>),
    /// A server that looks for early data; at most so many bytes.
    Taking(Vec<u8>, usize),
    /// A server that has all of it: how much of it was read.
    Taken(Vec<u8>, usize),
    /// All was read: how much it was.
    Read(usize),
}

/// See the module.
pub(super) struct Early {
    // Taken out while OpenSSL runs, whose callbacks may come back here.
    stage: Cell<Option<Box<Stage>>>,
}

impl Early {
    pub(super) fn new(session: &tls::Session, to_send: Option<Arc<Vec<u8>>>) -> Early {
        let takes = session.takes_early_data();
        let stage = match to_send {
            _ if takes > 0 => Some(Stage::Taking(Vec::new(), takes)),
            Some(bytes) if !bytes.is_empty() => Some(Stage::Unsent(bytes)),
            _ => None,
        };
        Early {
            stage: Cell::new(stage.map(Box::new)),
        }
    }

    /// One step of the handshake.
    pub(super) fn step(&self, secure: &Secure) -> Said {
        // SAFETY: the SSL is alive.
        let shake = || secure.call(|ssl| unsafe { ffi::SSL_do_handshake(ssl) });
        let Some(mut stage) = self.stage.take() else {
            return shake();
        };
        let said = loop {
            *stage = match *stage {
                Stage::Unsent(bytes) if bytes.len() <= secure.session().allows_early_data() => {
                    Stage::Writing(bytes, 0)
                }
                Stage::Writing(bytes, written) if written == bytes.len() => Stage::Sent(bytes),
                Stage::Writing(bytes, written) => {
                    let rest = &bytes[written..];
                    let piece = match bytes.len() > secure::RECORD {
                        true => &rest[..rest.len().min(SMALLER_RECORD)],
                        false => rest,
                    };
                    let mut count = 0;
                    // SAFETY: the SSL is alive, the piece is readable for its length and the same each time, and `count`
                    // is a place for a size.
                    let said = secure.call(|ssl| unsafe {
                        ffi::SSL_write_early_data(
                            ssl,
                            piece.as_ptr().cast(),
                            piece.len(),
                            &mut count,
                        )
                    });
                    match said {
                        Said::Done => {
                            let written = written + piece.len();
                            Stage::Writing(bytes, written)
                        }
                        said => {
                            *stage = Stage::Writing(bytes, written);
                            break said;
                        }
                    }
                }
                Stage::Taking(mut bytes, most) => match take(secure, &mut bytes, most) {
                    Said::Done => {
                        bytes.shrink_to_fit();
                        Stage::Taken(bytes, 0)
                    }
                    said => {
                        *stage = Stage::Taking(bytes, most);
                        break said;
                    }
                },
                other => {
                    *stage = other;
                    break shake();
                }
            }
        };
        match (&said, &*stage) {
            // Nothing came early: nothing to remember.
            (Said::Done, Stage::Taken(bytes, _)) if bytes.is_empty() => return said,
            // A server that went back to TLS 1.2 cannot skip early data (RFC 8446, D.3): the next try is without.
            (Said::Failed(_), Stage::Sent(_)) => secure.session().forget_resumable(),
            _ => {}
        }
        self.stage.set(Some(stage));
        said
    }

    /// After a complete handshake: all of a client's bytes that the server has not got, before any other.
    pub(super) fn send_refused(&self, secure: &Secure, stream: &Stream) {
        let Some(stage) = self.stage.take() else {
            return;
        };
        let bytes = match *stage {
            Stage::Unsent(bytes) => bytes,
            Stage::Sent(bytes) | Stage::Writing(bytes, _) => {
                if secure.session().early_data_accepted() {
                    return;
                }
                bytes
            }
            _ => {
                self.stage.set(Some(stage));
                return;
            }
        };
        for piece in bytes.chunks(secure::PIECE) {
            // Whole or not at all: the BIO accepts every record.
            if secure.write_piece(stream, piece).is_err() {
                return;
            }
        }
    }

    #[inline]
    fn look<R>(&self, none: R, look: impl FnOnce(&Stage) -> R) -> R {
        match self.stage.take() {
            None => none,
            Some(stage) => {
                let result = look(&stage);
                self.stage.set(Some(stage));
                result
            }
        }
    }

    /// Early bytes that wait for a read, once the handshake is complete.
    #[inline]
    pub(super) fn unread(&self) -> usize {
        self.look(0, |stage| match stage {
            Stage::Taken(bytes, read) => bytes.len() - read,
            _ => 0,
        })
    }

    /// How many early bytes a server took.
    pub(super) fn received(&self) -> usize {
        self.look(0, |stage| match stage {
            Stage::Taken(bytes, _) => bytes.len(),
            Stage::Read(count) => *count,
            _ => 0,
        })
    }

    /// The next early bytes; `None` when there are none (any more).
    #[inline]
    pub(super) fn read(&self, buf: &mut [MaybeUninit<u8>]) -> Option<usize> {
        let mut stage = self.stage.take()?;
        let mut count = None;
        if let Stage::Taken(bytes, read) = &mut *stage {
            let rest = bytes.get(*read..).unwrap_or(&[]);
            for (to, from) in buf.iter_mut().zip(rest) {
                to.write(*from);
            }
            let copied = buf.len().min(rest.len());
            *read += copied;
            count = Some(copied);
            if copied == rest.len() {
                *stage = Stage::Read(bytes.len());
            }
        }
        self.stage.set(Some(stage));
        count
    }
}

/// Takes early bytes until there are no more: `Done` then, whether any came or not.
fn take(secure: &Secure, bytes: &mut Vec<u8>, most: usize) -> Said {
    let mut piece = [0u8; PIECE];
    loop {
        let (mut count, mut answer) = (0, ffi::SSL_READ_EARLY_DATA_ERROR);
        let said = secure.call(|ssl| {
            // SAFETY: the SSL is alive, `piece` is writable for its length, and `count` is a place for a size.
            answer = unsafe {
                ffi::SSL_read_early_data(ssl, piece.as_mut_ptr().cast(), piece.len(), &mut count)
            };
            i32::from(answer != ffi::SSL_READ_EARLY_DATA_ERROR)
        });
        if !matches!(said, Said::Done) || answer == ffi::SSL_READ_EARLY_DATA_FINISH {
            return said;
        }
        let got = &piece[..count.min(PIECE)];
        // OpenSSL lets no more pass than the limit that it was told.
        if bytes.len() + got.len() > most || bytes.try_reserve(got.len()).is_err() {
            return Said::NoMemory;
        }
        bytes.extend_from_slice(got);
    }
}
