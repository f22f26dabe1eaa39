//! The dispatch is cut, doubled and killed at any point. An attempt starts at most once, and the same command finds it.

use std::path::PathBuf;
use std::time::{Duration, Instant};

use sha2::{Digest, Sha256};

use crate::row::Row;
use crate::starts::{by_proxy, count, none_twice, starts};
use crate::support::agent;
use crate::support::laptop::Call;
use crate::support::proxy::{Direction, End, Proxy};
use crate::support::site::{HOST, Site, TASK};
use crate::support::sshd::Setup;
use crate::support::wait;

/// Ends at once, with success.
const SHORT: &str = "turn 1\nsay Here.\nedit new.txt <<END\nnew\nEND\nfinish Done.\n";
const PATIENCE: Duration = Duration::from_secs(60);

/// `handoff run` with an id of its own; several ids share a host.
fn run(site: &Site, id: &str) -> Call {
    site.laptop.handoff(&["run", "--host", HOST, "--id", id, "--backoff", "1s", "--check", "true", "--again", TASK])
}

/// Attempts of a handoff that were started.
fn starts_of(site: &Site, id: &str) -> Vec<String> {
    let all = starts(&site.host.user).into_iter();
    all.filter(|mark| mark.starts_with(&format!("{id}-")) && mark.len() == id.len() + 1 + 16 + 2).collect()
}

/// Checks that the handoff was done by one agent, started once.
#[track_caller]
fn once(site: &Site, id: &str, what: &str) {
    let starts = starts_of(site, id);
    assert!(
        matches!(&starts[..], [mark] if mark.ends_with(".1")),
        "{what}: {starts:?} of {:#?}",
        self::starts(&site.host.user)
    );
}

#[test]
fn r01_reset_while_connecting() {
    let _row = Row::begin(1);
    let (site, proxy) = by_proxy(Setup::default());
    site.plan(SHORT);
    proxy.refuse_next(2);
    run(&site, "fix").run().success();
    assert_eq!((proxy.refused(), proxy.connections(), site.host.logins()), (2, 1, 1));
    once(&site, "fix", "two resets");
    // A name that does not resolve and a port without a listener are reported before the person has left.
    let began = Instant::now();
    drop(proxy);
    run(&site, "nobody").run().fails_with(5).says(&["refused", "try:"]);
    assert!(began.elapsed() < wait::stretched(Duration::from_secs(10)), "{:?}", began.elapsed());
    assert!(!site.laptop.record("nobody").exists());
}

/// A lane of the sweep, with its own host and laptop. Both are warm.
struct Lane {
    site: Site,
    proxy: Proxy,
}

impl Lane {
    fn new() -> Lane {
        let (site, proxy) = by_proxy(Setup::default());
        site.plan(SHORT);
        run(&site, "warm").run().success();
        Lane { site, proxy }
    }

    /// Bytes of a whole run: the greeting, the dispatch, the log, and the fetched work.
    fn length(&self, way: Direction) -> u64 {
        let before = self.proxy.bytes(way);
        run(&self.site, "measure").run().success();
        self.proxy.bytes(way) - before
    }

    /// Cuts one run at a byte. Runs with an even number reconnect by themselves. Those with an odd number find no
    /// connection and are killed, and the same command is given again.
    fn cut(&self, way: Direction, bytes: u64, number: usize) {
        let (site, proxy) = (&self.site, &self.proxy);
        let id = format!("cut-{bytes}");
        let end = if number & 2 == 0 { End::Reset } else { End::Closed };
        let goes_on = number & 1 == 0;
        let what = format!("{way:?} at byte {bytes}, {end:?}, {}", if goes_on { "goes on" } else { "killed" });
        if goes_on {
            proxy.cut_so_after(way, bytes, end);
            run(site, &id).run().success();
        } else {
            proxy.cut_for_good_after(way, bytes, end);
            let mut running = run(site, &id).start();
            wait::until(&format!("the cut {what}"), PATIENCE, || {
                (!proxy.cut_is_due(way) || running.has_ended()).then_some(())
            });
            running.kill();
            proxy.refuse(false);
            proxy.cut_no_more();
            // If the run finished before the cut, its id belongs to a finished handoff.
            if starts_of(site, &id).is_empty()
                || site.laptop.handoff(&["show", &id, "--json"]).run().json()["status"] != "done"
            {
                run(site, &id).run().success();
            }
        }
        proxy.cut_no_more();
        once(site, &id, &what);
    }
}

