//! Whole pages from real output of the agents' CLIs.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::agent::summary::summarise;
use crate::config::markdown;
use crate::config::templates::render_handoff;
use crate::git::diff::Change;
use crate::mirror::pointers::{Target, pointers};
use crate::model::attempt::{Grant, Next, Outcome, Reason};
use crate::model::event::{ByHand, Event, Finish, Given, Kind, Owner};
use crate::model::profile::DialectName;
use crate::model::snapshot::{Oid, Snapshot};
use crate::model::testing::created;
use crate::model::verdict::{Class, Verdict};

const ID: &str = "20260407-fix-the-till";
/// Bytes of `claude-ok` up to the end of the line in which a command begins.
const BEGINNING: usize = 4815;

fn oid(digit: char) -> Oid {
    digit.to_string().repeat(40).parse().unwrap()
}

/// A handoff with a check, and the logs of its attempts.
struct Told {
    handoff: Handoff,
    findings: Findings,
    /// Lines by file name.
    logs: BTreeMap<String, u64>,
    clock: i64,
}

impl Told {
    fn new() -> Told {
        let request = Kind::Created(Box::new(crate::model::event::Created {
            task: "Two tests of the till fail. Fix total.sh.".into(),
            check: Some("sh test.sh".into()),
            workspace: "/home/dev/till".into(),
            ..created(ID)
        }));
        let handoff = Handoff::created(&Event::new(at(0), request)).unwrap();
        let mut told = Told { handoff, findings: Findings::default(), logs: BTreeMap::new(), clock: 0 };
        told.grant(1, 1, 1);
        told
    }

    fn apply(&mut self, kind: Kind) {
        self.clock += 60;
        self.handoff.apply(&Event::new(at(self.clock), kind)).unwrap();
    }

    fn grant(&mut self, number: u32, epoch: u32, first: AttemptNo) {
        let grant = Grant { number, epoch, host: "buildbox".into(), first, last: first + 3, active: 3600 };
        self.apply(Kind::Granted { grant });
    }

    /// An attempt that has printed a log and still runs.
    fn runs(&mut self, n: AttemptNo, grant: u32, dialect: DialectName, log: &[u8]) {
        let (host, command) = ("buildbox".to_owned(), format!("agent --resume s < prompt > attempt-{n}.log 2>&1"));
        self.apply(Kind::Dispatched { attempt: n, grant, host, command });
        self.apply(Kind::Started { attempt: n, command: None, session: Some("s".into()) });
        let summary = summarise(dialect, log, Some("/home/dev/repo")).unwrap();
        self.findings.attempts.push((n, Found { summary, ..Found::default() }));
        let lines = log.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()).count();
        self.logs.insert(log_name(n), lines as u64);
    }

    fn ends(&mut self, n: AttemptNo, verdict: Verdict, check: Option<i32>, next: Next) {
        let outcome = Outcome { reason: Reason::Exit, check, check_before: Some(1), ..Outcome::default() };
        self.apply(Kind::Ended { attempt: n, outcome: Box::new(outcome), verdict });
        self.apply(Kind::Decided { attempt: n, next, by: crate::model::attempt::Writer::Laptop });
    }

    /// Its work is fetched: one changed file and one renamed one.
    fn brings(&mut self, n: AttemptNo, digit: char) {
        self.apply(Kind::Fetched { attempt: n, commit: oid(digit), uncaptured: None });
        let change = |path: &str, was: Option<&str>| Change {
            path: path.into(),
            was: was.map(str::to_owned),
            added: Some(2),
            removed: Some(1),
        };
        let files = vec![change("total.sh", None), change("new.sh", Some("old.sh"))];
        let changes = Changes { from: oid('1'), to: oid(digit), files, count: 2 };
        self.findings.total = Some(changes.clone());
        self.findings.attempts.iter_mut().filter(|(of, _)| *of == n).for_each(|(_, found)| {
            found.changes = Some(changes.clone());
        });
    }

    fn page(&self) -> String {
        let place = Located { workspace: "/home/dev/till", worktree: self.handoff.worktree(), attached: &[] };
        let logs: Vec<String> = self.logs.keys().cloned().collect();
        let page = page(&self.handoff, &self.findings, &place, &logs, "till", None).unwrap();
        render_handoff(&page, None).unwrap()
    }

    /// Checks that every pointer of the page exists.
    fn check(&self) -> Result<(), TestCaseError> {
        let page = self.page();
        for pointer in pointers(page.as_bytes(), &[]) {
            if let Target::Line { file, line } = &pointer.target {
                let lines = self.logs.get(file).copied().unwrap_or(0);
                prop_assert!((1..=lines).contains(line), "{:?} in\n{}", pointer, page);
            }
        }
        Ok(())
    }
}

fn log_name(n: AttemptNo) -> String {
    crate::model::attempt::log_name(n, 1)
}

fn at(seconds: i64) -> jiff::Timestamp {
    jiff::Timestamp::from_second(1_775_556_000 + seconds).unwrap()
}

