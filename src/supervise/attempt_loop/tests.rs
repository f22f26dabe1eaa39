//! A host behind a black hole, with a clock that is moved: nothing here waits for real.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::*;
use crate::agent::profiles;
use crate::config::hosts::Hosts;
use crate::git::repository::Repository;
use crate::model::attempt::Grant;
use crate::model::attempt::{Next, Outcome, Reason, Writer};
use crate::model::event::Kind;
use crate::model::host::Host;
use crate::model::status::Status;
use crate::model::testing::created;
use crate::model::verdict::{Class, Verdict};
use crate::remote::poll::LONGEST_WAIT;
use crate::remote::poll::Stream;
use crate::state::store::Store;
use crate::supervise::connection::{Dial, HostConnection};
use crate::supervise::logs::Piece;
use crate::supervise::progress::Progress;
use crate::supervise::progress::{NullReporter, Reporter};
use crate::supervise::services::Services;
use crate::transport::TransportError;
use crate::transport::{Connected, Exec, Exit, NonInteractive, Options, Output, Transport};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A poll that finds nothing new ends after this long.
const POLL: Duration = Duration::from_millis(LONGEST_WAIT);
/// Keepalives notice a dead connection, and a try that nobody answers is over, in about so long.
const DEAD: Duration = Duration::from_secs(60);
const NO_ANSWER: Duration = Duration::from_secs(30);
const LOG: &[u8] = b"before\nafter\n";

/// A network that swallows everything from `from` to `to`, and the host behind it.
struct Hole {
    from: Instant,
    to: Instant,
    dials: AtomicUsize,
    /// Polls that are still to be left without an end.
    stuck: AtomicUsize,
    /// These say the state first: what was to wake them was killed. Else they say nothing at all: the host's disk hangs.
    says_state: bool,
    /// When a connection was made again.
    back: Mutex<Option<Instant>>,
}

impl Hole {
    fn new(from: Instant, to: Instant) -> Hole {
        let (dials, stuck) = (AtomicUsize::new(0), AtomicUsize::new(0));
        Hole { from, to, dials, stuck, says_state: true, back: Mutex::default() }
    }

    fn swallows(&self) -> bool {
        (self.from..self.to).contains(&Instant::now())
    }

    /// Answers one verb, as `docs/host.md` has it.
    async fn answer(&self, verb: &str, request: &str, out: &mpsc::UnboundedSender<Output>) {
        let nonce = request.lines().next().unwrap_or_default();
        let say = |text: String| drop(out.send(Output::Stdout(Bytes::from(text))));
        let over = Instant::now() >= self.to;
        let stuck = verb == "poll"
            && self.stuck.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |n| n.checked_sub(1)).is_ok();
        if stuck && !self.says_state {
            return out.closed().await;
        }
        say(format!("@handoff {nonce} begin\n"));
        if verb == "set-next" {
            say("next laptop:end:0\n".into());
        } else if verb == "capture" {
            say(format!("error capture nothing is left of the tree\n@handoff {nonce} end 1\n"));
            let _ = out.send(Output::Exit(Exit::Code(1)));
            return;
        } else {
            let want = request.lines().find_map(|line| line.strip_prefix("want ")).unwrap_or_default();
            let words: Vec<&str> = want.split(' ').collect();
            let (name, offset) = (words[0], words[4].parse::<usize>().unwrap());
            say(format!(
                "s {name} 1 watch=alive intent=1 task=alive cancel=0 exit=- result={} next=- session=- active=5 beat=1 \
                 epoch=1 log=7:{} check=0:0 last=1\n",
                u8::from(over),
                LOG.len()
            ));
            let there = if over { LOG.len() } else { 7 };
            if offset < there {
                let text = String::from_utf8_lossy(&LOG[offset..there]).into_owned();
                say(format!("d {name} 1 log 7 {offset} {}\n{text}\n", text.len()));
            }
            if over {
                let result = "class stopped\nreason stop\nexit 0\nactive 86400\nend 1\n";
                say(format!("r {name} 1 {}\n{result}\n", result.len()));
            } else if stuck {
                return out.closed().await;
            } else {
                tokio::time::sleep(POLL).await;
            }
        }
        if self.swallows() {
            tokio::time::sleep_until(self.from + DEAD).await;
            let _ = out.send(Output::Severed(TransportError::lost("buildbox", "keepalive timeout")));
            return;
        }
        say(format!("@handoff {nonce} end 0\n"));
        let _ = out.send(Output::Exit(Exit::Code(0)));
    }
}

struct Line(Arc<Hole>);

