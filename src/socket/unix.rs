//! Unix sockets: paths, and names of Linux's abstract namespace.

use super::address::bind_address;
use super::connect::{connect_address, start, told, Connected};
use super::error::{Error, Kind};
use super::object::Socket;
use super::wait::Deadline;
use crate::clock::SECOND;
use crate::errno::Errno;
use socket2::SockAddr;
use std::ffi::{c_int, OsStr};
use std::os::fd::RawFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::FileTypeExt;
use std::path::Path;
use std::time::Duration;

/// The longest path, and the longest abstract name with its `@`.
const LONGEST_PATH: usize = 107;
/// Between attempts at a listener whose queue is full: the kernel does not tell when it has room.
const PAUSE: u64 = SECOND / 200;

/// The address of `/path` and `@name`.
fn address(what: &str, path: &[u8]) -> Result<SockAddr, Error> {
    let shown = || String::from_utf8_lossy(path);
    let refused = |errno, why: &str| {
        let text = format!("{what} {}: {why}", shown());
        Error::new(Kind::Socket, Errno(errno), text)
    };
    if path.is_empty() || path == b"@" {
        return Err(refused(libc::EINVAL, "the path is empty"));
    }
    if path.contains(&0) {
        return Err(refused(libc::EINVAL, "the path has a NUL in it"));
    }
    if path.len() > LONGEST_PATH {
        let why = format!("the path is longer than {LONGEST_PATH} bytes");
        return Err(refused(libc::ENAMETOOLONG, &why));
    }
    let made = match path.strip_prefix(b"@") {
        Some(name) => {
            let mut name = name.to_vec();
            name.insert(0, 0);
            SockAddr::unix(OsStr::from_bytes(&name))
        }
        None if path.split(|byte| *byte == b'/').any(|part| part == b"..") => {
            return Err(refused(libc::EINVAL, "the path leads through `..`"));
        }
        None => SockAddr::unix(OsStr::from_bytes(path)),
    };
    made.map_err(|error| {
        let errno = Errno::from(error);
        refused(errno.0, &errno.to_string())
    })
}

fn failed(what: &str, path: &[u8], errno: Errno) -> Error {
    let path = String::from_utf8_lossy(path);
    Error::system(Kind::Socket, format_args!("{what} {path}"), errno)
}

/// Whether a path or an abstract name can be one.
pub fn check_path(path: &[u8]) -> Result<(), Error> {
    address("path", path).map(drop)
}

/// Binds to a path or an abstract name. A socket's file that is in the way is removed, any other is not.
pub fn bind_unix(socket: &Socket, path: &[u8]) -> Result<(), Error> {
    bind_path(socket.fd(), path)?;
    socket.refresh_local();
    Ok(())
}

/// As [`bind_unix`], whosever the descriptor is.
pub fn bind_path(fd: RawFd, path: &[u8]) -> Result<(), Error> {
    const WHAT: &str = "bind to";
    let addr = address(WHAT, path)?;
    if !path.starts_with(b"@") {
        let path = Path::new(OsStr::from_bytes(path));
        let in_the_way = std::fs::symlink_metadata(path);
        if in_the_way.is_ok_and(|file| file.file_type().is_socket()) {
            // What cannot be removed makes the bind fail.
            let _ = std::fs::remove_file(path);
        }
    }
    bind_address(fd, &addr).map_err(|errno| failed(WHAT, path, errno))
}

/// Connects a descriptor to a path or an abstract name, as its mode says.
pub fn connect_path(fd: RawFd, path: &[u8]) -> Result<(), Error> {
    const WHAT: &str = "connect to";
    let addr = address(WHAT, path)?;
    start(fd, &addr).map_err(|errno| failed(WHAT, path, errno))
}

/// Connects to a path or an abstract name; `ms` above 0: waits so long at most for a listener whose queue is full.
pub fn connect_unix(socket: &Socket, path: &[u8], ms: Option<c_int>) -> Result<Connected, Error> {
    const WHAT: &str = "connect to";
    let addr = address(WHAT, path)?;
    let deadline = ms.map(Deadline::after_ms);
    loop {
        match connect_address(socket, &addr, deadline) {
            Ok(connected) => return told(socket, connected),
            Err(errno) if errno.would_block() => match deadline {
                Some(deadline) if !deadline.is_over() => {
                    let left = deadline.left().unwrap_or(PAUSE);
                    std::thread::sleep(Duration::from_nanos(left.min(PAUSE)));
                }
                Some(_) => return Err(failed(WHAT, path, Errno(libc::ETIMEDOUT))),
                None => return Err(failed(WHAT, path, errno)),
            },
            Err(errno) => return Err(failed(WHAT, path, errno)),
        }
    }
}
