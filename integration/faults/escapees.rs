//! handoff ends every process that an agent started, however it hides. It ends no other process, whatever its pid or
//! name.

use std::os::unix::process::CommandExt;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::row::Row;
use crate::support::processes;
use crate::support::site::{HOST, PATIENCE, Site};
use crate::support::user::can_be_made;
use crate::support::wait;

const LAST_PID: &str = "/proc/sys/kernel/ns_last_pid";

/// Processes that an agent may leave behind. Each one writes its pid.
const ESCAPEES: &str = "#!/bin/sh\n\
    note='echo $$ >>~/pids; exec'\n\
    setsid sh -c \"$note sleep 7101\" &\n\
    (setsid sh -c \"(sh -c '$note sleep 7102' &)\" &)\n\
    sh -c \"echo \\$\\$ >>~/pids; kill -STOP \\$\\$; exec sleep 7103\" &\n\
    sh -c 'trap \"\" TERM; echo $$ >>~/pids; while :; do sleep 1; done' &\n\
    env -i HOME=\"$HOME\" PATH=\"$PATH\" sh -c \"$note sleep 7104\" &\n\
    env -i HOME=\"$HOME\" PATH=\"$PATH\" setsid sh -c \"$note sleep 7105\" &\n\
    env -i HOME=\"$HOME\" PATH=\"$PATH\" setsid sh -c \"sh -c '$note sleep 7106' & sleep 3\" &\n\
    sleep 4\n";
const COUNT: usize = 7;

/// A process of the host's user that does not belong to handoff.
struct Bystander(Child);

impl Bystander {
    fn of(site: &Site, seconds: &str) -> Bystander {
        let mut command = Command::new("sleep");
        command.arg(seconds).uid(site.host.user.uid).current_dir("/").process_group(0);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        Bystander(command.spawn().unwrap())
    }

    fn pid(&self) -> i32 {
        self.0.id() as i32
    }

    fn lives(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn escaped(site: &Site) -> Vec<i32> {
    let noted = std::fs::read_to_string(site.host.user.home.join("pids")).unwrap_or_default();
    noted.lines().map(|pid| pid.parse().unwrap()).collect()
}

fn alive(pids: &[i32]) -> Vec<i32> {
    processes::all().into_iter().filter(|p| pids.contains(&p.pid) && p.state != 'Z').map(|p| p.pid).collect()
}

/// A host with an agent that leaves escapees and then ends as `end` says. All escapees are running when this returns.
fn with_escapees(end: &str) -> (Site, crate::support::laptop::Running) {
    let site = Site::new();
    // With a short limit the watcher looks once a second.
    site.laptop.hosts_toml(&format!("[host.{HOST}]\nno-progress = \"29s\"\n"));
    site.host.user.install("escape", ESCAPEES, 0o755);
    site.plan(&format!("turn 1\nedit new.txt <<END\nwritten\nEND\nrun ~/escape\nsay Escaped.\n{end}\n"));
    let running = site.run_checked("true", &["--attempts", "1"]).start();
    (site, running)
}

#[test]
fn r40_escapees() {
    let row = Row::begin(40);
    if !can_be_made() {
        return row.skip("only a user of the test's own has processes that can be counted");
    }
    let (site, running) = with_escapees("run while ! [ -e ~/go ]; do sleep 0.1; done\nfinish Done.");
    let mut bystander = Bystander::of(&site, "7101");
    running.line("the agent's words", |line| line.contains("Escaped."));
    let pids = escaped(&site);
    assert_eq!((pids.len(), alive(&pids).len()), (COUNT, COUNT), "all live before the end");
    site.host.user.install("go", "", 0o644);
    site.wait_for_result(1);
    assert_eq!(alive(&pids), [] as [i32; 0], "the result is there, and so are these");
    assert!(bystander.lives(), "a bystander was ended");
    running.end().success();
    assert_eq!(site.verdicts()[0].0, "done", "{:?}", site.verdicts());

    let (site, running) = with_escapees("hang");
    let mut bystander = Bystander::of(&site, "7101");
    running.line("the agent's words", |line| line.contains("Escaped."));
    let pids = escaped(&site);
    assert_eq!(alive(&pids).len(), COUNT);
    let began = Instant::now();
    site.handoff(&["stop"]).run().success();
    site.wait_for_result(1);
    assert!(began.elapsed() < wait::stretched(Duration::from_secs(30)), "{:?}", began.elapsed());
    assert_eq!(alive(&pids), [] as [i32; 0]);
    assert!(bystander.lives(), "a bystander was ended");
    let _ = running.end();
    assert_eq!(site.verdicts()[0].0, "stopped", "{:?}", site.verdicts());
}

/// Makes the kernel give this pid to a new process. Other processes start at the same time, so this needs several
/// tries.
fn recycle(site: &Site, pid: i32) -> Bystander {
    wait::until("the same pid once more", Duration::from_secs(20), || {
        std::fs::write(LAST_PID, (pid - 1).to_string()).unwrap();
        Some(Bystander::of(site, "7200")).filter(|born| born.pid() == pid)
    })
}

#[test]
fn r23_pid_recycled() {
    let row = Row::begin(23);
    let last = std::fs::read_to_string(LAST_PID).unwrap_or_default();
    if !can_be_made() || std::fs::write(LAST_PID, last.trim()).is_err() {
        return row.skip("the kernel does not let a test choose a pid");
    }
    for stop in [false, true] {
        let site = Site::new();
        site.plan("turn 1\nedit new.txt <<END\nwritten\nEND\nsay Written.\nrun while :; do sleep 1; done\n");
        let running = site.run_checked("true", &["--attempts", "1"]).start();
        running.line("the agent's words", |line| line.contains("Written."));
        let pids = [site.pid_on_host(1, "watch.1"), site.pid_on_host(1, "task"), site.agent_pid()];
        running.kill();
        pids.iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
        wait::until("an empty host", PATIENCE, || {
            processes::of_user(site.host.user.uid).iter().for_each(|pid| processes::signal(*pid, Signal::KILL));
            processes::of_user(site.host.user.uid).is_empty().then_some(())
        });
        let mut born: Vec<Bystander> = pids.iter().map(|pid| recycle(&site, *pid)).collect();
        let stopped = stop.then(|| site.handoff(&["stop"]).run());
        let watched = site.handoff(&["watch"]).run();
        let verdicts = site.verdicts();
        assert_eq!(verdicts[0].0, if stop { "stopped" } else { "lost" }, "{verdicts:?}\n{stopped:#?}\n{watched:#?}");
        assert!(born.iter_mut().all(Bystander::lives), "a process that took over a pid was ended");
    }
}