#[async_trait::async_trait]
impl Dial for Line {
    async fn dial(&self, _: &Host) -> Result<Connected, TransportError> {
        self.0.dials.fetch_add(1, Ordering::Relaxed);
        if self.0.swallows() {
            tokio::time::sleep(NO_ANSWER).await;
            if self.0.swallows() {
                return Err(TransportError::lost("buildbox", "no answer within 30 s"));
            }
        }
        if Instant::now() >= self.0.to {
            self.0.back.lock().unwrap().get_or_insert(Instant::now());
        }
        Ok(Connected { transport: Arc::new(Line(self.0.clone())), notes: vec![], counters: Arc::default() })
    }
}

#[async_trait::async_trait]
impl Transport for Line {
    async fn exec(&self, command: &str) -> Result<Exec, TransportError> {
        let (stdin, mut input) = mpsc::channel(8);
        let (sender, output) = mpsc::unbounded_channel();
        let verb = ["set-next", "capture"].into_iter().find(|verb| command.contains(&format!(" {verb} ")));
        let (hole, verb) = (self.0.clone(), verb.unwrap_or("poll"));
        tokio::spawn(async move {
            let Some(bytes): Option<Bytes> = input.recv().await else { return };
            hole.answer(verb, &String::from_utf8_lossy(&bytes), &sender).await;
        });
        Ok(Exec { stdin, output })
    }
}

