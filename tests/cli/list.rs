//! `handoff list`: reads only the disk.

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

#[test]
fn lists_without_a_network() {
    let mut laptop = Laptop::with_plan(QUICK);
    laptop.handoff(["list"]).run().exits(0).says("no handoffs yet").done();
    laptop.run([TASK]).run().exits(0).done();
    laptop.hosts[0].vanish();
    laptop.handoff(["list"]).run().exits(0).says(ID).says("done (unchecked)").says("box").says("attempt 1").done();

    let listed = laptop.handoff(["list", "--json"]).run().exits(0).json();
    assert_eq!(listed.len(), 1);
    assert_eq!((&listed[0]["id"], &listed[0]["status"]), (&ID.into(), &"done".into()));

    let unborn = laptop.top().join("unborn");
    std::fs::create_dir(&unborn).unwrap();
    laptop.git_in(&unborn, &["init", "--quiet"]);
    laptop.handoff(["list"]).directory(&unborn).run().exits(0).says("no handoffs yet").done();

    let other = laptop.top().join("elsewhere");
    std::fs::create_dir(&other).unwrap();
    laptop.git_in(&other, &["init", "--quiet"]);
    laptop.git_in(&other, &["commit", "--quiet", "--allow-empty", "--message=Start"]);
    laptop.handoff(["list"]).directory(&other).run().exits(0).says("no handoffs yet").done();
    let all = laptop.handoff(["list", "--all"]).directory(&other).run().exits(0).says(ID);
    all.says(&laptop.repository().display().to_string()).done();
    laptop.handoff(["list", "--all"]).directory(laptop.top()).run().exits(0).says(ID).done();
}
