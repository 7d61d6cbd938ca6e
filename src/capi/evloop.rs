//! `evloop.h`: the event loop.

// C names; and what a C caller has to keep to stands in each comment, which becomes the header's.
#![allow(non_camel_case_types, clippy::missing_safety_doc)]

use super::guard::{self, fallible, infallible};
use super::shim::NoFrames;
use crate::clock;
use crate::errno::Errno;
use crate::evloop::{
    destroy_all, is_loop, Attached, Interest, IoHandler, Loop, SignalHandler, SignalWatcher, Timer,
    TimerHandler, Watcher,
};
use std::ffi::{c_int, c_void};
use std::rc::Rc;

/// Readable: bytes or the end of the stream can be read, a connection can be accepted.
pub const EVLOOP_READ: c_int = 0x01;
/// Writable: bytes can be written, a connection attempt has ended.
pub const EVLOOP_WRITE: c_int = 0x02;

/// An event loop. It belongs to the first thread that runs it: but for `evloop_post`, `evloop_wakeup` and `evloop_break`, which any
/// thread may call, everything that names the loop or an object on it is called on that thread.
#[repr(C)]
pub struct ev_loop {
    _private: [u8; 0],
}

/// A watched file descriptor. The loop owns it until `evloop_io_free`.
#[repr(C)]
pub struct evloop_io {
    _private: [u8; 0],
}

/// A timer. The loop owns it until `evloop_timer_free`.
#[repr(C)]
pub struct evloop_timer {
    _private: [u8; 0],
}

/// A watched signal. The loop owns it until `evloop_signal_free`.
#[repr(C)]
pub struct evloop_signal {
    _private: [u8; 0],
}

/// Called when a descriptor is ready; `revents` has those of the bits asked for that are. Hang-up and error count as all
/// of them. A call may be spurious: the descriptor is non-blocking.
pub type ev_io_cb_t = Option<unsafe extern "C" fn(fd: c_int, revents: c_int, arg: *mut c_void)>;

/// Called when a timer fires.
pub type ev_timer_cb_t = Option<unsafe extern "C" fn(arg: *mut c_void)>;

/// A C function without further arguments, and what it is called with.
struct Callback {
    function: unsafe extern "C" fn(*mut c_void),
    arg: *mut c_void,
}

impl Callback {
    fn call(&self) {
        // SAFETY: the C program gave the function and the argument together and keeps both usable until the callback ran or its
        // object ended.
        unsafe { (self.function)(self.arg) }
    }
}

impl TimerHandler for Callback {
    fn on_timer(self: Rc<Self>) {
        self.call();
    }
}

impl Attached for Callback {
    fn on_loop_freed(self: Rc<Self>) {
        let _frames = NoFrames::begin();
        self.call();
    }
}

// SAFETY: `evloop_post` promises the program that its function runs on the loop's thread with that argument; the pointer is not used on the way.
unsafe impl Send for Callback {}

struct IoCallback {
    function: unsafe extern "C" fn(c_int, c_int, *mut c_void),
    arg: *mut c_void,
}

impl IoHandler for IoCallback {
    fn on_io(self: Rc<Self>, fd: c_int, ready: Interest) {
        // SAFETY: as in `Callback::call`.
        unsafe { (self.function)(fd, c_int::from(ready.0), self.arg) }
    }
}

struct SignalCallback {
    function: unsafe extern "C" fn(c_int, *mut c_void),
    arg: *mut c_void,
}

impl SignalHandler for SignalCallback {
    fn on_signal(self: Rc<Self>, signum: c_int) {
        // SAFETY: as in `Callback::call`.
        unsafe { (self.function)(signum, self.arg) }
    }
}

/// The object behind a handle, with a count of its own for the length of the call: the call may end it.
///
/// # Safety
/// `handle` is NULL or the address inside an `Rc<T>` that the loop owns still.
unsafe fn object<T, H>(handle: *mut H) -> Option<Rc<T>> {
    let address: *const T = handle.cast_const().cast();
    if address.is_null() {
        return None;
    }
    // SAFETY: the caller promises a living object in an `Rc`, and that this is its thread.
    unsafe {
        Rc::increment_strong_count(address);
        Some(Rc::from_raw(address))
    }
}

