//! The context of connections that name none.

use super::context::Context;
use super::hold::Hold;
use super::types::{Error, Trust};
use std::sync::{Arc, Mutex, PoisonError};

struct Default {
    /// The program's choice.
    chosen: Option<Hold>,
    /// Made at the first connection that needs it.
    system: Option<Arc<Context>>,
}

static DEFAULT: Mutex<Default> = Mutex::new(Default {
    chosen: None,
    system: None,
});

fn with<R>(work: impl FnOnce(&mut Default) -> R) -> R {
    work(&mut DEFAULT.lock().unwrap_or_else(PoisonError::into_inner))
}

pub(super) fn get() -> Result<Arc<Context>, Error> {
    let known = with(|default| {
        let chosen = default.chosen.as_ref().map(Hold::context);
        chosen.or(default.system.as_ref()).cloned()
    });
    if let Some(context) = known {
        return Ok(context);
    }
    // Reading the system's store takes a while, and may write to the program's log: no lock is held. Of two threads
    // that do it at once the first one wins.
    let context = Context::client(Trust::System)?;
    Ok(with(|default| {
        Arc::clone(default.system.get_or_insert(context))
    }))
}

pub(super) fn set(context: Option<Arc<Context>>) {
    let context = context.map(Hold::new);
    let before = with(|default| std::mem::replace(&mut default.chosen, context));
    drop(before);
}

pub(super) fn cleanup() {
    let before = with(|default| (default.chosen.take(), default.system.take()));
    drop(before);
}
