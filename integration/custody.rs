//! `clean` against a real server: a host deletes only what the laptop has.

use std::time::Duration;

use crate::support::agent;
use crate::support::laptop::Ran;
use crate::support::proxy::{Direction, Proxy};
use crate::support::site::{HOST, ID, Site};
use crate::support::sshd::Setup;
use crate::support::{processes, wait};

/// Everything that a host still has of any handoff: directories of attempts, and owners of trees.
fn left(site: &Site) -> (usize, usize) {
    let root = site.host.user.home.join(".handoff");
    let owned = agent::folders(&root.join("trees")).into_iter().filter(|tree| tree.join("owner").is_symlink());
    (std::fs::read_dir(root.join("work")).unwrap().count(), owned.count())
}

/// The laptop has every attempt's log and work exactly as the host had them.
#[track_caller]
fn is_held(site: &Site, logs: &[(u32, String)]) {
    for (attempt, log) in logs {
        for place in [site.laptop.record(ID), site.laptop.mirror(ID)] {
            let mirrored = std::fs::read_to_string(place.join(format!("attempt-{attempt}.log"))).unwrap();
            assert_eq!(mirrored, *log, "attempt {attempt}");
        }
        let work = format!("refs/handoff/{ID}/{attempt}/work");
        site.laptop.git(&["rev-list", "--objects", "--quiet", &work]);
    }
}

#[track_caller]
fn says(ran: &Ran, texts: &[&str]) {
    for text in texts {
        assert!(ran.stdout.contains(text), "{text:?} is not in:\n{}\n{}", ran.stdout, ran.stderr);
    }
}

fn logs(site: &Site) -> Vec<(u32, String)> {
    site.attempts().into_iter().map(|n| (n, site.on_host(n, "log").unwrap())).collect()
}

#[test]
fn a_host_is_cleaned_and_the_next_handoff_is_warm() {
    let site = Site::new();
    std::fs::write(site.laptop.repo.join(".gitignore"), "build/\n").unwrap();
    site.laptop.hosts_toml("[defaults]\ncaches = [\"build/\"]\n");
    let step = "run mkdir -p build; cat build/made >>\"$HOME/found\"; pwd >>\"$HOME/places\"; echo warm >build/made\n";
    site.plan(&format!("turn 1\n{step}ratelimit\nturn 2\nedit new.txt <<END\nnew\nEND\nfinish Done.\n"));
    site.run_checked("true", &[]).run().success();
    let logs = logs(&site);
    assert_eq!(logs.len(), 2);
    says(&site.handoff(&["clean", "--dry-run"]).run().success(), &["would be released"]);
    assert_eq!(left(&site), (1, 1));
    let ran = site.handoff(&["clean"]).run().success();
    says(&ran, &["attempt 1: work ", "attempt 2: work ", "free for the next handoff"]);
    assert_eq!(left(&site), (0, 0));
    is_held(&site, &logs);

    site.plan(&format!("turn 1\n{step}edit other.txt <<END\nother\nEND\nfinish Done.\n"));
    let again = ["run", "--host", HOST, "--id", "again", "--check", "true", "make it better"];
    site.laptop.handoff(&again).run().success();
    let read = |name: &str| std::fs::read_to_string(site.host.user.home.join(name)).unwrap();
    assert_eq!(read("found"), "warm\n");
    let places = read("places");
    let places: Vec<&str> = places.lines().collect();
    assert_eq!(places, [places[0]; 2]);
    assert_eq!(left(&site), (1, 1));
    says(&site.laptop.handoff(&["clean", "--all"]).run().success(), &["again on buildbox: released"]);
    assert_eq!(left(&site), (0, 0));
}

#[test]
fn a_release_that_is_cut_at_many_points_is_answered_as_done_when_it_is_sent_again() {
    let mut cuts = 0;
    for bytes in [2_500, 3_500, 4_000, 4_300, 4_600, 4_800] {
        let site = Site::unknown(Setup::default());
        let proxy = Proxy::to(site.host.address);
        site.laptop.knows(&site.host.route_by(HOST, proxy.address));
        site.plan("turn 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
        site.run_checked("true", &[]).run().success();
        let logs = logs(&site);
        proxy.cut_after(Direction::Down, bytes);
        let first = site.handoff(&["clean"]).run();
        cuts += usize::from(!proxy.cut_is_due(Direction::Down));
        assert!([0, 5].contains(&first.code()), "{bytes}: {first:?}");
        let shown = site.handoff(&["clean"]).run().success();
        let confirmed = site.handoff(&["show", "--offline", "--json"]).run().success().json();
        assert_eq!(confirmed["handoff"]["released"][HOST]["confirmed"], true, "{bytes}: {shown:?}");
        assert_eq!(left(&site), (0, 0), "{bytes}");
        is_held(&site, &logs);
    }
    // The number of bytes that a host sends differs slightly between runs.
    assert!(cuts >= 4, "only {cuts} of the points were on the way");
}

#[test]
fn what_a_host_went_on_to_make_after_a_takeover_is_held_before_it_goes() {
    let mut site = Site::new();
    site.plan(
        "turn 1\nedit new.txt <<END\nfirst\nEND\nsay Working.\nsleep 2\nratelimit\n\
         turn 2\nedit late.txt <<END\nlate\nEND\nrun (setsid sleep 987651 &) ; echo started\nsay Late.\nhang\n",
    );
    site.run_checked("true", &["--detach"]).run().success();
    site.wait_for_log(1, "Working.");
    site.host.down();
    says(&site.handoff(&["takeover", "--editor", "none"]).run().success(), &["could not reach"]);
    site.wait_for_log(2, "Late.");
    says(&site.handoff(&["clean"]).run().fails_with(5), &["cannot be reached"]);
    assert_eq!(left(&site), (1, 1));
    site.host.up();
    site.handoff(&["clean", "--dry-run"]).run().fails_with(1);
    assert!(!processes::with_argument(site.host.user.uid, "987651").is_empty(), "asking ends nothing");
    says(&site.handoff(&["clean"]).run().success(), &["attempt 2: work ", "released"]);
    assert_eq!(left(&site), (0, 0));
    assert_eq!(site.laptop.git(&["show", &format!("refs/handoff/{ID}/2/work:late.txt")]), "late");
    let late = std::fs::read_to_string(site.laptop.mirror(ID).join("attempt-2.log")).unwrap();
    assert!(late.contains("Late."), "{late}");
    wait::until("the agent's processes to be gone", Duration::from_secs(10), || {
        processes::with_argument(site.host.user.uid, "987651").is_empty().then_some(())
    });
    let shown = site.handoff(&["show", "--offline", "--json"]).run().success().json();
    assert_eq!(shown["handoff"]["confirmed"], true);
    assert_eq!(shown["handoff"]["attempts"]["2"]["superseded"], true, "kept, and never built on");
}
