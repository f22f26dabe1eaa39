//! The time from Enter until the editor is started, compared with `git worktree add` of the same commit.

use std::time::{Duration, Instant, SystemTime};

use crate::Size;
use crate::scene::{Scene, change_a_file};
use crate::ship::make_repository;
use crate::table::{Pair, Table, median};

/// The largest ratio that meets the target, and the longest time until the editor.
const AT_MOST: f64 = 1.5;
const LONGEST: Duration = Duration::from_secs(2);

pub fn measure(size: Size, table: &mut Table) {
    eprintln!("takeover");
    for round_trip in size.round_trips() {
        let mut scene = Scene::new(0);
        scene.laptop.repo = scene.laptop.path("large");
        make_repository(&scene, size.files);
        // A command instead of an editor. Its file has the time at which the editor would have been started.
        scene.laptop.hosts_toml(&format!("[takeover]\ncommand = ': >{}'\n", scene.laptop.path("opened").display()));
        scene.proxy.round_trip(round_trip);
        let mut pair = Pair::default();
        for round in 0..size.rounds.min(3) {
            change_a_file(&scene.laptop.repo, round);
            scene.time_to_exec();
            scene.wait_for_result();
            pair.theirs.push(worktree(&scene, round));
            pair.ours.push(to_editor(&scene));
        }
        let what = format!("takeover of {} files with one change, until the editor", size.files);
        table.slower(&what, round_trip, "`git worktree add`", &pair, Some(AT_MOST));
        if median(&pair.ours) > LONGEST {
            table.note(format!(
                "A takeover took {:.1} s, more than the target of 2 s.",
                median(&pair.ours).as_secs_f64()
            ));
        }
    }
}

/// Time from Enter until the editor is started. The work of the attempt is still on the host.
fn to_editor(scene: &Scene) -> Duration {
    let opened = scene.laptop.path("opened");
    let _ = std::fs::remove_file(&opened);
    let enter = SystemTime::now();
    scene.laptop.handoff(&["takeover", &scene.newest()]).run().success();
    let opened = std::fs::metadata(opened).unwrap().modified().unwrap();
    opened.duration_since(enter).unwrap_or_default()
}

fn worktree(scene: &Scene, round: usize) -> Duration {
    let path = scene.laptop.path(&format!("plain-{round}"));
    let began = Instant::now();
    scene.laptop.git(&["worktree", "add", "-q", "--detach", path.to_str().unwrap()]);
    began.elapsed()
}
