//! The first and the repeated ship of a large repository, compared with `rsync -a` of the same folder.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Size;
use crate::scene::{Scene, change_a_file};
use crate::table::{Pair, Table};

/// The largest ratios that meet the targets, without and with a delay.
const FIRST: (f64, f64) = (0.5, 0.8);
const AGAIN: (f64, f64) = (1.5, 1.0);

pub fn measure(size: Size, table: &mut Table) {
    eprintln!("ship");
    for round_trip in size.round_trips() {
        let (mut first, mut fetch, mut again) = (Pair::default(), Pair::default(), Pair::default());
        for round in 0..size.rounds.min(3) {
            let mut scene = Scene::new(0);
            scene.laptop.repo = scene.laptop.path("large");
            make_repository(&scene, size.files);
            scene.proxy.round_trip(round_trip);
            first.theirs.push(rsync(&scene, Way::There));
            first.ours.push(scene.time_to_exec().0);
            // The first handoff is at rest before the next one begins, and is not cleaned.
            fetch.theirs.push(rsync(&scene, Way::Back));
            fetch.ours.push(scene.time_of_watch());
            change_a_file(&scene.laptop.repo, round);
            again.theirs.push(rsync(&scene, Way::There));
            again.ours.push(scene.time_to_exec().0);
        }
        let files = size.files;
        let at_most = |(none, some)| Some(if round_trip.is_zero() { none } else { some });
        table.slower(
            &format!("first ship of {files} files, until exec"),
            round_trip,
            "`rsync -a`",
            &first,
            at_most(FIRST),
        );
        table.slower("fetch of an attempt that changed one of them", round_trip, "`rsync -a` back", &fetch, None);
        table.slower("the same ship again, one file changed", round_trip, "`rsync -a`", &again, at_most(AGAIN));
    }
}

/// A dispatch of a repository whose index is older than its files, as in one that was copied: git hashes all of them at
/// each `status`, because the index of the user is not refreshed.
pub fn measure_stale(size: Size, table: &mut Table) {
    eprintln!("stale");
    let mut scene = Scene::new(0);
    scene.laptop.repo = scene.laptop.path("large");
    make_repository(&scene, size.files);
    let touched = scene.laptop.program("find").args([".", "-name", "*.rs", "-exec", "touch", "{}", "+"]).status();
    assert!(touched.unwrap().success());
    let (mut first, mut later) = (Pair::default(), Pair::default());
    for round in 0..size.rounds.min(3) {
        change_a_file(&scene.laptop.repo, round);
        let status = status(&scene);
        let pair = if round == 0 { &mut first } else { &mut later };
        pair.theirs.push(status);
        pair.ours.push(scene.time_to_exec().0);
        scene.time_of_watch();
    }
    let zero = Duration::ZERO;
    table.slower(
        &format!("first dispatch of {} files with a stale index", size.files),
        zero,
        "`git status`",
        &first,
        None,
    );
    table.slower("the next dispatches of it", zero, "`git status`", &later, None);
}

fn status(scene: &Scene) -> Duration {
    let began = Instant::now();
    let mut git = scene.laptop.program("git");
    git.args(["--no-optional-locks", "status", "--porcelain"]).stdout(std::process::Stdio::null());
    assert!(git.status().unwrap().success());
    began.elapsed()
}

/// Small text files in folders of a hundred, committed.
pub fn make_repository(scene: &Scene, files: usize) {
    let repo = &scene.laptop.repo;
    for number in 0..files {
        let folder = repo.join(format!("part-{:03}", number / 100));
        if number % 100 == 0 {
            std::fs::create_dir_all(&folder).unwrap();
        }
        let line = format!("fn item_{number}() -> u64 {{ {} }}\n", number.wrapping_mul(2_654_435_761));
        std::fs::write(folder.join(format!("item-{number}.rs")), line.repeat(20)).unwrap();
    }
    change_a_file(repo, 0);
    // Git must not run maintenance in the background during the measurement.
    let quiet = ["config", "gc.auto", "0"];
    for args in [&["init", "-q"][..], &quiet, &["add", "-A"], &["commit", "-qm", "A large repository"], &["gc", "-q"]] {
        scene.laptop.git(args);
    }
}

/// The direction of a copy.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Way {
    There,
    Back,
}

/// Runs `rsync -a` of the whole folder, `.git` included, to the host, or back to another folder that is equal.
fn rsync(scene: &Scene, way: Way) -> Duration {
    let mut source = scene.laptop.repo.as_os_str().to_owned();
    source.push("/");
    let mut rsync = scene.laptop.program("rsync");
    rsync.args(["-a", "--delete", "-e"]).arg(format!("ssh -F {}", scene.ssh_config().display()));
    match way {
        Way::There => rsync.arg(Path::new(&source)).arg("buildbox:rsynced/"),
        Way::Back => {
            let back = scene.laptop.path("back");
            let copied = scene.laptop.program("cp").arg("-a").arg(&scene.laptop.repo).arg(&back).status();
            assert!(copied.unwrap().success());
            rsync.arg("buildbox:rsynced/").arg(back.join(""))
        }
    };
    let began = Instant::now();
    assert!(rsync.status().expect("rsync is not installed").success(), "rsync failed");
    began.elapsed()
}
