//! One story: an agent's moves, what happens to our processes, the user's commands, and the invariant after each of them.

use std::collections::{BTreeSet, HashSet};
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use crate::files::{self, Kept};
use crate::moves::MOVES;
use crate::random::Random;
use crate::support::laptop::Running;
use crate::support::processes;
use crate::support::site::{HOST, ID, Site, TASK};
use crate::support::sshd::Setup;

/// The same machine under another name, with a root of its own.
const OTHER: &str = "other";
/// Starts that moves are drawn for; a later start of the agent changes nothing.
const STARTS: usize = 6;
/// Longest time for one step of the agent.
const STEP: Duration = Duration::from_secs(90);
/// Longest time for one command, the agent's steps in it included.
const COMMAND: Duration = Duration::from_secs(180);
/// The user is told the names of so many paths; more are counted.
const NAMED: usize = 10;

/// What is said of an attempt whose host has lost its root: only the user knows whether that comes back.
const WAITS: &str = "The attempt waits for it";

/// The agent: it notes its start, waits until the story lets it act, acts, and waits until the story lets it leave.
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

/// What happens to our processes after the agent has acted and before it may leave.
#[derive(Clone, Copy, Debug)]
enum Blow {
    None,
    KillWatcher,
    KillWrapper,
    KillAgent,
    KillAllOfOurs,
    FreezeWatcher,
    FreezeWatcherForAWhile,
    KillLaptop,
    DropConnections,
}

const BLOWS: &[Blow] = &[
    Blow::None,
    Blow::None,
    Blow::None,
    Blow::None,
    Blow::KillWatcher,
    Blow::KillWrapper,
    Blow::KillAgent,
    Blow::KillAllOfOurs,
    Blow::FreezeWatcher,
    Blow::FreezeWatcherForAWhile,
    Blow::KillLaptop,
    Blow::DropConnections,
];

struct Story {
    seed: u64,
    random: Random,
    site: Site,
    /// Every command, blow and move, and what was printed.
    told: Vec<String>,
    /// What the commands printed: the names that the user has read.
    said: String,
    /// What the agents left, as far as the laptop does not hold it in the end.
    kept: Vec<Kept>,
    commits: BTreeSet<(String, String)>,
    /// Starts of the agent that the story has attended to.
    attended: usize,
}