fn fixture(name: &str) -> Vec<u8> {
    std::fs::read(format!("{}/tests/fixtures/agents/{name}.stdout", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

fn verdict(class: Class, evidence: &str, line: Option<u64>) -> Verdict {
    Verdict { line, ..Verdict::new(class, evidence) }
}

#[track_caller]
fn matches(name: &str, told: &Told) {
    told.check().unwrap();
    crate::model::testing::match_file(name, &told.page());
}

/// A first attempt that met a rate limit, and a second one that succeeded.
fn success() -> Told {
    let mut told = Told::new();
    told.runs(1, 1, DialectName::Cursor, &fixture("cursor-f-429"));
    let limit =
        verdict(Class::Throttled, "Connect error 429 (resource_exhausted): [resource_exhausted] Error", Some(4));
    told.ends(1, limit, Some(1), Next::Resume { delay: 30 });
    told.brings(1, 'a');
    told.runs(2, 1, DialectName::Claude, &fixture("claude-ok"));
    told.ends(2, verdict(Class::Done, "the check passes", Some(7)), Some(0), Next::End);
    told.brings(2, 'b');
    told
}

#[test]
fn a_success_after_a_failure() {
    matches("record-success", &success());
}

#[test]
fn a_running_attempt_is_partial() {
    let mut told = Told::new();
    told.runs(1, 1, DialectName::Claude, &fixture("claude-ok")[..BEGINNING]);
    matches("record-running", &told);
}

#[test]
fn a_parked_handoff() {
    let mut told = Told::new();
    told.runs(1, 1, DialectName::Claude, &fixture("claude-noperm"));
    let why = format!("allow the tool, then `handoff resume {ID}`");
    told.ends(1, verdict(Class::Blocked, "Write was refused", Some(3)), Some(1), Next::Park { why });
    matches("record-parked", &told);
}

#[test]
fn a_lost_attempt() {
    let mut told = Told::new();
    told.runs(1, 1, DialectName::Codex, &fixture("codex-f-cut"));
    told.ends(1, verdict(Class::Lost, "the host does not have the attempt any more", None), None, Next::End);
    matches("record-lost", &told);
}

#[test]
fn a_handoff_that_was_given_back_and_finished() {
    let mut told = success();
    told.apply(Kind::Owner { epoch: 2, owner: Owner::Laptop, confirmed: true });
    told.apply(Kind::Worktree { path: "/home/dev/till-handoff".into(), branch: None });
    matches("record-interactive", &told);
    let by_hand = ByHand {
        count: "1 file changed, 1 insertion(+)".into(),
        commits: vec!["abcdef1 Round `half` up".into()],
        uncommitted: vec!["notes.txt (+3 −0)".into()],
    };
    let work = Snapshot { commit: oid('c'), ..created(ID).base };
    let given = Given { work, told: "changed".into(), message: None, by_hand: Some(by_hand.clone()) };
    told.apply(Kind::Given(Box::new(given)));
    told.apply(Kind::Owner { epoch: 3, owner: Owner::Host("buildbox".into()), confirmed: true });
    told.grant(2, 3, 3);
    told.runs(3, 2, DialectName::Claude, &fixture("claude-resume"));
    told.ends(3, verdict(Class::Done, "the check passes", Some(2)), Some(0), Next::End);
    told.brings(3, 'd');
    let finish =
        Finish { branch: Some("fix".into()), commit: Some(oid('e')), by_hand: Some(by_hand), ..Finish::default() };
    told.apply(Kind::Finished(Box::new(finish)));
    matches("record-finished", &told);
}

#[test]
fn a_log_of_ten_thousand_commands_makes_a_page_that_can_be_read() {
    let event = |n: usize| {
        let item = serde_json::json!({"type": "command_execution", "command": format!("make {}", n % 5000), "exit_code": n % 3});
        format!("{}\n", serde_json::json!({"type": "item.completed", "item": item}))
    };
    let log: String = (0..10_000).map(event).collect();
    let mut told = Told::new();
    told.runs(1, 1, DialectName::Codex, log.as_bytes());
    told.check().unwrap();
    let page = told.page();
    assert!(page.lines().count() < 300 && page.len() < 40_000, "{} bytes", page.len());
    assert!(page.contains("earlier commands are not listed; the logs have them: `attempt-1.log`"), "{page}");
}

fn random_log() -> impl Strategy<Value = String> {
    let text =
        "([a-z`>#(\\n:]|attempt-9\\.log:3|\\(`attempt-9\\.log:3`\\)|commit `|## Metadata\n|    |\u{1b}|\u{2028}){0,12}";
    let event = (0..7u8, text, prop::option::of(0..3i64)).prop_map(|(kind, text, exit)| {
        let item = |item: serde_json::Value| serde_json::json!({"type": "item.completed", "item": item}).to_string();
        match kind {
            0 => item(serde_json::json!({"type": "agent_message", "text": text})),
            1 => item(serde_json::json!({"type": "command_execution", "command": text, "exit_code": exit})),
            2 => item(serde_json::json!({"type": "command_execution", "command": text, "status": "declined"})),
            3 => item(serde_json::json!({"type": "file_change", "changes": [{"path": text, "kind": "update"}]})),
            4 => serde_json::json!({"type": "error", "message": text}).to_string(),
            5 => serde_json::json!({"type": "turn.failed", "error": {"message": text}}).to_string(),
            _ => text,
        }
    });
    prop::collection::vec(event, 0..40).prop_map(|events| events.join("\n"))
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(96))]
    /// Whatever agents print, each claim points to a line that exists, and no section is added.
    #[test]
    fn no_claim_points_nowhere(first in random_log(), second in random_log(), is_over in any::<bool>()) {
        let mut told = Told::new();
        let sections = |page: &str| markdown::headings(page).len();
        let before = sections(&told.page());
        for (n, log) in [(1, &first), (2, &second)] {
            told.runs(n, 1, DialectName::Codex, log.as_bytes());
            // Every line counts, also an empty one.
            told.logs.insert(log_name(n), log.split('\n').count() as u64);
            if n == 1 || is_over {
                let evidence = log.lines().last().unwrap_or_default();
                told.ends(n, verdict(Class::Unchecked, evidence, None), None, Next::End);
            }
        }
        told.check()?;
        prop_assert_eq!(sections(&told.page()), before, "{}", told.page());
    }
}
