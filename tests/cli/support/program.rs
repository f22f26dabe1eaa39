//! One run of the program under test, with a time limit and a result that must be used.

use std::fs::File;
use std::io::Write;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use serde_json::Value;

use super::{DEADLINE, wait};

/// A run that has not started.
#[must_use = "it does not run by itself"]
pub struct Program {
    command: Command,
    input: Option<Vec<u8>>,
    /// Output goes to files, so that a process that outlives the program cannot keep a pipe open.
    output: PathBuf,
}

/// A run in progress. It is ended when dropped.
#[must_use = "it is killed when this is dropped"]
pub struct Running {
    child: Child,
    output: PathBuf,
    line: String,
    since: Instant,
}

/// The result of a run.
#[derive(Debug)]
#[must_use = "a run that nobody looks at proves nothing"]
pub struct Ran {
    pub stdout: Vec<u8>,
    pub stderr: String,
    /// `None` if a signal killed it.
    pub code: Option<i32>,
    pub took: Duration,
    line: String,
}

impl Program {
    /// A run with its output in `output`, a directory of its own.
    pub fn new(binary: &Path, output: PathBuf) -> Self {
        std::fs::create_dir_all(&output).unwrap();
        let mut command = Command::new(binary);
        command.env_clear().process_group(0);
        Program { command, input: None, output }
    }

    pub fn args<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(mut self, args: I) -> Self {
        self.command.args(args);
        self
    }

    pub fn env(mut self, name: &str, value: impl AsRef<std::ffi::OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    pub fn directory(mut self, directory: &Path) -> Self {
        self.command.current_dir(directory);
        self
    }

    pub fn stdin(mut self, input: impl Into<Vec<u8>>) -> Self {
        self.input = Some(input.into());
        self
    }

    pub fn spawn(mut self) -> Running {
        let input = self.input.clone().unwrap_or_default();
        // A program that refuses early does not read its input.
        self.start(|mut pipe| drop(std::thread::spawn(move || drop(pipe.write_all(&input)))))
    }

    /// Starts it. `feed` gets its standard input, if it has one.
    fn start(&mut self, feed: impl FnOnce(ChildStdin)) -> Running {
        let file = |name| File::create(self.output.join(name)).unwrap();
        self.command.stdin(if self.input.is_some() { Stdio::piped() } else { Stdio::null() });
        self.command.stdout(file("stdout")).stderr(file("stderr"));
        let line = line(&self.command);
        std::fs::write(self.output.join("line"), &line).unwrap();
        let mut child = self.command.spawn().unwrap();
        if let Some(pipe) = child.stdin.take() {
            feed(pipe);
        }
        Running { child, output: self.output.clone(), line, since: Instant::now() }
    }

    /// Starts it with a standard input that stays open until the result is dropped.
    pub fn spawn_with_input(mut self) -> (Running, ChildStdin) {
        self.input = Some(vec![]);
        let mut input = None;
        let running = self.start(|pipe| input = Some(pipe));
        (running, input.unwrap())
    }

    pub fn run(self) -> Ran {
        self.spawn().wait()
    }
}

/// A command as a person types it.
fn line(command: &Command) -> String {
    let words = std::iter::once("handoff".into()).chain(command.get_args().map(|word| word.to_string_lossy()));
    let quote = |word: std::borrow::Cow<'_, str>| match shlex::try_quote(&word) {
        Ok(quoted) => quoted.into_owned(),
        Err(_) => format!("{word:?}"),
    };
    words.map(quote).collect::<Vec<_>>().join(" ")
}

impl Running {
    fn pid(&self) -> Pid {
        Pid::from_child(&self.child)
    }

    /// The output so far.
    pub fn stdout(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(self.output.join("stdout")).unwrap()).into_owned()
    }

    /// Records its end for a test that fails later.
    fn ended(&self, how: &str) {
        // If the laptop is gone, no test can fail any more.
        let _ = std::fs::write(self.output.join("end"), how);
    }

    /// Whether the program has ended. [`Running::wait`] returns its output.
    pub fn has_ended(&self) -> bool {
        let state = rustix::process::waitid(
            rustix::process::WaitId::Pid(self.pid()),
            rustix::process::WaitIdOptions::EXITED
                | rustix::process::WaitIdOptions::NOHANG
                | rustix::process::WaitIdOptions::NOWAIT,
        );
        state.is_ok_and(|status| status.is_some())
    }

    /// Sends SIGKILL to the program alone, as a crash does. The processes that it started on hosts keep running.
    pub fn kill(self) -> Ran {
        kill_process(self.pid(), Signal::KILL).unwrap();
        self.wait()
    }

    /// Ctrl-C.
    pub fn interrupt(self) -> Ran {
        kill_process(self.pid(), Signal::INT).unwrap();
        self.wait()
    }

    /// Waits for the end. Panics if that takes longer than [`DEADLINE`].
    pub fn wait(mut self) -> Ran {
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if wait::is_over(self.since, DEADLINE) {
                panic!("{} did not end within {:?}", self.line, self.since.elapsed());
            }
            std::thread::sleep(Duration::from_millis(5));
        };
        self.ended(&status.to_string());
        let read = |name| std::fs::read(self.output.join(name)).unwrap();
        Ran {
            stdout: read("stdout"),
            stderr: String::from_utf8_lossy(&read("stderr")).into_owned(),
            code: status.code().filter(|_| status.signal().is_none()),
            took: self.since.elapsed(),
            line: self.line.clone(),
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Ok(None) = self.child.try_wait() {
            self.ended("it had not ended, and was killed with the test");
            let _ = kill_process_group(self.pid(), Signal::KILL);
            let _ = self.child.wait();
        }
    }
}

impl Ran {
    /// Checks the exit code.
    #[track_caller]
    pub fn exits(self, code: i32) -> Self {
        assert_eq!(self.code, Some(code), "{}\n{}\n{}", self.line, self.text(), self.stderr);
        self
    }

    /// Checks a part of stdout.
    #[track_caller]
    pub fn says(self, part: &str) -> Self {
        assert!(self.text().contains(part), "{} does not say {part:?}:\n{}\n{}", self.line, self.text(), self.stderr);
        self
    }

    /// Checks a part of stderr.
    #[track_caller]
    pub fn complains(self, part: &str) -> Self {
        assert!(self.stderr.contains(part), "{} does not complain of {part:?}:\n{}", self.line, self.stderr);
        self
    }

    /// Everything that a person sees of the run: the command, its output and its exit status.
    pub fn screen(&self) -> String {
        let code = self.code.map_or("by a signal".to_owned(), |code| code.to_string());
        let stderr = if self.stderr.is_empty() { String::new() } else { format!("[stderr]\n{}", whole(&self.stderr)) };
        format!("$ {}\n{}{stderr}[exit {code}]\n", self.line, whole(&self.text()))
    }

    /// Ends the chain of a test that needs no further checks.
    pub fn done(self) {}

    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.stdout).into_owned()
    }

    /// Every line of stdout as JSON.
    #[track_caller]
    pub fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.text().lines().map(parse).collect()
    }
}

/// A text that ends with a newline. If the program did not print one, a note shows that.
fn whole(text: &str) -> String {
    if text.is_empty() || text.ends_with('\n') { text.to_owned() } else { format!("{text}[no newline]\n") }
}
