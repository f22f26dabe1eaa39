//! The skill of `handoff plugin`, followed step by step by a script that knows only its text.

use std::path::{Path, PathBuf};

use serde_json::Value;

use crate::support::laptop::Laptop;
use crate::support::program::Ran;
use crate::support::wait_for;

/// The id in the skill's example, which a reader replaces.
const EXAMPLE: &str = "20260407-fix-benchmark-timeout";
const ID: &str = "20261127-fix-the-till";
const TASK: &str = "Fix total.sh: sh test.sh must pass. It's \"two\" tests.\n";

const PLAN: &str = "turn 1\nedit notes.txt <<END\nfirst\nEND\nfinish First.\n\
                    turn 2\nedit notes.txt <<END\nsecond\nEND\nfinish Second.\n\
                    turn 3\nrun cat mine.txt >>notes.txt\nfinish Third.\n";

/// A reader of the skill.
struct Reader {
    laptop: Laptop,
    /// The text that `plugin print` prints.
    skill: String,
}

impl Reader {
    fn new() -> Reader {
        let laptop = Laptop::with_plan(PLAN);
        let skill = laptop.handoff(["plugin", "print"]).run().exits(0).text();
        Reader { laptop, skill }
    }

    /// The command of a section that is or begins with these words, with the reader's own values in place of the
    /// examples.
    #[track_caller]
    fn command(&self, section: &str, begins: &str) -> String {
        let heading = format!("\n## {section}\n");
        let (_, text) = self.skill.split_once(&heading).unwrap_or_else(|| panic!("no section {section}"));
        let text = text.split("\n## ").next().unwrap();
        let code = |line: &'_ str| match line.strip_prefix("    ").map(str::trim) {
            Some(code) if code.starts_with("handoff ") => vec![code.to_owned()],
            _ => line.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
        };
        let all: Vec<String> = text.lines().flat_map(code).collect();
        let exact = all.iter().find(|code| *code == begins);
        let command = exact
            .or_else(|| all.iter().find(|code| code.starts_with(begins)))
            .unwrap_or_else(|| panic!("no command {begins:?} in {section}:\n{text}"));
        let mut words = shlex::split(command).unwrap();
        for word in &mut words {
            *word = match word.as_str() {
                "HOST" => "box".into(),
                "ID" | EXAMPLE => ID.into(),
                "NAME" => "fix-the-till".into(),
                "COMMAND" => "grep -q . notes.txt".into(),
                // A sentence in capitals says what the reader writes there.
                other if other.contains(' ') && other.to_uppercase() == other => "The words of the user's own.".into(),
                other => other.to_owned(),
            };
        }
        shlex::try_join(words.iter().map(String::as_str)).unwrap()
    }

    /// Types a command of the skill.
    #[track_caller]
    fn types(&self, section: &str, begins: &str) -> Ran {
        self.typed(&self.command(section, begins), "")
    }

    #[track_caller]
    fn typed(&self, command: &str, input: &str) -> Ran {
        let program = Path::new(env!("CARGO_BIN_EXE_handoff")).parent().unwrap();
        let path = std::env::join_paths([program, Path::new("/usr/bin"), Path::new("/bin")]).unwrap();
        let shell = self.laptop.program(Path::new("/bin/sh")).args(["-c", command]).env("PATH", path);
        shell.stdin(input).run().exits(0)
    }

    /// `show ID --json`.
    #[track_caller]
    fn shown(&self) -> Value {
        self.types("Follow", "handoff show ID --json").json().remove(0)
    }

    /// Follows as the skill says, and returns the status at rest.
    #[track_caller]
    fn follows(&self) -> String {
        wait_for("the handoff to be at rest", || {
            let is_active = matches!(self.shown()["status"].as_str().unwrap(), "queued" | "running" | "waiting");
            if is_active {
                self.types("Follow", "handoff watch ID").done();
            }
            !is_active
        });
        self.shown()["status"].as_str().unwrap().to_owned()
    }

    /// The record that `show` names, each of whose claims points to a line of a log next to it.
    #[track_caller]
    fn reports(&self) -> String {
        let shown = self.types("Follow", "handoff show ID").text();
        let record = shown.lines().find_map(|line| line.trim().strip_prefix("record")).expect(&shown).trim();
        let record = match record.strip_prefix("~/") {
            Some(below) => self.laptop.home().join(below),
            None => self.laptop.repository().join(record),
        };
        let page = std::fs::read_to_string(&record).unwrap_or_else(|error| panic!("{}: {error}", record.display()));
        let mut cited = 0;
        for claim in page.split('`').filter(|text| text.starts_with("attempt-") && text.contains(".log:")) {
            let (log, line) = claim.split_once(':').unwrap();
            let lines = std::fs::read_to_string(record.with_file_name(log)).unwrap().lines().count();
            assert!((1..=lines).contains(&line.parse().unwrap()), "{claim} of {lines}");
            cited += 1;
        }
        assert!(cited > 0, "{page}");
        page
    }

    /// The worktree that the last line of `takeover --print-prompt` names.
    #[track_caller]
    fn takes_over(&self) -> PathBuf {
        let printed = self.types("Continue here", "handoff takeover ID --print-prompt").text();
        assert!(printed.contains(TASK.trim()), "{printed}");
        let last = printed.lines().last().unwrap();
        let at = last.find('/').unwrap_or_else(|| panic!("no worktree in {last:?}"));
        PathBuf::from(last[at..].trim_end_matches(['.', '`']))
    }
}

