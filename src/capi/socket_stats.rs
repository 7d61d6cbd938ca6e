//! `socket/Socket.h`: what is known of a socket's traffic and health. Must not know how it is found out.

// C names.
#![allow(non_camel_case_types, non_snake_case)]

use super::raise::raising;
use super::socket::{live, Socket_T};
use crate::socket::TcpInfo;
use std::ffi::c_int;

/// What a socket has moved. Times are in milliseconds of the clock of Socket_get_monotonic_ms, 0 for "not yet"; a packet is a
/// call that moved bytes.
#[repr(C)]
pub struct SocketStats_T {
    /// Bytes sent; with TLS the program's.
    pub bytes_sent: u64,
    /// Bytes received; with TLS the program's.
    pub bytes_received: u64,
    /// Calls that sent.
    pub packets_sent: u64,
    /// Calls that received.
    pub packets_received: u64,
    /// Calls that failed to send.
    pub send_errors: u64,
    /// Calls that failed to receive.
    pub recv_errors: u64,
    /// When the socket was made.
    pub create_time_ms: i64,
    /// When it was connected.
    pub connect_time_ms: i64,
    /// When it sent last.
    pub last_send_time_ms: i64,
    /// When it received last.
    pub last_recv_time_ms: i64,
    /// The round trip in microseconds; -1 where it is not known.
    pub rtt_us: i32,
    /// How much that varies; -1 where it is not known.
    pub rtt_var_us: i32,
}

/// TCP_INFO of Linux: counters and estimates of a TCP connection.
#[repr(C)]
#[derive(Default)]
#[allow(missing_docs)]
pub struct SocketTCPInfo {
    pub state: u8,
    pub ca_state: u8,
    pub retransmits: u8,
    pub probes: u8,
    pub backoff: u8,
    pub options: u8,
    pub snd_wscale: u8,
    pub rcv_wscale: u8,
    pub rto_us: u32,
    pub ato_us: u32,
    pub snd_mss: u32,
    pub rcv_mss: u32,
    pub unacked: u32,
    pub sacked: u32,
    pub lost: u32,
    pub retrans: u32,
    pub fackets: u32,
    pub last_data_sent_ms: u32,
    pub last_ack_sent_ms: u32,
    pub last_data_recv_ms: u32,
    pub last_ack_recv_ms: u32,
    pub pmtu: u32,
    pub rcv_ssthresh: u32,
    pub rtt_us: u32,
    pub rttvar_us: u32,
    pub snd_ssthresh: u32,
    pub snd_cwnd: u32,
    pub advmss: u32,
    pub reordering: u32,
    pub rcv_rtt_us: u32,
    pub rcv_space: u32,
    pub total_retrans: u32,
    pub pacing_rate: u64,
    pub max_pacing_rate: u64,
    pub bytes_acked: u64,
    pub bytes_received: u64,
    pub segs_out: u32,
    pub segs_in: u32,
    pub notsent_bytes: u32,
    pub min_rtt_us: u32,
    pub data_segs_in: u32,
    pub data_segs_out: u32,
    pub delivery_rate: u64,
}

/// What the socket has moved so far. Nothing happens for a NULL `stats`.
///
/// # Safety
/// `stats` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_getstats(socket: Socket_T, stats: *mut SocketStats_T) {
    raising(c"Socket_getstats", || {
        let socket = live(c"Socket_getstats", socket);
        // SAFETY: the caller's promise.
        let Some(place) = (unsafe { stats.as_mut() }) else {
            return Ok(());
        };
        let counted = socket.stats();
        let trip = socket.tcp_info().and_then(|info| info.round_trip());
        let (rtt, variation) = trip.map_or((-1, -1), |(rtt, variation)| {
            (number(rtt), number(variation))
        });
        *place = SocketStats_T {
            bytes_sent: counted.sent.bytes,
            bytes_received: counted.received.bytes,
            packets_sent: counted.sent.packets,
            packets_received: counted.received.packets,
            send_errors: counted.sent.errors,
            recv_errors: counted.received.errors,
            create_time_ms: counted.created,
            connect_time_ms: counted.connected,
            last_send_time_ms: counted.sent.last,
            last_recv_time_ms: counted.received.last,
            rtt_us: rtt,
            rtt_var_us: variation,
        };
        Ok(())
    })
}

fn number(value: u32) -> i32 {
    i32::try_from(value).unwrap_or(i32::MAX)
}

/// Forgets what the socket has moved; create_time_ms stays.
#[no_mangle]
pub extern "C" fn Socket_resetstats(socket: Socket_T) {
    raising(c"Socket_resetstats", || {
        live(c"Socket_resetstats", socket).reset_stats();
        Ok(())
    })
}

/// Whether the connection is still there, as far as can be seen in `timeout_ms` milliseconds (0: now): 1, or 0 when the peer has
/// ended or reset it, or there is none. Bytes stay to be received.
#[no_mangle]
pub extern "C" fn Socket_probe(socket: Socket_T, timeout_ms: c_int) -> c_int {
    raising(c"Socket_probe", || {
        Ok(live(c"Socket_probe", socket).probe(timeout_ms).into())
    })
}

