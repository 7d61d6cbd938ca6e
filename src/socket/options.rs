//! What can be set on a socket and asked of it.

use super::data;
use super::error::{Error, Kind};
use super::object::{Route, Socket};
use super::option;
use super::stats::Snapshot;
use super::tls;
use super::wait::{wait, Deadline};
use crate::clock;
use crate::errno::Errno;
use crate::transport;
use std::ffi::{c_int, c_short};

/// The limits of TCP keepalive: seconds until the first probe and between probes, and how many.
const KEEPALIVE_MOST: [c_int; 3] = [31_536_000, 3600, 32];
const BUFFER_SIZES: std::ops::RangeInclusive<c_int> = 512..=1_048_576;
/// The longest name of a congestion control.
const CONGESTION_MOST: usize = 63;
const DEFER_ACCEPT_MOST: c_int = 3600;
/// Connections that may wait with early data.
const FAST_OPEN_WAITING: c_int = 256;

/// The kernel's refusal, by the name of the option.
fn refused(what: &'static str) -> impl Fn(Errno) -> Error {
    move |errno| Error::system(Kind::Socket, what, errno)
}

fn invalid(text: String) -> Error {
    Error::invalid(Kind::Socket, text)
}

impl Socket {
    fn set_int(
        &self,
        what: &'static str,
        level: c_int,
        name: c_int,
        value: c_int,
    ) -> Result<(), Error> {
        option::set_int(self.fd(), level, name, value).map_err(refused(what))
    }

    fn get_int(&self, what: &'static str, level: c_int, name: c_int) -> Result<c_int, Error> {
        option::get_int(self.fd(), level, name).map_err(refused(what))
    }

    /// O_NONBLOCK on.
    pub fn set_nonblocking(&self) -> Result<(), Error> {
        option::set_nonblocking(self.fd(), true)
            .map(drop)
            .map_err(refused("O_NONBLOCK"))
    }

    /// SO_REUSEADDR on.
    pub fn set_reuse_address(&self) -> Result<(), Error> {
        self.set_int("SO_REUSEADDR", libc::SOL_SOCKET, libc::SO_REUSEADDR, 1)
    }

    /// SO_REUSEPORT on.
    pub fn set_reuse_port(&self) -> Result<(), Error> {
        self.set_int("SO_REUSEPORT", libc::SOL_SOCKET, libc::SO_REUSEPORT, 1)
    }

    /// FD_CLOEXEC.
    pub fn set_close_on_exec(&self, on: bool) -> Result<(), Error> {
        option::set_cloexec(self.fd(), on).map_err(refused("FD_CLOEXEC"))
    }

    /// SO_RCVTIMEO and SO_SNDTIMEO, in seconds; 0 for none.
    pub fn set_kernel_timeout(&self, seconds: c_int) -> Result<(), Error> {
        if seconds < 0 {
            return Err(invalid(format!("a time-out of {seconds} s")));
        }
        // SAFETY: integers only, for which zeros are valid.
        let mut time: libc::timeval = unsafe { std::mem::zeroed() };
        time.tv_sec = seconds.into();
        for name in [libc::SO_RCVTIMEO, libc::SO_SNDTIMEO] {
            option::set(self.fd(), libc::SOL_SOCKET, name, &time)
                .map_err(refused("SO_RCVTIMEO and SO_SNDTIMEO"))?;
        }
        Ok(())
    }

    /// SO_RCVTIMEO in seconds, rounded up; 0 for none.
    pub fn kernel_timeout(&self) -> Result<c_int, Error> {
        // SAFETY: integers only, for which zeros are valid.
        let none: libc::timeval = unsafe { std::mem::zeroed() };
        let (time, _) = option::get(self.fd(), libc::SOL_SOCKET, libc::SO_RCVTIMEO, none)
            .map_err(refused("SO_RCVTIMEO"))?;
        let seconds = time.tv_sec.saturating_add((time.tv_usec > 0).into());
        Ok(c_int::try_from(seconds).unwrap_or(c_int::MAX))
    }

    /// TCP keepalive: seconds until the first probe, between probes, and how many.
    pub fn set_keepalive(&self, values: [c_int; 3]) -> Result<(), Error> {
        let names = ["idle", "interval", "count"];
        for ((value, most), name) in values.into_iter().zip(KEEPALIVE_MOST).zip(names) {
            if !(1..=most).contains(&value) {
                return Err(invalid(format!(
                    "keepalive: {name} {value}, and not 1 to {most}"
                )));
            }
        }
        let [idle, interval, count] = values;
        self.set_int("TCP_KEEPIDLE", libc::IPPROTO_TCP, libc::TCP_KEEPIDLE, idle)?;
        self.set_int(
            "TCP_KEEPINTVL",
            libc::IPPROTO_TCP,
            libc::TCP_KEEPINTVL,
            interval,
        )?;
        self.set_int("TCP_KEEPCNT", libc::IPPROTO_TCP, libc::TCP_KEEPCNT, count)?;
        self.set_int("SO_KEEPALIVE", libc::SOL_SOCKET, libc::SO_KEEPALIVE, 1)
    }

