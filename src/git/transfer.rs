//! Sends objects to a host with git's own push, and takes in what came from one.
//!
//! git believes that it starts `ssh`. It starts the bridge, a command that connects its stdin and stdout to `git
//! receive-pack` on the host. The push is asynchronous, because the bridge runs at the same time.

use std::collections::BTreeMap;
use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::command::Git;
use super::pack_file::PackFile;
use super::quarantine::{Quarantine, TakenIn, Tip};
use super::refs::{self, check_name};
use super::{Error, Repository, Result};
use crate::model::id::{HandoffId, RemoteName};
use crate::model::snapshot::Oid;

/// A placeholder for the repository on the host, which the bridge ignores. `.invalid` is never a machine's name (RFC
/// 2606).
const URL: &str = "ssh://handoff.invalid/cache";
/// Maximum bytes that are kept of each output of git and the host.
const LONGEST: u64 = 1 << 20;

/// The connection to one repository on a host.
#[derive(Clone, Debug)]
pub struct Bridge {
    /// A shell command that connects stdin and stdout to `git receive-pack` on the host and ignores its arguments.
    pub command: String,
}

/// A pushed ref.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pushed {
    pub name: String,
    /// Whether the host had it already.
    pub known: bool,
}

/// Creates refs on the host, all or none, and sends the objects that it lacks. Repeating this is harmless: existing
/// refs are `known`. A ref that exists at another commit is never moved; the push is refused.
///
/// Objects below a ref that the host advertises (`refs/keep/…`) are not sent again. No hook and no push setting of the
/// user's applies, because this is `send-pack`, not `push`.
pub async fn push(repo: &Repository, bridge: &Bridge, refs: &[(Oid, String)]) -> Result<Vec<Pushed>> {
    if refs.is_empty() {
        return Ok(Vec::new());
    }
    let mut input = String::new();
    for (oid, name) in refs {
        if !name.starts_with("refs/") || name.contains(|c: char| c.is_whitespace() || c.is_control() || c == ':') {
            return Err(Error::untrusted(format!("{name:?} is not a ref name")));
        }
        input.push_str(&format!("{oid}:{name}\n"));
    }
    let send = bridged(repo.git("send-pack"), bridge).config("push.gpgSign=false");
    let send = send.args(["--stdin", "--atomic", "--thin", "--helper-status", "--no-progress", URL]);
    let ran = run(send, input.into_bytes()).await?;
    // gitremote-helpers(7), `push`: `ok <ref> [<why>]` or `error <ref> <why>` for each.
    let told: Vec<_> = ran.stdout.lines().filter_map(|line| line.strip_prefix("ok ")).collect();
    let find = |name: &str| told.iter().find(|line| line.split(' ').next() == Some(name));
    let pushed = refs.iter().map(|(_, name)| {
        let line = find(name)?;
        Some(Pushed { name: name.clone(), known: line.ends_with(" up to date") })
    });
    match pushed.collect::<Option<Vec<_>>>() {
        Some(pushed) if ran.status.success() => Ok(pushed),
        _ => Err(ran.failed("send-pack")),
    }
}

/// Whether a push failed because the host lacks objects that we assumed, or has damaged ones. git prints the same for a
/// full disk.
pub fn is_damage(error: &Error) -> bool {
    let Error::Failed { command, stderr, .. } = error else { return false };
    // The host's report of each ref is part of the protocol and not translated.
    let refused = stderr.lines().filter(|line| line.starts_with("error refs/"));
    command == "send-pack"
        && refused
            .into_iter()
            .any(|line| line.ends_with("missing necessary objects") || line.ends_with("unpacker error"))
}

/// Whether a push failed because another push moved or created the same ref in between. Several handoffs push shared
/// refs that they find missing; at the next try the refs exist.
pub fn is_race(error: &Error) -> bool {
    let Error::Failed { command, stderr, .. } = error else { return false };
    let refused = |line: &str| {
        line.starts_with("error refs/")
            && ["atomic transaction failed", "failed to update ref", "fetch first"]
                .iter()
                .any(|why| line.ends_with(why))
    };
    command == "send-pack" && stderr.lines().any(refused) && stderr.contains("cannot lock ref")
}

/// Runs blocking work on another thread.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let failed = |error| Error::Io { what: "git was not waited for".into(), source: std::io::Error::other(error) };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// What attempt `n` left on its host, in quarantine. The repository has not changed.
pub struct Arrival {
    repo: Repository,
    quarantine: Quarantine,
    attempt: u32,
    below: String,
    tips: Vec<Tip>,
    is_connected: bool,
}

impl Arrival {
    /// Puts the objects of a pack and the refs of a capture into a quarantine. The refs are named as on the host.
    /// `None`: the pack is damaged, or it builds on objects that are not here.
    ///
    /// # Errors
    /// A ref is not one of the capture, or git fails.
    pub async fn of(
        repo: &Repository,
        (id, name): (&HandoffId, &RemoteName),
        attempt: u32,
        refs: &[(Oid, String)],
        pack: &PackFile,
    ) -> Result<Option<Arrival>> {
        let below = format!("{}{attempt}/", refs::of(id));
        let tips = refs.iter().map(|(oid, from)| {
            let bad = || Error::untrusted(format!("{from:?} is not a ref of the capture"));
            let rest = from.strip_prefix(&format!("refs/capture/{}/{attempt}/", name.as_str())).ok_or_else(bad)?;
            let to = format!("{below}{rest}");
            check_name(&to).map(|()| (to, oid.clone()))
        });
        let tips: Vec<Tip> = tips.collect::<Result<BTreeMap<_, _>>>()?.into_iter().collect();
        let (repo, id, pack) = (repo.clone(), id.clone(), pack.clone());
        let unpack = move || {
            let quarantine = Quarantine::new(&repo, &id)?;
            if !quarantine.unpack(&pack)? {
                return Ok(None);
            }
            let is_connected = quarantine.is_connected(&tips)?;
            Ok(Some(Arrival { repo, quarantine, attempt, below, tips, is_connected }))
        };
        blocking(unpack).await
    }