/// The services of a repository of its own, with a handoff whose first attempt runs.
fn scene(top: &std::path::Path) -> Arc<Services> {
    for words in
        [&["init", "-q"][..], &["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "a", "--allow-empty"]]
    {
        let done = std::process::Command::new("git").arg("-C").arg(top).args(words).status().unwrap();
        assert!(done.success());
    }
    let repository = Repository::discover(top).unwrap();
    let store = Store::new(repository.common_dir());
    let mut handoff = created("20261121-x");
    handoff.workspace = top.display().to_string();
    let mut journal = store.create(handoff).unwrap();
    let host = "buildbox".to_owned();
    let grant = Grant { number: 1, epoch: 1, host: host.clone(), first: 1, last: 1, active: 60 };
    for kind in [
        Kind::Granted { grant },
        Kind::Dispatched { attempt: 1, grant: 1, host, command: "agent".into() },
        Kind::Started { attempt: 1, command: None, session: None },
    ] {
        journal.append(kind).unwrap();
    }
    Arc::new(Services {
        store,
        repository,
        hosts: Hosts::none(),
        profiles: profiles::built_in().unwrap(),
        templates: top.join("no-templates"),
        state_dir: top.join("state"),
        connect: Options::default(),
        prompter: Arc::new(NonInteractive),
        reporter: Arc::new(NullReporter),
        summaries: Default::default(),
    })
}

#[tokio::test(start_paused = true)]
async fn a_day_without_answers_is_no_failure_and_sends_few_requests() {
    let directory = tempfile::tempdir().unwrap();
    let services = scene(directory.path());
    let id = "20261121-x".parse().unwrap();
    let from = Instant::now() + Duration::from_secs(100);
    let hole = Arc::new(Hole::new(from, from + DAY));
    let mut driver = Driver::open(&services, &id).unwrap();
    driver.connection =
        HostConnection::by(Host::bare("buildbox"), Arc::new(Line(hole.clone())), Arc::new(NullReporter));
    let followed = tokio::spawn(async move { driver.follow(Until::Rest).await });

    tokio::time::sleep_until(from + DAY / 2).await;
    let journal = services.store.open(&id).unwrap();
    assert_eq!(journal.handoff().status(), Status::Running);
    let (since, reason) = journal.handoff().unreachable().expect("it is said since when");
    assert!(reason.contains("no answer"), "{reason} since {since}");
    assert!(services.store.summary(&id).unwrap().unreachable_since.is_some(), "a listing says so");
    let page = directory.path().join(".cursor/agent-handoffs/20261121-x/handoff.md");
    assert!(std::fs::read_to_string(page).unwrap().contains("running"));

    tokio::time::timeout(2 * DAY, followed).await.expect("it is followed to its end").unwrap().unwrap();
    let late = hole.back.lock().unwrap().expect("a connection was made again") - hole.to;
    assert!(late <= Duration::from_secs(60), "the stream goes on {late:?} after the network");
    let dials = hole.dials.load(Ordering::Relaxed);
    let (fewest, most) = (DAY.as_secs() as usize / 61, DAY.as_secs() as usize / 44);
    assert!((fewest..=most).contains(&dials), "{dials} connections in a day");
    let journal = services.store.open(&id).unwrap();
    let attempt = &journal.handoff().attempts()[&1];
    assert_eq!(journal.handoff().attempts().len(), 1, "no attempt was counted");
    assert_eq!(attempt.verdict.as_ref().unwrap().class.word(), "stopped", "judged by what the host recorded");
    let text = std::fs::read_to_string(services.store.directory(&id).join("journal.jsonl")).unwrap();
    for kind in ["unreachable", "reachable"] {
        let count = text.matches(&format!("\"event\":\"{kind}\"")).count();
        assert_eq!(count, 1, "one event each, not one a try:\n{text}");
    }
    assert_eq!(std::fs::read(services.store.log(&id, 1)).unwrap(), LOG, "the log is whole");
}

#[tokio::test(start_paused = true)]
async fn a_poll_that_never_ends_is_sent_again() {
    for says_state in [true, false] {
        let directory = tempfile::tempdir().unwrap();
        let services = scene(directory.path());
        let id = "20261121-x".parse().unwrap();
        let began = Instant::now();
        let stuck = AtomicUsize::new(1);
        let hole = Arc::new(Hole { stuck, says_state, ..Hole::new(began + POLL, began + POLL) });
        let mut driver = Driver::open(&services, &id).unwrap();
        driver.connection =
            HostConnection::by(Host::bare("buildbox"), Arc::new(Line(hole.clone())), Arc::new(NullReporter));
        tokio::time::timeout(DAY, driver.follow(Until::Rest)).await.expect("it does not wait for ever").unwrap();
        let took = began.elapsed();
        assert!(took > POLL && took < 5 * POLL, "a poll may take its time, and is then given up: {took:?}");
        assert_eq!(hole.dials.load(Ordering::Relaxed), 2, "over a new connection");
        let journal = services.store.open(&id).unwrap();
        assert_eq!(journal.handoff().attempts()[&1].verdict.as_ref().unwrap().class.word(), "stopped");
    }
}

/// Keeps the bytes of the log that it is told of.
#[derive(Default)]
struct Heard(Mutex<Vec<u8>>);

impl Reporter for Heard {
    fn tell(&self, progress: &Progress) {
        if let Progress::Log { bytes, .. } = progress {
            self.0.lock().unwrap().extend_from_slice(bytes);
        }
    }
}

#[tokio::test]
async fn bytes_that_arrive_twice_are_reported_once() {
    let directory = tempfile::tempdir().unwrap();
    let mut services = scene(directory.path());
    let heard = Arc::new(Heard::default());
    Arc::get_mut(&mut services).unwrap().reporter = heard.clone();
    let mut driver = Driver::open(&services, &"20261121-x".parse().unwrap()).unwrap();
    for (offset, end) in [(0, 7), (3, LOG.len()), (9, 11)] {
        let bytes = Bytes::from_static(&LOG[offset..end]);
        let piece = Piece { attempt: 1, stream: Stream::Log, inode: 7, offset: offset as u64, bytes };
        driver.record.logs.receive(&mut driver.record.ledger, "buildbox", &piece).unwrap();
    }
    assert_eq!(*heard.0.lock().unwrap(), LOG);
}

/// The process that decided was killed before it recorded the next attempt, and the host no longer has this one.
#[tokio::test(start_paused = true)]
async fn an_attempt_that_was_decided_is_left_for_the_next_without_asking_the_host() {
    let directory = tempfile::tempdir().unwrap();
    let services = scene(directory.path());
    let id = "20261121-x".parse().unwrap();
    let host = || "buildbox".to_owned();
    let mut journal = services.store.open(&id).unwrap();
    let outcome = Outcome { reason: Reason::Lost, ..Outcome::default() };
    for kind in [
        Kind::Granted { grant: Grant { number: 2, epoch: 1, host: host(), first: 2, last: 3, active: 60 } },
        Kind::Dispatched { attempt: 2, grant: 2, host: host(), command: "agent".into() },
        Kind::Ended { attempt: 2, outcome: Box::new(outcome), verdict: Verdict::new(Class::Lost, "gone") },
        Kind::Decided { attempt: 2, next: Next::Resume { delay: 1 }, by: Writer::Laptop },
    ] {
        journal.append(kind).unwrap();
    }
    let hole = Arc::new(Hole::new(Instant::now() + DAY, Instant::now() + DAY));
    let mut driver = Driver::open(&services, &id).unwrap();
    driver.connection = HostConnection::by(Host::bare("buildbox"), Arc::new(Line(hole)), Arc::new(NullReporter));
    let action = step(&mut driver.record, &mut driver.connection, 2, Until::Rest).await.unwrap();
    assert!(matches!(action, LoopAction::Attempt(3)));
    assert!(driver.handoff().attempts().contains_key(&3));
}
