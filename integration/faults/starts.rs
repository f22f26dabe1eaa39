//! Counts starts: an agent that records each of its starts, and the handoffs of a host behind a proxy.

use crate::support::agent;
use crate::support::proxy::Proxy;
use crate::support::site::{HOST, Site};
use crate::support::sshd::Setup;
use crate::support::user::User;

/// Installs a wrapper of the scripted agent that appends a line with the attempt to `~/starts` at each start.
pub fn count(user: &User) {
    let wrapper = "#!/bin/sh\n\
        case $* in *--print*) echo \"$HANDOFF_MARK\" >>~/starts ;; esac\n\
        export SCRIPTED_AGENT_PAUSE=0\n\
        [ ! -e ~/plan ] || export SCRIPTED_AGENT_PLAN=\"$HOME/plan\"\n\
        exec ~/.local/lib/scripted-agent \"$@\"\n";
    user.install(".local/bin/agent", wrapper, 0o755);
}

/// The attempts that were started, as `<id>-<uid>.<n>`, in order of their start.
pub fn starts(user: &User) -> Vec<String> {
    let text = std::fs::read_to_string(user.home.join("starts")).unwrap_or_default();
    text.lines().map(str::to_owned).collect()
}

/// Checks that no attempt was started twice, by the agent's own count and by the prompts that it was given.
#[track_caller]
pub fn none_twice(user: &User, what: &str) {
    let starts = unique(user, what);
    let turns: usize = agent::prompts(user).iter().map(|(_, turns)| turns.len()).sum();
    assert_eq!(turns, starts.len(), "{what}: a prompt for each start: {starts:#?}");
}

/// Checks that no attempt was started twice, by the agent's own count. An agent that is killed at once may not have
/// read its prompt.
#[track_caller]
pub fn unique(user: &User, what: &str) -> Vec<String> {
    let starts = starts(user);
    let mut once = starts.clone();
    once.sort();
    once.dedup();
    assert_eq!(once.len(), starts.len(), "{what}: started more than once: {starts:#?}");
    starts
}

/// A site with a counting agent that is reachable only through a proxy.
pub fn by_proxy(setup: Setup) -> (Site, Proxy) {
    let site = Site::unknown(setup);
    count(&site.host.user);
    let proxy = Proxy::to(site.host.address);
    site.laptop.knows(&site.host.route_by(HOST, proxy.address));
    (site, proxy)
}