/// The loop behind a handle, checked: `Err` for NULL and in a forked child.
///
/// # Safety
/// As for [`object`].
pub(crate) unsafe fn loop_at(lp: *mut ev_loop, function: &str) -> Result<Rc<Loop>, Errno> {
    // SAFETY: passed on.
    let lp: Rc<Loop> = unsafe { object(lp) }.ok_or(Errno(libc::EINVAL))?;
    lp.check_process()?;
    lp.check_thread(function);
    Ok(lp)
}

/// The same where something is created: NULL is the default loop.
///
/// # Safety
/// As for [`object`].
pub(crate) unsafe fn loop_or_default(lp: *mut ev_loop, function: &str) -> Result<Rc<Loop>, Errno> {
    if lp.is_null() {
        let lp = Loop::default_loop()?;
        lp.check_thread(function);
        return Ok(lp);
    }
    // SAFETY: passed on.
    unsafe { loop_at(lp, function) }
}

/// EINVAL for what is not the address of a living loop. Asked where a program may hold loops of two libraries.
fn known(lp: *mut ev_loop) -> Result<(), Errno> {
    match is_loop(lp.cast_const().cast()) {
        true => Ok(()),
        false => Err(Errno(libc::EINVAL)),
    }
}

fn interest(events: c_int) -> Result<Interest, Errno> {
    match u8::try_from(events) {
        Ok(bits) if events & !(EVLOOP_READ | EVLOOP_WRITE) == 0 => Ok(Interest(bits)),
        _ => Err(Errno(libc::EINVAL)),
    }
}

/// The process's one default loop, made at the first call; in a forked child a new one. NULL and `errno` (EMFILE, ENFILE,
/// ENOMEM) where there is none to be had. Any thread.
#[no_mangle]
pub unsafe extern "C" fn evloop_get_default() -> *mut ev_loop {
    fallible(|| {
        guard::quiet_panics();
        Ok(Loop::default_address()?.cast_mut().cast())
    })
}

/// A loop of one's own, to be ended with `evloop_free`. NULL and `errno` (EMFILE, ENFILE, ENOMEM).
#[no_mangle]
pub unsafe extern "C" fn evloop_new() -> *mut ev_loop {
    fallible(|| {
        guard::quiet_panics();
        Ok(Rc::as_ptr(&Loop::new()?).cast_mut().cast())
    })
}

/// Frees a loop and everything that is attached to it: watchers, timers, signals, lookups, connections. Their pointers
/// are dead on return and none of their callbacks runs any more; posted work that has not run is dropped. Legal inside a callback of this loop:
/// its `evloop_run` then returns. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_free(lp: *mut ev_loop) {
    infallible((), || {
        // SAFETY: a C caller's loop is NULL or alive.
        if let Some(lp) = unsafe { object::<Loop, _>(lp) } {
            lp.check_thread("evloop_free");
            lp.free();
        }
    })
}

/// Watches `fd` for `events` (`EVLOOP_READ`, `EVLOOP_WRITE`, both, or 0 for an idle watcher). Several watchers on one
/// descriptor are allowed; each gets only what it asked for, for as long as it holds (level-triggered). A descriptor
/// that the system cannot poll (a regular file) counts as always ready. `fd` stays the caller's, who ends the watching
/// before closing it. `lp` NULL: the default loop.
///
/// The watcher, which lives until `evloop_io_free`; or NULL and `errno`: EBADF, ENOMEM, EINVAL for unknown bits or a NULL callback, EPERM
/// in a forked child. Any callback may call it.
#[no_mangle]
pub unsafe extern "C" fn evloop_io_start(
    lp: *mut ev_loop,
    fd: c_int,
    events: c_int,
    cb: ev_io_cb_t,
    arg: *mut c_void,
) -> *mut evloop_io {
    fallible(|| {
        let function = cb.ok_or(Errno(libc::EINVAL))?;
        let interest = interest(events)?;
        // SAFETY: a C caller's loop is NULL or alive.
        let lp = unsafe { loop_or_default(lp, "evloop_io_start") }?;
        let watcher = lp.watch(fd, interest, Rc::new(IoCallback { function, arg }))?;
        watcher.set_ref(true);
        Ok(Rc::as_ptr(&watcher).cast_mut().cast())
    })
}