    /// As set; zeros where keepalive is off.
    pub fn keepalive(&self) -> Result<[c_int; 3], Error> {
        if self.get_int("SO_KEEPALIVE", libc::SOL_SOCKET, libc::SO_KEEPALIVE)? == 0 {
            return Ok([0; 3]);
        }
        Ok([
            self.get_int("TCP_KEEPIDLE", libc::IPPROTO_TCP, libc::TCP_KEEPIDLE)?,
            self.get_int("TCP_KEEPINTVL", libc::IPPROTO_TCP, libc::TCP_KEEPINTVL)?,
            self.get_int("TCP_KEEPCNT", libc::IPPROTO_TCP, libc::TCP_KEEPCNT)?,
        ])
    }

    /// TCP_NODELAY.
    pub fn set_nodelay(&self, on: bool) -> Result<(), Error> {
        self.set_int(
            "TCP_NODELAY",
            libc::IPPROTO_TCP,
            libc::TCP_NODELAY,
            on.into(),
        )
    }

    /// TCP_NODELAY.
    pub fn nodelay(&self) -> Result<bool, Error> {
        Ok(self.get_int("TCP_NODELAY", libc::IPPROTO_TCP, libc::TCP_NODELAY)? != 0)
    }

    /// TCP_CORK.
    pub fn cork(&self, on: bool) -> Result<(), Error> {
        self.set_int("TCP_CORK", libc::IPPROTO_TCP, libc::TCP_CORK, on.into())
    }

    /// SO_RCVBUF or SO_SNDBUF.
    pub fn set_buffer(&self, name: c_int, size: c_int) -> Result<(), Error> {
        if !BUFFER_SIZES.contains(&size) {
            let (least, most) = (BUFFER_SIZES.start(), BUFFER_SIZES.end());
            return Err(invalid(format!(
                "a buffer of {size} bytes, and not {least} to {most}"
            )));
        }
        self.set_int("SO_RCVBUF or SO_SNDBUF", libc::SOL_SOCKET, name, size)
    }

    /// SO_RCVBUF or SO_SNDBUF, as the kernel tells it.
    pub fn buffer(&self, name: c_int) -> Result<c_int, Error> {
        self.get_int("SO_RCVBUF or SO_SNDBUF", libc::SOL_SOCKET, name)
    }

    /// TCP_CONGESTION.
    pub fn set_congestion(&self, name: &[u8]) -> Result<(), Error> {
        if name.is_empty() || name.len() > CONGESTION_MOST {
            let text = format!(
                "a congestion control's name of {} bytes, and not 1 to {CONGESTION_MOST}",
                name.len()
            );
            return Err(invalid(text));
        }
        option::set_text(self.fd(), libc::IPPROTO_TCP, libc::TCP_CONGESTION, name).map_err(
            |errno| {
                let name = String::from_utf8_lossy(name);
                Error::system(Kind::Socket, format_args!("TCP_CONGESTION {name}"), errno)
            },
        )
    }

    /// TCP_CONGESTION, NUL-terminated.
    pub fn congestion(&self) -> Result<Vec<u8>, Errno> {
        let none = [0u8; CONGESTION_MOST + 1];
        let (name, _) = option::get(self.fd(), libc::IPPROTO_TCP, libc::TCP_CONGESTION, none)?;
        let mut name: Vec<u8> = name.into_iter().take_while(|byte| *byte != 0).collect();
        name.push(0);
        Ok(name)
    }

    /// TCP_FASTOPEN.
    pub fn set_fast_open(&self, on: bool) -> Result<(), Error> {
        let waiting = if on { FAST_OPEN_WAITING } else { 0 };
        self.set_int(
            "TCP_FASTOPEN",
            libc::IPPROTO_TCP,
            libc::TCP_FASTOPEN,
            waiting,
        )
    }

    /// TCP_FASTOPEN.
    pub fn fast_open(&self) -> Result<bool, Errno> {
        option::get_int(self.fd(), libc::IPPROTO_TCP, libc::TCP_FASTOPEN).map(|waiting| waiting > 0)
    }

