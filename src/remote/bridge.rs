//! Connects git's own push to a channel of the open connection.
//!
//! git runs `handoff bridge SOCKET` as its ssh command. That command copies bytes to a socket of this process, and this
//! process copies them to `git receive-pack` in the host's cache. The runner's frame mark comes
//! before git's bytes.

use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};

use super::client::{Remote, Reply};
use super::error::RemoteError;
use super::frames::Piece;
use super::request::Request;
use super::runner::Verb;
use crate::model::id::RemoteName;

/// The service of git on the host.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Service {
    /// The host receives: our push. With `whole`, the host advertises no refs to build on, so everything is sent.
    Receive { whole: bool },
}

/// A socket for git, which exists as long as this value.
pub struct Bridge {
    directory: tempfile::TempDir,
    listener: UnixListener,
    remote: Remote,
    service: Service,
    /// The name of the cache, 40 hex digits.
    key: String,
    /// The object format, `sha1` or `sha256`.
    format: String,
    name: RemoteName,
}

impl Bridge {
    /// Makes the socket. `key` names the cache on the host. git sees the cache's shared refs and those of `name`.
    pub fn new(
        remote: &Remote,
        service: Service,
        name: &RemoteName,
        key: &str,
        format: &str,
    ) -> Result<Bridge, RemoteError> {
        let directory = tempfile::Builder::new().prefix("handoff-").tempdir().map_err(RemoteError::Bridge)?;
        let listener = UnixListener::bind(directory.path().join("git")).map_err(RemoteError::Bridge)?;
        let (remote, name, key, format) = (remote.clone(), name.clone(), key.to_owned(), format.to_owned());
        Ok(Bridge { directory, listener, remote, service, key, format, name })
    }

    /// The shell command that git runs instead of ssh.
    pub fn command(&self) -> String {
        format!("{} bridge {}", quoted(&program()), quoted(&self.directory.path().join("git")))
    }

    /// Serves one git process until it ends. An error is the host's.
    pub async fn serve(&self) -> Result<(), RemoteError> {
        // The channel opens while git is still starting.
        let (reply, socket) = tokio::join!(self.reply(), self.listener.accept());
        let (reply, (socket, _)) = (reply?, socket.map_err(RemoteError::Bridge)?);
        splice(reply, socket).await
    }

    async fn reply(&self) -> Result<Reply, RemoteError> {
        let verb = match self.service {
            Service::Receive { .. } => Verb::Receive,
        };
        let request = || {
            let request = Request::new().line("name", &self.name).line("key", &self.key).line("format", &self.format);
            match self.service {
                Service::Receive { whole: true } => request.line("whole", "yes"),
                Service::Receive { whole: false } => request,
            }
        };
        let mut reply = self.remote.begin(verb, request, false).await?;
        let mut lines = Vec::new();
        while let Some(piece) = reply.next().await? {
            match piece {
                Piece::Line(line) if line == "serving" => return Ok(reply),
                Piece::Line(line) if lines.len() < 16 => lines.push(line),
                _ => return Err(reply.refused(&lines)),
            }
        }
        Err(reply.cut())
    }
}

async fn splice(mut reply: Reply, socket: UnixStream) -> Result<(), RemoteError> {
    let (mut from_git, mut to_git) = socket.into_split();
    let stdin = reply.stdin.take();
    let up = tokio::spawn(async move {
        let Some(stdin) = stdin else { return };
        let mut buffer = vec![0u8; 64 << 10];
        while let Ok(length @ 1..) = from_git.read(&mut buffer).await {
            if stdin.send(Bytes::copy_from_slice(&buffer[..length])).await.is_err() {
                return;
            }
        }
    });
    let down = async {
        while let Some(bytes) = reply.raw().await? {
            // git has ended, so the rest of the host's output is dropped.
            if to_git.write_all(&bytes).await.is_err() {
                return Ok(());
            }
        }
        Ok(())
    };
    let result = down.await;
    up.abort();
    // Reported before git sees its end: git could not say that a signal killed the service, which is a fault of the
    // connection.
    if result.is_ok() && reply.was_killed() {
        return Err(reply.cut());
    }
    drop(to_git);
    result
}

/// The command `handoff bridge SOCKET`. Blocks until the host closes its end.
///
/// # Errors
/// The socket does not exist, or git stopped reading.
pub fn connect(socket: &Path) -> std::io::Result<()> {
    let mut from_host = std::os::unix::net::UnixStream::connect(socket)?;
    let mut to_host = from_host.try_clone()?;
    // git may keep our stdin open, so the process ends with the host's end of the socket.
    std::thread::spawn(move || {
        let _ = carry(&mut std::io::stdin().lock(), &mut to_host);
        let _ = to_host.shutdown(std::net::Shutdown::Write);
    });
    // Rust's stdout is flushed at the end of a line, and git's protocol has no lines.
    let mut stdout = std::fs::File::from(std::io::stdout().as_fd().try_clone_to_owned()?);
    carry(&mut from_host, &mut stdout)
}

/// Copies to the end, or until the reader closes. `std::io::copy` is not used because it splices: Linux holds a pipe's
/// lock while it waits for the socket, so git could not read bytes that had arrived (measured: one of three pushes
/// hung).
fn carry(from: &mut impl Read, to: &mut impl Write) -> std::io::Result<()> {
    let mut buffer = vec![0u8; 64 << 10];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(()),
            Ok(length) => match to.write_all(&buffer[..length]) {
                Err(error) if error.kind() == std::io::ErrorKind::BrokenPipe => return Ok(()),
                written => written?,
            },
            Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

/// This program's file. If an upgrade replaced it after the start, Linux still offers the old file through /proc.
fn program() -> PathBuf {
    match std::env::current_exe() {
        Ok(exe) if exe.exists() => exe,
        _ if Path::new("/proc/self/exe").exists() => PathBuf::from(format!("/proc/{}/exe", std::process::id())),
        _ => PathBuf::from("handoff"),
    }
}

fn quoted(path: &Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
}
