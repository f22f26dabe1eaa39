//! The first and the repeated ship of a large repository, compared with `rsync -a` of the same folder.

use std::path::Path;
use std::time::{Duration, Instant};

use crate::Size;
use crate::scene::{Scene, change_a_file};
use crate::table::{Pair, Table};

pub fn measure(size: Size, table: &mut Table) {
    eprintln!("ship");
    for round_trip in size.round_trips() {
        let (mut first, mut again) = (Pair::default(), Pair::default());
        for round in 0..size.rounds.min(3) {
            let mut scene = Scene::new(0);
            scene.laptop.repo = scene.laptop.path("large");
            make_repository(&scene, size.files);
            scene.proxy.round_trip(round_trip);
            first.theirs.push(rsync(&scene));
            first.ours.push(scene.time_to_exec().0);
            change_a_file(&scene.laptop.repo, round);
            again.theirs.push(rsync(&scene));
            again.ours.push(scene.time_to_exec().0);
        }
        let files = size.files;
        table.slower(&format!("first ship of {files} files, until exec"), round_trip, "`rsync -a`", &first, None);
        table.slower("the same again, one file changed", round_trip, "`rsync -a`", &again, None);
    }
}

/// Small text files in folders of a hundred, committed.
fn make_repository(scene: &Scene, files: usize) {
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

/// Runs `rsync -a` of the whole folder, `.git` included, to the host.
fn rsync(scene: &Scene) -> Duration {
    let mut source = scene.laptop.repo.as_os_str().to_owned();
    source.push("/");
    let mut rsync = scene.laptop.program("rsync");
    rsync.args(["-a", "--delete", "-e"]).arg(format!("ssh -F {}", scene.ssh_config().display()));
    rsync.arg(Path::new(&source)).arg("buildbox:rsynced/");
    let began = Instant::now();
    assert!(rsync.status().expect("rsync is not installed").success(), "rsync failed");
    began.elapsed()
}
