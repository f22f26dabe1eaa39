//! One story: an agent's moves, faults in handoff's processes, the user's commands, and the invariants after each of
//! them.

use std::collections::BTreeSet;
use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::blows::{BLOWS, Blow};
use crate::files::Kept;
use crate::moves::MOVES;
use crate::random::Random;
use crate::support::laptop::Running;
use crate::support::site::{HOST, ID, Site, TASK};
use crate::support::sshd::Setup;
use crate::support::wait::is_over;

/// The same machine under another name, with a separate root.
const OTHER: &str = "other";
/// Number of starts that have moves. A later start of the agent changes nothing.
const STARTS: usize = 6;
/// Longest time for one step of the agent.
const STEP: Duration = Duration::from_secs(90);
/// Longest time for one command, including the agent's steps in it.
const COMMAND: Duration = Duration::from_secs(180);
/// The message for an attempt whose host has lost its root. Only the user knows whether the root comes back.
const WAITS: &str = "The attempt waits for it";

/// The agent records its start, waits until the story lets it act, acts, and waits until the story lets it exit.
const AGENT: &str = r#"#!/bin/sh
case " $* " in
  *' --print '*) ;;
  *) export SCRIPTED_AGENT_PAUSE=0; exec ~/.local/lib/scripted-agent "$@" ;;
esac
echo "$HANDOFF_MARK" >>~/starts
k=$(($(wc -l <~/starts)))
while [ $# -gt 0 ]; do
  [ "$1" != --resume ] || session=$2
  shift
done
say() { printf '{%s,"session_id":"%s"}\n' "$1" "$session"; }
await() {
  i=0
  until [ -e ~/"$1" ] || [ $i -gt 2400 ]; do sleep 0.05; i=$((i + 1)); done
}
say '"type":"system","subtype":"init","apiKeySource":"login","cwd":"x","model":"Composer","permissionMode":"default"'
true >~/began.$k
await act.$k
sh ~/moves.$k </dev/null >~/moved.$k 2>&1
true >~/ready.$k
await leave.$k
if [ -e ~/fail.$k ]; then
  echo 'Connect error 429 (resource_exhausted): [resource_exhausted] Too many requests, please slow down' >&2
  exit 1
fi
say '"type":"assistant","message":{"role":"assistant","content":[{"type":"text","text":"Done."}]}'
say '"type":"result","subtype":"success","duration_ms":10,"is_error":false,"result":"Done."'
"#;

/// A handoff between a laptop and a host, with the work that must not be lost.
pub struct Story {
    seed: u64,
    random: Random,
    pub site: Site,
    /// Every command, blow and move, with its output.
    log: Vec<String>,
    /// The output of the commands: the names that the user has read.
    pub said: String,
    /// The work that the agents left, except for work that the laptop has at the end.
    pub kept: Vec<Kept>,
    pub commits: BTreeSet<(String, String)>,
    /// The blow in each start of the agent, and the user's commands after the first one. All of it is chosen first, so
    /// that a story does not depend on the speed of the machine.
    pub blows: Vec<Blow>,
    commands: Vec<&'static [&'static str]>,
    /// Number of starts that the story has handled.
    attended: usize,
}

/// The commands that the user may type after the first one.
const COMMANDS: &[&[&str]] = &[
    &["resume", ID],
    &["resume", ID, "--again"],
    &["resume", ID, "--host", OTHER],
    &["resume", ID, "--host", HOST],
    &["stop", ID],
    &["pull", ID],
    &["clean", ID],
    &["clean", ID, "--dry-run"],
    &["watch", ID],
    &["takeover", ID, "--editor", "none"],
];

/// Runs the story of a seed. Panics when an invariant is violated.
pub fn run(seed: u64) -> Vec<String> {
    let mut story = Story::new(seed);
    story.begin();
    for words in std::mem::take(&mut story.commands) {
        story.command(words);
    }
    story.end();
    std::mem::take(&mut story.log)
}

impl Story {
    fn new(seed: u64) -> Story {
        let site = Site::with(Setup::default().jailed());
        site.laptop.knows(&site.host.route(OTHER));
        site.laptop.hosts_toml("[host.other]\nroot = \"~/.handoff2\"\n");
        let user = &site.host.user;
        site.host.all_but(&[]);
        site.host.shim(
            "date",
            "#!/bin/sh\noffset=$(cat ~/offset 2>/dev/null) || offset=0\n\
             case $* in\n+%s) echo $(($(/bin/date +%s) + offset)) ;;\n*) exec /bin/date \"$@\" ;;\nesac\n",
        );
        user.install(".local/bin/agent", AGENT, 0o755);
        user.install(".gitconfig", "[user]\n\tname = Agent\n\temail = agent@example.org\n", 0o644);
        Story {
            seed,
            random: Random::new(seed),
            site,
            log: vec![format!("seed {seed}")],
            said: String::new(),
            kept: Vec::new(),
            commits: BTreeSet::new(),
            blows: Vec::new(),
            commands: Vec::new(),
            attended: 0,
        }
    }

