//! The bytes of a file to a stream: sendfile(2) where the stream is plain and the kernel can map the file, splice(2) from
//! a pipe, else by reading and writing. The file's place moves by what the stream took and no further.

use super::buffers;
use super::plain;
use super::{Failure, Stop, Transport};
use crate::errno::Errno;
use libc::off_t;
use std::os::fd::RawFd;

/// At most so much is taken by one call, so that one connection cannot keep a fast peer's loop to itself.
const MOST: usize = 4 << 20;
/// Copied at a time: records that are sent together.
const PIECE: usize = 64 * 1024;

/// As [`Transport::send_file`], for a plain socket that is no transport's: it may block.
pub fn send_plain(
    socket: RawFd,
    file: RawFd,
    offset: Option<&mut off_t>,
    count: usize,
) -> Result<usize, Stop> {
    let mut place = Place::new(offset)?;
    match mapped(socket, file, &mut place, count) {
        None | Some(Ok(0)) => {}
        Some(answer) => return told(answer),
    }
    match place.start(file) {
        Ok(start) => {
            let write = |bytes: &[u8]| send_waiting(socket, bytes);
            copied(write, file, start, place, count, PIECE)
        }
        Err(Errno(libc::ESPIPE)) if matches!(place, Place::Position) && is_pipe(file) => {
            told(splice_to(socket, file, count))
        }
        Err(errno) => Err(Stop::Refused(errno)),
    }
}

/// Sends as the socket's mode says.
fn send_waiting(socket: RawFd, bytes: &[u8]) -> Result<usize, Stop> {
    loop {
        // SAFETY: readable for its length.
        let sent = unsafe {
            libc::send(
                socket,
                bytes.as_ptr().cast(),
                bytes.len(),
                libc::MSG_NOSIGNAL,
            )
        };
        match usize::try_from(sent) {
            Ok(count) => return Ok(count),
            Err(_) => match Errno::last() {
                Errno(libc::EINTR) => {}
                errno => return told(Err(errno)),
            },
        }
    }
}

/// Moves up to `count` bytes from a pipe into a socket; EAGAIN also while the pipe is empty.
pub fn splice_to(socket: RawFd, pipe: RawFd, count: usize) -> Result<usize, Errno> {
    #[cfg(target_os = "linux")]
    {
        let none = std::ptr::null_mut();
        const FLAGS: libc::c_uint = libc::SPLICE_F_NONBLOCK;
        // SAFETY: no memory is involved: both offsets are NULL.
        let send = |room| unsafe { libc::splice(pipe, none, socket, none, room, FLAGS) };
        from_kernel(count, send).unwrap_or(Err(Errno(libc::EINVAL)))
    }
    #[cfg(not(target_os = "linux"))]
    {
        let _ = (socket, pipe, count);
        Err(Errno(libc::EINVAL))
    }
}

/// The kernel's answer about a socket that is no transport's.
fn told(answer: Result<usize, Errno>) -> Result<usize, Stop> {
    answer.map_err(|errno| match errno.would_block() {
        true => Stop::Blocked,
        false if is_sockets(errno) => Stop::Failed(Failure::io(errno)),
        false => Stop::Refused(errno),
    })
}

/// See [`Transport::send_file`].
pub(super) fn send(
    transport: &Transport,
    file: RawFd,
    offset: Option<&mut off_t>,
    count: usize,
) -> Result<usize, Stop> {
    transport.stream.check_writable()?;
    let count = count.min(MOST);
    let mut place = Place::new(offset)?;
    if transport.secure.is_none() {
        transport.send_first_bytes_first()?;
        match mapped(transport.fd(), file, &mut place, count) {
            // The end of the file, or one that the kernel cannot map: a read tells.
            None | Some(Ok(0)) => {}
            Some(answer) => return plain::sent(&transport.stream, answer),
        }
    }
    match place.start(file) {
        Ok(start) => copied(
            |piece| transport.write(piece),
            file,
            start,
            place,
            count,
            PIECE,
        ),
        Err(Errno(libc::ESPIPE)) if matches!(place, Place::Position) => {
            piped(transport, file, count)
        }
        Err(errno) => Err(Stop::Refused(errno)),
    }
}

