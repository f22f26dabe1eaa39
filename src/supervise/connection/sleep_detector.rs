//! Detects that this machine or this process was suspended, because connections may have died silently in the meantime.

use std::sync::LazyLock;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};
use tokio::task::JoinSet;

/// How often the clocks are compared.
const LOOK: Duration = Duration::from_millis(500);
/// More than a scheduler's delay. The boot clock runs while the machine sleeps; the monotonic clock does not.
const SLEPT: Duration = Duration::from_secs(2);
/// A look that is this late was prevented: the process was stopped, or the virtual machine was paused.
const LATE: Duration = Duration::from_secs(4);

/// The two clocks. A test moves its own.
pub trait Clocks: Send + 'static {
    /// Runs while the machine sleeps.
    fn boot(&self) -> Duration;
    /// Does not.
    fn monotonic(&self) -> Duration;
}

/// The machine's own clocks.
pub struct System;

impl Clocks for System {
    #[cfg(any(target_os = "linux", target_os = "android"))]
    fn boot(&self) -> Duration {
        read(ClockId::Boottime)
    }

    /// Apple's monotonic clock runs while the machine sleeps.
    #[cfg(target_vendor = "apple")]
    fn boot(&self) -> Duration {
        read(ClockId::Monotonic)
    }

    /// Other systems have only the wall clock. Setting it costs one reconnection.
    #[cfg(not(any(target_os = "linux", target_os = "android", target_vendor = "apple")))]
    fn boot(&self) -> Duration {
        read(ClockId::Realtime)
    }

    /// The standard library uses the clock that stops during sleep on each system.
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

/// Compares the clocks at each look, which should come twice a second.
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

    /// Whether the machine or the process was suspended since the last look.
    pub fn slept(&mut self) -> bool {
        let (boot, monotonic) = (self.clocks.boot(), self.clocks.monotonic());
        let on = boot.saturating_sub(self.boot);
        let awake = monotonic.saturating_sub(self.monotonic);
        (self.boot, self.monotonic) = (boot, monotonic);
        on.saturating_sub(awake) >= SLEPT || awake >= LOOK + LATE
    }
}

/// Completes within a second after the machine or the process was suspended. It runs in a task of its own, so that a
/// slow disk does not look like a sleep.
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
