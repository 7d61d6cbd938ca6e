//! The timers of a poll set: when they are due and what a program does with them. Asks no clock, calls nobody and locks
//! nothing: its owner does.

use super::error::{Error, Kind};
use crate::clock::{Nanos, MILLISECOND};
use crate::evloop::Heap;
use std::collections::VecDeque;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::Arc;

/// The most of one set.
const MOST: usize = 100_000;
/// The longest delay, in milliseconds: a year.
pub const LONGEST: i64 = 31_536_000_000;

/// What a program has a timer call; what is thrown in it comes back.
pub type Callback = Arc<dyn Fn() -> Result<(), Error> + Send + Sync>;

/// What names a timer: never 0, and of no other timer of the process as long as numbers of 47 bits last. So nothing has to
/// be kept for one that has fired.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TimerId(pub usize);

const SLOT_BITS: u32 = 17;
const _: () = assert!(MOST <= 1 << SLOT_BITS);

impl TimerId {
    fn new(slot: u32) -> TimerId {
        static SERIAL: AtomicUsize = AtomicUsize::new(1);
        loop {
            let serial = SERIAL.fetch_add(1, Ordering::Relaxed) << SLOT_BITS;
            if serial != 0 {
                return TimerId(serial | slot as usize);
            }
        }
    }

    fn slot(self) -> usize {
        self.0 & ((1 << SLOT_BITS) - 1)
    }
}

struct Timer {
    id: TimerId,
    callback: Callback,
    /// 0: fires once.
    period: Nanos,
    state: State,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum State {
    /// In the heap.
    Armed(Nanos),
    /// Its time has come: in the queue of those to be called.
    Due(Nanos),
    /// So much was left.
    Paused(Nanos),
}

/// All of a set's timers.
#[derive(Default)]
pub struct Timers {
    heap: Heap,
    slots: Vec<Option<Timer>>,
    unused: Vec<u32>,
    due: VecDeque<TimerId>,
}

impl Timers {
    /// Adds one that is due `ms` milliseconds after `now`, and then every so often if it repeats.
    pub fn add(
        &mut self,
        now: Nanos,
        ms: i64,
        repeats: bool,
        callback: Callback,
    ) -> Result<TimerId, Error> {
        let least = i64::from(repeats);
        let after = length(ms, least).ok_or_else(|| {
            let text = format!("timer: {ms} ms is out of range ({least} to {LONGEST})");
            Error::invalid(Kind::Timer, text)
        })?;
        if self.slots.len() - self.unused.len() >= MOST {
            let text = format!("timer: the poll set has {MOST} timers already");
            return Err(Error::new(
                Kind::Timer,
                crate::errno::Errno(libc::ENOMEM),
                text,
            ));
        }
        let slot = self.unused.pop().unwrap_or_else(|| {
            self.slots.push(None);
            (self.slots.len() - 1) as u32
        });
        let id = TimerId::new(slot);
        let due = now.saturating_add(after);
        self.heap.set(slot, due);
        self.slots[slot as usize] = Some(Timer {
            id,
            callback,
            period: if repeats { after } else { 0 },
            state: State::Armed(due),
        });
        Ok(id)
    }

    fn get(&mut self, id: TimerId) -> Option<&mut Timer> {
        let timer = self.slots.get_mut(id.slot())?.as_mut()?;
        (timer.id == id).then_some(timer)
    }

    /// Ends one that waits still; its callback, to be dropped where nothing is locked.
    pub fn cancel(&mut self, id: TimerId) -> Option<Callback> {
        self.get(id)?;
        let slot = id.slot();
        self.heap.remove(slot as u32);
        self.unused.push(slot as u32);
        Some(self.slots[slot].take()?.callback)
    }

    /// How long until it is due.
    pub fn remaining(&mut self, id: TimerId, now: Nanos) -> Option<Nanos> {
        Some(match self.get(id)?.state {
            State::Armed(due) => due.saturating_sub(now),
            State::Due(_) => 0,
            State::Paused(left) => left,
        })
    }

    /// Has it due `ms` milliseconds after `now`, and go on from there if it repeats; one that was paused runs again. Whether
    /// it waits still and the length is one.
    pub fn reschedule(&mut self, id: TimerId, now: Nanos, ms: i64) -> bool {
        let Some(after) = length(ms, 0) else {
            return false;
        };
        self.arm(id, now.saturating_add(after))
    }

    fn arm(&mut self, id: TimerId, due: Nanos) -> bool {
        let Some(timer) = self.get(id) else {
            return false;
        };
        timer.state = State::Armed(due);
        self.heap.set(id.slot() as u32, due);
        true
    }

    /// Stops its time. Whether it was running.
    pub fn pause(&mut self, id: TimerId, now: Nanos) -> bool {
        let Some(timer) = self.get(id) else {
            return false;
        };
        let left = match timer.state {
            State::Armed(due) => due.saturating_sub(now),
            State::Due(_) => 0,
            State::Paused(_) => return false,
        };
        timer.state = State::Paused(left);
        self.heap.remove(id.slot() as u32);
        true
    }

