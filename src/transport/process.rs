//! A child process on this machine as an [`Exec`], for the local shell and for the system's `ssh`.

#[cfg(test)]
mod tests;

use std::process::{ExitStatus, Stdio};
use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use super::{Counters, Exec, Exit, Output, Transport, TransportError};

/// Number of pieces of stdin that are queued for a slow command before [`Exec::stdin`] blocks its sender.
pub(super) const STDIN_PIECES: usize = 16;

/// Maximum bytes of one read from a pipe.
const PIECE: usize = 64 * 1024;

/// Bytes of the end of stderr that are kept to explain a failure.
const TAIL: usize = 4096;

/// Variables with which git binds its children to one repository; a command on a host must not inherit them.
const REPOSITORY_BOUND: [&str; 6] =
    ["GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_PREFIX", "GIT_OBJECT_DIRECTORY", "GIT_COMMON_DIR"];

/// Turns a child's exit status and the last bytes of its stderr into the last [`Output`].
pub(super) type Ending = Box<dyn FnOnce(std::io::Result<ExitStatus>, &[u8]) -> Output + Send>;

/// What happens to a child when its [`Exec`] is dropped.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Abandoned {
    /// It keeps running, as a command on a host does.
    Lives,
    /// It is killed, because it only connected to a host.
    Killed,
}

/// A shell on this machine, used as a host.
pub struct Local {
    host: String,
    counters: Arc<Counters>,
}

impl Local {
    /// `host` is the name used in errors.
    pub fn new(host: &str, counters: Arc<Counters>) -> Self {
        Local { host: host.to_owned(), counters }
    }
}

#[async_trait::async_trait]
impl Transport for Local {
    /// Runs `sh -c` in the home directory, as a login does, and in its own process group, so that Ctrl-C in the
    /// terminal does not reach it.
    async fn exec(&self, command: &str) -> Result<Exec, TransportError> {
        let mut shell = Command::new("sh");
        shell.arg("-c").arg(command).process_group(0);
        if let Some(home) = std::env::home_dir().filter(|home| home.is_dir()) {
            shell.current_dir(home);
        }
        for name in REPOSITORY_BOUND {
            shell.env_remove(name);
        }
        let child = spawn(&mut shell).map_err(|e| TransportError::Busy {
            host: self.host.clone(),
            reason: format!("cannot start a shell: {e}"),
        })?;
        self.counters.channel();
        self.counters.exec();
        let host = self.host.clone();
        let ending: Ending = Box::new(move |status, _| match status.map(exit_of) {
            Ok(exit) => Output::Exit(exit),
            Err(e) => Output::Severed(TransportError::lost(&host, e.to_string())),
        });
        Ok(pump(child, ending, Abandoned::Lives))
    }
}

/// Starts a command with all three streams piped. Dropping the child does not kill it.
pub(super) fn spawn(command: &mut Command) -> std::io::Result<Child> {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(false).spawn()
}

/// A process's end in SSH's terms.
pub(super) fn exit_of(status: ExitStatus) -> Exit {
    use std::os::unix::process::ExitStatusExt;
    match (status.code(), status.signal()) {
        (Some(code), _) => Exit::Code(code.unsigned_abs()),
        (None, Some(signal)) => Exit::Signal(signal_name(signal)),
        (None, None) => Exit::Signal("unknown".to_owned()),
    }
}

/// A signal's name as in RFC 4254 section 6.10, without `SIG`.
pub(super) fn signal_name(number: i32) -> String {
    use rustix::process::Signal;
    let known = [
        (Signal::ABORT, "ABRT"),
        (Signal::ALARM, "ALRM"),
        (Signal::FPE, "FPE"),
        (Signal::HUP, "HUP"),
        (Signal::ILL, "ILL"),
        (Signal::INT, "INT"),
        (Signal::KILL, "KILL"),
        (Signal::PIPE, "PIPE"),
        (Signal::QUIT, "QUIT"),
        (Signal::SEGV, "SEGV"),
        (Signal::TERM, "TERM"),
        (Signal::USR1, "USR1"),
        (Signal::USR2, "USR2"),
        (Signal::BUS, "BUS"),
        (Signal::XCPU, "XCPU"),
    ];
    let name = known.iter().find(|(signal, _)| signal.as_raw() == number);
    name.map_or_else(|| number.to_string(), |(_, name)| (*name).to_owned())
}

/// Moves a child's streams through an [`Exec`] until the child has ended and its output is read. Anything that `ending`
/// owns, such as a permit, is dropped then.
///
/// The output decides: when a child ends with unread input, the [`Exec`] ends too.
pub(super) fn pump(mut child: Child, ending: Ending, abandoned: Abandoned) -> Exec {
    let (stdin, input) = mpsc::channel(STDIN_PIECES);
    let (sender, output) = mpsc::unbounded_channel();
    let feeder = child.stdin.take().map(|pipe| tokio::spawn(feed(pipe, input)));
    let streams = (child.stdout.take(), child.stderr.take());
    tokio::spawn(async move {
        let end = tokio::select! {
            end = drain(&mut child, streams, &sender) => Some(end),
            () = sender.closed() => None,
        };
        if let Some(feeder) = feeder {
            feeder.abort();
        }
        match end {
            Some((status, tail)) => drop(sender.send(ending(status, &tail))),
            None => {
                reap(child, abandoned).await;
                drop(ending);
            }
        }
    });
    Exec { stdin, output }
}

/// Reads both streams to their ends, then waits for the child.
async fn drain(
    child: &mut Child,
    (stdout, stderr): (Option<tokio::process::ChildStdout>, Option<tokio::process::ChildStderr>),
    sender: &mpsc::UnboundedSender<Output>,
) -> (std::io::Result<ExitStatus>, Vec<u8>) {
    let mut tail = Vec::new();
    let out = async {
        if let Some(pipe) = stdout {
            copy(pipe, |bytes| sender.send(Output::Stdout(bytes)).is_ok()).await;
        }
    };
    let err = async {
        if let Some(pipe) = stderr {
            copy(pipe, |bytes| {
                tail.extend_from_slice(&bytes);
                tail.drain(..tail.len().saturating_sub(TAIL));
                sender.send(Output::Stderr(bytes)).is_ok()
            })
            .await;
        }
    };
    tokio::join!(out, err);
    (child.wait().await, tail)
}

/// Passes a stream on piece by piece until it ends or fails, or `take` returns `false`.
async fn copy(mut pipe: impl AsyncRead + Unpin, mut take: impl FnMut(Bytes) -> bool) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(PIECE);
        match pipe.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) if !take(buffer.split().freeze()) => return,
            Ok(_) => {}
        }
    }
}

/// Writes input to a child's stdin. The pipe is closed at the end of the input, or when the child closes it.
async fn feed(mut pipe: ChildStdin, mut input: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = input.recv().await {
        if pipe.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Waits for a child whose [`Exec`] was dropped, so that no zombie stays.
async fn reap(mut child: Child, abandoned: Abandoned) {
    if abandoned == Abandoned::Killed {
        // It may have ended by itself, so an error is ignored.
        let _ = child.start_kill();
    }
    let _ = child.wait().await;
}
