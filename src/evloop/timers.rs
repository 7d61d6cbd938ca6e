//! Timers of the loop: the heap's slots, and what a holder of a timer can do.

use super::heap::Heap;
use super::{Loop, TimerHandler, Todo};
use crate::clock::{self, Nanos};
use std::cell::Cell;
use std::rc::Rc;

/// A timer, armed or not.
pub struct Timer {
    lp: Rc<Loop>,
    slot: u32,
    /// 0: fires once.
    repeat: Cell<Nanos>,
    armed: Cell<bool>,
    keeps_running: Cell<bool>,
    closed: Cell<bool>,
}

/// A timer that the loop owns.
type Slot = (Rc<Timer>, Rc<dyn TimerHandler>);

/// All of a loop's timers.
#[derive(Default)]
pub(super) struct Timers {
    pub(super) heap: Heap,
    slots: Vec<Option<Slot>>,
    unused: Vec<u32>,
}

impl Timers {
    /// The handler of the first timer that is due and was armed before `mark`. It is no longer armed, unless it
    /// repeats: then it is armed for its next time, and for one only where several were missed.
    pub(super) fn take_due(&mut self, now: Nanos, mark: u64) -> Option<Rc<dyn TimerHandler>> {
        let first = *self.heap.first()?;
        if first.deadline > now || first.order >= mark {
            return None;
        }
        let (timer, handler) = self.slots.get(first.slot as usize)?.as_ref()?;
        match timer.repeat.get() {
            0 => {
                self.heap.remove(first.slot);
                timer.note_armed(false);
            }
            repeat => {
                let next = first.deadline.saturating_add(repeat);
                let next = if next > now {
                    next
                } else {
                    now.saturating_add(repeat)
                };
                self.heap.set(first.slot, next);
            }
        }
        Some(handler.clone())
    }

    /// Everything, for the end: to be dropped outside the borrow.
    pub(super) fn take_all(&mut self) -> Vec<Option<Slot>> {
        self.heap = Heap::default();
        self.unused.clear();
        std::mem::take(&mut self.slots)
    }
}

impl Loop {
    /// A timer, not armed, that does not keep `run` running until `set_ref(true)`.
    pub fn timer(self: &Rc<Loop>, handler: Rc<dyn TimerHandler>) -> Rc<Timer> {
        let mut timers = self.timers.borrow_mut();
        let slot = match timers.unused.pop() {
            Some(slot) => slot,
            None => {
                timers.slots.push(None);
                (timers.slots.len() - 1) as u32
            }
        };
        let timer = Rc::new(Timer {
            lp: self.clone(),
            slot,
            repeat: Cell::new(0),
            armed: Cell::new(false),
            keeps_running: Cell::new(false),
            closed: Cell::new(self.is_freed()),
        });
        if !timer.closed.get() {
            timers.slots[slot as usize] = Some((timer.clone(), handler));
        }
        timer
    }
}

impl Timer {
    /// Arms it, or moves it: fires once `deadline` (on the monotonic clock) has passed. `None` disarms.
    pub fn set_deadline(&self, deadline: Option<Nanos>) {
        match deadline {
            // Never before the round's own time, so that it cannot stand in front of those that are due already.
            Some(deadline) => self.arm(deadline.max(self.lp.now())),
            None => self.disarm(),
        }
    }

    /// Arms it for `after` from this moment, not from the round's cached time, and then every `repeat` (0: never
    /// again). `None` is a time that does not come; the timer counts as armed.
    pub fn start(&self, after: Option<Nanos>, repeat: Option<Nanos>) {
        let now = clock::now();
        self.lp.note_time(now);
        self.repeat.set(repeat.unwrap_or(Nanos::MAX));
        self.arm(after.map_or(Nanos::MAX, |after| now.saturating_add(after)));
    }

    fn arm(&self, deadline: Nanos) {
        if self.closed.get() {
            return;
        }
        self.lp.timers.borrow_mut().heap.set(self.slot, deadline);
        self.note_armed(true);
        self.lp.raise(Todo::TIMERS);
        self.lp.timers_changed();
    }

    fn disarm(&self) {
        if self.armed.get() {
            self.lp.timers.borrow_mut().heap.remove(self.slot);
            self.note_armed(false);
            self.lp.timers_changed();
        }
    }

    /// Keeps the count of what is active in step.
    fn note_armed(&self, armed: bool) {
        if self.armed.replace(armed) != armed && self.keeps_running.get() {
            self.lp.count(armed);
        }
    }

    /// Whether it is armed.
    pub fn is_armed(&self) -> bool {
        self.armed.get()
    }

    /// Disarms and ends it. Idempotent.
    pub fn close(&self) {
        if self.closed.get() {
            return;
        }
        self.disarm();
        self.closed.set(true);
        let ended = {
            let mut timers = self.lp.timers.borrow_mut();
            let ended = timers
                .slots
                .get_mut(self.slot as usize)
                .and_then(Option::take);
            timers.unused.push(self.slot);
            ended
        };
        drop(ended);
    }

    /// The loop is gone and has dropped its side.
    pub(super) fn orphan(&self) {
        self.armed.set(false);
        self.closed.set(true);
    }

    /// Whether it keeps `run` running while it is armed.
    pub fn set_ref(&self, keeps_running: bool) {
        if self.keeps_running.replace(keeps_running) != keeps_running && self.armed.get() {
            self.lp.count(keeps_running);
        }
    }

    /// The loop it belongs to.
    pub fn owner(&self) -> &Rc<Loop> {
        &self.lp
    }
}
