//! An isolated laptop for one test: home, configuration, git identity, ssh, a repository, and the built binary.

use std::io::Write;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

use super::ssh_config::Route;
use super::transcript::{Collected, Entry, Transcript};
use super::{processes, wait};

/// Time limit of a command. Only a command that hangs reaches it, on a busy machine too.
const LIMIT: Duration = Duration::from_secs(240);

/// The laptop of one user.
pub struct Laptop {
    dir: TempDir,
    /// A git repository with a test that fails and with uncommitted work.
    pub repo: PathBuf,
    /// The output of every command of the program, for a test that fails.
    calls: Transcript,
}

impl Laptop {
    /// A laptop that knows no host yet.
    pub fn new() -> Laptop {
        let dir = tempfile::Builder::new().prefix("handoff-laptop-").tempdir().unwrap();
        // Git, the journal and the test use one path, also if the temporary directory is a symlink (macOS).
        let root = dir.path().canonicalize().unwrap();
        let laptop = Laptop { repo: root.join("greeter"), dir, calls: Transcript::default() };
        for folder in ["home/.ssh", "home/.config/handoff", "home/.local/state"] {
            std::fs::create_dir_all(root.join(folder)).unwrap();
        }
        laptop.write("home/.ssh/config", "");
        laptop.write("home/.config/handoff/hosts.toml", "");
        laptop.make_repository();
        laptop
    }

    fn make_repository(&self) {
        self.write(
            "home/.gitconfig",
            "[user]\n\tname = Ada\n\temail = ada@example.org\n[init]\n\tdefaultBranch = main\n",
        );
        let demo = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/repo");
        copy(&demo, &self.repo);
        self.git(&["init", "-q"]);
        self.git(&["add", "-A"]);
        self.git(&["commit", "-qm", "A project with a failing test"]);
        self.git(&["tag", "v1"]);
        std::fs::write(self.repo.join("staged.txt"), "staged on the laptop\n").unwrap();
        self.git(&["add", "staged.txt"]);
        std::fs::write(self.repo.join("notes.txt"), "not yet added on the laptop\n").unwrap();
    }

    /// Makes a host known to this laptop's ssh.
    pub fn knows(&self, route: &Route) {
        self.append("home/.ssh/config", &route.block());
    }

    /// Appends to hosts.toml.
    pub fn hosts_toml(&self, text: &str) {
        self.append("home/.config/handoff/hosts.toml", text);
    }

    /// A path in this laptop's own directory.
    pub fn path(&self, name: &str) -> PathBuf {
        self.dir.path().canonicalize().unwrap().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }

    fn append(&self, name: &str, text: &str) {
        let mut file = std::fs::OpenOptions::new().append(true).open(self.path(name)).unwrap();
        file.write_all(text.as_bytes()).unwrap();
    }

    /// `handoff ARGS…`, to be run or started. The binary is the one just built, or the one in HANDOFF_BIN.
    pub fn handoff(&self, args: &[&str]) -> Call {
        let built = env!("CARGO_BIN_EXE_handoff");
        let mut command = self.program(&std::env::var("HANDOFF_BIN").unwrap_or_else(|_| built.to_owned()));
        command.args(args);
        Call { command, shown: format!("handoff {}", args.join(" ")), transcript: self.calls.clone() }
    }

    /// Runs `git ARGS…` in the repository. Returns its output without the last newline.
    pub fn git(&self, args: &[&str]) -> String {
        let shown = format!("git {}", args.join(" "));
        // Git's output is not in the laptop's transcript, because the test's own assertions show it.
        let transcript = Transcript::default();
        let ran = Call { command: self.program_with("git", args), shown, transcript }.run();
        ran.success().stdout.trim_end_matches('\n').to_owned()
    }

    /// `ssh ALIAS COMMAND` as this laptop's user types it. OpenSSH takes the home from the password database, not from
    /// HOME. Without `-F` it would read the developer's own configuration.
    #[must_use = "look at the result: success() or fails_with()"]
    pub fn ssh(&self, alias: &str, command: &str) -> Ran {
        let config = self.path("home/.ssh/config");
        let args = ["-F", config.to_str().unwrap(), "-o", "BatchMode=yes", alias, command];
        let shown = format!("ssh {alias} {command}");
        Call { command: self.program_with("ssh", &args), shown, transcript: self.calls.clone() }.run()
    }

