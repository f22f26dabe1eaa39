//! Fetches objects by their ids from the remote of a partial clone, all of them with one request.

use std::fs::OpenOptions;
use std::io::Read;
use std::path::Path;
use std::process::{Child, ExitStatus};
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use crate::git::config::{Config, without_credentials};
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// How often it is checked whether git has ended.
const TICK: Duration = Duration::from_millis(100);
/// Bytes of git's messages that are kept.
const KEPT: usize = 4096;
/// Maximum characters of a reason.
const LONGEST_REASON: usize = 200;
/// How long git may take to remove its temporary files after it was told to end.
const GRACE: Duration = Duration::from_secs(5);

/// How long a fetch may take.
#[derive(Clone, Copy)]
pub(super) struct Limits {
    /// Without a sign of life: git reports its progress all the time.
    pub silence: Duration,
    pub whole: Duration,
}

pub(super) const LIMITS: Limits = Limits { silence: Duration::from_secs(60), whole: Duration::from_secs(3600) };

/// Why objects did not come.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub why: String,
    /// The remote did not answer in time, and would not the next time.
    pub is_silent: bool,
}

/// Fetches objects and, of trees, what is below them except the files. Only objects change in the repository: no ref, no
/// `FETCH_HEAD`, no configuration. The options are those with which git fetches a missing object by itself.
pub(super) fn fetch(
    repo: &Repository,
    config: &Config,
    remote: &str,
    ids: &[Oid],
    limits: Limits,
) -> Result<std::result::Result<(), Failure>> {
    let mut git = repo.git("fetch").reaching_remote();
    for setting in ["fetch.negotiationAlgorithm=noop", "fetch.writeCommitGraph=false"] {
        git = git.config(setting);
    }
    if config.get("fetch.bundleuri").is_some() {
        // git would make refs of the bundles.
        git = git.config("fetch.bundleURI=");
    }
    if config.get(&format!("remote.{remote}.partialclonefilter")).is_none() {
        // git would write the filter of this fetch into the configuration.
        git = git.config(format!("remote.{remote}.partialclonefilter=blob:none"));
    }
    let options = ["--no-tags", "--no-write-fetch-head", "--no-prune", "--refmap=", "--recurse-submodules=no"];
    let git = git.args(options).args(["--filter=blob:none", "--progress", "--stdin", "--", remote]);
    let null = Path::new("/dev/null");
    let null = OpenOptions::new().write(true).open(null).map_err(Error::io("write", null))?;
    let ids: String = ids.iter().map(|id| format!("{id}\n")).collect();
    let child = git.stdin(ids).stdout_file(null).start()?;
    let (status, said) = watch(child, limits)?;
    Ok(match status {
        Some(status) if status.success() => Ok(()),
        Some(status) => Err(Failure { why: reason(&said).unwrap_or_else(|| status.to_string()), is_silent: false }),
        None => Err(Failure { why: "no answer in time".to_owned(), is_silent: true }),
    })
}

