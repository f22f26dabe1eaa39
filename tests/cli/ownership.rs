//! One writer: every combination of a host's state, an action, an unreachable host, and a death on either side.
//!
//! The tests run selected rows. `HANDOFF_SWEEP=1` runs all of them.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::support::host::Host;
use crate::support::laptop::Laptop;
use crate::support::program::{Ran, Running};
use crate::support::{ID, TASK, wait_for};

/// The host's state when the action comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stands {
    /// In its setup: the agent has not been started.
    BeforeIntent,
    Runs,
    InBackoff,
    /// In an attempt that it started by itself, without a laptop.
    Alone,
    EndedUnfetched,
    EndedFetched,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Action {
    Takeover,
    ResumeHere,
    ResumeOther,
    Stop,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Reach {
    There,
    /// Unreachable when the action comes, and reachable after it.
    Away,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Death {
    Nobody,
    /// The command is killed during the action and given again.
    Command,
    /// The host's watcher was killed before the action.
    Watcher,
}

use Action::{ResumeHere, ResumeOther, Stop, Takeover};
use Death::{Command, Nobody, Watcher};
use Reach::{Away, There};
use Stands::{Alone, BeforeIntent, EndedFetched, EndedUnfetched, InBackoff, Runs};

const ALL: [Stands; 6] = [BeforeIntent, Runs, InBackoff, Alone, EndedUnfetched, EndedFetched];

/// Runs the rows of an action: the selected ones, or all.
fn walk(action: Action, chosen: &[(Stands, Reach, Death)]) {
    if std::env::var_os("HANDOFF_SWEEP").is_none() {
        return chosen.iter().for_each(|(stands, reach, death)| row(*stands, action, *reach, *death));
    }
    for stands in ALL {
        for reach in [There, Away] {
            for death in [Nobody, Command, Watcher] {
                row(stands, action, reach, death);
            }
        }
    }
}

#[test]
fn takeover_meets_a_host_in_any_state() {
    walk(
        Takeover,
        &[
            (BeforeIntent, There, Watcher),
            (Runs, There, Command),
            (InBackoff, There, Nobody),
            (Alone, There, Watcher),
            (EndedUnfetched, There, Nobody),
            (EndedFetched, There, Watcher),
        ],
    );
}

#[test]
fn takeover_while_the_host_is_away() {
    walk_away(
        Takeover,
        &[
            (BeforeIntent, Nobody),
            (Runs, Nobody),
            (Runs, Command),
            (InBackoff, Watcher),
            (Alone, Nobody),
            (EndedUnfetched, Nobody),
        ],
    );
}

#[test]
fn a_move_while_the_host_is_away() {
    walk_away(
        ResumeOther,
        &[
            (BeforeIntent, Watcher),
            (Runs, Nobody),
            (Runs, Watcher),
            (InBackoff, Command),
            (Alone, Nobody),
            (EndedUnfetched, Command),
            (EndedFetched, Nobody),
        ],
    );
}

#[test]
fn resume_and_move_meet_a_host_that_is_there() {
    if std::env::var_os("HANDOFF_SWEEP").is_some() {
        return walk(ResumeOther, &[]);
    }
    for (stands, action, death) in [
        (BeforeIntent, ResumeOther, Nobody),
        (Runs, ResumeHere, Nobody),
        (Alone, ResumeOther, Watcher),
        (EndedUnfetched, ResumeHere, Nobody),
        (EndedFetched, ResumeHere, Command),
        (EndedFetched, ResumeOther, Watcher),
    ] {
        row(stands, action, There, death);
    }
}

#[test]
fn stop_meets_a_host_in_any_state() {
    walk(
        Stop,
        &[
            (BeforeIntent, There, Nobody),
            (Runs, Away, Command),
            (InBackoff, There, Watcher),
            (Alone, Away, Nobody),
            (EndedUnfetched, Away, Nobody),
        ],
    );
}

#[test]
fn resume_here_waits_for_a_host_that_is_away() {
    walk(ResumeHere, &[(EndedFetched, Away, Command), (EndedFetched, Away, Nobody)]);
}

fn walk_away(action: Action, chosen: &[(Stands, Death)]) {
    // The sweep runs these rows with the others of the action.
    if std::env::var_os("HANDOFF_SWEEP").is_none() {
        chosen.iter().for_each(|(stands, death)| row(*stands, action, Away, *death));
    }
}

/// A laptop, its host `box` in some state, and a second host.
struct Scene {
    laptop: Laptop,
    /// The user's state that must not change.
    before: (Vec<u8>, String, String),
}

fn row(stands: Stands, action: Action, reach: Reach, death: Death) {
    let since = Instant::now();
    eprintln!("row: {stands:?} {action:?} {reach:?} {death:?}");
    let scene = Scene::new(stands);
    if death == Watcher {
        scene.kill_watcher();
    }
    let host = &scene.laptop.hosts[0];
    host.out_of_reach(reach == Away);
    if death == Command {
        let running = scene.act(action);
        std::thread::sleep(Duration::from_millis(250));
        let _ = running.kill();
    }
    let running = scene.act(action);
    if reach == Away {
        scene.wait_a_while(&running);
        if action == Takeover {
            scene.says_unconfirmed();
        }
        host.out_of_reach(false);
    }
    let ran = running.wait();
    scene.check_end(stands, action, reach, &ran);
    scene.check_invariants(action);
    eprintln!("  took {:?}", since.elapsed());
}

impl Scene {
    fn new(stands: Stands) -> Scene {
        let mark = "run echo \"${HANDOFF_MARK##*.}\" >>\"$HOME/starts\"; echo \"by attempt ${HANDOFF_MARK##*.}\" >>notes.txt\n";
        let quick = format!("{mark}finish Done.\n");
        let plan = match stands {
            BeforeIntent | Runs => format!("turn 1\n{mark}say I wait.\nhang\nturn 2\n{quick}"),
            InBackoff => format!("turn 1\n{mark}ratelimit\nturn 2\n{quick}"),
            Alone => format!("turn 1\n{mark}ratelimit\nturn 2\n{mark}say I wait.\nhang\nturn 3\n{quick}"),
            EndedUnfetched => {
                format!(
                    "turn 1\n{mark}run until [ -e \"$HOME/go\" ]; do sleep 0.05; done\nfinish Done.\nturn 2\n{quick}"
                )
            }
            EndedFetched => format!("turn 1\n{quick}"),
        };
        let mut laptop = Laptop::with_plan(&plan);
        laptop.add_host("other").write_plan(&format!("turn 1\n{quick}"));
        laptop.hosts[0].keys = match stands {
            BeforeIntent => "setup = \"until [ -e ~/go ]; do sleep 0.05; done\"\n".to_owned(),
            InBackoff => "backoff = \"20s\"\n".to_owned(),
            _ => String::new(),
        };
        laptop.write_hosts();
        laptop.write("mine.txt", "mine\n");
        let before = (laptop.index(), laptop.git(&["status", "--porcelain=v2"]), refs(&laptop));
        let scene = Scene { laptop, before };
        scene.bring_to(stands);
        scene
    }

    fn bring_to(&self, stands: Stands) {
        let (laptop, host) = (&self.laptop, &self.laptop.hosts[0]);
        let is_there = |n: u32, name: &str| host.pid(n, name).is_some();
        let has_result = |n: u32| host.work().join(n.to_string()).join("result").exists();
        if stands == EndedFetched {
            return laptop.run([TASK]).run().exits(0).done();
        }
        let running = laptop.run([TASK]).spawn();
        wait_for("a watcher", || is_there(1, "watch.1"));
        match stands {
            BeforeIntent => wait_for("the setup", || is_there(1, "setup")),
            InBackoff => wait_for("the end", || has_result(1)),
            _ => wait_for("the agent", || self.starts(host).len() == 1),
        }
        // The command that dispatched the handoff is gone from here on.
        let _ = running.kill();
        match stands {
            EndedUnfetched => {
                std::fs::write(host.home.join("go"), "").unwrap();
                wait_for("the end", || host.work().join("1/next").is_symlink() || has_result(1));
            }
            Alone => wait_for("the second attempt", || self.starts(host).len() == 2),
            _ => {}
        }
    }

    fn kill_watcher(&self) {
        let host = &self.laptop.hosts[0];
        for attempt in 1..=3 {
            for watch in ["watch.1", "watch.2"] {
                if let Some(pid) = host.pid(attempt, watch).and_then(rustix::process::Pid::from_raw) {
                    // A watcher that has already exited is fine.
                    let _ = rustix::process::kill_process(pid, rustix::process::Signal::KILL);
                }
            }
        }
    }

    fn act(&self, action: Action) -> Running {
        let laptop = &self.laptop;
        let program = match action {
            Takeover => laptop.handoff(["takeover", ID, "--editor", "none"]),
            ResumeHere => laptop.handoff(["resume", ID, "--again"]),
            ResumeOther => laptop.handoff(["resume", ID, "--host", "other"]),
            Stop => laptop.handoff(["stop", ID]),
        };
        program.spawn()
    }

    /// Waits until the command has ended, or waits for the host.
    fn wait_a_while(&self, running: &Running) {
        let until = Instant::now() + Duration::from_secs(3);
        while Instant::now() < until && !running.has_ended() {
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    fn says_unconfirmed(&self) {
        let page = self.laptop.handoff_md();
        if page.contains("taken without confirmation") {
            let shown = self.laptop.handoff(["show", ID]).run().exits(0).says("taken without confirmation");
            shown.says("has not been told to stop").done();
        } else {
            // A handoff that had already ended needs no stop request.
            assert!(page.contains("confirmed by the host"), "{page}");
        }
    }

    /// Checks what the command reported. After that everything must come to rest, and every host must be informed.
    fn check_end(&self, stands: Stands, action: Action, reach: Reach, ran: &Ran) {
        let at_rest = stands == EndedFetched;
        let text = format!("{}\n{}", ran.text(), ran.stderr);
        match action {
            Takeover => assert_eq!(ran.code, Some(0), "{text}"),
            Stop => assert_eq!(ran.code, Some(0), "{text}"),
            _ if reach == There && !at_rest => assert!(matches!(ran.code, Some(0 | 2)), "{text}"),
            ResumeOther => assert!(matches!(ran.code, Some(0 | 2)), "{text}"),
            ResumeHere => assert!(matches!(ran.code, Some(0 | 2)), "{text}"),
        }
        self.laptop.handoff(["stop", ID]).run().exits(0).done();
        let _ = self.laptop.handoff(["watch", ID]).run();
        let shown = self.laptop.handoff(["show", ID]).run().exits(0);
        assert!(!shown.text().contains("has not been told"), "{}", shown.text());
    }

    fn check_invariants(&self, action: Action) {
        let laptop = &self.laptop;
        for host in &laptop.hosts {
            host.wait_until_empty(is_of_a_poll);
        }
        let mut started = BTreeSet::new();
        for n in laptop.hosts.iter().flat_map(|host| self.starts(host)) {
            assert!(started.insert(n.clone()), "attempt {n} was started twice");
        }
        let after = (laptop.index(), laptop.git(&["status", "--porcelain=v2"]), refs(laptop));
        assert_eq!(after, self.before, "the user's own");
        let shown = laptop.shown();
        let status = shown["status"].as_str().unwrap();
        match action {
            Takeover => assert_eq!(status, "interactive"),
            _ => assert!(["done", "stopped", "failed", "parked"].contains(&status), "{status}"),
        }
        let attempts = shown["handoff"]["attempts"].as_object().unwrap();
        let held = laptop.git(&["for-each-ref", "--format=%(objectname) %(refname)", "refs/handoff"]);
        for (n, commit) in laptop.hosts.iter().flat_map(captures) {
            let name = format!("{commit} refs/handoff/{ID}/{n}/work");
            assert!(held.contains(&name), "{name} is not in\n{held}");
            assert_eq!(attempts[&n]["fetched"], commit.as_str());
        }
        self.check_applied(attempts, action);
    }

    /// Checks that no late work is in a diff or in the worktree, and that the work that others build on is.
    fn check_applied(&self, attempts: &serde_json::Map<String, serde_json::Value>, action: Action) {
        let laptop = &self.laptop;
        let diff = laptop.handoff(["diff", ID]).run().text();
        let worktree = std::fs::read_to_string(laptop.worktree().join("notes.txt")).unwrap_or_default();
        let page = laptop.handoff_md();
        for (n, attempt) in attempts.iter().filter(|(_, attempt)| attempt["superseded"] == true) {
            let words = format!("by attempt {n}\n");
            assert!(!diff.contains(&words) && !worktree.contains(&words), "{n}:\n{diff}\n{worktree}");
            assert!(
                page.contains(&format!("- Superseded: attempt {n} on {}", attempt["host"].as_str().unwrap())),
                "{page}"
            );
            laptop.handoff(["show", ID, "--offline"]).run().exits(0).says("(superseded: never applied)").done();
            laptop.handoff(["list"]).run().exits(0).says(" superseded").done();
        }
        let newest = attempts.values().rfind(|a| a["superseded"] == false && !a["fetched"].is_null());
        if let Some(newest) = newest {
            let work = newest["fetched"].as_str().unwrap();
            // An attempt that was ended before its agent began leaves its input unchanged.
            if laptop.git(&["ls-tree", work, "notes.txt"]).is_empty() {
                return;
            }
            let tree = laptop.git(&["show", &format!("{work}:notes.txt")]);
            assert!(tree.lines().all(|line| diff.contains(line)), "{tree}\n{diff}");
            if action == Takeover {
                assert_eq!(worktree, tree);
            }
        }
    }

    /// The numbers of the attempts whose agent was started on a host, in order.
    fn starts(&self, host: &Host) -> Vec<String> {
        let text = std::fs::read_to_string(host.home.join("starts")).unwrap_or_default();
        text.lines().map(str::to_owned).collect()
    }
}

/// A poll of a command that is gone ends by itself within 20 s. It starts no process.
fn is_of_a_poll(command: &str) -> bool {
    command.contains(".sh poll ")
        || ["tail -c", "dd bs=65536", "sleep 20."].iter().any(|begin| command.starts_with(begin))
}

/// Every ref of the user, and the target of HEAD. A takeover's branch belongs to handoff.
fn refs(laptop: &Laptop) -> String {
    let all = laptop.git(&["for-each-ref", "--format=%(refname) %(objectname)"]);
    let ours = |line: &&str| !line.starts_with("refs/handoff/") && !line.starts_with("refs/heads/handoff/");
    all.lines().filter(ours).collect::<Vec<_>>().join("\n") + &laptop.git(&["symbolic-ref", "HEAD"])
}

/// Attempt and commit of every capture on a host.
fn captures(host: &Host) -> Vec<(String, String)> {
    let Ok(all) = std::fs::read_dir(host.home.join(".handoff/work")) else { return vec![] };
    let attempts = all.flat_map(|work| std::fs::read_dir(work.unwrap().path()).unwrap());
    let found = attempts.filter_map(|place| {
        let place: PathBuf = place.unwrap().path();
        let commit = std::fs::read_link(place.join("capture")).ok()?;
        Some((place.file_name()?.to_string_lossy().into_owned(), commit.to_string_lossy().into_owned()))
    });
    found.collect()
}