/// The socket's pending error (SO_ERROR), which asking clears; 0: none.
#[no_mangle]
pub extern "C" fn Socket_get_error(socket: Socket_T) -> c_int {
    raising(c"Socket_get_error", || {
        let error = live(c"Socket_get_error", socket).take_error();
        Ok(error.unwrap_or_else(|errno| errno).0)
    })
}

/// Whether Socket_recv would not wait: 1 or 0; -1 with errno when that cannot be known. Bytes that TLS holds count.
#[no_mangle]
pub extern "C" fn Socket_is_readable(socket: Socket_T) -> c_int {
    ready(c"Socket_is_readable", socket, libc::POLLIN)
}

/// Whether Socket_send would not wait: 1 or 0; -1 with errno when that cannot be known.
#[no_mangle]
pub extern "C" fn Socket_is_writable(socket: Socket_T) -> c_int {
    ready(c"Socket_is_writable", socket, libc::POLLOUT)
}

fn ready(function: &'static std::ffi::CStr, socket: Socket_T, events: i16) -> c_int {
    super::raise::raising_with(function, || {
        Ok(match live(function, socket).is_ready(events) {
            Ok(ready) => (ready.into(), None),
            Err(errno) => (-1, Some(errno)),
        })
    })
}

/// The round trip of a TCP connection in microseconds; -1 where it is not known.
#[no_mangle]
pub extern "C" fn Socket_get_rtt(socket: Socket_T) -> i32 {
    raising(c"Socket_get_rtt", || {
        let trip = live(c"Socket_get_rtt", socket).tcp_info();
        let trip = trip.and_then(|info| info.round_trip());
        Ok(trip.map_or(-1, |(rtt, _)| number(rtt)))
    })
}

/// The congestion window of a TCP connection in segments; -1 where it is not known.
#[no_mangle]
pub extern "C" fn Socket_get_cwnd(socket: Socket_T) -> i32 {
    raising(c"Socket_get_cwnd", || {
        let info = live(c"Socket_get_cwnd", socket).tcp_info();
        Ok(info.map_or(-1, |info| number(info.snd_cwnd)))
    })
}

/// TCP_INFO of a TCP socket into `info`: 0, or -1 where there is none, or `info` is NULL.
///
/// # Safety
/// `info` is NULL or can be written.
#[no_mangle]
pub unsafe extern "C" fn Socket_get_tcp_info(socket: Socket_T, info: *mut SocketTCPInfo) -> c_int {
    raising(c"Socket_get_tcp_info", || {
        let asked = live(c"Socket_get_tcp_info", socket).tcp_info();
        // SAFETY: the caller's promise.
        Ok(match (asked, unsafe { info.as_mut() }) {
            (Some(asked), Some(place)) => {
                *place = asked.into();
                0
            }
            _ => -1,
        })
    })
}

impl From<TcpInfo> for SocketTCPInfo {
    fn from(info: TcpInfo) -> SocketTCPInfo {
        SocketTCPInfo {
            state: info.state,
            ca_state: info.ca_state,
            retransmits: info.retransmits,
            probes: info.probes,
            backoff: info.backoff,
            options: info.options,
            snd_wscale: info.window_scales & 0x0f,
            rcv_wscale: info.window_scales >> 4,
            rto_us: info.rto,
            ato_us: info.ato,
            snd_mss: info.snd_mss,
            rcv_mss: info.rcv_mss,
            unacked: info.unacked,
            sacked: info.sacked,
            lost: info.lost,
            retrans: info.retrans,
            fackets: info.fackets,
            last_data_sent_ms: info.last_data_sent,
            last_ack_sent_ms: info.last_ack_sent,
            last_data_recv_ms: info.last_data_recv,
            last_ack_recv_ms: info.last_ack_recv,
            pmtu: info.pmtu,
            rcv_ssthresh: info.rcv_ssthresh,
            rtt_us: info.rtt,
            rttvar_us: info.rttvar,
            snd_ssthresh: info.snd_ssthresh,
            snd_cwnd: info.snd_cwnd,
            advmss: info.advmss,
            reordering: info.reordering,
            rcv_rtt_us: info.rcv_rtt,
            rcv_space: info.rcv_space,
            total_retrans: info.total_retrans,
            pacing_rate: info.pacing_rate,
            max_pacing_rate: info.max_pacing_rate,
            bytes_acked: info.bytes_acked,
            bytes_received: info.bytes_received,
            segs_out: info.segs_out,
            segs_in: info.segs_in,
            notsent_bytes: info.notsent_bytes,
            min_rtt_us: info.min_rtt,
            data_segs_in: info.data_segs_in,
            data_segs_out: info.data_segs_out,
            delivery_rate: info.delivery_rate,
        }
    }
}
