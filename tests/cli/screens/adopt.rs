//! A directory that was made by hand.

use crate::support::ID;
use crate::support::laptop::Laptop;
use crate::support::screens::Screens;

#[test]
fn of_a_directory_that_was_made_by_hand() {
    let laptop = Laptop::with_plan("turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n");
    let directory = laptop.record("handoff.md").parent().unwrap().to_owned();
    std::fs::create_dir_all(&directory).unwrap();
    let page = include_str!("../../fixtures/hand-made/whole.md").replace("Status: done", "Status: running");
    std::fs::write(directory.join("handoff.md"), page).unwrap();
    std::fs::write(directory.join("attempt-1.log"), "Error: it broke\n").unwrap();
    std::fs::write(directory.join("notes.txt"), "").unwrap();
    let path = format!(".cursor/agent-handoffs/{ID}");
    let mut screens = Screens::new();
    screens.see(&laptop, &["adopt", &path]);
    screens.see(&laptop, &["adopt", &path, "--dry-run"]);
    screens.see(&laptop, &["adopt", &path, "--ended"]);
    screens.see(&laptop, &["adopt", &path]);
    screens.see(&laptop, &["show", ID]);
    screens.see(&laptop, &["list"]);
    screens.see(&laptop, &["resume", ID]);
    screens.see(&laptop, &["diff", ID]);
    screens.see(&laptop, &["summarize", ID]);
    screens.match_file("adopt");
}