#[test]
fn a_handoff_goes_out_comes_back_goes_out_again_and_ends() {
    let reader = Reader::new();
    assert_eq!(reader.types("Start", "handoff list --json").json(), [] as [Value; 0], "no equivalent handoff");
    assert!(reader.types("Start", "handoff hosts list").text().contains("box"));
    reader.types("Start", "handoff hosts check HOST").done();
    reader.typed(&reader.command("Start", "handoff run "), TASK).done();
    let rows = reader.types("Start", "handoff list --json").json();
    assert_eq!((rows.len(), rows[0]["id"].as_str(), rows[0]["task"].as_str()), (1, Some(ID), Some(TASK)));

    assert_eq!(reader.follows(), "done");
    assert!(reader.reports().contains("- Status: done"));
    assert!(reader.types("Follow", "handoff diff ID").text().contains("+first"));

    reader.types("Resume", "handoff resume ID ").done();
    assert_eq!(reader.follows(), "done");
    assert!(reader.laptop.hosts[0].prompts()[1].contains("The words of the user's own."));
    assert!(reader.types("Follow", "handoff logs ID --attempt 2").text().contains("Second."));

    let worktree = reader.takes_over();
    assert_eq!(std::fs::read_to_string(worktree.join("notes.txt")).unwrap(), "second\n");
    assert_eq!(reader.shown()["status"], "interactive");
    std::fs::write(worktree.join("mine.txt"), "third, by hand\n").unwrap();

    reader.types("Give it back", "handoff give ID ").done();
    assert_eq!(reader.follows(), "done");
    assert!(reader.laptop.hosts[0].prompts()[2].contains("third, by hand"), "the agent is shown the changes");
    assert!(reader.reports().contains("A person changed this by hand"));

    let worktree = reader.takes_over();
    assert_eq!(std::fs::read_to_string(worktree.join("notes.txt")).unwrap(), "second\nthird, by hand\n");
    let branch = reader.laptop.git_in(&worktree, &["branch", "--show-current"]);
    assert!(branch.starts_with("handoff/"), "{branch}");
    reader.types("Continue here", "handoff finish ID --branch NAME").done();
    assert_eq!(reader.laptop.git(&["show", "fix-the-till:mine.txt"]), "third, by hand\n");
    assert!(!worktree.exists());
    assert_eq!(reader.shown()["status"], "finished");
}

#[test]
fn a_handoff_is_stopped_and_cleaned() {
    let mut reader = Reader::new();
    reader.laptop.plan("turn 1\nedit notes.txt <<END\nkept\nEND\nsay Now I wait.\nhang\n");
    reader.typed(&reader.command("Start", "handoff run "), TASK).done();
    let log = || {
        std::fs::read_dir(reader.laptop.hosts[0].home.join(".handoff/work"))
            .unwrap()
            .flatten()
            .any(|work| std::fs::read_to_string(work.path().join("1/log")).is_ok_and(|log| log.contains("Now I wait.")))
    };
    wait_for("the agent's words", log);
    reader.types("Stop and clean", "handoff stop ID").done();
    assert_eq!(reader.shown()["status"], "stopped");
    assert!(reader.types("Follow", "handoff diff ID").text().contains("+kept"), "its work is kept");
    reader.types("Stop and clean", "handoff clean ID").done();
    assert_eq!(reader.laptop.hosts[0].home.join(".handoff/work").read_dir().unwrap().count(), 0);
    assert!(reader.types("Follow", "handoff diff ID").text().contains("+kept"));
}
