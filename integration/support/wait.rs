//! Waiting for a condition with a deadline, never blindly.

use std::time::{Duration, Instant};

/// Interval between two checks of a condition.
const STEP: Duration = Duration::from_millis(20);

/// The largest factor by which a limit is stretched.
const MOST: f64 = 8.0;

/// Waits until `condition` returns a value. Fails the test with `what` if it does not within `limit`, which is longer
/// on a busy machine.
#[track_caller]
pub fn until<T>(what: &str, limit: Duration, condition: impl FnMut() -> Option<T>) -> T {
    until_or_show(what, limit, condition, String::new)
}

/// The same. A failure adds `shown`, which describes the state at that moment.
#[track_caller]
pub fn until_or_show<T>(
    what: &str,
    limit: Duration,
    mut condition: impl FnMut() -> Option<T>,
    shown: impl Fn() -> String,
) -> T {
    let began = Instant::now();
    let mut end = began + limit;
    loop {
        if let Some(value) = condition() {
            return value;
        }
        if Instant::now() >= end {
            end = end.max(began + stretched(limit));
            assert!(Instant::now() < end, "waited {:?} in vain for {what}\n{}", began.elapsed(), shown());
        }
        std::thread::sleep(STEP);
    }
}

/// Whether a limit is over, counted from `began` and stretched on a busy machine.
pub fn is_over(began: Instant, limit: Duration) -> bool {
    began.elapsed() >= limit && began.elapsed() >= stretched(limit)
}

/// A limit for something with a fixed duration on an idle machine. It grows with the load of this machine.
pub fn stretched(limit: Duration) -> Duration {
    let cores = std::thread::available_parallelism().map_or(1, usize::from) as f64;
    let waiting = std::fs::read_to_string("/proc/loadavg").ok();
    let waiting = waiting.and_then(|text| text.split(' ').next()?.parse::<f64>().ok()).unwrap_or_default();
    limit.mul_f64((waiting / cores).max(share()).clamp(1.0, MOST))
}

/// The factor by which a short computation is slower now than on an idle machine.
fn share() -> f64 {
    let processor = || {
        let time = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        Duration::new(time.tv_sec.unsigned_abs(), time.tv_nsec as u32)
    };
    let (began, used) = (Instant::now(), processor());
    while processor() - used < Duration::from_millis(20) {}
    began.elapsed().as_secs_f64() / (processor() - used).as_secs_f64()
}