    pub fn note(&mut self, line: String) {
        self.log.push(line);
    }

    /// Ends the story with the violation and everything that happened before it.
    pub fn broken(&self, what: &str) -> ! {
        panic!("HANDOFF_SEED={}: {what}\n{}", self.seed, self.log.join("\n"))
    }

    pub fn home(&self, name: &str) -> PathBuf {
        self.site.host.user.home.join(name)
    }

    pub fn roots(&self) -> Vec<PathBuf> {
        [".handoff", ".handoff2"].map(|root| self.home(root)).to_vec()
    }

    /// Chooses what the agent does in each of its starts, and begins the handoff.
    fn begin(&mut self) {
        for start in 1..=STARTS {
            let mut script = String::new();
            let mut names = Vec::new();
            for turn in 0..=self.random.below(6) {
                let drawn = self.random.pick(MOVES);
                script += &drawn.script(start * 100 + turn as usize);
                names.push(drawn.name);
            }
            if self.random.one_in(3) {
                self.site.host.user.install(&format!("fail.{start}"), "", 0o644);
            }
            self.site.host.user.install(&format!("moves.{start}"), script, 0o644);
            self.note(format!("start {start}: {names:?}"));
            self.blows.push(*self.random.pick(BLOWS));
        }
        self.commands = (0..=self.random.below(3)).map(|_| *self.random.pick(COMMANDS)).collect();
        let attempts = (1 + self.random.below(3)).to_string();
        let words = ["run", "--host", HOST, "--id", ID, "--backoff", "1s", "--attempts", &attempts, TASK];
        self.command(&words);
    }

    /// The last commands fetch everything that the laptop can store. Then the host deletes the rest.
    fn end(&mut self) {
        self.command(&["stop", ID]);
        self.command(&["watch", ID]);
        self.command(&["pull", ID]);
        self.command(&["show", ID]);
        self.command(&["clean", ID]);
        self.all_is_named();
        self.starts_equal_attempts();
        // The user has read the names, and allows the host to delete the rest.
        self.run(&["clean", ID, "--discard-ignored"]);
    }

    /// Runs a command. It must lose no work.
    fn command(&mut self, words: &[&str]) {
        self.run(words);
        self.nothing_is_lost(&format!("after handoff {}", words.join(" ")));
    }

    /// Runs a command, and the agent's part in it.
    fn run(&mut self, words: &[&str]) {
        self.note(format!("$ handoff {}", words.join(" ")));
        let mut running = self.site.laptop.handoff(words).start();
        let (began, mut interrupted) = (Instant::now(), false);
        while !running.has_ended() {
            if is_over(began, COMMAND) {
                let said = format!("{}\n{}", running.stdout(), running.stderr());
                self.broken(&format!("handoff {} did not end\n{said}", words.join(" ")));
            }
            if self.home(&format!("began.{}", self.attended + 1)).exists() {
                running = self.attend(running);
            }
            // The root is gone permanently. The user reads that, and abandons the attempt.
            if running.stdout().contains(WAITS) {
                running.signal(Signal::INT);
                interrupted = true;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let ran = running.end();
        self.note(format!("{}{}-> {:?}", ran.stdout, ran.stderr, ran.status));
        self.said += &format!("{}\n{}\n", ran.stdout, ran.stderr);
        let left = interrupted && ran.status.signal() == Some(Signal::INT.as_raw());
        if !left && ran.status.code().is_none_or(|code| code == 101) {
            self.broken(&format!("handoff {} crashed", words.join(" ")));
        }
    }

    /// One start of the agent: it acts, its files are recorded, a blow happens, and it exits. Returns the command that
    /// follows it then.
    fn attend(&mut self, running: Running) -> Running {
        self.attended += 1;
        let k = self.attended;
        self.nothing_is_lost(&format!("before start {k} acts"));
        self.touch(&format!("act.{k}"));
        let began = Instant::now();
        while !self.home(&format!("ready.{k}")).exists() {
            // The story does not wait for a killed agent.
            if is_over(began, STEP) || self.agents().is_empty() {
                self.note(format!("start {k}: the agent did not come to its end"));
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.note_what_exists();
        let moved = std::fs::read_to_string(self.home(&format!("moved.{k}"))).unwrap_or_default();
        self.note(format!("start {k} has acted; it printed: {}", moved.chars().take(2000).collect::<String>()));
        self.strike(running, k)
    }

    pub fn touch(&self, name: &str) {
        self.site.host.user.install(name, "", 0o644);
    }
}