    fn program_with(&self, program: &str, args: &[&str]) -> Command {
        let mut command = self.program(program);
        command.args(args);
        command
    }

    /// A program in the repository, with this laptop's environment. From the developer's environment it has only PATH.
    pub fn program(&self, program: &str) -> Command {
        let home = self.path("home");
        let path = std::env::var_os("PATH").unwrap();
        let mut command = Command::new(program);
        command.current_dir(&self.repo).env_clear().env("PATH", path).env("HOME", &home);
        command.env("XDG_CONFIG_HOME", home.join(".config")).env("XDG_STATE_HOME", home.join(".local/state"));
        command.env("XDG_CACHE_HOME", home.join(".cache")).env("XDG_DATA_HOME", home.join(".local/share"));
        command.env("HANDOFF_SSH_CONFIG", home.join(".ssh/config"));
        command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_TERMINAL_PROMPT", "0");
        command.env("TZ", "UTC").env("LC_ALL", "C").env("TERM", "dumb");
        command
    }

    /// The record of a handoff in the git directory.
    pub fn record(&self, id: &str) -> PathBuf {
        self.repo.join(".git/handoff").join(id)
    }

    /// The pages of a handoff that people and agents read.
    pub fn mirror(&self, id: &str) -> PathBuf {
        self.repo.join(".cursor/agent-handoffs").join(id)
    }
}

impl Drop for Laptop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.calls.text());
        }
    }
}

/// A command that has not started.
#[must_use = "a call does nothing until it is run or started"]
pub struct Call {
    command: Command,
    shown: String,
    transcript: Transcript,
}

impl Call {
    pub fn env(mut self, name: &str, value: &str) -> Call {
        self.command.env(name, value);
        self
    }

    pub fn arg(mut self, arg: &str) -> Call {
        self.shown = format!("{} {arg}", self.shown);
        self.command.arg(arg);
        self
    }

    pub fn in_dir(mut self, dir: &Path) -> Call {
        self.command.current_dir(dir);
        self
    }

    /// Runs the command to its end.
    #[must_use = "look at the result: success() or fails_with()"]
    pub fn run(self) -> Ran {
        self.start().end_within(LIMIT)
    }

    /// Runs the command, which must succeed, with its output discarded. Returns the duration.
    pub fn time(mut self) -> Duration {
        let began = Instant::now();
        self.command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let status = self.command.status().unwrap_or_else(|error| panic!("{}: {error}", self.shown));
        assert!(status.success(), "{}: {status}", self.shown);
        began.elapsed()
    }

    /// Starts the command and leaves it running.
    pub fn start(mut self) -> Running {
        self.command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = self.command.spawn().unwrap_or_else(|error| panic!("{}: {error}", self.shown));
        let stdout = Collected::of(child.stdout.take().unwrap());
        let stderr = Collected::of(child.stderr.take().unwrap());
        let entry = self.transcript.begin(&self.shown, &stdout, &stderr);
        Running { child, shown: self.shown, stdout, stderr, began: Instant::now(), entry }
    }
}

/// A running command, ended by its pid when dropped.
#[must_use]
pub struct Running {
    child: Child,
    shown: String,
    stdout: Collected,
    stderr: Collected,
    began: Instant,
    entry: Entry,
}

impl Running {
    /// Waits for a line of stdout that `wanted` accepts. Fails if the program ends without one.
    #[track_caller]
    pub fn line(&self, what: &str, wanted: impl Fn(&str) -> bool) -> String {
        let found = wait::until(&format!("{what} from {}", self.shown), LIMIT, || {
            let ended = self.is_over();
            let line = self.stdout.text().lines().find(|line| wanted(line)).map(str::to_owned);
            if line.is_none() && !ended { None } else { Some(line) }
        });
        found.unwrap_or_else(|| panic!("{} has ended without {what}", self.shown))
    }

