//! The kernel kills processes for which a cgroup has no memory: the agent, its watcher and its wrapper.

use crate::row::Row;
use crate::support::cgroup::Cgroup;
use crate::support::processes;
use crate::support::site::{PATIENCE, Site};
use crate::support::wait;

/// A multiple of a thousand pages, because the kernel divides by a thousand when it scores processes.
const LIMIT: u64 = 24_000 * 4096;
/// Works like an agent. Once the file `go` exists, its own memory grows without limit.
const GREEDY: &str = "#!/bin/sh\n\
    case \" $* \" in\n\
    *' --print '*)\n\
      echo 'Working.'; echo written >new.txt\n\
      while ! [ -e ~/go ]; do sleep 0.1; done\n\
      exec awk 'BEGIN { while (1) a[n++] = sprintf(\"%1000d\", n) }' ;;\n\
    *) exec ~/.local/lib/scripted-agent \"$@\" ;;\n\
    esac\n";

/// A host with all of its processes in a cgroup with little memory. Its agent needs more.
fn site(cgroup: &Cgroup) -> Site {
    let site = Site::new();
    cgroup.add(site.host.pid());
    site.host.user.install(".local/bin/agent", GREEDY, 0o755);
    site
}

fn is_oom(site: &Site) {
    let verdicts = site.verdicts();
    assert_eq!(verdicts[0].0, "oom", "{verdicts:?}");
    assert!(verdicts[0].1.contains("oom_kill in /sys/fs/cgroup/"), "{verdicts:?}");
    assert_eq!(site.attempts(), [1], "another attempt would run out of memory again");
}

#[test]
fn r28_agent_out_of_memory() {
    let row = Row::begin(28);
    let Some(cgroup) = Cgroup::new(LIMIT) else { return row.skip("no memory cgroup can be made") };
    let site = site(&cgroup);
    let running = site.run_checked("true", &[]).start();
    site.wait_for_log(1, "Working.");
    let watcher = site.pid_on_host(1, "watch.1");
    site.host.user.install("go", "", 0o644);
    let result = site.wait_for_result(1);
    assert!(result.contains("class oom\n") && result.contains("exit 137\n"), "{result}");
    let _ = running.end();
    assert!(cgroup.kills() > 0, "the agent died of something else");
    is_oom(&site);
    assert!(site.verdicts()[0].1.contains("SIGKILL"), "{:?}", site.verdicts());
    assert_eq!(site.link_on_host(1, "watch.2"), None, "the watcher {watcher} lives");
    site.logs_are_mirrored();
}

#[test]
fn r29_everything_out_of_memory() {
    let row = Row::begin(29);
    let Some(cgroup) = Cgroup::new(LIMIT) else { return row.skip("no memory cgroup can be made") };
    let site = site(&cgroup);
    let running = site.run_checked("true", &[]).start();
    site.wait_for_log(1, "Working.");
    running.kill();
    let (watcher, wrapper) = (site.pid_on_host(1, "watch.1"), site.pid_on_host(1, "task"));
    // The kernel kills the agent last. Without the agent, the others would have enough memory.
    for (pid, adjustment) in [(watcher, "1000"), (wrapper, "1000")] {
        std::fs::write(format!("/proc/{pid}/oom_score_adj"), adjustment).unwrap();
    }
    site.host.user.install("go", "", 0o644);
    wait::until("the end of all three", PATIENCE, || processes::of_user(site.host.user.uid).is_empty().then_some(()));
    assert!(cgroup.kills() >= 3, "{} were killed", cgroup.kills());
    assert_eq!(site.on_host(1, "result"), None, "no process was left to write it");
    let _ = site.handoff(&["watch"]).run();
    is_oom(&site);
    assert_eq!(site.on_host(1, "exit").unwrap().trim(), "", "no exit code was made up");
    site.logs_are_mirrored();
}
