//! Under what a client's peer is, or was, verified.

use super::context::Context;
use super::session::Session;
use super::verify::Name;
use std::cmp::Ordering;
use std::sync::Arc;

/// The conditions of a verification: where two are equal, a session of the one may stand for one of the other. A context
/// whose settings were changed since has other terms.
#[derive(Clone)]
pub struct Terms {
    /// Kept, so that no other context can have its address.
    context: Arc<Context>,
    generation: u32,
    /// In lower case.
    name: Option<Name>,
}

impl Terms {
    fn parts(&self) -> (*const Context, u32, Option<&Name>) {
        (
            Arc::as_ptr(&self.context),
            self.generation,
            self.name.as_ref(),
        )
    }
}

impl PartialEq for Terms {
    fn eq(&self, other: &Terms) -> bool {
        self.parts() == other.parts()
    }
}

impl Eq for Terms {}

impl PartialOrd for Terms {
    fn partial_cmp(&self, other: &Terms) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

/// Any order will do: it serves to find them.
impl Ord for Terms {
    fn cmp(&self, other: &Terms) -> Ordering {
        self.parts().cmp(&other.parts())
    }
}

impl Context {
    /// The terms of a client that connects now and verifies this name.
    pub fn terms(self: &Arc<Self>, server_name: &str) -> Terms {
        Terms {
            context: Arc::clone(self),
            generation: self.sessions.generation(),
            name: Name::parse(server_name).ok().map(Name::in_lower_case),
        }
    }
}

impl Session {
    /// Its terms.
    pub fn terms(&self) -> Terms {
        let (context, generation) = self.made_under();
        Terms {
            context: Arc::clone(context),
            generation,
            name: self.name().map(Name::in_lower_case),
        }
    }
}
