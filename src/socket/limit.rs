//! A token bucket: so many bytes a second, and at most a second's worth at once. Pure: the time is given.

use crate::clock::{Nanos, SECOND};

/// The bucket of a socket; without a rate it limits nothing.
#[derive(Debug, Default)]
pub(super) struct Bucket {
    /// Bytes a second, and the most it holds; 0: no limit.
    rate: u64,
    tokens: u64,
    /// Up to when the tokens are counted.
    filled: Nanos,
}

impl Bucket {
    /// A new rate; the bucket is full.
    pub(super) fn set_rate(&mut self, rate: u64, now: Nanos) {
        *self = Bucket {
            rate,
            tokens: rate,
            filled: now,
        };
    }

    pub(super) fn rate(&self) -> u64 {
        self.rate
    }

    /// How many of `wanted` bytes may move now.
    pub(super) fn available(&mut self, wanted: usize, now: Nanos) -> usize {
        if self.rate == 0 {
            return wanted;
        }
        self.fill(now);
        wanted.min(usize::try_from(self.tokens).unwrap_or(usize::MAX))
    }

    /// So many bytes have moved.
    pub(super) fn take(&mut self, bytes: usize) {
        self.tokens = self.tokens.saturating_sub(bytes as u64);
    }

    /// How long until so many bytes may move; `None`: never.
    pub(super) fn wait(&mut self, bytes: usize, now: Nanos) -> Option<Nanos> {
        if self.rate == 0 {
            return Some(0);
        }
        let bytes = bytes as u64;
        if bytes > self.rate {
            return None;
        }
        self.fill(now);
        let missing = bytes.saturating_sub(self.tokens);
        if missing == 0 {
            return Some(0);
        }
        let time = (u128::from(missing) * u128::from(SECOND)).div_ceil(u128::from(self.rate));
        let time = u64::try_from(time).unwrap_or(u64::MAX);
        Some(time.saturating_sub(now.saturating_sub(self.filled)).max(1))
    }

    fn fill(&mut self, now: Nanos) {
        let passed = now.saturating_sub(self.filled);
        let new = u128::from(passed) * u128::from(self.rate) / u128::from(SECOND);
        if new >= u128::from(self.rate - self.tokens) {
            self.tokens = self.rate;
            self.filled = now;
        } else {
            self.tokens += new as u64;
            // What is left of a token's time counts for the next one.
            self.filled += (new * u128::from(SECOND)).div_ceil(u128::from(self.rate)) as u64;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bucket_empties_and_fills() {
        let mut bucket = Bucket::default();
        assert_eq!(bucket.available(1 << 40, 5), 1 << 40);
        assert_eq!(bucket.wait(1 << 40, 5), Some(0));
        bucket.set_rate(1000, 0);
        assert_eq!(bucket.available(4000, 0), 1000);
        bucket.take(900);
        assert_eq!(bucket.available(4000, 0), 100);
        assert_eq!(bucket.wait(100, 0), Some(0));
        assert_eq!(bucket.wait(300, 0), Some(SECOND / 5));
        assert_eq!(bucket.wait(1001, 0), None);
        assert_eq!(bucket.available(4000, SECOND / 5), 300);
        bucket.take(300);
        assert_eq!(bucket.available(4000, 100 * SECOND), 1000);
    }

    #[test]
    fn small_steps_lose_nothing() {
        let mut bucket = Bucket::default();
        bucket.set_rate(3, 0);
        bucket.take(3);
        let mut moved = 0;
        for step in 1..=1000 {
            let got = bucket.available(1, step * (SECOND / 100));
            bucket.take(got);
            moved += got;
        }
        assert!((29..=30).contains(&moved), "{moved}");
    }
}
