//! Builds every git process, with every defensive option and the reason for it.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io::{BufRead, ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::OnceLock;

use super::{Error, Result};

/// The oldest git that works: `fetch --no-write-fetch-head`, `worktree repair` and `rev-parse --show-object-format`
/// came with 2.29 at the latest.
pub const MINIMUM: (u32, u32) = (2, 29);

/// Variables of the `GIT_` family that say where the user's own configuration is. Every other one is removed:
/// `GIT_DIR`, `GIT_INDEX_FILE`, `GIT_OBJECT_DIRECTORY`, `GIT_CONFIG_PARAMETERS` and the like (set in hooks and aliases)
/// redirect git.
const KEPT: [&str; 6] = [
    "GIT_CONFIG_GLOBAL",
    "GIT_CONFIG_SYSTEM",
    "GIT_CONFIG_NOSYSTEM",
    "GIT_CONFIG_COUNT",
    "GIT_EXEC_PATH",
    "GIT_CEILING_DIRECTORIES",
];

/// Variables that name the user as the author of a commit.
const IDENTITY: [&str; 4] = ["GIT_AUTHOR_NAME", "GIT_AUTHOR_EMAIL", "GIT_COMMITTER_NAME", "GIT_COMMITTER_EMAIL"];

/// Variables that say how git reaches a remote and asks for a password.
const REACH: [&str; 6] =
    ["GIT_SSH", "GIT_SSH_COMMAND", "GIT_SSH_VARIANT", "GIT_ASKPASS", "GIT_PROXY_COMMAND", "GIT_TERMINAL_PROMPT"];

/// Environment of every git process.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("LC_ALL", "C"),                 // messages are parsed in English
    ("GIT_TERMINAL_PROMPT", "0"),    // never prompt: no user may be present
    ("GIT_OPTIONAL_LOCKS", "0"),     // reading must not rewrite the user's index
    ("GIT_NO_REPLACE_OBJECTS", "1"), // ship the objects themselves, without replace refs
    ("GIT_NO_LAZY_FETCH", "1"),      // a missing object is an error; never fetch it
    ("GIT_LFS_SKIP_SMUDGE", "1"),    // a takeover must not download
];

/// Lets no git reach a remote unless the command says so. git before 2.45 does not know GIT_NO_LAZY_FETCH, and would
/// fetch the missing objects of a partial clone one by one.
const NO_REMOTE: (&str, &str) = ("GIT_ALLOW_PROTOCOL", "none");

/// Configuration of every git process, above the user's.
const CONFIGURATION: [&str; 6] = [
    "core.fsmonitor=",          // runs a command; empty, because git before 2.36 took `false` for a command
    "submodule.recurse=false",  // a submodule is another repository
    "maintenance.auto=false",   // no repacking of the user's repository
    "gc.auto=0",                // the same for older git
    "protocol.ext.allow=never", // `ext::` URLs are commands
    "advice.addEmbeddedRepo=false", // we report it ourselves, with the path
];

/// Set unless the command acts for the user: signing may ask for a passphrase.
const UNSIGNED: &str = "commit.gpgSign=false";
/// Set unless the command is as the user types it: otherwise no hook runs.
const UNHOOKED: &str = "core.hooksPath=/dev/null";

/// A git command being built.
#[must_use = "a command does nothing until it is run"]
#[derive(Debug)]
pub struct Git {
    directory: PathBuf,
    verb: &'static str,
    configuration: Vec<OsString>,
    arguments: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    for_user: bool,
    as_typed: bool,
    reaches_remote: bool,
    input: Input,
    output: Option<File>,
}

#[derive(Debug)]
enum Input {
    Nothing,
    Bytes(Vec<u8>),
    File(File),
}

impl Git {
    /// `git <verb>` in a directory.
    pub fn new(directory: &Path, verb: &'static str) -> Self {
        Self {
            directory: directory.to_owned(),
            verb,
            configuration: Vec::new(),
            arguments: Vec::new(),
            environment: Vec::new(),
            for_user: false,
            as_typed: false,
            reaches_remote: false,
            input: Input::Nothing,
            output: None,
        }
    }