    /// TCP_USER_TIMEOUT in milliseconds.
    pub fn set_user_timeout(&self, ms: u32) -> Result<(), Error> {
        let Ok(ms) = c_int::try_from(ms) else {
            return Err(invalid(format!(
                "a user time-out of {ms} ms, more than INT_MAX"
            )));
        };
        self.set_int(
            "TCP_USER_TIMEOUT",
            libc::IPPROTO_TCP,
            libc::TCP_USER_TIMEOUT,
            ms,
        )
    }

    /// TCP_USER_TIMEOUT in milliseconds; 0 where there is none.
    pub fn user_timeout(&self) -> u32 {
        option::get_int(self.fd(), libc::IPPROTO_TCP, libc::TCP_USER_TIMEOUT)
            .ok()
            .and_then(|ms| u32::try_from(ms).ok())
            .unwrap_or(0)
    }

    /// TCP_DEFER_ACCEPT in seconds.
    pub fn set_defer_accept(&self, seconds: c_int) -> Result<(), Error> {
        if !(0..=DEFER_ACCEPT_MOST).contains(&seconds) {
            return Err(invalid(format!(
                "defer accept: {seconds} s, and not 0 to {DEFER_ACCEPT_MOST}"
            )));
        }
        self.set_int(
            "TCP_DEFER_ACCEPT",
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
            seconds,
        )
    }

    /// TCP_DEFER_ACCEPT in seconds.
    pub fn defer_accept(&self) -> Result<c_int, Error> {
        self.get_int(
            "TCP_DEFER_ACCEPT",
            libc::IPPROTO_TCP,
            libc::TCP_DEFER_ACCEPT,
        )
    }

    /// shutdown(2) of the transport.
    pub fn shut(&self, how: c_int) -> Result<(), Error> {
        if ![libc::SHUT_RD, libc::SHUT_WR, libc::SHUT_RDWR].contains(&how) {
            return Err(invalid(format!(
                "shutdown: {how} is none of SHUT_RD, SHUT_WR, SHUT_RDWR"
            )));
        }
        // SAFETY: no memory is involved.
        match unsafe { libc::shutdown(self.fd(), how) } {
            0 => Ok(()),
            _ => Err(Error::with_peer(
                Kind::Socket,
                "shutdown of",
                self,
                Errno::last(),
            )),
        }
    }

    /// What was moved.
    pub fn stats(&self) -> Snapshot {
        self.stats.snapshot()
    }

    /// Forgets what was moved.
    pub fn reset_stats(&self) {
        self.stats.reset();
    }

    /// A rate for limited calls, in bytes a second; 0: no limit.
    pub fn set_bandwidth(&self, rate: usize) {
        self.bucket().set_rate(rate as u64, clock::now());
    }

    /// The rate for limited calls; 0: no limit.
    pub fn bandwidth(&self) -> usize {
        usize::try_from(self.bucket().rate()).unwrap_or(usize::MAX)
    }

    /// How many of `wanted` bytes a limited call may move now.
    pub fn allowed(&self, wanted: usize) -> usize {
        self.bucket().available(wanted, clock::now())
    }

    /// A limited call moved so many bytes.
    pub fn spend(&self, bytes: usize) {
        self.bucket().take(bytes);
    }

    /// How long until a limited call may move so many bytes; `None`: never.
    pub fn bandwidth_wait(&self, bytes: usize) -> Option<clock::Nanos> {
        self.bucket().wait(bytes, clock::now())
    }

    /// TCP_INFO, as much of it as the kernel has; `None` for what is not TCP.
    pub fn tcp_info(&self) -> Option<TcpInfo> {
        let got = option::get(
            self.fd(),
            libc::IPPROTO_TCP,
            libc::TCP_INFO,
            TcpInfo::default(),
        );
        got.ok().map(|(info, _)| info)
    }

    /// SO_ERROR, which asking clears.
    pub fn take_error(&self) -> Result<Errno, Errno> {
        transport::take_error(self.fd())
    }

    /// Whether a receive (or a send) would not wait.
    pub fn is_ready(&self, events: c_short) -> Result<bool, Errno> {
        let held_back = match self.route() {
            Route::Plain => false,
            Route::Tls => tls::has_buffered(self),
            Route::LeftOver => true,
        };
        if events == libc::POLLIN && held_back {
            return Ok(true);
        }
        wait(self.fd(), events, Deadline::after_ms(0)).map(|came| came & events != 0)
    }

    /// Whether the connection is still there, as far as can be seen within this time.
    pub fn probe(&self, ms: c_int) -> bool {
        if !self.is_connected() {
            return false;
        }
        let deadline = Deadline::after_ms(ms.max(0));
        match wait(self.fd(), libc::POLLIN | libc::POLLRDHUP, deadline) {
            Ok(0) => true,
            Ok(came) if came & (libc::POLLERR | libc::POLLNVAL) != 0 => false,
            Ok(_) => self.has_more(),
            Err(_) => false,
        }
    }

