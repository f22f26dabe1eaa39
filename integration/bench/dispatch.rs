//! Enter until the agent's exec, with the host's cache warm and one file changed, beside one cold `ssh HOST true`.

use std::time::Duration;

use crate::Size;
use crate::scene::{ROUND_TRIPS, Scene, change_a_file};
use crate::table::{Pair, Table, median};

/// The largest ratio that meets the target.
const AT_MOST: f64 = 1.5;

pub fn measure(size: Size, table: &mut Table) {
    eprintln!("dispatch");
    let mut scene = Scene::new(0);
    scene.time_to_exec();
    let mut medians = Vec::new();
    for round_trip in ROUND_TRIPS {
        scene.proxy.round_trip(round_trip);
        let mut pair = Pair::default();
        for round in 0..size.rounds {
            pair.theirs.push(scene.time_of_ssh("true"));
            change_a_file(&scene.laptop.repo, round);
            pair.ours.push(scene.time_to_exec());
        }
        table.slower("dispatch, warm, one file changed", round_trip, "`ssh HOST true`", &pair, Some(AT_MOST));
        medians.push((median(&pair.ours), median(&pair.theirs)));
    }
    let added = ROUND_TRIPS[1] - ROUND_TRIPS[0];
    let trips = |near: Duration, far: Duration| far.saturating_sub(near).as_secs_f64() / added.as_secs_f64();
    table.note(format!(
        "Round trips one after another, from what the delay added: {:.1} for a dispatch, {:.1} for `ssh HOST true`.",
        trips(medians[0].0, medians[1].0),
        trips(medians[0].1, medians[1].1),
    ));
}