    /// Has its time go on. Whether it was paused.
    pub fn resume(&mut self, id: TimerId, now: Nanos) -> bool {
        match self.get(id).map(|timer| timer.state) {
            Some(State::Paused(left)) => self.arm(id, now.saturating_add(left)),
            _ => false,
        }
    }

    /// When the first is due; 0 where one is already.
    pub fn next(&self) -> Option<Nanos> {
        if !self.due.is_empty() {
            return Some(0);
        }
        self.heap.first().map(|first| first.deadline)
    }

    /// Queues those whose time has come, in its order.
    pub fn collect(&mut self, now: Nanos) {
        while let Some(first) = self.heap.first().copied() {
            if first.deadline > now {
                return;
            }
            self.heap.remove(first.slot);
            if let Some(timer) = &mut self.slots[first.slot as usize] {
                timer.state = State::Due(first.deadline);
                self.due.push_back(timer.id);
            }
        }
    }

    /// Takes the next from the queue, to be called where nothing is locked. It has fired; one that repeats is armed for a
    /// period after the time it was due at.
    pub fn take_due(&mut self) -> Option<Callback> {
        while let Some(id) = self.due.pop_front() {
            let Some(timer) = self.get(id) else {
                continue;
            };
            let State::Due(due) = timer.state else {
                continue;
            };
            if timer.period == 0 {
                return self.cancel(id);
            }
            let (callback, next) = (timer.callback.clone(), due.saturating_add(timer.period));
            self.arm(id, next);
            return Some(callback);
        }
        None
    }
}

fn length(ms: i64, least: i64) -> Option<Nanos> {
    let ms = (least..=LONGEST).contains(&ms).then_some(ms)?;
    Some(Nanos::try_from(ms).ok()? * MILLISECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn nothing() -> Callback {
        Arc::new(|| Ok(()))
    }

    fn fired(timers: &mut Timers, now: Nanos) -> usize {
        timers.collect(now);
        std::iter::from_fn(|| timers.take_due()).count()
    }

    #[test]
    fn one_fires_once_and_a_repeating_one_keeps_its_beat() {
        let mut timers = Timers::default();
        let once = timers.add(0, 5, false, nothing()).unwrap();
        let beat = timers.add(0, 10, true, nothing()).unwrap();
        assert_eq!(timers.next(), Some(5 * MILLISECOND));
        assert_eq!(fired(&mut timers, 4 * MILLISECOND), 0);
        assert_eq!(timers.remaining(once, 4 * MILLISECOND), Some(MILLISECOND));
        assert_eq!(fired(&mut timers, 12 * MILLISECOND), 2);
        assert!(
            timers.remaining(once, 12 * MILLISECOND).is_none() && timers.cancel(once).is_none()
        );
        // Late by 2 ms, and due at 20 nevertheless; after a long sleep once a round until it has caught up.
        assert_eq!(
            timers.remaining(beat, 12 * MILLISECOND),
            Some(8 * MILLISECOND)
        );
        assert_eq!(fired(&mut timers, 45 * MILLISECOND), 1);
        assert_eq!(timers.next(), Some(30 * MILLISECOND));
        assert!(timers.cancel(beat).is_some());
        assert_eq!(timers.next(), None);
    }

    #[test]
    fn what_is_queued_can_be_cancelled_moved_and_paused() {
        let mut timers = Timers::default();
        let ids: Vec<TimerId> = (0..4)
            .map(|_| timers.add(0, 0, false, nothing()).unwrap())
            .collect();
        timers.collect(1);
        assert_eq!(timers.next(), Some(0));
        timers.cancel(ids[0]);
        assert!(timers.reschedule(ids[1], 1, 1));
        assert!(timers.pause(ids[2], 1) && !timers.pause(ids[2], 1));
        assert_eq!(std::iter::from_fn(|| timers.take_due()).count(), 1);
        assert!(timers.resume(ids[2], 1) && !timers.resume(ids[2], 1));
        assert_eq!(fired(&mut timers, MILLISECOND), 1);
        assert_eq!(fired(&mut timers, MILLISECOND + 1), 1);
        let next = timers.add(0, 0, false, nothing()).unwrap();
        assert!(!ids.contains(&next));
    }

    #[test]
    fn lengths_have_bounds() {
        let mut timers = Timers::default();
        assert!(timers.add(0, -1, false, nothing()).is_err());
        assert!(timers.add(0, 0, true, nothing()).is_err());
        assert!(timers.add(0, LONGEST + 1, false, nothing()).is_err());
        assert!(timers.add(u64::MAX, LONGEST, false, nothing()).is_ok());
        assert!(!timers.reschedule(TimerId(0), 0, 0));
    }
}
