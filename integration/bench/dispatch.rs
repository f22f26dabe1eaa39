//! Time from Enter until the agent's exec, compared with one cold `ssh HOST true`. The host's cache is warm and one
//! file has changed.

use std::time::Duration;

use crate::Size;
use crate::scene::{Scene, change_a_file};
use crate::table::{Pair, Table};

/// The largest ratio that meets the target.
const AT_MOST: f64 = 1.5;

pub fn measure(size: Size, table: &mut Table) {
    eprintln!("dispatch");
    let mut scene = Scene::new(0);
    scene.time_to_exec();
    let (mut ours, mut theirs, mut delay) = (0, 0, Duration::ZERO);
    for round_trip in size.round_trips() {
        scene.proxy.round_trip(round_trip);
        delay = round_trip;
        let mut pair = Pair::default();
        for round in 0..size.rounds {
            scene.proxy.count_anew();
            pair.theirs.push(scene.time_of_ssh("true"));
            theirs = scene.proxy.round_trips();
            change_a_file(&scene.laptop.repo, round);
            let (time, trips) = scene.time_to_exec();
            pair.ours.push(time);
            ours = trips;
        }
        table.slower("dispatch, warm, one file changed", round_trip, "`ssh HOST true`", &pair, Some(AT_MOST));
    }
    if delay.is_zero() {
        return;
    }
    table.note(format!(
        "Round trips one after another, as the proxy counted them at {} ms: {ours} until the agent's exec, {theirs} for \
         `ssh HOST true`; TCP's own handshake is one more for each.",
        delay.as_millis(),
    ));
}
