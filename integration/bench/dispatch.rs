//! Time from Enter until the agent's exec, compared with one cold `ssh HOST true`. The host's cache is warm and one
//! file has changed.

use std::time::Duration;

use crate::Size;
use crate::scene::{Scene, change_a_file};
use crate::table::{Pair, Table};

/// The largest ratios that meet the target, without and with a delay.
const AT_MOST: (f64, f64) = (1.1, 1.0);
/// Round trips are counted at this delay: the agent starts before the answer to the dispatch is back, so that no later
/// request counts.
const COUNTED_AT: Duration = Duration::from_secs(2);

pub fn measure(size: Size, table: &mut Table) {
    eprintln!("dispatch");
    let mut scene = Scene::new(0);
    scene.time_to_exec();
    for round_trip in size.round_trips() {
        scene.proxy.round_trip(round_trip);
        let mut pair = Pair::default();
        for round in 0..size.rounds {
            pair.theirs.push(scene.time_of_ssh("true"));
            change_a_file(&scene.laptop.repo, round);
            pair.ours.push(scene.time_to_exec().0);
        }
        let at_most = if round_trip.is_zero() { AT_MOST.0 } else { AT_MOST.1 };
        table.slower("dispatch, warm, one file changed", round_trip, "`ssh HOST true`", &pair, Some(at_most));
    }
    if size.only == Some(Duration::ZERO) {
        return;
    }
    scene.proxy.round_trip(COUNTED_AT);
    scene.proxy.count_anew();
    scene.time_of_ssh("true");
    let theirs = scene.proxy.round_trips();
    change_a_file(&scene.laptop.repo, size.rounds);
    let (_, ours) = scene.time_to_exec();
    table.note(format!(
        "Round trips one after another, as the proxy counted them at {} s: {ours} until the agent's exec, {theirs} for \
         `ssh HOST true`; TCP's own handshake is one more for each.",
        COUNTED_AT.as_secs(),
    ));
}
