//! Servers that refuse: connections, sessions, keys.

use crate::row::Row;
use crate::support::agent;
use crate::support::site::Site;
use crate::support::sshd::Setup;

#[test]
fn r14_max_sessions() {
    let _row = Row::begin(14);
    let site = Site::with(Setup::default().setting("MaxSessions 1"));
    site.run(&[]).run().success();
    site.logs_are_mirrored();
    site.work_is_back();
    assert_eq!(site.host.logins(), 1, "commands take turns on one connection");
    assert_eq!(agent::prompts(&site.host.user).len(), 1);
}
