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

#[test]
fn the_agent_and_the_editor_of_a_takeover_get_the_terminal() {
    if !terminal::can_be_had() {
        return skip!("script of util-linux");
    }
    let site = Site::new();
    site.plan("turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish Done.\n");
    site.laptop.handoff(&["run", "--host", HOST, "--id", ID, TASK]).run().success();
    let bin = site.laptop.path("bin");
    std::fs::create_dir_all(&bin).unwrap();
    let program = "#!/bin/sh\ntest -t 0 && test -t 1 && echo \"on a terminal in ${PWD##*/}:\"\n\
                   for arg; do printf \"[%s]\\n\" \"$arg\"; done\nexit 5\n";
    for name in ["claude", "vi-like"] {
        std::fs::write(bin.join(name), program).unwrap();
        std::fs::set_permissions(bin.join(name), std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    }
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").unwrap());
    let takeover = |more: &[&str]| {
        let words = [&["takeover", ID], more].concat();
        OnTerminal::start_with(&site.laptop, &words, &[("PATH", &path), ("VISUAL", "vi-like -w")])
    };
    let sentence =
        format!("[Read .cursor/agent-handoffs/{ID}/handoff.md and continue from its Headed Takeover Prompt.]");
    let mut agent = takeover(&["--agent=claude"]);
    assert_eq!(agent.end(), Some(5));
    agent.shows(&format!("on a terminal in greeter-handoff-{ID}:"));
    agent.shows(&sentence);
    let mut editor = takeover(&[]);
    assert_eq!(editor.end(), Some(5));
    editor.shows("[-w]");
    editor.shows(&format!("/.cursor/agent-handoffs/{ID}/handoff.md]"));
}

#[test]
fn a_patch_on_a_terminal_has_the_users_colours_and_pager() {
    if !terminal::can_be_had() {
        return skip!("script of util-linux");
    }
    let site = Site::new();
    site.plan("turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish Done.\n");
    site.laptop.handoff(&["run", "--host", HOST, "--id", ID, TASK]).run().success();
    site.laptop.git(&["config", "color.diff.new", "yellow"]);
    site.laptop.git(&["config", "core.pager", "sed 's/^/paged: /'"]);
    let diff = |variables: &[(&str, &str)]| {
        let mut terminal = OnTerminal::start_with(&site.laptop, &["diff", ID], variables);
        assert_eq!(terminal.end(), Some(0));
        terminal.shows("by the agent");
        terminal.screen()
    };
    let paged = diff(&[]);
    assert!(paged.contains("paged: \x1b[33m+by the agent\x1b[m"), "{paged:?}");
    let plain = diff(&[("GIT_PAGER", "cat"), ("NO_COLOR", "1")]);
    assert!(plain.contains("\n+by the agent") && !plain.contains("paged"), "{plain:?}");
    let file = site.laptop.handoff(&["diff", ID]).run().success();
    assert!(file.stdout.contains("\n+by the agent\n"), "{}", file.stdout);
}
