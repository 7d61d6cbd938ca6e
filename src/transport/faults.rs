//! Faults on demand, in debug builds: short reads and writes and a kernel that is not ready, to walk the paths that a
//! fast local network never shows.
//!
//! `NETCONN_DEBUG_RMAX` and `NETCONN_DEBUG_WMAX`: at most so many bytes a system call. `NETCONN_DEBUG_RBLOCK` and
//! `NETCONN_DEBUG_WBLOCK`: so many calls of a hundred give EAGAIN without asking the kernel.

/// Which knobs to obey.
#[derive(Clone, Copy)]
pub(super) enum Side {
    Receive,
    Send,
}

/// How many of `len` bytes the next system call may move; `None`: pretend EAGAIN.
#[cfg(not(debug_assertions))]
#[inline(always)]
pub(super) fn allowance(_side: Side, len: usize) -> Option<usize> {
    Some(len)
}

/// How many of `len` bytes the next system call may move; `None`: pretend EAGAIN.
#[cfg(debug_assertions)]
pub(super) fn allowance(side: Side, len: usize) -> Option<usize> {
    let knobs = match side {
        Side::Receive => &knobs().receive,
        Side::Send => &knobs().send,
    };
    if knobs.block_percent > 0 && roll() < knobs.block_percent {
        return None;
    }
    Some(len.min(knobs.max))
}

#[cfg(debug_assertions)]
struct Knobs {
    max: usize,
    block_percent: u32,
}

#[cfg(debug_assertions)]
struct Both {
    receive: Knobs,
    send: Knobs,
}

#[cfg(debug_assertions)]
fn knobs() -> &'static Both {
    static KNOBS: once_cell::sync::OnceCell<Both> = once_cell::sync::OnceCell::new();
    fn number(name: &str) -> Option<u32> {
        crate::log::environment(name)?.parse().ok()
    }
    fn side(max: &str, block: &str) -> Knobs {
        Knobs {
            max: number(max).map_or(usize::MAX, |max| max.max(1) as usize),
            // 100 would be a connection that never moves.
            block_percent: number(block).unwrap_or(0).min(95),
        }
    }
    KNOBS.get_or_init(|| Both {
        receive: side("NETCONN_DEBUG_RMAX", "NETCONN_DEBUG_RBLOCK"),
        send: side("NETCONN_DEBUG_WMAX", "NETCONN_DEBUG_WBLOCK"),
    })
}

/// 0 to 99, the same sequence in each run (xorshift).
#[cfg(debug_assertions)]
fn roll() -> u32 {
    thread_local!(static STATE: std::cell::Cell<u32> = const { std::cell::Cell::new(0x9E37_79B9) });
    STATE.with(|state| {
        let mut x = state.get();
        x ^= x << 13;
        x ^= x >> 17;
        x ^= x << 5;
        state.set(x);
        x % 100
    })
}
