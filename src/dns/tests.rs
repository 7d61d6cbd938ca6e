//! Answers on a loop, with literals: they take the same way to it as all others.

use super::*;
use std::cell::RefCell;
use std::sync::{Mutex, MutexGuard, PoisonError};

/// `end` is for the whole process: these tests take turns.
fn turn() -> MutexGuard<'static, ()> {
    static TURN: Mutex<()> = Mutex::new(());
    TURN.lock().unwrap_or_else(PoisonError::into_inner)
}

type Answers = Rc<RefCell<Vec<Result<String, ResolveError>>>>;

fn ask(lp: &Rc<Loop>, host: &str, answers: &Answers) -> Rc<Request> {
    let query = Query {
        host: Some(host.to_owned()),
        service: Some("80".to_owned()),
        socktype: libc::SOCK_STREAM,
        ..Query::default()
    };
    let answers = Rc::clone(answers);
    resolve(lp, query, move |answer| {
        let first = answer.map(|list| list[0].addr.as_socket().unwrap().to_string());
        answers.borrow_mut().push(first);
    })
    .unwrap()
}

#[test]
fn answers_come_from_the_loop_once_and_in_order() {
    let _turn = turn();
    let lp = Loop::new().unwrap();
    let answers = Answers::default();
    let request = ask(&lp, "127.0.0.1", &answers);
    ask(&lp, "a..b", &answers);
    assert!(answers.borrow().is_empty());
    lp.run();
    request.cancel();
    lp.run();
    let expected = [
        Ok("127.0.0.1:80".to_owned()),
        Err(ResolveError::new(eai::EAI_NONAME)),
    ];
    assert_eq!(*answers.borrow(), expected);
    assert_eq!(Rc::strong_count(&request), 1);
    lp.free();
}

#[test]
fn what_was_cancelled_or_went_with_its_loop_is_never_told_and_holds_nothing() {
    let _turn = turn();
    let lp = Loop::new().unwrap();
    let answers = Answers::default();
    let cancelled = ask(&lp, "127.0.0.1", &answers);
    cancelled.cancel();
    cancelled.cancel();
    lp.run();
    let pending = ask(&lp, "127.0.0.1", &answers);
    lp.free();
    pending.cancel();
    assert!(answers.borrow().is_empty());
    assert_eq!(Rc::strong_count(&answers), 1, "the closures are gone");
    assert_eq!(
        (Rc::strong_count(&cancelled), Rc::strong_count(&pending)),
        (1, 1)
    );
    assert!(resolve(&lp, Query::default(), |_| ()).is_err());
}

#[test]
fn an_answer_on_its_way_when_the_resolver_ends_is_told_as_ended() {
    let _turn = turn();
    let lp = Loop::new().unwrap();
    let answers = Answers::default();
    ask(&lp, "127.0.0.1", &answers);
    end();
    ask(&lp, "127.0.0.2", &answers);
    lp.run();
    let expected = [Err(ResolveError::ENDED), Ok("127.0.0.2:80".to_owned())];
    assert_eq!(*answers.borrow(), expected);
    lp.free();
}

#[test]
fn equal_queries_are_one_question() {
    let query = |host: &str, service: &str| Query {
        host: Some(host.to_owned()),
        service: Some(service.to_owned()),
        ..Query::default()
    };
    let question = Question::new(&query("Bücher.Example", "0080")).unwrap();
    assert_eq!(
        question,
        Question::new(&query("XN--bcher-kva.example", "80")).unwrap()
    );
    assert_ne!(
        question,
        Question::new(&query("bücher.example", "81")).unwrap()
    );
    assert_eq!(
        Question::new(&query("a", "70000")).unwrap_err().status,
        eai::EAI_SERVICE
    );
    for host in ["127.1", "１２７.1", "a b", ""] {
        assert_eq!(
            Question::new(&query(host, "80")).unwrap_err().status,
            eai::EAI_NONAME
        );
    }
}