    /// Whether what makes it readable is bytes, and not its end.
    fn has_more(&self) -> bool {
        let mut byte = 0u8;
        let flags = libc::MSG_PEEK | libc::MSG_DONTWAIT;
        // SAFETY: room for one byte.
        match unsafe { libc::recv(self.fd(), (&raw mut byte).cast(), 1, flags) } {
            1.. => true,
            0 => self.kind() == libc::SOCK_DGRAM,
            _ => Errno::last().would_block(),
        }
    }

    /// The credentials of a Unix socket's peer.
    pub fn peer_credentials(&self) -> Option<libc::ucred> {
        let none = libc::ucred {
            pid: 0,
            uid: 0,
            gid: 0,
        };
        if self.domain() != libc::AF_UNIX {
            return None;
        }
        let got = option::get(self.fd(), libc::SOL_SOCKET, libc::SO_PEERCRED, none);
        // Without a peer the kernel fills in what nobody has.
        got.ok().map(|(peer, _)| peer).filter(|peer| peer.pid > 0)
    }
}

/// The kernel's `struct tcp_info`, up to what every kernel since 4.9 has.
#[repr(C)]
#[derive(Clone, Copy, Debug, Default)]
#[allow(missing_docs)]
pub struct TcpInfo {
    pub state: u8,
    pub ca_state: u8,
    pub retransmits: u8,
    pub probes: u8,
    pub backoff: u8,
    pub options: u8,
    /// The sender's in the low half, the receiver's in the high one.
    pub window_scales: u8,
    pub flags: u8,
    pub rto: u32,
    pub ato: u32,
    pub snd_mss: u32,
    pub rcv_mss: u32,
    pub unacked: u32,
    pub sacked: u32,
    pub lost: u32,
    pub retrans: u32,
    pub fackets: u32,
    pub last_data_sent: u32,
    pub last_ack_sent: u32,
    pub last_data_recv: u32,
    pub last_ack_recv: u32,
    pub pmtu: u32,
    pub rcv_ssthresh: u32,
    pub rtt: u32,
    pub rttvar: u32,
    pub snd_ssthresh: u32,
    pub snd_cwnd: u32,
    pub advmss: u32,
    pub reordering: u32,
    pub rcv_rtt: u32,
    pub rcv_space: u32,
    pub total_retrans: u32,
    pub pacing_rate: u64,
    pub max_pacing_rate: u64,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    pub segs_out: u32,
    pub segs_in: u32,
    pub notsent_bytes: u32,
    pub min_rtt: u32,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
    pub delivery_rate: u64,
}

impl TcpInfo {
    /// Smoothed round trip and its variation in microseconds; `None` before there was one.
    pub fn round_trip(&self) -> Option<(u32, u32)> {
        (self.rtt > 0).then_some((self.rtt, self.rttvar))
    }
}

/// Sends at most what the socket's rate allows now.
///
/// # Safety
/// `buf` is readable for `len` bytes.
pub unsafe fn send_limited(
    handle: &'static super::Handle,
    buf: *const u8,
    len: usize,
) -> data::Moved {
    // SAFETY: the caller's promise.
    limited(handle, len, |allowed| unsafe {
        data::send(handle, buf, allowed, 0)
    })
}

/// Receives at most what the socket's rate allows now.
///
/// # Safety
/// `buf` is writable for `len` bytes.
pub unsafe fn receive_limited(
    handle: &'static super::Handle,
    buf: *mut u8,
    len: usize,
) -> data::Moved {
    // SAFETY: the caller's promise.
    limited(handle, len, |allowed| unsafe {
        data::receive(handle, buf, allowed, 0)
    })
}

fn limited(
    handle: &'static super::Handle,
    len: usize,
    step: impl FnOnce(usize) -> data::Moved,
) -> data::Moved {
    match handle.look(|socket| socket.allowed(len)) {
        None => Err(data::freed()),
        Some(0) => Ok(None),
        Some(allowed) => {
            let moved = step(allowed)?;
            if let Some(count) = moved {
                handle.look(|socket| socket.spend(count));
            }
            Ok(moved)
        }
    }
}

/// Makes this process ignore SIGPIPE.
pub fn ignore_sigpipe() -> Result<(), Errno> {
    // SAFETY: integers and a pointer, for which zeros are valid.
    let mut action: libc::sigaction = unsafe { std::mem::zeroed() };
    action.sa_sigaction = libc::SIG_IGN;
    // SAFETY: a whole action, and no room for the old one.
    match unsafe { libc::sigaction(libc::SIGPIPE, &action, std::ptr::null_mut()) } {
        0 => Ok(()),
        _ => Err(Errno::last()),
    }
}
