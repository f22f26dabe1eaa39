//! Random moments: controllers and watchers race and are killed. The moments come from a seed that is printed.

use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::starts::{count, starts, unique};
use crate::support::laptop::Running;
use crate::support::processes;
use crate::support::site::{CHECK, HOST, Site, TASK};

/// Number of handoffs that are disturbed, and the number of blows for each.
const ROUNDS: usize = 4;
const BLOWS: usize = 6;
/// Longest pause between two blows, in milliseconds: about the time that a dispatch takes.
const PAUSE: u64 = 400;

/// SplitMix64, which is good enough to choose moments and is repeatable.
struct Dice(u64);

impl Dice {
    /// The seed, from HANDOFF_SEED or else from the clock. It is printed in both cases.
    fn seeded() -> Dice {
        let clock = || std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_millis() as u64;
        let seed = std::env::var("HANDOFF_SEED").map_or_else(|_| clock(), |seed| seed.parse().unwrap());
        println!("HANDOFF_SEED={seed}");
        Dice(seed)
    }

    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }
}

fn run(site: &Site, id: &str) -> Running {
    let words =
        ["run", "--host", HOST, "--id", id, "--backoff", "1s", "--attempts", "9", "--check", CHECK, "--again", TASK];
    site.laptop.handoff(&words).start()
}

/// Kills one process of the runner on the host, if there is one: a launcher, a watcher, a poll, or a child of one.
fn kill_on_host(site: &Site, dice: &mut Dice) {
    let is_runner = |pid: &i32| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        String::from_utf8_lossy(&line).contains("/lib/runner-")
    };
    let all: Vec<i32> = processes::of_user(site.host.user.uid).into_iter().filter(is_runner).collect();
    if !all.is_empty() {
        processes::signal(all[dice.below(all.len() as u64) as usize], Signal::KILL);
    }
}

#[test]
fn at_random_moments_nothing_starts_twice_and_the_end_is_reached() {
    if !crate::support::user::can_be_made() {
        return crate::skip!("only a user of the test's own has processes that may be killed at random");
    }
    let mut dice = Dice::seeded();
    let site = Site::new();
    count(&site.host.user);
    for round in 0..ROUNDS {
        let id = format!("race-{round}");
        let mut controllers = vec![run(&site, &id)];
        for _ in 0..BLOWS {
            std::thread::sleep(Duration::from_millis(dice.below(PAUSE)));
            match dice.below(6) {
                0 => controllers.push(run(&site, &id)),
                1 => controllers.push(site.laptop.handoff(&["watch", &id]).start()),
                2 => controllers.push(site.laptop.handoff(&["resume", &id, "--again"]).start()),
                3 if !controllers.is_empty() => {
                    let which = dice.below(controllers.len() as u64) as usize;
                    controllers.swap_remove(which).kill();
                }
                _ => kill_on_host(&site, &mut dice),
            }
        }
        for controller in controllers {
            // The controller may be refused or may end with the handoff at rest. It must end, and must not crash.
            let ran = controller.end();
            assert_ne!(ran.code(), 101, "{ran:#?}");
        }
        // If every controller was killed before the record was made, the user gives the same command again.
        let began = Instant::now();
        let _ = match site.laptop.record(&id).exists() {
            true => site.laptop.handoff(&["watch", &id]).run(),
            false => run(&site, &id).end(),
        };
        let shown = site.laptop.handoff(&["show", &id, "--json"]).run().success();
        let active = ["queued", "running"].iter().any(|word| shown.json()["status"] == **word);
        assert!(!active, "not at rest after {:?}: {}", began.elapsed(), shown.stdout);
        unique(&site.host.user, &format!("round {round}"));
    }
    assert!(!starts(&site.host.user).is_empty(), "nothing ever started");
}
