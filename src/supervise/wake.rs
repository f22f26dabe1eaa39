//! Notices that this machine slept: the boot clock goes on while the monotonic one stands still.

use rustix::time::{ClockId, clock_gettime};

/// More than a scheduler's hiccup, in seconds.
const SLEPT: i64 = 2;

/// Compares the two clocks at each look.
pub struct Wake {
    gap: Option<i64>,
}

impl Wake {
    pub fn new() -> Self {
        Wake { gap: gap() }
    }

    /// Whether the machine slept since the last look.
    pub fn slept(&mut self) -> bool {
        let now = gap();
        let slept = matches!((self.gap, now), (Some(before), Some(now)) if now - before >= SLEPT);
        self.gap = now;
        slept
    }
}

impl Default for Wake {
    fn default() -> Self {
        Self::new()
    }
}

#[cfg(any(target_os = "linux", target_os = "android"))]
fn gap() -> Option<i64> {
    Some(clock_gettime(ClockId::Boottime).tv_sec - clock_gettime(ClockId::Monotonic).tv_sec)
}

/// Elsewhere the wall clock against the monotonic one: a set clock then costs a reconnect, no more.
#[cfg(not(any(target_os = "linux", target_os = "android")))]
fn gap() -> Option<i64> {
    Some(clock_gettime(ClockId::Realtime).tv_sec - clock_gettime(ClockId::Monotonic).tv_sec)
}
