/**
 * evloop.h - an event loop: descriptors, timers, signals, work from other threads.
 *
 * A loop belongs to the first thread that runs it. From other threads only evloop_post, evloop_wakeup and evloop_break
 * may be called; a signal handler may call evloop_wakeup. A callback may do anything with any object of the loop, its
 * own too, but must not throw or longjmp through the library.
 */
#ifndef NETCONN_EVLOOP_H
#define NETCONN_EVLOOP_H

/**
 * An event loop. It belongs to the first thread that runs it: but for `evloop_post`, `evloop_wakeup` and
 * `evloop_break`, which any thread may call, everything that names the loop or an object on it is called on that
 * thread.
 */
struct ev_loop;

/** A watched file descriptor. The loop owns it until `evloop_io_free`. */
struct evloop_io;

/** A timer. The loop owns it until `evloop_timer_free`. */
struct evloop_timer;

/** A watched signal. The loop owns it until `evloop_signal_free`. */
struct evloop_signal;

/** Readable: bytes or the end of the stream can be read, a connection can be accepted. */
#define EVLOOP_READ 1

/** Writable: bytes can be written, a connection attempt has ended. */
#define EVLOOP_WRITE 2

/**
 * Called when a descriptor is ready; `revents` has those of the bits asked for that are. Hang-up and error count as all
 * of them. A call may be spurious: the descriptor is non-blocking.
 */
typedef void (*ev_io_cb_t)(int fd, int revents, void *arg);

/** Called when a timer fires. */
typedef void (*ev_timer_cb_t)(void *arg);