/// Tells the story of a seed; panics when the invariant breaks.
pub fn tell(seed: u64) -> Vec<String> {
    let mut story = Story::new(seed);
    story.begin();
    for _ in 0..=story.random.below(3) {
        story.next_command();
    }
    story.end();
    std::mem::take(&mut story.told)
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
            told: vec![format!("seed {seed}")],
            said: String::new(),
            kept: Vec::new(),
            commits: BTreeSet::new(),
            attended: 0,
        }
    }

    fn tells(&mut self, line: String) {
        self.told.push(line);
    }

    /// Ends the story: what is wrong, and all that was told until then.
    fn broken(&self, what: &str) -> ! {
        panic!("HANDOFF_SEED={}: {what}\n{}", self.seed, self.told.join("\n"))
    }

    fn home(&self, name: &str) -> PathBuf {
        self.site.host.user.home.join(name)
    }

    fn roots(&self) -> Vec<PathBuf> {
        [".handoff", ".handoff2"].map(|root| self.home(root)).to_vec()
    }

    /// Draws what the agent does in each of its starts, and begins the handoff.
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
            self.tells(format!("start {start}: {names:?}"));
        }
        let attempts = (1 + self.random.below(3)).to_string();
        let words = ["run", "--host", HOST, "--id", ID, "--backoff", "1s", "--attempts", &attempts, TASK];
        self.command(&words);
    }

    fn next_command(&mut self) {
        let commands: &[&[&str]] = &[
            &["resume", ID],
            &["resume", ID],
            &["resume", ID, "--host", OTHER],
            &["resume", ID, "--host", HOST],
            &["stop", ID],
            &["pull", ID],
            &["clean", ID],
            &["clean", ID, "--dry-run"],
            &["watch", ID],
            &["takeover", ID, "--editor", "none"],
        ];
        let words = *self.random.pick(commands);
        self.command(words);
    }

    /// The last commands: what the laptop can hold, it holds now; then the host is told to throw the rest away.
    fn end(&mut self) {
        self.command(&["stop", ID]);
        self.command(&["watch", ID]);
        self.command(&["pull", ID]);
        self.command(&["show", ID]);
        self.command(&["clean", ID]);
        self.all_is_named();
        self.starts_equal_attempts();
        // The user has read the names, and lets the host delete the rest.
        self.run(&["clean", ID, "--discard-ignored"]);
    }

    /// Runs a command; no work is lost by it.
    fn command(&mut self, words: &[&str]) {
        self.run(words);
        self.nothing_is_lost(&format!("after handoff {}", words.join(" ")));
    }

    /// Runs a command, and the agent's part in it.
    fn run(&mut self, words: &[&str]) {
        self.tells(format!("$ handoff {}", words.join(" ")));
        let mut running = self.site.laptop.handoff(words).start();
        let end = Instant::now() + COMMAND;
        while !running.has_ended() {
            if Instant::now() > end {
                let said = format!("{}\n{}", running.stdout(), running.stderr());
                self.broken(&format!("handoff {} did not end\n{said}", words.join(" ")));
            }
            if self.home(&format!("began.{}", self.attended + 1)).exists() {
                running = self.attend(running);
            }
            // The root is gone for good; the user reads that, and leaves.
            if running.stdout().contains(WAITS) {
                running.signal(Signal::INT);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        let ran = running.end();
        self.tells(format!("{}{}-> {:?}", ran.stdout, ran.stderr, ran.status));
        self.said += &format!("{}\n{}\n", ran.stdout, ran.stderr);
        if ran.status.code().is_none_or(|code| code == 101) {
            self.broken(&format!("handoff {} crashed", words.join(" ")));
        }
    }

    /// One start of the agent: it acts, its files are noted, a blow falls, it leaves. The command that follows it then.
    fn attend(&mut self, running: Running) -> Running {
        self.attended += 1;
        let k = self.attended;
        self.nothing_is_lost(&format!("before start {k} acts"));
        self.touch(&format!("act.{k}"));
        let end = Instant::now() + STEP;
        while !self.home(&format!("ready.{k}")).exists() {
            // A killed agent is not waited for.
            if Instant::now() > end || self.agents().is_empty() {
                self.tells(format!("start {k}: the agent did not come to its end"));
                break;
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        self.note_what_exists();
        let moved = std::fs::read_to_string(self.home(&format!("moved.{k}"))).unwrap_or_default();
        self.tells(format!("start {k} has acted; it printed: {}", moved.chars().take(2000).collect::<String>()));
        self.strike(running, k)
    }

    fn strike(&mut self, running: Running, k: usize) -> Running {
        let blow = *self.random.pick(BLOWS);
        self.tells(format!("start {k}: {blow:?}"));
        let leave = format!("leave.{k}");
        let kill = |pids: Vec<i32>| pids.into_iter().for_each(|pid| processes::signal(pid, Signal::KILL));
        match blow {
            Blow::None => {}
            Blow::KillWatcher => kill(self.with_words(&["runner-", " watch "])),
            Blow::KillWrapper => kill(self.wrappers()),
            Blow::KillAgent => kill(self.agents()),
            Blow::KillAllOfOurs => kill(self.with_words(&["runner-"])),
            Blow::DropConnections => kill(self.site.host.sessions()),
            Blow::KillLaptop => {
                running.kill();
                self.touch(&leave);
                return self.site.laptop.handoff(&["watch", ID]).start();
            }
            Blow::FreezeWatcher => {
                self.freeze();
                self.touch(&leave);
                running.kill();
                return self.site.laptop.handoff(&["stop", ID]).start();
            }
            Blow::FreezeWatcherForAWhile => {
                let frozen = self.freeze();
                self.touch(&leave);
                std::thread::sleep(Duration::from_secs(2));
                frozen.into_iter().for_each(|pid| processes::signal(pid, Signal::CONT));
            }
        }
        self.touch(&leave);
        running
    }

    fn freeze(&self) -> Vec<i32> {
        let watchers = self.with_words(&["runner-", " watch "]);
        watchers.iter().for_each(|pid| processes::signal(*pid, Signal::STOP));
        watchers
    }

    fn touch(&self, name: &str) {
        self.site.host.user.install(name, "", 0o644);
    }

    /// Processes of the host's user whose command line has all of these words.
    fn with_words(&self, words: &[&str]) -> Vec<i32> {
        let has = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line: String = line.iter().map(|byte| if *byte == 0 { ' ' } else { char::from(*byte) }).collect();
            words.iter().all(|word| line.contains(word))
        };
        processes::of_user(self.site.host.user.uid).into_iter().filter(has).collect()
    }

    fn agents(&self) -> Vec<i32> {
        self.with_words(&["/.local/bin/agent", "--print"])
    }

    /// The parents of the agent: the shells that write down its exit status.
    fn wrappers(&self) -> Vec<i32> {
        let agents = self.agents();
        let all = processes::all();
        let parents = all.iter().filter(|p| agents.contains(&p.pid) && !agents.contains(&p.parent)).map(|p| p.parent);
        parents.filter(|pid| *pid > 1).collect()
    }

    /// Notes every file that exists now, and every commit that still does.
    fn note_what_exists(&mut self) {
        let trees: Vec<PathBuf> = self.roots().iter().map(|root| root.join("trees")).collect();
        let mut now: Vec<Kept> = Vec::new();
        for place in trees.iter().flat_map(|trees| crate::support::agent::folders(trees)) {
            // Of a place, the checkout and what the agent put next to it; our own files are not its work.
            for folder in crate::support::agent::folders(&place) {
                now.extend(files::below(&folder));
            }
        }
        // What an earlier agent left and this one changed or removed is this one's doing.
        let held = self.laptop_objects();
        let here: HashSet<&str> = now.iter().map(|kept| kept.blob.as_str()).collect();
        self.kept.retain(|kept| held.contains(&kept.blob) || here.contains(kept.blob.as_str()));
        self.kept.extend(now);
        self.commits.extend(self.commits_that_exist());
    }

    fn commits_that_exist(&self) -> Vec<(String, String)> {
        let listed = std::fs::read_to_string(self.home("commits")).unwrap_or_default();
        let mut stores: Vec<PathBuf> = Vec::new();
        for root in self.roots() {
            for place in crate::support::agent::folders(&root.join("trees")) {
                for folder in crate::support::agent::folders(&place) {
                    stores.extend([folder.join(".git/objects"), folder.join("objects")]);
                }
            }
            stores
                .extend(crate::support::agent::folders(&root.join("cache")).iter().map(|cache| cache.join("objects")));
        }
        stores.retain(|store| store.is_dir());
        let stores: Vec<String> = stores.iter().map(|store| store.display().to_string()).collect();
        let scratch = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.arg("--git-dir")
                .arg(scratch.path())
                .args(args)
                .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", stores.join(":"));
            git.output().unwrap().status.success()
        };
        git(&["init", "-q", "--bare"]);
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        let exists = pairs.filter(|(commit, _)| git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]));
        exists.map(|(commit, what)| (commit.to_owned(), what.to_owned())).collect()
    }

    /// Every object that a ref of the laptop reaches.
    fn laptop_objects(&self) -> HashSet<String> {
        let all = self.site.laptop.git(&["rev-list", "--objects", "--all"]);
        let mut objects: HashSet<String> =
            all.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        // What is not committed on the laptop came from there.
        objects.extend(files::contents(std::slice::from_ref(&self.site.laptop.repo)));
        objects
    }

    /// Promise 1: what an agent left is in a ref on the laptop, or still on the host.
    fn nothing_is_lost(&mut self, when: &str) {
        let held = self.laptop_objects();
        let on_host = files::contents(&self.roots());
        let lost = self.kept.iter().find(|kept| !held.contains(&kept.blob) && !on_host.contains(&kept.blob));
        if let Some(lost) = lost {
            self.broken(&format!("{when}: LOST {} ({})", lost.path, lost.blob));
        }
    }

    /// What is only on the host was named to the user, commits by their number.
    fn all_is_named(&mut self) {
        let held = self.laptop_objects();
        let page = self.site.laptop.mirror(ID).join("handoff.md");
        let said = format!("{}\n{}", self.said, std::fs::read_to_string(page).unwrap_or_default());
        let missing: Vec<Kept> = self.kept.iter().filter(|kept| !held.contains(&kept.blob)).cloned().collect();
        let unnamed: Vec<&Kept> = missing.iter().filter(|kept| !names(&said, &kept.path)).collect();
        if !unnamed.is_empty() && missing.len() <= NAMED {
            self.broken(&format!("only on the host, and not named: {unnamed:?}"));
        }
        let on_host: BTreeSet<(String, String)> = self.commits_that_exist().into_iter().collect();
        for (commit, what) in self.commits.iter().filter(|(commit, _)| !held.contains(commit)) {
            let exists = on_host.contains(&(commit.clone(), what.clone()));
            if !exists || !(self.said.contains(" commit)") || self.said.contains(" commits)")) {
                self.broken(&format!("{what} ({commit}) is not in a ref on the laptop; on the host: {exists}"));
            }
        }
    }

    /// Promise 4: a start for each attempt that the record knows as started, and none twice.
    fn starts_equal_attempts(&mut self) {
        let text = std::fs::read_to_string(self.home("starts")).unwrap_or_default();
        let starts: Vec<&str> = text.lines().collect();
        let once: BTreeSet<&str> = starts.iter().copied().collect();
        if once.len() != starts.len() {
            self.broken(&format!("started more than once: {starts:?}"));
        }
        let shown = self.site.laptop.handoff(&["show", "--offline", "--json", ID]).run().success().json();
        let known = shown["handoff"]["attempts"].as_object().cloned().unwrap_or_default();
        for start in &once {
            let number = start.rsplit('.').next().unwrap_or_default();
            if !known.contains_key(number) {
                self.broken(&format!("attempt {number} started, and the record does not know it"));
            }
        }
    }
}

/// Whether a text names a path, or a directory that it is in. Control characters and foreign bytes are shown as `?`.
fn names(text: &str, path: &str) -> bool {
    let plain = |c: char| if c.is_control() || c == '\u{fffd}' { '?' } else { c };
    let path: String = path.chars().map(plain).collect();
    let mut end = path.len();
    loop {
        if text.contains(&path[..end]) {
            return true;
        }
        match path[..end].rfind('/') {
            Some(slash) => end = slash,
            None => return false,
        }
    }
}