    /// Adds `-c name=value`, which overrides all earlier ones.
    pub fn config(mut self, setting: impl Into<OsString>) -> Self {
        self.configuration.push(setting.into());
        self
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.arguments.push(argument.as_ref().to_owned());
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item = S>, S: AsRef<OsStr>>(mut self, arguments: I) -> Self {
        self.arguments.extend(arguments.into_iter().map(|a| a.as_ref().to_owned()));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.environment.push((name.into(), value.as_ref().to_owned()));
        self
    }

    /// Acts for the user, with the identity and the signing that the user has configured. Hooks stay off.
    pub fn for_user(mut self) -> Self {
        self.for_user = true;
        self.keep(&IDENTITY);
        self
    }

    /// Runs as the user types it, with the user's hooks and ways to reach a remote. It may ask for a password on the
    /// terminal.
    pub fn as_typed(mut self) -> Self {
        self = self.for_user().env("GIT_TERMINAL_PROMPT", "1").env("GIT_NO_LAZY_FETCH", "0");
        self.as_typed = true;
        self.reaches_remote = true;
        self.keep(&REACH);
        self
    }

    /// Reaches a remote with the user's credentials and transport, and asks for nothing on the terminal.
    pub(super) fn reaching_remote(mut self) -> Self {
        self.reaches_remote = true;
        self.keep(&REACH);
        // ssh would ask for a passphrase on the terminal itself.
        self.env("GIT_TERMINAL_PROMPT", "0").env("SSH_ASKPASS_REQUIRE", "force")
    }

    fn keep(&mut self, names: &[&str]) {
        let kept = names.iter().filter_map(|name| Some((name.into(), std::env::var_os(name)?)));
        self.environment.extend(kept);
    }

    /// Uses another index file than the repository's.
    pub fn index(self, path: &Path) -> Self {
        self.env("GIT_INDEX_FILE", path)
    }

    /// Bytes for stdin; the default is `/dev/null`.
    pub fn stdin(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.input = Input::Bytes(bytes.into());
        self
    }

    /// Uses a file as stdin.
    pub fn stdin_file(mut self, file: File) -> Self {
        self.input = Input::File(file);
        self
    }

    /// Sends stdout to a file instead of returning it.
    pub fn stdout_file(mut self, file: File) -> Self {
        self.output = Some(file);
        self
    }

    /// Runs the command and returns its output, or fails with its stderr unless it exits with 0.
    pub fn run(self) -> Result<Vec<u8>> {
        let name = self.name();
        let output = self.output()?;
        if output.status.success() { Ok(output.stdout) } else { Err(failed(name, &output)) }
    }

    /// Like [`Git::run`], for commands that print one line: returns it as text, without its newline.
    pub fn line(self) -> Result<String> {
        let mut printed = self.run()?;
        if printed.last() == Some(&b'\n') {
            printed.pop();
        }
        Ok(String::from_utf8_lossy(&printed).into_owned())
    }

    /// Like [`Git::line`], for a query: `None` if git exits with 1 and prints nothing.
    pub fn answer(self) -> Result<Option<String>> {
        let name = self.name();
        let output = self.output()?;
        match output.status.code() {
            Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim_end_matches('\n').to_owned())),
            Some(1) if output.stderr.is_empty() => Ok(None),
            _ => Err(failed(name, &output)),
        }
    }

    /// Runs the command to its end, whatever its exit status.
    pub fn output(self) -> Result<Output> {
        let read = |source| Error::Io { what: "could not read the output of git".into(), source };
        self.start()?.wait_with_output().map_err(read)
    }

    /// Starts the command. Another thread feeds its stdin.
    pub(super) fn start(mut self) -> Result<Child> {
        let input = std::mem::replace(&mut self.input, Input::Nothing);
        let mut command = self.into_command();
        let bytes = match input {
            Input::Nothing => None,
            Input::Bytes(bytes) => {
                command.stdin(Stdio::piped());
                Some(bytes)
            }
            Input::File(file) => {
                command.stdin(file);
                None
            }
        };
        let mut child = command.spawn().map_err(not_started)?;
        if let (Some(mut stdin), Some(bytes)) = (child.stdin.take(), bytes) {
            // A command that ends before it has read everything reports that by its status, so a broken pipe is
            // ignored.
            std::thread::spawn(move || stdin.write_all(&bytes));
        }
        Ok(child)
    }

    /// Runs the command to its end and passes on each line of its stderr. Its stdout is dropped.
    pub(super) fn error_lines(self, mut each: impl FnMut(&str)) -> Result<ExitStatus> {
        let mut command = self.into_command();
        let mut child = command.stdout(Stdio::null()).spawn().map_err(not_started)?;
        let read = |source| Error::Io { what: "could not read the output of git".into(), source };
        if let Some(stderr) = child.stderr.take() {
            let mut lines = std::io::BufReader::new(stderr);
            let mut line = Vec::new();
            while lines.read_until(b'\n', &mut line).map_err(read)? > 0 {
                each(String::from_utf8_lossy(&line).trim_end());
                line.clear();
            }
        }
        child.wait().map_err(read)
    }

    /// The same command for tokio, with no stdin and both outputs piped. It is killed when dropped.
    pub fn into_tokio(self) -> tokio::process::Command {
        let mut command = tokio::process::Command::from(self.into_command());
        command.kill_on_drop(true);
        command
    }

    /// The verb with its first arguments, for errors.
    pub(super) fn name(&self) -> String {
        let mut name = self.verb.to_owned();
        for argument in self.arguments.iter().take(3) {
            name = format!("{name} {}", argument.to_string_lossy());
        }
        name
    }

    fn into_command(self) -> Command {
        let mut command = Command::new("git");
        inherit(&mut command);
        command.envs((!self.reaches_remote).then_some(NO_REMOTE)).envs(ENVIRONMENT).envs(self.environment);
        command.arg("-C").arg(self.directory).arg("--no-pager");
        let unsigned = (!self.for_user).then_some(UNSIGNED);
        let unhooked = (!self.as_typed).then_some(UNHOOKED);
        for setting in
            CONFIGURATION.into_iter().chain(unsigned).chain(unhooked).map(OsString::from).chain(self.configuration)
        {
            command.arg("-c").arg(setting);
        }
        command.arg(self.verb).args(self.arguments);
        command.stdin(Stdio::null()).stderr(Stdio::piped());
        match self.output {
            Some(file) => command.stdout(file),
            None => command.stdout(Stdio::piped()),
        };
        command
    }
}