/// Runs `body` on a watcher, a timer or a signal, unless it is NULL or of a loop of the parent process.
macro_rules! on_object {
    ($type:ty, $handle:expr, $function:literal, $body:expr) => {
        infallible((), || {
            // SAFETY: a C caller's object is NULL or not freed yet.
            if let Some(object) = unsafe { object::<$type, _>($handle) } {
                object.owner().check_thread($function);
                if object.owner().check_process().is_ok() {
                    let body: fn(&Rc<$type>) = $body;
                    body(&object);
                }
            }
        })
    };
}

/// New interest, as in `evloop_io_start`; restarts a stopped watcher. Costs no system call before the loop next waits.
/// Unknown bits leave the watcher as it is. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_io_update(io: *mut evloop_io, events: c_int) {
    infallible((), || {
        // SAFETY: a C caller's watcher is NULL or not freed yet.
        if let Some(watcher) = unsafe { object::<Watcher, _>(io) } {
            watcher.owner().check_thread("evloop_io_update");
            if let (Ok(()), Ok(interest)) = (watcher.owner().check_process(), interest(events)) {
                watcher.set_interest(interest);
            }
        }
    })
}

/// Stops a watcher and keeps it for a later `evloop_io_update`. It gets no more events, not even those already
/// collected. Legal inside its own callback. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_io_stop(io: *mut evloop_io) {
    on_object!(Watcher, io, "evloop_io_stop", |watcher| watcher.stop())
}

/// Stops and releases a watcher. Its descriptor may be closed right after. Legal inside its own callback. NULL is a
/// no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_io_free(io: *mut evloop_io) {
    infallible((), || {
        // SAFETY: a C caller's watcher is NULL or not freed yet.
        if let Some(watcher) = unsafe { object::<Watcher, _>(io) } {
            watcher.owner().check_thread("evloop_io_free");
            watcher.close();
        }
    })
}

/// A started watcher keeps `evloop_run` running: the default. Idempotent; NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_io_ref(io: *mut evloop_io) {
    on_object!(Watcher, io, "evloop_io_ref", |watcher| watcher
        .set_ref(true))
}

/// The watcher does not keep `evloop_run` running. Idempotent; NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_io_unref(io: *mut evloop_io) {
    on_object!(Watcher, io, "evloop_io_unref", |watcher| watcher
        .set_ref(false))
}

/// Starts a timer that fires `after` seconds from this call (not from the loop's cached time) and then, where `repeat`
/// is above 0, every `repeat` seconds. Negative and NaN count as 0; infinity never comes. On the monotonic clock, never early;
/// equal times in the order of starting; a repeat that is overdue fires once, not in a burst. `lp` NULL: the default loop.
///
/// The timer, which lives until `evloop_timer_free`, also when it has fired; or NULL and `errno`: EINVAL for a NULL
/// callback, EPERM in a forked child. Any callback may call it: a timer started in a round fires in a later one.
#[no_mangle]
pub unsafe extern "C" fn evloop_timer_start(
    lp: *mut ev_loop,
    after: f64,
    repeat: f64,
    cb: ev_timer_cb_t,
    arg: *mut c_void,
) -> *mut evloop_timer {
    fallible(|| {
        let function = cb.ok_or(Errno(libc::EINVAL))?;
        // SAFETY: a C caller's loop is NULL or alive.
        let lp = unsafe { loop_or_default(lp, "evloop_timer_start") }?;
        let timer = lp.timer(Rc::new(Callback { function, arg }));
        timer.set_ref(true);
        timer.start(clock::from_seconds(after), clock::from_seconds(repeat));
        Ok(Rc::as_ptr(&timer).cast_mut().cast())
    })
}

/// Starts a timer anew, with times as in `evloop_timer_start`, whether it is armed, stopped or has fired. Legal inside
/// its own callback. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_timer_reschedule(
    timer: *mut evloop_timer,
    after: f64,
    repeat: f64,
) {
    infallible((), || {
        // SAFETY: a C caller's timer is NULL or not freed yet.
        if let Some(timer) = unsafe { object::<Timer, _>(timer) } {
            timer.owner().check_thread("evloop_timer_reschedule");
            if timer.owner().check_process().is_ok() {
                timer.start(clock::from_seconds(after), clock::from_seconds(repeat));
            }
        }
    })
}