/// Number of cuts in one direction if HANDOFF_SWEEP is not set.
const POINTS: u64 = 33;

/// Cuts a run at some bytes, or at every HANDOFF_SWEEPth byte.
fn sweep(way: Direction) {
    let asked: Option<u64> =
        std::env::var("HANDOFF_SWEEP").ok().map(|step| step.parse().expect("HANDOFF_SWEEP: a step"));
    std::thread::scope(|scope| {
        const LANES: u64 = 3;
        for lane_number in 0..LANES {
            scope.spawn(move || {
                let lane = Lane::new();
                let length = lane.length(way);
                assert!(length > 8_000, "a run of {length} bytes");
                // The sweep includes bytes past the end, because the length differs between runs.
                let step = asked.unwrap_or((length + 500) / POINTS).max(1);
                let cuts = (0..).map(|n| n * step + n % step.min(7)).take_while(|at| *at < length + 500);
                let mine = cuts.enumerate().skip(lane_number as usize).step_by(LANES as usize);
                let mut count = 0;
                for (turn, (_, at)) in mine.enumerate() {
                    lane.cut(way, at, turn + lane_number as usize);
                    count += 1;
                }
                none_twice(&lane.site.host.user, "the sweep");
                println!("{way:?}: {count} cuts in {length} bytes, every {step}");
            });
        }
    });
}

#[test]
fn r02_cut_on_the_way_up() {
    let _row = Row::begin(2);
    sweep(Direction::Up);
}

#[test]
fn r03_cut_on_the_way_down() {
    let _row = Row::begin(3);
    sweep(Direction::Down);
}

#[test]
fn r04_two_controllers() {
    let _row = Row::begin(4);
    let site = Site::new();
    count(&site.host.user);
    site.plan("turn 1\nsay Here.\nsleep 1\nedit new.txt <<END\nnew\nEND\nfinish Done.\n");
    for stagger in [0, 0, 30, 150, 500] {
        let id = format!("both-{}", starts(&site.host.user).len());
        let first = run(&site, &id).start();
        std::thread::sleep(Duration::from_millis(stagger));
        let second = run(&site, &id).start();
        for ran in [first.end().success(), second.end().success()] {
            assert!(ran.stdout.contains("Here.") && ran.stdout.contains("done"), "both follow it: {ran:#?}");
        }
        once(&site, &id, &format!("{stagger} ms apart"));
    }
    none_twice(&site.host.user, "two at once");
}

#[test]
fn r05_controller_killed_after_dispatching() {
    let _row = Row::begin(5);
    let (site, _proxy) = by_proxy(Setup::default());
    site.plan(SHORT);
    for (number, later) in [0, 0, 10, 30, 60, 100, 200].into_iter().enumerate() {
        let id = format!("killed-{number}");
        let journal = site.laptop.record(&id).join("journal.jsonl");
        let running = run(&site, &id).start();
        let end = Instant::now() + PATIENCE;
        while !std::fs::read_to_string(&journal).is_ok_and(|text| text.contains("\"event\":\"dispatched\"")) {
            assert!(Instant::now() < end, "no dispatch was journaled: {}", running.stderr());
            std::thread::sleep(Duration::from_millis(1));
        }
        std::thread::sleep(Duration::from_millis(later));
        running.kill();
        site.laptop.handoff(&["watch", &id]).run().success();
        once(&site, &id, &format!("killed {later} ms after the dispatch was journaled"));
    }
    none_twice(&site.host.user, "controllers that were killed");
}

