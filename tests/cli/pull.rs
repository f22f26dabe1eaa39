//! `handoff pull`: into refs of ours, and nowhere else.

use crate::support::laptop::Laptop;
use crate::support::{ID, QUICK, TASK};

#[test]
fn brings_nothing_but_refs_and_can_be_repeated() {
    let laptop = Laptop::with_plan(QUICK);
    laptop.run([TASK]).run().exits(0).done();
    let (index, status) = (laptop.index(), laptop.git(&["status", "--porcelain=v2"]));
    let work = format!("refs/handoff/{ID}/1/work");
    laptop.handoff(["pull", ID]).run().exits(0).says("nothing new").says(&work).done();
    assert_eq!(laptop.git(&["show", &format!("{work}:notes.txt")]), "by the agent\n");
    assert_eq!((laptop.index(), laptop.git(&["status", "--porcelain=v2"])), (index, status));
}