/// Stops a timer and keeps it for a later `evloop_timer_reschedule`. Legal inside its own callback. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_timer_stop(timer: *mut evloop_timer) {
    on_object!(Timer, timer, "evloop_timer_stop", |timer| timer
        .set_deadline(None))
}

/// Stops and releases a timer. Legal inside its own callback. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_timer_free(timer: *mut evloop_timer) {
    infallible((), || {
        // SAFETY: a C caller's timer is NULL or not freed yet.
        if let Some(timer) = unsafe { object::<Timer, _>(timer) } {
            timer.owner().check_thread("evloop_timer_free");
            timer.close();
        }
    })
}

/// An armed timer keeps `evloop_run` running: the default. Idempotent; NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_timer_ref(timer: *mut evloop_timer) {
    on_object!(Timer, timer, "evloop_timer_ref", |timer| timer
        .set_ref(true))
}

/// The timer does not keep `evloop_run` running. Idempotent; NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_timer_unref(timer: *mut evloop_timer) {
    on_object!(Timer, timer, "evloop_timer_unref", |timer| timer
        .set_ref(false))
}

/// Runs until `evloop_break`, or until nothing is active. Active are: a started watcher (whatever it asks for), an armed
/// timer, a lookup, posted work, a watched signal, a connection that is neither closed nor in the state CLOSED or ERROR; not
/// what was unref'd. May be called inside a callback. The caller's thread owns the loop from the first call on. NULL, and a loop of
/// the parent in a forked child: returns at once.
#[no_mangle]
pub unsafe extern "C" fn evloop_run(lp: *mut ev_loop) {
    infallible((), || {
        // SAFETY: a C caller's loop is NULL or alive.
        if let Ok(lp) = unsafe { loop_at(lp, "evloop_run") } {
            // For all callbacks at once: none of them may raise through the loop.
            let _frames = NoFrames::begin();
            lp.run_guarded();
        }
    })
}

/// One round: waits at most `timeout_ms` milliseconds (negative: no limit, but not where nothing is active) and runs
/// what is ready. The number of callbacks run; or -1 and `errno`: EINVAL for NULL, EPERM in a forked child.
#[no_mangle]
pub unsafe extern "C" fn evloop_run_once(lp: *mut ev_loop, timeout_ms: c_int) -> c_int {
    fallible(|| {
        // SAFETY: a C caller's loop is NULL or alive.
        let lp = unsafe { loop_at(lp, "evloop_run_once") }?;
        let _frames = NoFrames::begin();
        let ran = lp.run_once_guarded(timeout_ms.max(-1))?;
        Ok(c_int::try_from(ran).unwrap_or(c_int::MAX))
    })
}

/// Every running `evloop_run` and `evloop_run_once` of this loop returns after the current callback; without effect
/// while none runs. Any thread. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_break(lp: *mut ev_loop) {
    infallible((), || {
        if !lp.is_null() {
            // SAFETY: a C caller's loop is alive during the call.
            unsafe { Loop::remote_of(lp.cast_const().cast()) }.break_all();
        }
    })
}

/// Runs `fn` once on the loop, with `arg`. Any thread; what one thread posts runs in order. What is posted during a
/// round runs in a later one. 0; or -1 and `errno`: EINVAL for NULL, ENOMEM, EPERM in a forked child. On -1 `fn`
/// never runs, nor when the loop is freed before.
#[no_mangle]
pub unsafe extern "C" fn evloop_post(
    lp: *mut ev_loop,
    r#fn: Option<unsafe extern "C" fn(arg: *mut c_void)>,
    arg: *mut c_void,
) -> c_int {
    fallible(|| {
        let function = r#fn.ok_or(Errno(libc::EINVAL))?;
        if lp.is_null() {
            return Err(Errno(libc::EINVAL));
        }
        let callback = Callback { function, arg };
        // SAFETY: a C caller's loop is alive during the call.
        unsafe { Loop::remote_of(lp.cast_const().cast()) }.post(move || callback.call())?;
        Ok(0)
    })
}

