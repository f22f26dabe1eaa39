//! The output that a person sees on a terminal.

use crate::skip;
use crate::support::site::{HOST, ID, Site, TASK};
use crate::support::terminal::{self, OnTerminal};

#[test]
fn what_a_command_says_never_stands_behind_the_line_that_moves() {
    if !terminal::can_be_had() {
        return skip!("script of util-linux");
    }
    let site = Site::new();
    site.plan("turn 1\nsay Working.\nhang\n");
    site.laptop.handoff(&["run", "--host", HOST, "--id", ID, "--detach", TASK]).run().success();
    site.wait_for_log(1, "Working.");
    let mut terminal = OnTerminal::start(&site.laptop, &["stop", ID]);
    assert_eq!(terminal.end(), Some(0));
    terminal.shows("fix: stopped");
    let screen = terminal.screen();
    assert!(screen.contains(" · "), "no line moved: {screen:?}");
    // Erase in line, ECMA-48 8.3.41.
    let before = screen.split("fix: stopped").next().and_then(|all| all.rsplit("\x1b[2K").next());
    assert!(before.is_some_and(|line| !line.contains(" · ")), "{screen:?}");
}
