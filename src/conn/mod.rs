//! One connection: `machine` and `race` decide, `driver` does.

pub mod machine;
pub mod race;
pub mod timers;
