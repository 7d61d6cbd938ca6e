//! A loop inside another one.

use super::*;

/// Whether a host that polls the loop's descriptor would call it now.
fn is_readable(fd: RawFd, timeout_ms: i32) -> bool {
    let mut poll = libc::pollfd {
        fd,
        events: libc::POLLIN,
        revents: 0,
    };
    // SAFETY: one valid pollfd.
    unsafe { libc::poll(&mut poll, 1, timeout_ms) == 1 }
}

#[test]
fn an_embedded_loop_shows_every_kind_of_work() {
    on_each(|lp| {
        let fd = lp.embed_fd().unwrap();
        assert_eq!(lp.embed_fd(), Ok(fd));
        lp.run_once(0).unwrap();
        assert!(!is_readable(fd, 0));

        let (mut a, mut b) = pair();
        let watcher = lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        assert!(!is_readable(fd, 0));
        b.write_all(b"x").unwrap();
        assert!(is_readable(fd, 0), "at once, without a round");
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(is_readable(fd, 0), "level-triggered");
        watcher.stop();
        assert!(!is_readable(fd, 0));
        watcher.set_interest(Interest::READ);
        assert!(is_readable(fd, 0));
        a.read_exact(&mut [0]).unwrap();
        assert!(!is_readable(fd, 0));

        watcher.again(Interest::READ);
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));

        let weak = Rc::downgrade(lp);
        lp.defer(task(move || weak.upgrade().unwrap().defer(task(|| {}))));
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(is_readable(fd, 0), "what was added in the round");
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));

        let remote = lp.remote();
        std::thread::spawn(move || remote.post(|| {}).unwrap())
            .join()
            .unwrap();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));

        let made = lp.timer(timer(|| {}));
        made.set_deadline(Some(clock::now() + 2 * MILLI));
        assert!(is_readable(fd, -1));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(!is_readable(fd, 0));
        made.set_deadline(Some(0));
        assert!(is_readable(fd, -1));
        made.close();
        assert!(!is_readable(fd, 0));

        let file = std::fs::File::open("/proc/self/exe").unwrap();
        let watcher = lp
            .watch(file.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        assert!(is_readable(fd, 0));
        watcher.close();
        lp.run_once(0).unwrap();
        assert!(!is_readable(fd, 0));
    });
}

#[test]
fn an_embedded_loop_survives_the_rebuilding_of_its_poller() {
    on_each(|lp| {
        let fd = lp.embed_fd().unwrap();
        let (a, _peer) = readable_pair();
        let (mut other, mut other_peer) = pair();
        let kept = lp
            .watch(other.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        let doomed = lp
            .watch(a.as_raw_fd(), Interest::READ, io(|_, _| {}))
            .unwrap();
        let duplicate = a.try_clone().unwrap();
        drop(a);
        doomed.close();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(0));
        assert_eq!(lp.run_once(0), Ok(0));
        assert!(!is_readable(fd, 0));
        other_peer.write_all(b"x").unwrap();
        assert!(is_readable(fd, 0));
        assert_eq!(lp.run_once(0), Ok(1));
        other.read_exact(&mut [0]).unwrap();
        lp.remote().wakeup();
        assert!(is_readable(fd, 0));
        kept.close();
        drop(duplicate);
    });
}

thread_local! {
    static TIDIED: Cell<u32> = const { Cell::new(0) };
}

fn tidy() {
    TIDIED.set(TIDIED.get() + 1);
}

#[test]
fn an_embedded_loop_has_lulls() {
    on_each(|lp| {
        TIDIED.set(0);
        let fd = lp.embed_fd().unwrap();
        assert!(!is_readable(fd, 0));
        lp.at_lull(tidy);
        assert!(!is_readable(fd, 0));
        // Something happens before the first look, so there is a second.
        lp.at_lull(tidy);
        let mut rounds = 0;
        while TIDIED.get() == 0 {
            assert!(is_readable(fd, 20_000), "a look");
            assert_eq!(lp.run_once(0), Ok(0));
            rounds += 1;
        }
        assert_eq!(rounds, 2);
        // Nobody is woken for nothing.
        assert!(!is_readable(fd, 0));
        assert_eq!(lp.timeout_ms(), -1);
        assert_eq!(lp.lull_at.get(), 0);
        lp.run_once(0).unwrap();
        assert_eq!(TIDIED.get(), 1);
    });
}