/// Waits for the end of a git that reports its progress. Returns the status, `None` if it took too long and was ended,
/// and the end of what it said.
fn watch(mut child: Child, limits: Limits) -> Result<(Option<ExitStatus>, Vec<u8>)> {
    let end = Instant::now() + limits.whole;
    let (send, receive) = channel();
    if let Some(mut stderr) = child.stderr.take() {
        // Not waited for: a process that git started may keep the pipe open.
        std::thread::spawn(move || {
            let mut buffer = [0; 4096];
            while let Ok(length @ 1..) = stderr.read(&mut buffer) {
                if send.send(buffer[..length].to_vec()).is_err() {
                    break;
                }
            }
        });
    }
    let (mut said, mut heard) = (Vec::new(), Instant::now());
    loop {
        if heard.elapsed() >= limits.silence || Instant::now() >= end {
            return terminate(child).map(|()| (None, said));
        }
        match receive.recv_timeout(TICK) {
            Ok(bytes) => {
                said.extend(bytes);
                said.drain(..said.len().saturating_sub(KEPT));
                heard = Instant::now();
            }
            // ssh's master connection outlives git, and keeps the pipe open.
            Err(RecvTimeoutError::Timeout) => {
                if let Some(status) = child.try_wait().map_err(not_waited)? {
                    return Ok((Some(status), said));
                }
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    match ended_within(&mut child, limits.silence)? {
        Some(status) => Ok((Some(status), said)),
        None => terminate(child).map(|()| (None, said)),
    }
}

fn ended_within(child: &mut Child, limit: Duration) -> Result<Option<ExitStatus>> {
    let end = Instant::now() + limit;
    loop {
        let ended = child.try_wait().map_err(not_waited)?;
        if ended.is_some() || Instant::now() >= end {
            return Ok(ended);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Ends a process, which removes its temporary files first if it can.
fn terminate(mut child: Child) -> Result<()> {
    // Both fail if it has ended by itself.
    _ = kill_process(Pid::from_child(&child), Signal::TERM);
    if ended_within(&mut child, GRACE)?.is_none() {
        _ = child.kill();
        child.wait().map_err(not_waited)?;
    }
    Ok(())
}

fn not_waited(source: std::io::Error) -> Error {
    Error::Io { what: "git fetch was not waited for".into(), source }
}

/// The first error among messages and progress. ssh's own has no such word, and is before git's.
fn reason(said: &[u8]) -> Option<String> {
    const LOST: &str = "fatal: Could not read from remote repository.";
    let said = String::from_utf8_lossy(said);
    let lines: Vec<&str> = said.split(['\n', '\r']).map(str::trim).filter(|line| !line.is_empty()).collect();
    let first = lines.iter().position(|line| ["fatal: ", "error: "].iter().any(|word| line.starts_with(word)));
    let line = match first {
        Some(at @ 1..) if lines[at] == LOST => lines[at - 1],
        Some(at) => lines[at],
        None => lines.last()?,
    };
    let words = line.split(' ').map(|word| {
        let scheme = word.split("://").next().unwrap_or_default();
        let quote = scheme.len() - scheme.trim_start_matches(|c: char| !c.is_ascii_alphanumeric()).len();
        word[..quote].to_owned() + &without_credentials(&word[quote..])
    });
    Some(words.collect::<Vec<_>>().join(" ").chars().take(LONGEST_REASON).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::{Repo, git_in};

    #[test]
    fn the_reason_is_the_first_error_without_credentials() {
        let said =
            b"remote: Counting 1%\rfatal: unable to access 'https://me:secret@x.org/a.git/': 403\nfatal: then\n\n";
        assert_eq!(reason(said).unwrap(), "fatal: unable to access 'https://x.org/a.git/': 403");
        assert_eq!(reason(b"Receiving\rtold nothing else\n").unwrap(), "told nothing else");
        assert_eq!(reason(b" \n"), None);
        let lost = "fatal: Could not read from remote repository.";
        let said = format!("ssh: connect to host x port 22: Connection refused\r\n{lost}\n\nPlease make sure\n");
        assert_eq!(reason(said.as_bytes()).unwrap(), "ssh: connect to host x port 22: Connection refused");
        assert_eq!(reason(lost.as_bytes()).unwrap(), lost);
    }

    #[test]
    fn a_remote_that_does_not_answer_is_given_up_and_leaves_no_process() {
        let origin = Repo::with_commit();
        origin.git(["config", "uploadpack.allowFilter", "true"]);
        let url = format!("file://{}", origin.top().display());
        let clone = origin.sibling("partial");
        origin.git(["clone", "-q", "--filter=blob:none", &url, clone.to_str().unwrap()]);
        let mark = origin.sibling("pid");
        // It ends with git, which closes its stdin.
        let hangs = origin.script("hangs", &format!("echo $$ >'{}'; exec cat >/dev/null", mark.display()));
        git_in(&clone, ["config", "remote.origin.uploadpack", &hangs]);
        let repo = Repository::discover(&clone).unwrap();
        let limits = Limits { silence: Duration::from_millis(1500), whole: Duration::from_secs(60) };
        let absent = ["1".repeat(40).parse().unwrap()];
        let failure = fetch(&repo, &repo.config().unwrap(), "origin", &absent, limits).unwrap().unwrap_err();
        assert!(failure.is_silent, "{}", failure.why);
        assert!(mark.exists(), "the remote was asked");
        let left: Vec<_> = clone.join(".git/objects/pack").read_dir().unwrap().flatten().collect();
        assert!(left.iter().all(|file| !file.file_name().to_string_lossy().starts_with("tmp_")), "{left:?}");
    }
}
