//! One writer: results that a host makes after the handoff has moved to another host.

use std::time::Duration;

use crate::row::Row;
use crate::support::proxy::Proxy;
use crate::support::site::{HOST, ID, Site};
use crate::support::sshd::{Setup, Sshd};
use crate::support::{agent, processes, wait};

const PATIENCE: Duration = Duration::from_secs(30);

/// Another host, `other`, whose agent succeeds at once.
fn other(site: &Site) -> Sshd {
    let host = Setup::default().start();
    agent::install(&host.user);
    agent::plan(&host.user, "turn 1\nrun echo by the other >>other.txt\nfinish Done.\n");
    site.laptop.knows(&host.route("other"));
    host
}

#[test]
fn r46_old_attempt_returns() {
    let _row = Row::begin(46);
    let site = Site::unknown(Setup::default());
    let proxy = Proxy::to(site.host.address);
    site.laptop.knows(&site.host.route_by(HOST, proxy.address));
    let other = other(&site);
    // The host begins its second attempt by itself, while the network is down.
    site.plan("turn 1\nrun echo early >>late.txt\nratelimit\nturn 2\nrun echo late >>late.txt\nsay I wait.\nhang\n");
    let before = (site.laptop.git(&["status", "--porcelain=v2"]), site.laptop.git(&["rev-parse", "HEAD"]));
    let running = site.run_checked("test -e other.txt", &[]).start();
    running.line("the agent's start", |line| line.contains("attempt 1 runs"));
    proxy.stall(true);
    running.kill();
    site.wait_for_log(2, "I wait.");

    let moved = site.handoff(&["resume", "--host", "other"]).run().success();
    assert!(moved.stdout.contains(&format!("warning:   {HOST} has not been told to stop")), "{moved:#?}");
    let page = || std::fs::read_to_string(site.laptop.mirror(ID).join("handoff.md")).unwrap();
    assert!(page().contains(&format!("- Not stopped: {HOST}")), "{}", page());
    assert!(site.on_host(2, "cancel").is_none() && site.on_host(2, "result").is_none(), "it continues by itself");

    proxy.cut();
    proxy.stall(false);
    let back = site.handoff(&["watch"]).run().success();
    assert!(back.stdout.contains("attempt 2 on buildbox finished after the handoff had moved on"), "{back:#?}");
    wait::until("an end of everything there", PATIENCE, || {
        processes::of_user(site.host.user.uid).is_empty().then_some(())
    });
    assert!(site.wait_for_result(2).contains("\nreason stop\n"));
    assert!(std::fs::read_dir(site.work().unwrap().join("epoch")).unwrap().count() > 1, "it knows of the higher epoch");
    assert!(
        !page().contains("Not stopped") && page().contains("- Superseded: attempt 2 on buildbox: stopped"),
        "{}",
        page()
    );

    let file = |n: u32| site.laptop.git(&["show", &format!("refs/handoff/{ID}/{n}/work:late.txt")]);
    assert_eq!((file(1).as_str(), file(2).as_str()), ("early", "early\nlate"), "its late work is kept");
    let diff = site.handoff(&["diff"]).run().success().stdout;
    assert!(diff.contains("+by the other") && !diff.contains("late"), "{diff}");
    site.handoff(&["takeover", "--editor", "none"]).run().success();
    let worktree = site.laptop.repo.with_file_name(format!("greeter-handoff-{ID}"));
    assert!(worktree.join("other.txt").exists() && !worktree.join("late.txt").exists(), "and applied nowhere");
    let after = (site.laptop.git(&["status", "--porcelain=v2"]), site.laptop.git(&["rev-parse", "HEAD"]));
    assert_eq!(after, before, "the user's own");
    assert_eq!(agent::prompts(&other.user).len(), 1);
}