/// The loop's current wait returns, or else its next one. Any thread, and a signal handler. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_wakeup(lp: *mut ev_loop) {
    // Nothing here may allocate or lock: no guard either, since nothing here can panic.
    let before = Errno::last();
    if !lp.is_null() {
        // SAFETY: a C caller's loop is alive during the call.
        unsafe { Loop::remote_of(lp.cast_const().cast()) }.wakeup();
    }
    before.set();
}

/// The loop's time in seconds on the monotonic clock, read at most once in a round. 0 for NULL.
#[no_mangle]
pub unsafe extern "C" fn evloop_now(lp: *mut ev_loop) -> f64 {
    infallible(0.0, || {
        // SAFETY: a C caller's loop is NULL or alive.
        let lp: Option<Rc<Loop>> = unsafe { object(lp) };
        lp.map_or(0.0, |lp| {
            lp.check_thread("evloop_now");
            lp.now() as f64 / clock::SECOND as f64
        })
    })
}

/// A descriptor for another loop to watch: readable whenever a round has work, expired timers and posted work included;
/// the host then calls `evloop_run_once(lp, 0)`. The loop's: not to be closed. From the first call on, interest changes
/// reach the kernel at once, those made in a round at its end; a host that runs inside a callback of this loop calls
/// `evloop_timeout_ms` before it waits. For libev, libevent, libuv and GLib see `adapters/`. -1 and `errno`: EINVAL for NULL, EMFILE, ENFILE, ENOMEM, EPERM in a forked child.
#[no_mangle]
pub unsafe extern "C" fn evloop_fd(lp: *mut ev_loop) -> c_int {
    fallible(|| {
        // SAFETY: a C caller's loop is NULL or alive.
        unsafe { loop_at(lp, "evloop_fd") }?.embed_fd()
    })
}

/// Milliseconds until the loop has something to do whatever its descriptors say: 0 when work waits now, -1 for never. Brings
/// the descriptor of `evloop_fd` up to date.
/// -1 and `errno`: EINVAL for NULL, EPERM in a forked child.
#[no_mangle]
pub unsafe extern "C" fn evloop_timeout_ms(lp: *mut ev_loop) -> c_int {
    fallible(|| {
        // SAFETY: a C caller's loop is NULL or alive.
        Ok(unsafe { loop_at(lp, "evloop_timeout_ms") }?.timeout_ms())
    })
}

/// Makes a signal an event: `cb` runs on the loop, once for several arrivals in short order. Several loops and watchers
/// may share a number; while it is watched, nothing else happens on its arrival, and the last watcher to go
/// restores what did before. `lp` NULL: the default loop.
///
/// The watcher, which lives until `evloop_signal_free`; or NULL and `errno`: EINVAL for a NULL callback and for a number
/// that cannot be caught (SIGKILL, SIGSTOP) or not usefully (SIGSEGV, SIGBUS, SIGFPE, SIGILL: returning from their
/// handler repeats the fault); EPERM in a forked child, where the signals of the parent's loops do again what they did before.
#[no_mangle]
pub unsafe extern "C" fn evloop_signal_start(
    lp: *mut ev_loop,
    signum: c_int,
    cb: Option<unsafe extern "C" fn(signum: c_int, arg: *mut c_void)>,
    arg: *mut c_void,
) -> *mut evloop_signal {
    fallible(|| {
        let function = cb.ok_or(Errno(libc::EINVAL))?;
        // SAFETY: a C caller's loop is NULL or alive.
        let lp = unsafe { loop_or_default(lp, "evloop_signal_start") }?;
        let watcher = lp.watch_signal(signum, Rc::new(SignalCallback { function, arg }))?;
        Ok(Rc::as_ptr(&watcher).cast_mut().cast())
    })
}

/// Stops watching a signal; arrivals that were not told yet are forgotten. The object stays. Legal inside its own callback. NULL is a
/// no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_signal_stop(signal: *mut evloop_signal) {
    on_object!(SignalWatcher, signal, "evloop_signal_stop", |signal| signal
        .stop())
}

