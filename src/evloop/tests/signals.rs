//! Signals.

use super::*;

#[test]
fn a_signal_reaches_every_watcher_of_every_loop_and_then_does_what_it_did() {
    for kind in POLLERS {
        let loops = [
            Loop::with_poller(kind).unwrap(),
            Loop::with_poller(kind).unwrap(),
        ];
        let disposition = || {
            // SAFETY: an all-zero sigaction is a valid one to fill.
            unsafe {
                let mut now: libc::sigaction = std::mem::zeroed();
                libc::sigaction(libc::SIGWINCH, std::ptr::null(), &mut now);
                now.sa_sigaction
            }
        };
        let before = disposition();
        let calls = Rc::new(Cell::new(0));
        let watchers: Vec<_> = [&loops[0], &loops[0], &loops[1]]
            .map(|lp| {
                let count = calls.clone();
                let handler = Rc::new(Call(move |signum| {
                    assert_eq!(signum, libc::SIGWINCH);
                    count.set(count.get() + 1);
                }));
                lp.watch_signal(libc::SIGWINCH, handler).unwrap()
            })
            .into();
        assert_ne!(disposition(), before);
        // SAFETY: raises a signal that is handled.
        unsafe { libc::raise(libc::SIGWINCH) };
        assert_eq!(loops[0].run_once(-1), Ok(2));
        assert_eq!(loops[1].run_once(-1), Ok(1));
        watchers[0].stop();
        watchers[0].stop();
        watchers[2].close();
        // SAFETY: as above.
        unsafe { libc::raise(libc::SIGWINCH) };
        assert_eq!(loops[0].run_once(-1), Ok(1));
        assert_eq!(calls.get(), 4);
        assert_eq!(loops[1].run_once(0), Ok(0));
        assert_eq!(loops[0].active.get(), 1);
        loops[0].free();
        assert_eq!(disposition(), before);
        loops[1].free();
    }
}

#[test]
fn signals_that_cannot_be_events_are_refused() {
    on_each(|lp| {
        for signum in [
            0,
            -1,
            65,
            i32::MAX,
            libc::SIGKILL,
            libc::SIGSTOP,
            libc::SIGSEGV,
            32,
        ] {
            let refused = lp.watch_signal(signum, Rc::new(Call(|_| {})));
            assert_eq!(refused.map(|_| ()), Err(Errno(libc::EINVAL)), "{signum}");
        }
        assert_eq!(lp.active.get(), 0);
    });
}