/// Removes the variables that redirect git from the inherited environment.
#[cfg(not(test))]
pub(super) fn inherit(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        let paired = text.starts_with("GIT_CONFIG_KEY_") || text.starts_with("GIT_CONFIG_VALUE_");
        if text.starts_with("GIT_") && !paired && !KEPT.contains(&text.as_ref()) {
            command.env_remove(name);
        }
    }
}

/// Hides this machine's configuration and home directory from tests.
#[cfg(test)]
pub(super) fn inherit(command: &mut Command) {
    debug_assert!(KEPT.iter().all(|name| name.starts_with("GIT_")));
    command.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.env("HOME", "/nonexistent").env("GIT_CONFIG_NOSYSTEM", "1");
}

fn not_started(source: std::io::Error) -> Error {
    match source.kind() {
        ErrorKind::NotFound => Error::NoGit { what: "git is not on PATH".into() },
        _ => Error::Io { what: "could not start git".into(), source },
    }
}

pub(super) fn failed(command: String, output: &Output) -> Error {
    let stderr = String::from_utf8_lossy(&output.stderr).into_owned();
    Error::Failed { command, status: output.status.to_string(), stderr }
}

/// Fails unless the git on PATH is at least [`MINIMUM`]. Each process asks once.
pub fn require() -> Result<()> {
    static FIT: OnceLock<()> = OnceLock::new();
    if FIT.get().is_none() {
        let line = Git::new(Path::new("."), "version").line()?;
        match parse_version(&line) {
            Some(version) if version >= MINIMUM => {}
            _ => {
                let (major, minor) = MINIMUM;
                return Err(Error::NoGit {
                    what: format!("{line:?} is too old; handoff needs git {major}.{minor} or newer"),
                });
            }
        }
        FIT.get_or_init(|| ());
    }
    Ok(())
}

fn parse_version(line: &str) -> Option<(u32, u32)> {
    let mut numbers = line.strip_prefix("git version ")?.split(['.', ' ', '-']);
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_of_every_vendor_are_read() {
        assert_eq!(parse_version("git version 2.39.5 (Apple Git-154)"), Some((2, 39)));
        assert_eq!(parse_version("git version 2.47.3"), Some((2, 47)));
        assert_eq!(parse_version("git version 3.0-rc1"), Some((3, 0)));
        assert_eq!(parse_version("gut 2"), None);
        require().unwrap();
    }

    #[test]
    fn an_error_contains_all_of_gits_stderr() {
        let folder = tempfile::tempdir().unwrap();
        let error = Git::new(folder.path(), "rev-parse").arg("--show-toplevel").run().unwrap_err();
        assert!(error.to_string().contains("not a git repository"), "{error}");
        assert!(error.to_string().starts_with("git rev-parse --show-toplevel failed (exit status: 128)"), "{error}");
    }

    #[test]
    fn input_larger_than_a_pipe_does_not_block() {
        let folder = tempfile::tempdir().unwrap();
        let bytes = "x\n".repeat(300_000);
        let back = Git::new(folder.path(), "stripspace").stdin(bytes.clone()).run().unwrap();
        assert_eq!(back.len(), bytes.len());
    }

    #[test]
    fn no_hook_or_command_of_the_user_runs() {
        let folder = tempfile::tempdir().unwrap();
        let printed = Git::new(folder.path(), "config").args(["--list", "-z"]).run().unwrap();
        let settings = String::from_utf8(printed).unwrap();
        for expected in
            ["core.fsmonitor\n\0", "core.hookspath\n/dev/null\0", "protocol.ext.allow\nnever\0", "gc.auto\n0\0"]
        {
            assert!(settings.contains(expected), "{expected:?} in {settings:?}");
        }
    }
}
