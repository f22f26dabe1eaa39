//! Runs git and other blocking work while the caller does something else.

use std::process::{ExitStatus, Stdio};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};

use super::command::Git;
use super::{Error, Result};

/// Maximum bytes that are kept of each output of git and the host.
const LONGEST: u64 = 1 << 20;

/// Runs blocking work on another thread.
pub(super) async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    let failed = |error| Error::Io { what: "git was not waited for".into(), source: std::io::Error::other(error) };
    tokio::task::spawn_blocking(work).await.map_err(failed)?
}

/// How a git ended.
pub(super) struct Ran {
    pub(super) status: ExitStatus,
    stderr: String,
}

impl Ran {
    pub(super) fn failed(self, verb: &str) -> Error {
        Error::Failed { command: verb.to_owned(), status: self.status.to_string(), stderr: self.stderr }
    }
}

/// Runs git with bytes on its stdin. It is killed when the future is dropped.
pub(super) async fn run(git: Git, input: Vec<u8>) -> Result<Ran> {
    let io = |source| Error::Io { what: "could not run git".into(), source };
    let mut child = git.into_tokio().stdin(Stdio::piped()).spawn().map_err(io)?;
    let (stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let feed = async {
        if let Some(mut stdin) = stdin {
            // A git that ends before it has read everything reports that by its status.
            let _ = stdin.write_all(&input).await;
        }
    };
    let (_, stderr, status) = tokio::join!(feed, bounded(stderr), child.wait());
    Ok(Ran { status: status.map_err(io)?, stderr: stderr.map_err(io)? })
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
