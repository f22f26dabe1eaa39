//! What a takeover opens: an editor, the user's own command, `$VISUAL`, or the agent's CLI.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use crate::support::laptop::Laptop;
use crate::support::program::{Program, Ran};
use crate::support::{ID, TASK};

const QUICK: &str = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfinish All done.\n";

/// The sentence that the editor's chat or the clipboard gets.
const PROMPT: &str =
    "Read .cursor/agent-handoffs/20260407-fix-the-till/handoff.md and continue from its Headed Takeover Prompt.";

/// A laptop with a finished attempt, and a search path with nothing that opens anything.
struct Desk {
    laptop: Laptop,
    bin: PathBuf,
}

impl Desk {
    fn new() -> Desk {
        let laptop = Laptop::with_plan(QUICK);
        laptop.run([TASK]).run().exits(0).done();
        let bin = laptop.path_of(&["git", "ssh", "sh", "cat", "mv"]);
        Desk { laptop, bin }
    }

    /// Installs a program that writes each of its arguments, and then its input, on a line of a file.
    fn install(&self, name: &str) {
        let file = self.seen_file(name);
        self.install_script(
            name,
            &format!("{{ for arg; do printf '%s\\n' \"$arg\"; done; cat; }} >{}", file.display()),
        );
    }

    fn install_script(&self, name: &str, script: &str) {
        let file = self.bin.join(name);
        std::fs::write(&file, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(file, PermissionsExt::from_mode(0o755)).unwrap();
    }

    fn seen_file(&self, name: &str) -> PathBuf {
        self.laptop.home().join(format!("{name}.seen"))
    }

    /// What a program saw; nothing if it did not run.
    fn seen(&self, name: &str) -> String {
        std::fs::read_to_string(self.seen_file(name)).unwrap_or_default()
    }

    /// `takeover` with a desktop.
    fn takeover(&self, more: &[&str]) -> Ran {
        self.program(more).env("DISPLAY", ":9").run()
    }

    fn program(&self, more: &[&str]) -> Program {
        self.laptop.handoff(["takeover", ID]).args(more).env("PATH", &self.bin)
    }

    fn worktree(&self) -> String {
        self.laptop.worktree().display().to_string()
    }

    fn record(&self) -> String {
        let record = Path::new(".cursor/agent-handoffs").join(ID).join("handoff.md");
        self.laptop.worktree().join(record).display().to_string()
    }
}

#[test]
fn the_first_editor_that_is_there_is_opened_on_the_worktree_and_the_record() {
    let desk = Desk::new();
    let (worktree, record) = (desk.worktree(), desk.record());
    let none = desk.takeover(&["--editor", "cursor"]).exits(0).says("cursor is not on PATH here");
    none.says(&format!("open it:  cursor {worktree}")).done();
    desk.install("zed");
    desk.takeover(&[]).exits(0).says("opened in zed\n").done();
    assert_eq!(desk.seen("zed"), format!("-n\n{worktree}\n{record}\n"));
    for editor in ["code", "cursor"] {
        desk.install(editor);
        desk.takeover(&[]).exits(0).says(&format!("opened in {editor}")).done();
        assert_eq!(desk.seen(editor), format!("-n\n{worktree}\n--goto\n{record}\n"));
    }
    // Without a screen, handoff opens an editor only on request.
    desk.program(&[]).run().exits(0).says("open it:  cursor ").done();
}

#[test]
fn the_prompt_is_in_cursors_chat_or_else_on_the_clipboard() {
    let desk = Desk::new();
    desk.install("cursor");
    desk.install("xclip");
    desk.takeover(&[]).exits(0).says("opened in cursor; the prompt is in the clipboard\n").done();
    assert_eq!(desk.seen("xclip"), format!("-selection\nclipboard\n{PROMPT}"));
    desk.install("xdg-open");
    desk.takeover(&[]).exits(0).says("opened in cursor; the prompt is in the chat; send it there\n").done();
    let link = "cursor://anysphere.cursor-deeplink/prompt?text=Read%20%2Ecursor%2Fagent%2Dhandoffs%2F20260407%2D";
    assert!(desk.seen("xdg-open").starts_with(link), "{}", desk.seen("xdg-open"));
    desk.install_script("xdg-open", "exit 3");
    desk.takeover(&[]).exits(0).says("the prompt is in the clipboard\n").done();
}

#[test]
fn an_editor_that_fails_is_not_called_open() {
    let desk = Desk::new();
    desk.install_script("code", "exit 7");
    let failed = desk.takeover(&[]).exits(0).says("is yours").says("code failed: exit status: 7");
    failed.says(&format!("open it:  cursor {}", desk.worktree())).done();
}

#[test]
fn the_users_own_command_is_first() {
    let desk = Desk::new();
    desk.install("cursor");
    desk.install("ed");
    desk.laptop.append_hosts(
        "\n[takeover]\ncommand = 'echo \"in $PWD\"; ed \"$HANDOFF_WORKTREE\" \"$HANDOFF_RECORD\" \"$HANDOFF_PROMPT\"; exit 4'\n",
    );
    let ran = desk.program(&[]).run().exits(4);
    ran.says("is yours").says(&format!("in {}\n", desk.worktree())).done();
    assert_eq!(desk.seen("ed"), format!("{}\n{}\n{PROMPT}\n", desk.worktree(), desk.record()));
    std::fs::remove_file(desk.seen_file("ed")).unwrap();
    desk.takeover(&["--editor", "cursor"]).exits(0).says("opened in cursor").done();
    desk.takeover(&["--editor", "none"]).exits(0).done();
    desk.takeover(&["--print-prompt"]).exits(0).done();
    desk.takeover(&["--json"]).exits(0).done();
    assert_eq!(desk.seen("ed"), "", "only a takeover that may open something runs it");
}

#[test]
fn an_agent_that_cannot_be_started_here_is_refused_before_anything_happens() {
    let desk = Desk::new();
    let agents = desk.laptop.home().join(".config/handoff/agents.toml");
    std::fs::write(agents, "[agent.fixer]\nbinary = [\"fixer\"]\nstart = [\"--go\"]\n").unwrap();
    let refused = |more: &str| desk.takeover(&[more]).exits(2);
    refused("--agent").complains("cursor-agent or agent is not on PATH here").complains("try: curl ").done();
    refused("--agent=claud").complains("did you mean claude?").done();
    refused("--agent=fixer").complains("has no key `interactive`").done();
    desk.install("claude");
    refused("--agent=claude").complains("--agent needs a terminal").complains("--print-prompt").done();
    desk.takeover(&["--editor", "visual"]).exits(0).says("VISUAL is not set, or this is no terminal").done();
    assert_eq!(desk.seen("claude"), "");
}
