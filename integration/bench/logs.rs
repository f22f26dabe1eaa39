//! Time to fetch a log of which the laptop has no byte, compared with `ssh HOST cat`.

use std::time::Duration;

use crate::Size;
use crate::scene::Scene;
use crate::support::wait;
use crate::table::{Pair, Table};

/// The smallest ratio that meets the target, without and with a delay.
const AT_LEAST: (f64, f64) = (1.0, 3.0);
const LONG: Duration = Duration::from_secs(600);

pub fn measure(size: Size, table: &mut Table) {
    eprintln!("logs");
    let mut scene = Scene::new(size.log);
    for round_trip in size.round_trips() {
        let mut pair = Pair::default();
        for _ in 0..size.rounds.min(3) {
            scene.proxy.round_trip(Duration::ZERO);
            let id = scene.hand_off();
            // The host judges the attempt first, so that it is idle during the measurement, as after a night.
            wait::until("the attempt's result", LONG, || scene.has_result(&id).then_some(()));
            scene.proxy.round_trip(round_trip);
            pair.theirs.push(scene.time_of_ssh("cat ~/big.log"));
            // All of `watch` is measured: connect, download, verify, judge. Its output is discarded, and so is that of
            // ssh.
            pair.ours.push(scene.laptop.handoff(&["watch", "--raw", &id]).time());
            let mirrored = scene.laptop.record(&id).join("attempt-1.log").metadata().unwrap().len();
            assert!(mirrored >= size.log as u64, "only {mirrored} bytes came");
        }
        let at_least = if round_trip.is_zero() { AT_LEAST.0 } else { AT_LEAST.1 };
        let what = format!("log download, {} MiB", size.log >> 20);
        table.faster(&what, round_trip, "`ssh HOST cat`", &pair, at_least);
    }
}
