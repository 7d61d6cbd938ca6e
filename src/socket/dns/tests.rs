use super::*;
use std::sync::mpsc::{channel, Receiver};
use std::time::Duration;

const PATIENCE: Duration = Duration::from_secs(60);

fn localhost() -> Asked<'static> {
    Asked::stream(Some("127.0.0.1"), 80)
}

/// The request, and how many addresses or what error.
type Heard = (u64, Result<usize, c_int>);

fn asked(resolver: u64, asked: &Asked) -> (u64, Receiver<Heard>) {
    let (sender, receiver) = channel();
    let callback: Callback = Box::new(move |request, outcome| {
        let count = outcome.map(|list| match list {
            List::Found(found) => found.len(),
            List::Given(_) => 0,
        });
        let _ = sender.send((request, count));
        Ok(())
    });
    (resolve(resolver, asked, Some(callback)).unwrap(), receiver)
}

#[test]
fn a_callback_is_called_on_another_thread_once() {
    let resolver = new().unwrap();
    let (request, receiver) = asked(resolver, &localhost());
    assert_eq!(receiver.recv_timeout(PATIENCE).unwrap(), (request, Ok(1)));
    assert!(receiver.recv_timeout(PATIENCE).is_err());
    assert!(take(resolver, request).is_none());
    free(resolver);
    free(resolver);
    assert_eq!(error(resolver, request), ResolveError::ENDED.status);
}

#[test]
fn a_request_is_asked_for_its_result_once() {
    let resolver = new().unwrap();
    let request = resolve(resolver, &Asked::stream(None, 80), None).unwrap();
    assert_eq!(error(resolver, request), 0);
    assert_eq!(check(resolver).unwrap(), 1);
    assert_eq!(check(resolver).unwrap(), 0);
    let other = new().unwrap();
    assert!(take(other, request).is_none());
    match take(resolver, request).unwrap() {
        List::Found(found) => assert_eq!(found.len(), 2),
        List::Given(_) => unreachable!(),
    }
    assert!(take(resolver, request).is_none());
    assert_eq!(error(resolver, request), 0);
    free(resolver);
    free(other);
    assert!(resolve(resolver, &localhost(), None).is_err());
}

#[test]
fn a_cancelled_request_is_silent_even_in_a_race() {
    let resolver = new().unwrap();
    for _ in 0..200 {
        let (request, receiver) = asked(resolver, &localhost());
        cancel(resolver, request);
        // The callback and with it the sender are gone, or it ran before.
        match receiver.try_recv() {
            Ok(heard) => assert_eq!(heard, (request, Ok(1))),
            Err(error) => assert_eq!(error, std::sync::mpsc::TryRecvError::Disconnected),
        }
    }
    free(resolver);
}

#[test]
fn a_callback_may_end_its_resolver() {
    let resolver = new().unwrap();
    let (sender, receiver) = channel();
    let callback: Callback = Box::new(move |request, _| {
        cancel(resolver, request);
        free(resolver);
        sender.send(()).unwrap();
        Ok(())
    });
    resolve(resolver, &localhost(), Some(callback)).unwrap();
    receiver.recv_timeout(PATIENCE).unwrap();
}

#[test]
fn a_list_of_the_programs_is_released_once() {
    use std::sync::atomic::{AtomicUsize, Ordering};
    static RELEASED: AtomicUsize = AtomicUsize::new(0);
    fn release(list: usize) {
        RELEASED.fetch_add(list, Ordering::SeqCst);
    }
    let resolver = new().unwrap();
    let first = completed(resolver, List::Given(Given::new(1, release))).unwrap();
    let _second = completed(resolver, List::Given(Given::new(10, release))).unwrap();
    let third = completed(resolver, List::Given(Given::new(100, release))).unwrap();
    match take(resolver, first).unwrap() {
        List::Given(given) => assert_eq!(given.into_list(), 1),
        List::Found(_) => unreachable!(),
    }
    cancel(resolver, third);
    assert_eq!(RELEASED.load(Ordering::SeqCst), 100);
    free(resolver);
    assert_eq!(RELEASED.load(Ordering::SeqCst), 110);
    assert!(completed(resolver, List::Given(Given::new(1000, release))).is_err());
    assert_eq!(RELEASED.load(Ordering::SeqCst), 1110);
}

#[test]
fn what_is_over_is_forgotten_in_time() {
    let resolver = new().unwrap();
    let first = resolve(resolver, &localhost(), None).unwrap();
    assert!(take(resolver, first).is_some());
    assert_eq!(error(resolver, first), 0);
    for _ in 0..3000 {
        let request = resolve(resolver, &localhost(), None).unwrap();
        assert!(take(resolver, request).is_some());
    }
    let kept = Table::with(|table| {
        let own = table.requests.keys();
        own.filter(|request| table.owner(**request) == Some(resolver))
            .count()
    });
    assert!(kept <= 1024, "{kept}");
    assert!(error(resolver, first) != 0);
    free(resolver);
}

#[test]
fn what_cannot_be_asked_is_refused() {
    let resolver = new().unwrap();
    let long = "a".repeat(256);
    for (host, port) in [("", 1), (long.as_str(), 1), ("a", -1), ("a", 65536)] {
        let refused = resolve(resolver, &Asked::stream(Some(host), port), None).unwrap_err();
        assert_eq!(refused.errno, Errno(libc::EINVAL));
    }
    let mut numeric = Asked::stream(Some("localhost"), 1);
    numeric.numeric = true;
    assert!(resolve_sync(resolver, &numeric, 0).is_err());
    assert!(resolve_sync(resolver, &localhost(), 0).is_ok());
    free(resolver);
}