/// Not a row of the matrix: a recorded launch that cannot connect to the host is noted once in the record, and can be
/// stopped.
#[test]
fn a_launch_without_a_way_says_so_once_and_can_be_stopped() {
    let (site, proxy) = by_proxy(Setup::default());
    site.plan(SHORT);
    run(&site, "warm").run().success();
    // The cut comes after the login and before the task, so the host never receives it.
    proxy.cut_for_good_after(Direction::Up, 4_500, End::Reset);
    let running = run(&site, "fix").start();
    running.line("the report of the lost contact", |line| line.contains("lost contact"));
    let tries = proxy.refused();
    wait::until("two more tries", PATIENCE, || (proxy.refused() >= tries + 2).then_some(()));
    assert_eq!(running.stdout().matches("lost contact").count(), 1, "{}", running.stdout());
    let stop = site.laptop.handoff(&["stop", "fix"]).start();
    let journal = site.laptop.record("fix").join("journal.jsonl");
    wait::until("the wish to be journaled", PATIENCE, || {
        std::fs::read_to_string(&journal).unwrap().contains("\"event\":\"stop-requested\"").then_some(())
    });
    proxy.cut_no_more();
    proxy.refuse(false);
    stop.end().success();
    let _ = running.end();
    let shown = site.laptop.handoff(&["show", "fix", "--json"]).run().success();
    assert_eq!(shown.json()["status"], "stopped", "{}", shown.stdout);
    assert_eq!(starts_of(&site, "fix"), [] as [String; 0], "it was stopped before it began");
}

/// The runners on a host under a name in use, and the other files next to them.
fn runners(site: &Site) -> (Vec<PathBuf>, Vec<PathBuf>) {
    let Ok(entries) = std::fs::read_dir(site.host.user.home.join(".handoff/lib")) else { return Default::default() };
    let is_used = |path: &PathBuf| path.file_name().unwrap().to_string_lossy().starts_with("runner-");
    entries.flatten().map(|entry| entry.path()).partition(is_used)
}

#[test]
fn r53_runner_upload_cut() {
    let _row = Row::begin(53);
    let (site, proxy) = by_proxy(Setup::default());
    site.plan(SHORT);
    // The first dispatch to a host carries the runner. The byte count shows how much of it was sent.
    let before = proxy.bytes(Direction::Up);
    run(&site, "whole").run().success();
    let length = proxy.bytes(Direction::Up) - before;
    let (used, _) = runners(&site);
    let [runner] = &used[..] else { panic!("one runner: {used:?}") };
    let size = std::fs::metadata(runner).unwrap().len();
    assert!(size > 30_000 && length > size, "{size} of {length} bytes");
    for (number, share) in [10, 30, 50, 70, 90].into_iter().enumerate() {
        std::fs::remove_dir_all(site.host.user.home.join(".handoff")).unwrap();
        let at = 4_000 + size * share / 100;
        let end = if number & 1 == 0 { End::Reset } else { End::Closed };
        proxy.cut_for_good_after(Direction::Up, at, end);
        let id = format!("cut-{share}");
        let running = run(&site, &id).start();
        let turned_away = proxy.refused();
        wait::until("the cut", PATIENCE, || (proxy.refused() > turned_away).then_some(()));
        wait::until("the piece that arrived to be removed", PATIENCE, || runners(&site).1.is_empty().then_some(()));
        assert_eq!(runners(&site).0, [] as [PathBuf; 0], "used after {at} bytes");
        assert!(!site.host.user.home.join(".handoff/work").exists(), "something ran");
        proxy.cut_no_more();
        proxy.refuse(false);
        running.end().success();
        let text = std::fs::read(runner).unwrap();
        let hash: String = Sha256::digest(&text).iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(runner.file_name().unwrap().to_string_lossy(), format!("runner-{hash}.sh"), "sent again, whole");
        once(&site, &id, "a runner that was cut");
    }
    let turns = agent::prompts(&site.host.user).len();
    assert_eq!(turns, starts(&site.host.user).len());
}
