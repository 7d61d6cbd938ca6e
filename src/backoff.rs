//! How long to wait before the next attempt: exponential, with a random share, so that those who lost a server together do not
//! come back to it together. One for all faces. Pure but for [`random`].

/// The shape of the waits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Backoff {
    /// Before the random share, the first wait is this.
    pub initial_ms: u32,
    /// No wait is longer.
    pub max_ms: u32,
    /// Each wait is so many times the one before: 1 or more.
    pub multiplier: f64,
    /// The share of a wait that chance adds or takes at most: 0 to 1.
    pub jitter: f64,
}

impl Backoff {
    /// The wait, in milliseconds, after so many steps: `initial * multiplier^steps`, capped at the maximum, then more or less by the
    /// random share; 1 at least, and never above the maximum. `chance` is from 0 up to 1.
    ///
    /// No number of steps and no shape overflows: what is too large for a float is the maximum.
    pub fn wait_ms(&self, steps: u32, chance: f64) -> u32 {
        let max = f64::from(self.max_ms.max(1));
        let steps = i32::try_from(steps).unwrap_or(i32::MAX);
        let grown = f64::from(self.initial_ms) * self.multiplier.powi(steps);
        // 0 times infinity is no number; it cannot be waited for either.
        let capped = if grown.is_nan() { max } else { grown.min(max) };
        let share = self.jitter * (2.0 * chance - 1.0);
        let jittered = capped * (1.0 + share);
        if jittered.is_nan() {
            return self.max_ms.max(1);
        }
        // Both bounds are whole numbers of 32 bits.
        jittered.round().clamp(1.0, max) as u32
    }
}

/// A number from 0 up to 1, from the kernel's generator: without state of ours, so that the processes of a fork go different ways.
/// Where the kernel has none to give, the clock's last digits will do: it is no secret, only to be spread.
pub fn random() -> f64 {
    let mut bytes = [0u8; 8];
    // SAFETY: eight writable bytes.
    let got = unsafe { libc::getrandom(bytes.as_mut_ptr().cast(), 8, libc::GRND_NONBLOCK) };
    let number = if got == 8 {
        u64::from_ne_bytes(bytes)
    } else {
        crate::clock::now().wrapping_mul(0x9E37_79B9_7F4A_7C15)
    };
    // 53 bits: what a float holds.
    (number >> 11) as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const USUAL: Backoff = Backoff {
        initial_ms: 100,
        max_ms: 30_000,
        multiplier: 2.0,
        jitter: 0.25,
    };

    #[test]
    fn waits_double_up_to_the_maximum() {
        let waits: Vec<u32> = (0..11).map(|steps| USUAL.wait_ms(steps, 0.5)).collect();
        assert_eq!(
            waits,
            [100, 200, 400, 800, 1600, 3200, 6400, 12800, 25600, 30000, 30000]
        );
    }

    #[test]
    fn chance_adds_or_takes_its_share() {
        assert_eq!(USUAL.wait_ms(1, 0.0), 150);
        assert_eq!(USUAL.wait_ms(1, 1.0), 250);
        assert_eq!(USUAL.wait_ms(20, 0.0), 22_500);
        assert_eq!(USUAL.wait_ms(20, 1.0), 30_000);
        let wild = Backoff {
            jitter: 1.0,
            ..USUAL
        };
        assert_eq!(wild.wait_ms(3, 0.0), 1);
    }

    #[test]
    fn without_growth_every_wait_is_the_first() {
        let constant = Backoff {
            multiplier: 1.0,
            jitter: 0.0,
            ..USUAL
        };
        assert_eq!(constant.wait_ms(0, 0.3), 100);
        assert_eq!(constant.wait_ms(u32::MAX, 0.3), 100);
    }

    #[test]
    fn chance_is_spread() {
        let drawn: Vec<f64> = (0..64).map(|_| random()).collect();
        assert!(drawn.iter().all(|x| (0.0..1.0).contains(x)));
        assert!(drawn.iter().any(|x| *x < 0.5) && drawn.iter().any(|x| *x >= 0.5));
    }

    proptest! {
        #[test]
        fn any_shape(
            initial_ms: u32, max_ms: u32, multiplier: f64, jitter: f64, steps: u32, chance in 0.0..1.0f64,
        ) {
            let wait = Backoff { initial_ms, max_ms, multiplier, jitter }.wait_ms(steps, chance);
            prop_assert!((1..=max_ms.max(1)).contains(&wait));
        }

        #[test]
        fn any_good_shape(
            initial_ms in 1..100_000u32, more in 0..1_000_000u32, multiplier in 1.0..1e9f64, jitter in 0.0..1.0f64,
            steps in 0..200u32, chance in 0.0..1.0f64,
        ) {
            let max_ms = initial_ms + more;
            let shape = Backoff { initial_ms, max_ms, multiplier, jitter };
            let middle = f64::from(shape.wait_ms(steps, 0.5));
            let wait = f64::from(shape.wait_ms(steps, chance));
            prop_assert!(wait >= (middle * (1.0 - jitter)).floor().max(1.0) - 1.0);
            prop_assert!(wait <= (middle * (1.0 + jitter)).ceil() + 1.0);
            // Never shorter with more steps.
            prop_assert!(shape.wait_ms(steps + 1, chance) >= shape.wait_ms(steps, chance));
        }
    }
}
