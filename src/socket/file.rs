//! The bytes of a file.

use super::data;
use super::error::{Error, Kind};
use super::handle::Handle;
use super::object::Route;
use super::{tls, Progress};
use crate::errno::Errno;
use crate::transport::{self, Stop};
use libc::off_t;
use std::os::fd::RawFd;

/// Sends up to `count` bytes of a file, from `offset`, which moves on by what was sent, or from the file's own position,
/// which then does. `Ok(Some(0))` at the end of the file.
pub fn send_file(
    handle: &'static Handle,
    file: RawFd,
    offset: Option<&mut off_t>,
    count: usize,
) -> data::Moved {
    if count == 0 {
        return Ok(Some(0));
    }
    let Some((fd, route)) = handle.look(|socket| (socket.fd(), socket.route())) else {
        return Err(data::freed());
    };
    if route == Route::Tls {
        return data::through_tls(handle, |socket| {
            data::sent_by_tls(socket, tls::send_file(socket, file, offset, count))
        });
    }
    match transport::send_file(fd, file, offset, count) {
        Ok(0) => Ok(Some(0)),
        Ok(count) => {
            handle.look(|socket| socket.stats.sent.moved(count));
            Ok(Some(count))
        }
        Err(Stop::Blocked) => Ok(None),
        Err(Stop::Failed(failure)) => Err(data::send_failed(handle, failure.errno)),
        Err(Stop::Refused(errno)) => Err(of_file(handle, file, errno)),
    }
}

fn of_file(handle: &'static Handle, file: RawFd, errno: Errno) -> Error {
    handle.look(|socket| socket.stats.sent.failed());
    Error::system(
        Kind::Socket,
        format_args!("sendfile from descriptor {file}"),
        errno,
    )
}

/// As [`send_file`], until all is sent, the file ends, or it would block.
pub fn send_whole_file(
    handle: &'static Handle,
    file: RawFd,
    mut offset: Option<&mut off_t>,
    count: usize,
) -> Result<Progress, Error> {
    let mut done = 0;
    let mut blocked = false;
    while done < count {
        match send_file(handle, file, offset.as_deref_mut(), count - done)? {
            Some(0) => break,
            Some(sent) => done += sent,
            None => {
                blocked = true;
                break;
            }
        }
    }
    Ok(Progress {
        count: done,
        blocked,
    })
}