    /// Whether the program has ended and all of its output is read. Leaves its status for [`Running::end`].
    fn is_over(&self) -> bool {
        let gone = rustix::process::waitid(
            rustix::process::WaitId::Pid(rustix::process::Pid::from_child(&self.child)),
            rustix::process::WaitIdOptions::EXITED
                | rustix::process::WaitIdOptions::NOHANG
                | rustix::process::WaitIdOptions::NOWAIT,
        );
        gone.is_ok_and(|status| status.is_some()) && self.stdout.is_whole()
    }

    /// The output so far.
    pub fn stdout(&self) -> String {
        self.stdout.text()
    }

    pub fn stderr(&self) -> String {
        self.stderr.text()
    }

    pub fn signal(&self, signal: Signal) {
        processes::signal(self.child.id() as i32, signal);
    }

    /// Whether the program has ended by itself.
    pub fn has_ended(&mut self) -> bool {
        self.child.try_wait().unwrap().is_some()
    }

    /// Sends SIGKILL: the program cannot clean up, as when a laptop's battery dies.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    /// Waits for the end.
    #[track_caller]
    #[must_use = "look at the result: success() or fails_with()"]
    pub fn end(self) -> Ran {
        self.end_within(LIMIT)
    }

    #[track_caller]
    #[must_use = "look at the result: success() or fails_with()"]
    pub fn end_within(mut self, limit: Duration) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if wait::is_over(self.began, limit) {
                panic!("{} did not end within {:?}", self.shown, self.began.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.entry.ended(&status.to_string());
        let took = self.began.elapsed();
        let (stdout, stderr) = (self.stdout.all(), self.stderr.all());
        Ran { shown: self.shown.clone(), status, stdout, stderr, took }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        match self.child.try_wait() {
            Ok(Some(status)) => self.entry.ended(&status.to_string()),
            _ => self.entry.ended("it had not ended, and was killed with the test"),
        }
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A command that has ended.
#[derive(Debug)]
pub struct Ran {
    pub shown: String,
    pub status: ExitStatus,
    pub stdout: String,
    pub stderr: String,
    pub took: Duration,
}

impl Ran {
    /// The exit code. A signal fails the test.
    #[track_caller]
    pub fn code(&self) -> i32 {
        self.status.code().unwrap_or_else(|| panic!("ended by signal {:?}\n{self:#?}", self.status.signal()))
    }

    #[track_caller]
    pub fn success(self) -> Ran {
        self.fails_with(0)
    }

    #[track_caller]
    pub fn fails_with(self, code: i32) -> Ran {
        assert_eq!(self.code(), code, "{}\n--- stdout\n{}\n--- stderr\n{}", self.shown, self.stdout, self.stderr);
        self
    }

    /// Any failure with one of the program's own exit codes, neither a crash (101) nor a signal.
    #[track_caller]
    pub fn fails(self) -> Ran {
        assert!(!matches!(self.code(), 0 | 101), "{}\n{}\n{}", self.shown, self.stdout, self.stderr);
        self
    }

    /// Checks that stderr contains all of these.
    #[track_caller]
    pub fn says(self, texts: &[&str]) -> Ran {
        for text in texts {
            assert!(self.stderr.contains(text), "{} does not say {text:?} on stderr:\n{}", self.shown, self.stderr);
        }
        self
    }

    /// Stdout as one JSON value.
    #[track_caller]
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.stdout).unwrap_or_else(|error| panic!("{}: {error}\n{}", self.shown, self.stdout))
    }

    /// Stdout as one JSON value for each line.
    #[track_caller]
    pub fn json_lines(&self) -> Vec<Value> {
        let parse = |line| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

/// Copies a folder with the modes of its files.
fn copy(from: &Path, to: &Path) {
    std::fs::create_dir_all(to).unwrap();
    for entry in std::fs::read_dir(from).unwrap() {
        let entry = entry.unwrap();
        let target = to.join(entry.file_name());
        if entry.file_type().unwrap().is_dir() {
            copy(&entry.path(), &target);
        } else {
            std::fs::copy(entry.path(), target).unwrap();
        }
    }
}