/// By reading and writing, from a file that has places, `size` bytes at a time. `Blocked` is what `write` could not do;
/// `Refused` is about the file.
pub(super) fn copy(
    write: impl FnMut(&[u8]) -> Result<usize, Stop>,
    file: RawFd,
    offset: Option<&mut off_t>,
    count: usize,
    size: usize,
) -> Result<usize, Stop> {
    let place = match offset {
        Some(offset) if *offset < 0 => return Err(Stop::Refused(Errno(libc::EINVAL))),
        Some(offset) => Place::Offset(offset),
        None => Place::Position,
    };
    let start = place.start(file).map_err(Stop::Refused)?;
    let size = count.min(size);
    let mut buffer = Buffer::new(size)?;
    let answer = copied_by(&mut buffer, write, file, start, place, count, size);
    // The buffer is the thread's, whose next user shall find nothing of this.
    buffer.0.clear();
    buffer.0.resize(size, 0);
    answer
}

/// Where the file is read from, and what moves.
enum Place<'a> {
    Offset(&'a mut off_t),
    /// The file's own position.
    Position,
}

impl<'a> Place<'a> {
    fn new(offset: Option<&'a mut off_t>) -> Result<Place<'a>, Stop> {
        match offset {
            Some(offset) if *offset < 0 => Err(Stop::Refused(Errno(libc::EINVAL))),
            Some(offset) => Ok(Place::Offset(offset)),
            None => Ok(Place::Position),
        }
    }

    /// The first byte to read. ESPIPE where the file has no places, EBADF.
    fn start(&self, file: RawFd) -> Result<off_t, Errno> {
        // SAFETY: no memory is involved; any number is safe as a descriptor.
        let position = unsafe { libc::lseek(file, 0, libc::SEEK_CUR) };
        match self {
            _ if position < 0 => Err(Errno::last()),
            Place::Offset(offset) => Ok(**offset),
            Place::Position => Ok(position),
        }
    }

    fn move_to(self, file: RawFd, end: off_t) {
        match self {
            Place::Offset(offset) => *offset = end,
            // SAFETY: no memory is involved.
            Place::Position => unsafe {
                libc::lseek(file, end, libc::SEEK_SET);
            },
        }
    }
}

/// By sendfile: 0 at the end of the file; `None` where this is no file for it.
#[cfg(target_os = "linux")]
fn mapped(
    socket: RawFd,
    file: RawFd,
    place: &mut Place<'_>,
    count: usize,
) -> Option<Result<usize, Errno>> {
    let offset = match place {
        Place::Offset(offset) => std::ptr::from_mut::<off_t>(offset),
        Place::Position => std::ptr::null_mut(),
    };
    // SAFETY: `offset` is NULL or points to an offset of the caller's, which nothing else uses during the call.
    let send = |room| unsafe { libc::sendfile(socket, file, offset, room) };
    from_kernel(count, send)
}

#[cfg(not(target_os = "linux"))]
fn mapped(_: RawFd, _: RawFd, _: &mut Place<'_>, _: usize) -> Option<Result<usize, Errno>> {
    None
}

/// Runs a system call that moves bytes into the stream's socket. `None` where the answer is not the socket's: about the
/// file, or that this kind of file is not for this call.
#[cfg(target_os = "linux")]
fn from_kernel(count: usize, mut call: impl FnMut(usize) -> isize) -> Option<Result<usize, Errno>> {
    use super::faults::{allowance, Side};
    let Some(room) = allowance(Side::Send, count) else {
        return Some(Err(Errno(libc::EAGAIN)));
    };
    let answer = super::sigpipe::without(|| loop {
        match usize::try_from(call(room)) {
            Ok(count) => return Ok(count),
            Err(_) => match Errno::last() {
                Errno(libc::EINTR) => {}
                errno => return Err(errno),
            },
        }
    });
    match answer {
        Err(errno) if !errno.would_block() && !is_sockets(errno) => None,
        answer => Some(answer),
    }
}

/// Whether this errno of a call with a file and a socket is about the socket.
fn is_sockets(errno: Errno) -> bool {
    matches!(
        errno.0,
        libc::EPIPE
            | libc::ECONNRESET
            | libc::ECONNABORTED
            | libc::ECONNREFUSED
            | libc::ENOTCONN
            | libc::ETIMEDOUT
            | libc::EHOSTUNREACH
            | libc::EHOSTDOWN
            | libc::ENETUNREACH
            | libc::ENETDOWN
            | libc::ENETRESET
    )
}

fn copied(
    write: impl FnMut(&[u8]) -> Result<usize, Stop>,
    file: RawFd,
    start: off_t,
    place: Place<'_>,
    count: usize,
    size: usize,
) -> Result<usize, Stop> {
    let mut buffer = Buffer::new(count.min(size))?;
    copied_by(&mut buffer, write, file, start, place, count, size)
}

/// As [`copied`], by this buffer, in which bytes are left.
fn copied_by(
    buffer: &mut Buffer,
    mut write: impl FnMut(&[u8]) -> Result<usize, Stop>,
    file: RawFd,
    start: off_t,
    place: Place<'_>,
    count: usize,
    size: usize,
) -> Result<usize, Stop> {
    let mut taken = 0;
    let stop = loop {
        let room = (count - taken).min(size);
        if room == 0 {
            break None;
        }
        let Some(at) = off_t::try_from(taken)
            .ok()
            .and_then(|n| start.checked_add(n))
        else {
            break Some(Stop::Refused(Errno(libc::EOVERFLOW)));
        };
        // SAFETY: `to` is writable for `len` bytes.
        let piece = buffer.fill(room, |to, len| unsafe {
            libc::pread(file, to.cast(), len, at)
        });
        match piece {
            Ok([]) => break None,
            Ok(piece) => match write(piece) {
                Ok(count) => {
                    taken += count;
                    if count < piece.len() {
                        break None;
                    }
                }
                Err(stop) => break Some(stop),
            },
            Err(errno) => break Some(Stop::Refused(errno)),
        }
    };
    if taken > 0 {
        // What fits into the file's size fits into its offset.
        place.move_to(file, start.saturating_add(taken as off_t));
    }
    match stop {
        // The next call meets it again.
        Some(Stop::Blocked | Stop::Refused(_)) if taken > 0 => Ok(taken),
        Some(stop) => Err(stop),
        None => Ok(taken),
    }
}

/// From a pipe, whose bytes cannot be put back. EAGAIN also while it is empty, EINVAL for anything else without places.
fn piped(transport: &Transport, file: RawFd, count: usize) -> Result<usize, Stop> {
    if !is_pipe(file) {
        return Err(Stop::Refused(Errno(libc::EINVAL)));
    }
    #[cfg(target_os = "linux")]
    if transport.secure.is_none() {
        return match splice_to(transport.fd(), file, count) {
            Ok(0) => Ok(0),
            Err(errno) if !errno.would_block() && !is_sockets(errno) => Err(Stop::Refused(errno)),
            answer => plain::sent(&transport.stream, answer),
        };
    }
    // Only where all that is read is taken: TLS with nothing in its queue takes whole records.
    transport.can_take()?;
    let mut waiting = libc::pollfd {
        fd: file,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one pollfd, and no waiting.
    if unsafe { libc::poll(&mut waiting, 1, 0) } != 1 {
        return Err(Stop::Blocked);
    }
    let mut buffer = Buffer::new(count.min(PIECE))?;
    let piece = buffer.fill(count.min(PIECE), |to, len| {
        // SAFETY: `to` is writable for `len` bytes.
        unsafe { libc::read(file, to.cast(), len) }
    });
    let piece = piece.map_err(Stop::Refused)?;
    match transport.write(piece) {
        Ok(taken) if taken == piece.len() => Ok(taken),
        Err(Stop::Failed(failure)) => Err(Stop::Failed(failure)),
        // Bytes of the stream are gone: it must not look whole.
        _ => {
            let text = "bytes of a pipe could not be written";
            transport.fail(Errno(libc::EIO), text.to_owned());
            transport.write(piece)
        }
    }
}

fn is_pipe(file: RawFd) -> bool {
    let mut stat = std::mem::MaybeUninit::<libc::stat>::uninit();
    // SAFETY: there is room for a stat, which is read only where the call has filled it.
    unsafe {
        libc::fstat(file, stat.as_mut_ptr()) == 0
            && stat.assume_init().st_mode & libc::S_IFMT == libc::S_IFIFO
    }
}

/// A buffer of the thread's, given back at the end.
struct Buffer(Vec<u8>);

impl Buffer {
    fn new(room: usize) -> Result<Buffer, Stop> {
        let mut buffer = Buffer(buffers::take());
        match buffer.0.try_reserve(room) {
            Ok(()) => Ok(buffer),
            Err(_) => Err(Stop::Refused(Errno(libc::ENOMEM))),
        }
    }

    /// What `read` (an address, a length; -1 with errno) puts here; nothing at the end of the file.
    fn fill(
        &mut self,
        room: usize,
        mut read: impl FnMut(*mut u8, usize) -> isize,
    ) -> Result<&[u8], Errno> {
        self.0.clear();
        let room = room.min(self.0.capacity());
        loop {
            match usize::try_from(read(self.0.as_mut_ptr(), room)) {
                Ok(count) => {
                    // SAFETY: the capacity is at least `room`, and the kernel has filled `count` of it.
                    unsafe { self.0.set_len(count.min(room)) };
                    return Ok(&self.0);
                }
                Err(_) => match Errno::last() {
                    Errno(libc::EINTR) => {}
                    errno => return Err(errno),
                },
            }
        }
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        buffers::give(std::mem::take(&mut self.0));
    }
}
