//! Other sizes: of the pool, and of the buffers of slots to come. A pool that shrinks ends the surplus connections, those
//! first that have been idle longest; their slots' memory is kept, because an arena takes none back.

use super::super::{Error, Thrown};
use super::{Connection, Pool, Resized, MAX_CONNECTIONS};
use std::cmp::Reverse;

impl Pool {
    /// Takes up to `max` connections from now on.
    pub fn resize(&self, max: usize) -> Result<(), Error> {
        let max = max.clamp(1, MAX_CONNECTIONS);
        let (old, before) = {
            let state = self.lock();
            (state.max, state.callbacks.before_resize.clone())
        };
        if old == max {
            return Ok(());
        }
        if let Some(before) = before {
            before(old, max).map_err(Thrown::raised)?;
        }
        let (surplus, after) = {
            let mut state = self.lock();
            state.max = max;
            let mut present: Vec<_> = state.by_age.values().copied().collect();
            present.sort_by_key(|connection| Reverse(connection.used()));
            let surplus = present.split_off(max.min(present.len()));
            let surplus: Vec<_> = surplus.into_iter().filter_map(|c| state.take(c)).collect();
            (surplus, state.callbacks.resized.clone())
        };
        self.end(surplus, false);
        match after {
            Some(after) => after(old, max).map_err(Thrown::raised),
            None => Ok(()),
        }
    }

    /// Sees to it that so many slots of a hundred have their buffers.
    pub fn prewarm(&self, percent: usize) -> Result<(), Error> {
        let mut state = self.lock();
        if state.closed {
            return Ok(());
        }
        let wanted = state.max * percent.min(100) / 100;
        while state.slots.len() < wanted {
            let new = Connection::new();
            // Below those that were in use: they are taken first.
            state.slots.push(new);
            state.free.insert(0, new);
        }
        let mut missing =
            wanted.saturating_sub(state.slots.iter().filter(|slot| slot.has_buffers()).count());
        for slot in state.slots.iter().rev() {
            if missing == 0 {
                break;
            }
            if !slot.has_buffers() {
                self.give_buffers(slot, state.bufsize)?;
                missing -= 1;
            }
        }
        Ok(())
    }

    /// How large the buffers of slots are that are yet to get any.
    pub fn set_bufsize(&self, size: usize) {
        let range = super::super::buf::MIN_CAPACITY..=super::super::buf::MAX_CAPACITY;
        self.lock().bufsize = size.clamp(*range.start(), *range.end());
    }

    /// Whom to tell before the size changes.
    pub fn set_before_resize(&self, callback: Option<Resized>) {
        let before = std::mem::replace(&mut self.lock().callbacks.before_resize, callback);
        drop(before);
    }

    /// Whom to tell when the size has changed.
    pub fn set_resized(&self, callback: Option<Resized>) {
        let before = std::mem::replace(&mut self.lock().callbacks.resized, callback);
        drop(before);
    }
}