/// Stops watching a signal and releases the object. Legal inside its own callback. NULL is a no-op.
#[no_mangle]
pub unsafe extern "C" fn evloop_signal_free(signal: *mut evloop_signal) {
    infallible((), || {
        // SAFETY: a C caller's object is NULL or not freed yet.
        if let Some(signal) = unsafe { object::<SignalWatcher, _>(signal) } {
            signal.owner().check_thread("evloop_signal_free");
            signal.close();
        }
    })
}

/// Puts one pointer of the program's own at the loop (made for adapters to other loops). `detach`, which may be NULL, is
/// called with it by `evloop_free`, before anything of the loop is closed; but not in a forked child, for a loop that is still
/// the parent's: what it knows may be shared. An `attachment` of NULL takes the pointer away without calling `detach`.
/// 0; or -1 and `errno`: EEXIST when there is one already, EINVAL for what is no loop of this library (NULL, a freed one, one of
/// libev's, which has the same type name), EPERM in a forked child.
#[no_mangle]
pub unsafe extern "C" fn evloop_set_attachment(
    lp: *mut ev_loop,
    attachment: *mut c_void,
    detach: Option<unsafe extern "C" fn(attachment: *mut c_void)>,
) -> c_int {
    fallible(|| {
        known(lp)?;
        // SAFETY: just found among the loops that are alive.
        let lp = unsafe { loop_at(lp, "evloop_set_attachment") }?;
        let detach = detach.map(|function| {
            Rc::new(Callback {
                function,
                arg: attachment,
            }) as Rc<dyn Attached>
        });
        lp.set_attachment(attachment, detach)?;
        Ok(0)
    })
}

/// The pointer put there with `evloop_set_attachment`, or NULL. NULL and EINVAL for what is no loop of this library: any pointer may be
/// asked about, since it is looked for in a list and not followed. While there is no attachment, NULL and `errno` as it was.
#[no_mangle]
pub unsafe extern "C" fn evloop_get_attachment(lp: *mut ev_loop) -> *mut c_void {
    fallible(|| {
        known(lp)?;
        // SAFETY: just found among the loops that are alive.
        let lp: Rc<Loop> = unsafe { object(lp) }.ok_or(Errno(libc::EINVAL))?;
        lp.check_thread("evloop_get_attachment");
        Ok(lp.attachment())
    })
}

/// In a child of `fork`: makes a loop of the parent's the child's, with every watcher, timer, watched signal, post and lookup
/// kept. The loop gets a kernel side of its own; the parent's is not touched and does not notice. The calling thread is the
/// loop's from now on. 0; or -1 and `errno`, and the loop is as before: EMFILE, ENFILE, ENOMEM; EBUSY when another thread was
/// at work in the loop (not merely waiting) at the moment of the fork; EINVAL for NULL. In the process that the loop belongs to
/// it returns 0 and does nothing. From any callback, also one of this loop: the `evloop_run` around it then goes on in the child.
///
/// Connections are the parent's and end here: their descriptors are closed at once, without a byte sent; `on_error` comes from
/// the loop with CONN_ERR_IO and ECANCELED, whatever they were doing (a readable callback is not run for that). Lookups are asked again. Signals that had arrived were the
/// parent's. `evloop_fd` keeps its number: a host's loop that has to be told of the fork too (`event_reinit`, `uv_loop_fork`) is
/// told after this. Taken over before the first `evloop_get_default` in the child, the parent's default loop is the child's.
/// To be called before a daemon closes descriptors that it does not know.
///
/// Without it, functions on the parent's loop and its connections fail in the child with EPERM or do nothing, and what is
/// closed or freed there closes descriptors and frees memory, unseen by the parent.
#[no_mangle]
pub unsafe extern "C" fn evloop_after_fork(lp: *mut ev_loop) -> c_int {
    fallible(|| {
        // SAFETY: a C caller's loop is NULL or alive.
        let lp: Rc<Loop> = unsafe { object(lp) }.ok_or(Errno(libc::EINVAL))?;
        lp.after_fork()?;
        Ok(0)
    })
}

/// Frees every loop that nobody is running, the default one too (a later `evloop_get_default` makes a new one), and ends
/// the resolver: idle threads end and are waited for, one that is stuck in a lookup is abandoned. No other thread may
/// use a loop meanwhile.
#[no_mangle]
pub unsafe extern "C" fn evloop_destroy_all() {
    infallible((), destroy_all)
}