#ifdef __cplusplus
extern "C" {
#endif

/**
 * The process's one default loop, made at the first call; in a forked child a new one. NULL and `errno` (EMFILE,
 * ENFILE, ENOMEM) where there is none to be had. Any thread.
 */
struct ev_loop *evloop_get_default(void);

/** A loop of one's own, to be ended with `evloop_free`. NULL and `errno` (EMFILE, ENFILE, ENOMEM). */
struct ev_loop *evloop_new(void);

/**
 * Frees a loop and everything that is attached to it: watchers, timers, signals, lookups, connections. Their pointers
 * are dead on return and none of their callbacks runs any more; posted work that has not run is dropped. Legal inside a
 * callback of this loop: its `evloop_run` then returns. NULL is a no-op.
 */
void evloop_free(struct ev_loop *lp);

/**
 * Watches `fd` for `events` (`EVLOOP_READ`, `EVLOOP_WRITE`, both, or 0 for an idle watcher). Several watchers on one
 * descriptor are allowed; each gets only what it asked for, for as long as it holds (level-triggered). A descriptor
 * that the system cannot poll (a regular file) counts as always ready. `fd` stays the caller's, who ends the watching
 * before closing it. `lp` NULL: the default loop.
 *
 * The watcher, which lives until `evloop_io_free`; or NULL and `errno`: EBADF, ENOMEM, EINVAL for unknown bits or a
 * NULL callback, EPERM in a forked child. Any callback may call it.
 */
struct evloop_io *evloop_io_start(struct ev_loop *lp, int fd, int events, ev_io_cb_t cb, void *arg);

/**
 * New interest, as in `evloop_io_start`; restarts a stopped watcher. Costs no system call before the loop next waits.
 * Unknown bits leave the watcher as it is. NULL is a no-op.
 */
void evloop_io_update(struct evloop_io *io, int events);

/**
 * Stops a watcher and keeps it for a later `evloop_io_update`. It gets no more events, not even those already
 * collected. Legal inside its own callback. NULL is a no-op.
 */
void evloop_io_stop(struct evloop_io *io);

/**
 * Stops and releases a watcher. Its descriptor may be closed right after. Legal inside its own callback. NULL is a
 * no-op.
 */
void evloop_io_free(struct evloop_io *io);

/** A started watcher keeps `evloop_run` running: the default. Idempotent; NULL is a no-op. */
void evloop_io_ref(struct evloop_io *io);

/** The watcher does not keep `evloop_run` running. Idempotent; NULL is a no-op. */
void evloop_io_unref(struct evloop_io *io);

/**
 * Starts a timer that fires `after` seconds from this call (not from the loop's cached time) and then, where `repeat`
 * is above 0, every `repeat` seconds. Negative and NaN count as 0; infinity never comes. On the monotonic clock, never
 * early; equal times in the order of starting; a repeat that is overdue fires once, not in a burst. `lp` NULL: the
 * default loop.
 *
 * The timer, which lives until `evloop_timer_free`, also when it has fired; or NULL and `errno`: EINVAL for a NULL
 * callback, EPERM in a forked child. Any callback may call it: a timer started in a round fires in a later one.
 */
struct evloop_timer *evloop_timer_start(struct ev_loop *lp, double after, double repeat, ev_timer_cb_t cb, void *arg);

/**
 * Starts a timer anew, with times as in `evloop_timer_start`, whether it is armed, stopped or has fired. Legal inside
 * its own callback. NULL is a no-op.
 */
void evloop_timer_reschedule(struct evloop_timer *timer, double after, double repeat);

/** Stops a timer and keeps it for a later `evloop_timer_reschedule`. Legal inside its own callback. NULL is a no-op. */
void evloop_timer_stop(struct evloop_timer *timer);

/** Stops and releases a timer. Legal inside its own callback. NULL is a no-op. */
void evloop_timer_free(struct evloop_timer *timer);

/** An armed timer keeps `evloop_run` running: the default. Idempotent; NULL is a no-op. */
void evloop_timer_ref(struct evloop_timer *timer);

/** The timer does not keep `evloop_run` running. Idempotent; NULL is a no-op. */
void evloop_timer_unref(struct evloop_timer *timer);

/**
 * Runs until `evloop_break`, or until nothing is active. Active are: a started watcher (whatever it asks for), an armed
 * timer, a lookup, posted work, a watched signal, a connection that is neither closed nor in the state CLOSED or ERROR;
 * not what was unref'd. May be called inside a callback. The caller's thread owns the loop from the first call on.
 * NULL, and a loop of the parent in a forked child: returns at once.
 */
void evloop_run(struct ev_loop *lp);

/**
 * One round: waits at most `timeout_ms` milliseconds (negative: no limit, but not where nothing is active) and runs
 * what is ready. The number of callbacks run; or -1 and `errno`: EINVAL for NULL, EPERM in a forked child.
 */
int evloop_run_once(struct ev_loop *lp, int timeout_ms);

/**
 * Every running `evloop_run` and `evloop_run_once` of this loop returns after the current callback; without effect
 * while none runs. Any thread. NULL is a no-op.
 */
void evloop_break(struct ev_loop *lp);

/**
 * Runs `fn` once on the loop, with `arg`. Any thread; what one thread posts runs in order. What is posted during a
 * round runs in a later one. 0; or -1 and `errno`: EINVAL for NULL, ENOMEM, EPERM in a forked child. On -1 `fn`
 * never runs, nor when the loop is freed before.
 */
int evloop_post(struct ev_loop *lp, void (*fn)(void *arg), void *arg);

/** The loop's current wait returns, or else its next one. Any thread, and a signal handler. NULL is a no-op. */
void evloop_wakeup(struct ev_loop *lp);

/** The loop's time in seconds on the monotonic clock, read at most once in a round. 0 for NULL. */
double evloop_now(struct ev_loop *lp);

/**
 * A descriptor for another loop to watch: readable whenever a round has work, expired timers and posted work included;
 * the host then calls `evloop_run_once(lp, 0)`. The loop's: not to be closed. From the first call on, interest changes
 * reach the kernel at once, those made in a round at its end; a host that runs inside a callback of this loop calls
 * `evloop_timeout_ms` before it waits. For libev, libevent, libuv and GLib see `adapters/`. -1 and `errno`: EINVAL for
 * NULL, EMFILE, ENFILE, ENOMEM, EPERM in a forked child.
 */
int evloop_fd(struct ev_loop *lp);

/**
 * Milliseconds until the loop has something to do whatever its descriptors say: 0 when work waits now, -1 for never.
 * Brings the descriptor of `evloop_fd` up to date. -1 and `errno`: EINVAL for NULL, EPERM in a forked child.
 */
int evloop_timeout_ms(struct ev_loop *lp);

/**
 * Makes a signal an event: `cb` runs on the loop, once for several arrivals in short order. Several loops and watchers
 * may share a number; while it is watched, nothing else happens on its arrival, and the last watcher to go
 * restores what did before. `lp` NULL: the default loop.
 *
 * The watcher, which lives until `evloop_signal_free`; or NULL and `errno`: EINVAL for a NULL callback and for a number
 * that cannot be caught (SIGKILL, SIGSTOP) or not usefully (SIGSEGV, SIGBUS, SIGFPE, SIGILL: returning from their
 * handler repeats the fault); EPERM in a forked child, where the signals of the parent's loops do again what they did
 * before.
 */
struct evloop_signal *evloop_signal_start(struct ev_loop *lp, int signum, void (*cb)(int signum, void *arg), void *arg);

/**
 * Stops watching a signal; arrivals that were not told yet are forgotten. The object stays. Legal inside its own
 * callback. NULL is a no-op.
 */
void evloop_signal_stop(struct evloop_signal *signal);

/** Stops watching a signal and releases the object. Legal inside its own callback. NULL is a no-op. */
void evloop_signal_free(struct evloop_signal *signal);

/**
 * Puts one pointer of the program's own at the loop (made for adapters to other loops). `detach`, which may be NULL, is
 * called with it by `evloop_free`, before anything of the loop is closed; but not in a forked child, for a loop that is
 * still the parent's: what it knows may be shared. An `attachment` of NULL takes the pointer away without calling
 * `detach`. 0; or -1 and `errno`: EEXIST when there is one already, EINVAL for what is no loop of this library (NULL, a
 * freed one, one of libev's, which has the same type name), EPERM in a forked child.
 */
int evloop_set_attachment(struct ev_loop *lp, void *attachment, void (*detach)(void *attachment));

/**
 * The pointer put there with `evloop_set_attachment`, or NULL. NULL and EINVAL for what is no loop of this library: any
 * pointer may be asked about, since it is looked for in a list and not followed. While there is no attachment, NULL and
 * `errno` as it was.
 */
void *evloop_get_attachment(struct ev_loop *lp);

/**
 * In a child of `fork`: makes a loop of the parent's the child's, with every watcher, timer, watched signal, post and
 * lookup kept. The loop gets a kernel side of its own; the parent's is not touched and does not notice. The calling
 * thread is the loop's from now on. 0; or -1 and `errno`, and the loop is as before: EMFILE, ENFILE, ENOMEM; EBUSY when
 * another thread was at work in the loop (not merely waiting) at the moment of the fork; EINVAL for NULL. In the
 * process that the loop belongs to it returns 0 and does nothing. From any callback, also one of this loop: the
 * `evloop_run` around it then goes on in the child.
 *
 * Connections are the parent's and end here: their descriptors are closed at once, without a byte sent; `on_error`
 * comes from the loop with CONN_ERR_IO and ECANCELED, whatever they were doing (a readable callback is not run for
 * that). Lookups are asked again. Signals that had arrived were the parent's. `evloop_fd` keeps its number: a host's
 * loop that has to be told of the fork too (`event_reinit`, `uv_loop_fork`) is told after this. Taken over before the
 * first `evloop_get_default` in the child, the parent's default loop is the child's. To be called before a daemon
 * closes descriptors that it does not know.
 *
 * Without it, functions on the parent's loop and its connections fail in the child with EPERM or do nothing, and what
 * is closed or freed there closes descriptors and frees memory, unseen by the parent.
 */
int evloop_after_fork(struct ev_loop *lp);

/**
 * Frees every loop that nobody is running, the default one too (a later `evloop_get_default` makes a new one), and ends
 * the resolver: idle threads end and are waited for, one that is stuck in a lookup is abandoned. No other thread may
 * use a loop meanwhile.
 */
void evloop_destroy_all(void);

#ifdef __cplusplus
}
#endif

#endif  /* NETCONN_EVLOOP_H */
