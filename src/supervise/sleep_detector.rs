//! Notices that this machine, or this process, stood still: connections may have died meanwhile without a word.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

/// How often the clocks are looked at.
const LOOK: Duration = Duration::from_millis(500);
/// More than a scheduler's hiccup: the boot clock goes on while the machine sleeps, the monotonic one stands still.
const SLEPT: Duration = Duration::from_secs(2);
/// A look that comes so much later than asked for was kept from coming: a stopped process, a paused virtual machine.
const LATE: Duration = Duration::from_secs(4);

/// The clocks that tell it; a test moves its own.
pub trait Clocks: Send + 'static {
    /// Goes on while the machine sleeps.
    fn boot(&self) -> Duration;
    /// Does not.
    fn monotonic(&self) -> Duration;
}

/// The machine's own.
pub struct System;

impl Clocks for System {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn boot(&self) -> Duration {
        read(ClockId::Boottime)
    }

    /// Apple's monotonic clock goes on while the machine sleeps.
    #[cfg(target_vendor = "apple")]
    fn boot(&self) -> Duration {
        read(ClockId::Monotonic)
    }

    /// Elsewhere the wall clock: one that is set costs a reconnection, no more.
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn boot(&self) -> Duration {
        read(ClockId::Realtime)
    }

    /// The standard library asks each system for the clock that stands still.
    fn monotonic(&self) -> Duration {
        static START: LazyLock<Instant> = LazyLock::new(Instant::now);
        START.elapsed()
    }
}

fn read(clock: ClockId) -> Duration {
    let time = clock_gettime(clock);
    let seconds = u64::try_from(time.tv_sec).unwrap_or(0);
    Duration::new(seconds, u32::try_from(time.tv_nsec).unwrap_or(0))
}

/// Compares the clocks at each look, of which there are to be two a second.
pub struct SleepDetector<C> {
    clocks: C,
    boot: Duration,
    monotonic: Duration,
}

impl<C: Clocks> SleepDetector<C> {
    pub fn by(clocks: C) -> Self {
        let (boot, monotonic) = (clocks.boot(), clocks.monotonic());
        SleepDetector { clocks, boot, monotonic }
    }

    /// Whether the machine or the process stood still since the last look.
    pub fn slept(&mut self) -> bool {
        let (boot, monotonic) = (self.clocks.boot(), self.clocks.monotonic());
        let on = boot.saturating_sub(self.boot);
        let awake = monotonic.saturating_sub(self.monotonic);
        (self.boot, self.monotonic) = (boot, monotonic);
        on.saturating_sub(awake) >= SLEPT || awake >= LOOK + LATE
    }
}

/// Ends when the machine or the process has stood still, within a second of its waking. Looks from a task of its own, so
/// that a slow disk is not taken for a sleep.
pub async fn woken() {
    let mut looks = JoinSet::new();
    looks.spawn(async {
        let mut wake = SleepDetector::by(System);
        while !wake.slept() {
            tokio::time::sleep(LOOK).await;
        }
    });
    looks.join_next().await;
}

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;

    #[derive(Clone, Default)]
    struct Moved(Arc<Mutex<(Duration, Duration)>>);

    impl Moved {
        fn advance(&self, boot: f32, monotonic: f32) {
            let mut clocks = self.0.lock().unwrap();
            clocks.0 += Duration::from_secs_f32(boot);
            clocks.1 += Duration::from_secs_f32(monotonic);
        }
    }

    impl Clocks for Moved {
        fn boot(&self) -> Duration {
            self.0.lock().unwrap().0
        }

        fn monotonic(&self) -> Duration {
            self.0.lock().unwrap().1
        }
    }

    #[test]
    fn a_sleep_is_seen_once_and_a_hiccup_is_none() {
        let clocks = Moved::default();
        let mut wake = SleepDetector::by(clocks.clone());
        let mut look = |boot, monotonic| {
            clocks.advance(boot, monotonic);
            wake.slept()
        };
        assert!(!look(0.5, 0.5));
        assert!(!look(2.0, 2.0), "a busy machine");
        assert!(!look(1.5, 0.5), "a doze");
        assert!(look(8.0 * 3600.0, 0.5), "a night");
        assert!(!look(0.5, 0.5), "the night was told already");
        assert!(look(6.0, 6.0), "a stopped process, or a paused virtual machine");
        assert!(!look(0.5, 0.5));
    }

    #[test]
    fn a_wall_clock_that_is_set_back_is_no_sleep() {
        let clocks = Moved(Arc::new(Mutex::new((Duration::from_secs(100), Duration::from_secs(100)))));
        let mut wake = SleepDetector::by(clocks.clone());
        *clocks.0.lock().unwrap() = (Duration::from_secs(40), Duration::from_secs(101));
        assert!(!wake.slept());
    }
}
