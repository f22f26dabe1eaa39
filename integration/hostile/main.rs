//! Random hostile agents against a real sshd. Whatever an agent does to its checkout, to git's files and to handoff's
//! processes, no byte of its work is lost and no attempt starts twice.
//!
//! A seed determines a story: the agent's moves in each attempt, the faults in handoff's processes, and the user's
//! commands. After each step [`invariants`] checks every file that existed when an agent ended. A ref on the laptop
//! must have it, or the host must have it and the user must have been shown its name.
//!
//! `HANDOFF_HOSTILE_SECONDS=600` sets how long stories run (20 s by default). `HANDOFF_SEED=N` repeats one story, and
//! prints everything that its commands printed. `HANDOFF_HOSTILE_FIRST=N` sets the first seed, which is random by
//! default. `integration/run hostile` runs stories from seed 1 on for ten minutes; `HANDOFF_HOSTILE_SECONDS=36000` sets
//! ten hours.

mod blows;
mod files;
mod invariants;
mod moves;
mod random;
mod story;
#[allow(dead_code, reason = "shared with the other tests; each uses its part")]
#[path = "../support"]
mod support {
    pub mod agent;
    pub mod dropbear;
    pub mod evidence;
    pub mod laptop;
    pub mod processes;
    pub mod proxy;
    pub mod site;
    pub mod skip;
    pub mod ssh_config;
    pub mod sshd;
    pub mod transcript;
    pub mod user;
    pub mod wait;
}

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Mutex;
use std::time::{Duration, Instant};

use random::Random;

/// Stories that run at the same time.
const LANES: u64 = 2;
/// How long stories run by default.
const SECONDS: u64 = 20;

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable)
        .ok()
        .map(|text| text.parse().unwrap_or_else(|_| panic!("{variable} is not a number: {text}")))
}

#[test]
fn no_work_is_lost_and_no_attempt_starts_twice() {
    if !support::user::can_be_made() || !support::sshd::can_replace_sh() {
        return skip!("only a user of the test's own may be treated like this, and only root can make one");
    }
    if let Some(seed) = number("HANDOFF_SEED") {
        println!("{}", story::run(seed).join("\n"));
        return;
    }
    let end = Instant::now() + Duration::from_secs(number("HANDOFF_HOSTILE_SECONDS").unwrap_or(SECONDS));
    let first = number("HANDOFF_HOSTILE_FIRST").unwrap_or_else(|| Random::from_clock().next());
    let (failed, count) = (Mutex::new(Vec::new()), Mutex::new(0_u64));
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (failed, count) = (&failed, &count);
            scope.spawn(move || {
                let mut seed = first.wrapping_add(lane);
                while Instant::now() < end {
                    let began = Instant::now();
                    // A panic has printed its own message. The seed repeats the story.
                    let passed = catch_unwind(AssertUnwindSafe(|| story::run(seed))).is_ok();
                    println!(
                        "seed {seed} {} ({} s)",
                        if passed { "passed" } else { "FAILED" },
                        began.elapsed().as_secs()
                    );
                    if !passed {
                        failed.lock().unwrap().push(seed);
                    }
                    *count.lock().unwrap() += 1;
                    seed = seed.wrapping_add(LANES);
                }
            });
        }
    });
    let (failed, count) = (failed.into_inner().unwrap(), count.into_inner().unwrap());
    println!("{count} stories from HANDOFF_SEED={first} on, {} failed", failed.len());
    assert!(failed.is_empty(), "repeat each with HANDOFF_SEED: {failed:?}");
    assert!(count > 0, "no story ended in the time given");
}
