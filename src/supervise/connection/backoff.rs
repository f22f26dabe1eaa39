//! Delays between tries, computed with `backon`.

use std::time::Duration;

use backon::{BackoffBuilder, ExponentialBuilder};

/// Longest delay between two attempts.
const LONGEST: Duration = Duration::from_secs(300);

/// `count` delays between attempts: `first`, doubling to five minutes. Jitter adds up to as much again and never
/// subtracts.
pub fn attempt_delays(first: Duration, count: usize, jitter_seed: u64) -> Vec<u64> {
    let builder = ExponentialBuilder::default()
        .with_min_delay(first)
        .with_max_delay(LONGEST.max(first))
        .with_max_times(count)
        .with_jitter()
        .with_jitter_seed(jitter_seed);
    builder.build().map(|delay| delay.min(LONGEST.max(first)).as_secs().max(1)).collect()
}

/// Longest delay between two tries to reach a host, so that the log continues within seconds of its return.
const LONGEST_AWAY: Duration = Duration::from_secs(30);

/// Endless delays between tries to reach a host: none, then half a second doubling to half a minute.
pub fn link_delays() -> impl Iterator<Item = Duration> {
    let builder = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(500))
        .with_max_delay(LONGEST_AWAY / 2)
        .without_max_times()
        .with_jitter();
    std::iter::once(Duration::ZERO).chain(builder.build()).map(|delay| delay.min(LONGEST_AWAY))
}

/// Delays between tries of a first connection, while the user waits: short, doubling, with jitter.
pub fn first_contact_delays() -> impl Iterator<Item = Duration> {
    let builder = ExponentialBuilder::default()
        .with_min_delay(Duration::from_millis(400))
        .with_max_delay(Duration::from_secs(5))
        .without_max_times()
        .with_jitter();
    builder.build()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn delays_grow_to_five_minutes_and_no_further() {
        let delays = attempt_delays(Duration::from_secs(15), 12, 7);
        assert_eq!(delays.len(), 12);
        assert!((15..=30).contains(&delays[0]), "{delays:?}");
        assert!(delays.iter().all(|d| *d <= 300), "{delays:?}");
        assert_eq!(delays, attempt_delays(Duration::from_secs(15), 12, 7), "a seed repeats them");
    }

    #[test]
    fn a_link_is_tried_again_for_ever() {
        let delays: Vec<_> = link_delays().take(100).collect();
        assert_eq!(delays.len(), 100);
        assert_eq!(delays[0], Duration::ZERO);
        assert!(delays[20..].iter().all(|delay| (LONGEST_AWAY / 2..=LONGEST_AWAY).contains(delay)), "{delays:?}");
    }
}
