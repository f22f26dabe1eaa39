//! Random hostile agents against a real sshd: whatever an agent does to its checkout, to git's files and to our processes,
//! no byte of its work is lost and no attempt starts twice.
//!
//! A story is drawn from a seed: what the agent does in each attempt, what happens to our processes while it works, and which
//! commands the user types. After each step [`story`] checks the invariant: every file that existed when an agent ended is in
//! a ref on the laptop, or is still on the host and was named to the user.
//!
//! `HANDOFF_HOSTILE_SECONDS=600` sets how long stories are drawn (20 s by default); `HANDOFF_SEED=N` repeats one story, and
//! prints all that its commands said. `HANDOFF_HOSTILE_FIRST=N` sets the first seed, which is random by default. `integration/run
//! hostile` tells stories from seed 1 on for ten minutes; `HANDOFF_HOSTILE_SECONDS=36000` sets ten hours.

mod files;
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

/// Stories that are told at the same time.
const LANES: u64 = 2;
/// How long stories are drawn where nothing is said.
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
        let told = story::tell(seed);
        println!("{}", told.join("\n"));
        return;
    }
    let end = Instant::now() + Duration::from_secs(number("HANDOFF_HOSTILE_SECONDS").unwrap_or(SECONDS));
    let first = number("HANDOFF_HOSTILE_FIRST").unwrap_or_else(|| Random::from_clock().next());
    let (failed, told) = (Mutex::new(Vec::new()), Mutex::new(0_u64));
    std::thread::scope(|scope| {
        for lane in 0..LANES {
            let (failed, told) = (&failed, &told);
            scope.spawn(move || {
                let mut seed = first.wrapping_add(lane);
                while Instant::now() < end {
                    // A panic has printed its own message; the seed repeats it.
                    if catch_unwind(AssertUnwindSafe(|| story::tell(seed))).is_err() {
                        failed.lock().unwrap().push(seed);
                    }
                    *told.lock().unwrap() += 1;
                    seed = seed.wrapping_add(LANES);
                }
            });
        }
    });
    let (failed, told) = (failed.into_inner().unwrap(), told.into_inner().unwrap());
    println!("{told} stories from HANDOFF_SEED={first} on, {} failed", failed.len());
    assert!(failed.is_empty(), "repeat each with HANDOFF_SEED: {failed:?}");
    assert!(told > 0, "no story was told in the time given");
}
