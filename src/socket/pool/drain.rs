//! The end of a pool in good order: it takes no more connections, waits for those it has, and ends what is left.

use super::super::{Error, Thrown};
use super::{Drained, Pool, State};
use crate::clock::{self, Nanos, MILLISECOND};
use std::time::Duration;

/// How long [`Pool::drain_wait`] sleeps at first, and at most.
const FIRST_SLEEP: Nanos = MILLISECOND;
const LONGEST_SLEEP: Nanos = 100 * MILLISECOND;

/// What a pool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Phase {
    /// Takes connections.
    Running,
    /// Waits for those it has, until a time (`None`: for ever).
    Draining(Option<Nanos>),
    /// Has none, and takes none.
    Stopped,
}

/// How far draining is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Polled {
    /// So many connections are left; none: it is over.
    Left(usize),
    /// The time was up: they were ended.
    Forced,
}

fn deadline(ms: i32) -> Option<Nanos> {
    let ms = Nanos::try_from(ms).ok()?;
    Some(clock::now().saturating_add(ms * MILLISECOND))
}

impl State {
    /// It is over: whom to tell.
    fn stop(&mut self) -> Option<Drained> {
        self.phase = Phase::Stopped;
        self.callbacks.drained.take()
    }
}

fn tell(drained: Option<Drained>, forced: bool) -> Result<(), Error> {
    match drained {
        Some(drained) => drained(forced).map_err(Thrown::raised),
        None => Ok(()),
    }
}

impl Pool {
    /// What the pool does.
    pub fn phase(&self) -> Phase {
        self.lock().phase
    }

    /// Takes no more connections, and has `ms` milliseconds for those it has (0: none; below: no limit). Does nothing unless
    /// the pool is running.
    pub fn drain(&self, ms: i32) -> Result<(), Error> {
        self.begin(ms).map(|_| ())
    }

    /// Begins to drain; whether that ended connections by force.
    fn begin(&self, ms: i32) -> Result<bool, Error> {
        let empty = {
            let mut state = self.lock();
            if state.phase != Phase::Running {
                return Ok(false);
            }
            state.phase = Phase::Draining(deadline(ms));
            state.by_age.is_empty().then(|| state.stop())
        };
        match empty {
            Some(drained) => tell(drained, false).map(|()| false),
            None if ms == 0 => self.drain_force().map(|()| true),
            None => Ok(false),
        }
    }

    /// Looks how far draining is, and ends it when it is empty or its time is up.
    pub fn drain_poll(&self) -> Result<Polled, Error> {
        let drained = {
            let mut state = self.lock();
            let left = state.by_age.len();
            match state.phase {
                Phase::Draining(_) if left == 0 => state.stop(),
                Phase::Draining(Some(deadline)) if clock::now() >= deadline => {
                    drop(state);
                    self.drain_force()?;
                    return Ok(Polled::Forced);
                }
                _ => return Ok(Polled::Left(left)),
            }
        };
        tell(drained, false)?;
        Ok(Polled::Left(0))
    }

    /// How long draining may yet take, in milliseconds; -1: the pool is not draining, `i64::MAX`: there is no limit.
    pub fn drain_remaining(&self) -> i64 {
        match self.lock().phase {
            Phase::Draining(Some(deadline)) => {
                let left = deadline.saturating_sub(clock::now());
                i64::try_from(left.div_ceil(MILLISECOND)).unwrap_or(i64::MAX)
            }
            Phase::Draining(None) => i64::MAX,
            _ => -1,
        }
    }

    /// Ends all connections, and the pool stops. Does nothing when it has stopped.
    pub fn drain_force(&self) -> Result<(), Error> {
        let (leaving, drained) = {
            let mut state = self.lock();
            if state.phase == Phase::Stopped {
                return Ok(());
            }
            let leaving = state.take_idle(Nanos::MAX);
            (leaving, state.stop())
        };
        self.end(leaving, true);
        tell(drained, true)
    }

    /// Drains and waits for the end; whether it came by force.
    pub fn drain_wait(&self, ms: i32) -> Result<bool, Error> {
        if self.begin(ms)? {
            return Ok(true);
        }
        {
            // One that drains already may have more time, or no limit: the shorter one holds.
            let mut state = self.lock();
            if let (Phase::Draining(until), Some(ours)) = (state.phase, deadline(ms)) {
                let until = until.map_or(ours, |until| until.min(ours));
                state.phase = Phase::Draining(Some(until));
            }
        }
        let mut sleep = FIRST_SLEEP;
        loop {
            match self.drain_poll()? {
                Polled::Forced => return Ok(true),
                Polled::Left(0) => return Ok(false),
                Polled::Left(_) => {}
            }
            let left = self.drain_remaining();
            let left = Nanos::try_from(left).map_or(0, |ms| ms.saturating_mul(MILLISECOND));
            std::thread::sleep(Duration::from_nanos(sleep.min(left)));
            sleep = (sleep * 2).min(LONGEST_SLEEP);
        }
    }

    /// Whom to tell, once, that draining has ended.
    pub fn set_drained(&self, callback: Option<Drained>) {
        let before = std::mem::replace(&mut self.lock().callbacks.drained, callback);
        drop(before);
    }
}