    /// Whether everything is here that the refs reach. If not, only the refs that lack something are refused.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Takes the refs into `refs/handoff/<id>/<n>/`, and checks that every accepted ref is complete. `capture` is the
    /// commit that the host reported. The user's checkout is not touched.
    ///
    /// Objects are checked before any of them gets into the repository ([`Quarantine`]). A ref that reaches a refused
    /// object is left out and listed; the others are taken in, the work included.
    ///
    /// # Errors
    /// The refs are not those of the capture, or git fails.
    pub async fn take_in(self, capture: &Oid) -> Result<TakenIn> {
        let capture = capture.clone();
        let take_in = move || {
            let Arrival { repo, quarantine, attempt, below, tips, .. } = self;
            let work = format!("{below}work");
            match tips.iter().find(|(name, _)| *name == work) {
                Some((_, oid)) if *oid == capture => {}
                Some((_, oid)) => {
                    return Err(Error::untrusted(format!("{work} is {}, not {}", oid.short(), capture.short())));
                }
                None => return Err(Error::untrusted(format!("the host has no capture of attempt {attempt}"))),
            }
            let taken = quarantine.take_in(&below, &tips)?;
            let tips: Vec<Oid> = taken.refs.iter().map(|(_, tip)| tip.clone()).collect();
            repo.verify_connected(&tips)?;
            Ok(taken)
        };
        blocking(take_in).await
    }
}

impl Repository {
    /// Fails unless every object is here with everything it refers to. Walks from each object to refs that are not
    /// ours, so the time depends on the size of the work. The objects' content was checked when they arrived.
    pub fn verify_connected(&self, objects: &[Oid]) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let walk = self.git("rev-list").args(["--objects", "--quiet"]).args(objects.iter().map(Oid::as_str));
        walk.args(["--not", &format!("--exclude={}*", refs::ROOT), "--all"]).run()?;
        Ok(())
    }

    /// The tips of what a host need not send of a handoff's work: the handoff's refs, and the refs that were shipped.
    ///
    /// # Errors
    /// git fails.
    pub fn held_of(&self, id: &HandoffId) -> Result<Vec<Oid>> {
        let listed =
            self.git("for-each-ref").args(["--format=%(objectname)", &refs::of(id), "refs/tags", "refs/remotes"]);
        let mut held: Vec<Oid> = String::from_utf8_lossy(&listed.run()?).lines().flat_map(str::parse).collect();
        held.sort();
        held.dedup();
        Ok(held)
    }
}

fn bridged(git: Git, bridge: &Bridge) -> Git {
    git.config("protocol.allow=never") // only the bridge
        .config("protocol.ssh.allow=always")
        .env("GIT_SSH_COMMAND", &bridge.command)
        .env("GIT_SSH_VARIANT", "simple") // git must not test the command for OpenSSH's options
}

pub(super) struct Ran {
    pub(super) status: ExitStatus,
    pub(super) stdout: String,
    stderr: String,
}

impl Ran {
    pub(super) fn failed(self, verb: &str) -> Error {
        // send-pack prints the reason for a refused ref on stdout.
        let refused = self.stdout.lines().filter(|line| line.starts_with("error "));
        let stderr = refused.fold(self.stderr.clone(), |text, line| format!("{text}{line}\n"));
        Error::Failed { command: verb.to_owned(), status: self.status.to_string(), stderr }
    }
}

/// Runs git with bytes on its stdin. It is killed when the future is dropped.
pub(super) async fn run(git: Git, input: Vec<u8>) -> Result<Ran> {
    let io = |source| Error::Io { what: "could not run git".into(), source };
    let mut child = git.into_tokio().stdin(Stdio::piped()).spawn().map_err(io)?;
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A git that ends before it has read everything reports that by its status.
            let _ = stdin.write_all(&input).await;
        }
    };
    let (_, stdout, stderr, status) = tokio::join!(feed, bounded(stdout), bounded(stderr), child.wait());
    Ok(Ran { status: status.map_err(io)?, stdout: stdout.map_err(io)?, stderr: stderr.map_err(io)? })
}

/// Reads to the end and keeps the first [`LONGEST`] bytes, so that endless output can neither block git nor fill
/// memory.
async fn bounded(from: Option<impl AsyncRead + Unpin>) -> std::io::Result<String> {
    let mut kept = Vec::new();
    if let Some(mut from) = from {
        (&mut from).take(LONGEST).read_to_end(&mut kept).await?;
        tokio::io::copy(&mut from, &mut tokio::io::sink()).await?;
    }
    Ok(String::from_utf8_lossy(&kept).into_owned())
}

#[cfg(test)]
mod tests;
