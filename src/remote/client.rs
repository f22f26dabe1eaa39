//! A host, its runner, and calls to the runner.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::{Mutex, mpsc};

use super::error::RemoteError;
use super::frames::{Frames, Piece};
use super::refusal::RefusalClass;
use super::request::{Request, nonce};
use super::runner::{self, Verb};
use crate::model::root::Known;
use crate::transport::{Exec, Exit, Output, Transport, TransportError};

/// Maximum resends of a command that the server never started.
const MOST_UNHEARD: u32 = 4;
/// Maximum lines of an answer that is kept in memory.
const MAX_LINES: usize = 4096;

/// A reachable host. The runner is installed on it by the first call that finds it missing.
#[derive(Clone)]
pub struct Remote {
    transport: Arc<dyn Transport>,
    host: Arc<str>,
    root: Arc<str>,
    /// What the laptop knows of the root; every request contains it.
    known: Arc<std::sync::Mutex<Known>>,
    /// Locked while the runner is installed, so that only one of several parallel calls does it.
    install: Arc<Mutex<Option<u64>>>,
}

impl Remote {
    /// `root` is the directory from the hosts file, empty for `~/.handoff`.
    pub fn new(transport: Arc<dyn Transport>, host: &str, root: &str) -> Self {
        let (known, install) = Default::default();
        Remote { transport, host: host.into(), root: root.into(), known, install }
    }

    /// Sets what is known of the root, which may change later.
    #[must_use]
    pub fn with_known(self, known: Arc<std::sync::Mutex<Known>>) -> Self {
        Remote { known, ..self }
    }

    pub(super) fn known(&self) -> Known {
        self.known.lock().unwrap_or_else(std::sync::PoisonError::into_inner).clone()
    }

    /// The host's name, for messages.
    pub fn host(&self) -> &str {
        &self.host
    }

    /// Whether the host runs only one of our commands at a time.
    pub fn is_single(&self) -> bool {
        self.transport.at_once() == 1
    }

    /// Calls a verb and returns the lines of its answer, for verbs without data frames.
    pub async fn call(&self, verb: Verb, request: impl Fn() -> Request) -> Result<Vec<String>, RemoteError> {
        let mut reply = self.open(verb, &request).await?;
        let mut lines = Vec::new();
        while let Some(piece) = reply.next().await? {
            match piece {
                Piece::Line(line) if lines.len() < MAX_LINES => lines.push(line),
                Piece::End(0) => return Ok(lines),
                Piece::End(_) => return Err(self.refusal(&lines)),
                _ => return Err(self.garbled(verb, "unexpected lines")),
            }
        }
        Err(reply.cut())
    }

    /// Calls a verb and returns the reply while it arrives. Installs the runner first if it is missing.
    pub async fn open(&self, verb: Verb, request: impl Fn() -> Request) -> Result<Reply, RemoteError> {
        self.begin(verb, request, true).await
    }

    /// Like [`Remote::open`]; `end` closes the input after the request.
    pub(super) async fn begin(
        &self,
        verb: Verb,
        request: impl Fn() -> Request,
        end: bool,
    ) -> Result<Reply, RemoteError> {
        let (mut installs, mut unheard) = (0, 0);
        while installs < 2 {
            let seen = *self.install.lock().await;
            let mut reply = self.send(verb, request(), end).await?;
            match reply.next().await? {
                Some(Piece::NeedRunner) => {
                    self.install(seen).await?;
                    installs += 1;
                }
                Some(piece) => {
                    reply.first = Some(piece);
                    return Ok(reply);
                }
                None if reply.was_unheard() && unheard < MOST_UNHEARD => unheard += 1,
                None => return Err(reply.cut()),
            }
        }
        Err(self.not_installed("it disappeared after it was written".into()))
    }

    async fn send(&self, verb: Verb, request: Request, end: bool) -> Result<Reply, RemoteError> {
        let nonce = nonce();
        let request = match (self.known(), verb) {
            // The verb `instance` asks for the root's id, so it must work with any root.
            (Known::Instance(instance), verb) if verb != Verb::Instance => request.line("instance", instance),
            (Known::Used, _) => request.line("used", "yes"),
            _ => request,
        };
        let bytes = request.encode(&nonce, &self.root);
        self.start(&runner::loader(verb), verb.word(), &nonce, bytes, end).await
    }

    /// Starts a command and sends its input; `end` closes the input after it.
    async fn start(
        &self,
        command: &str,
        verb: &'static str,
        nonce: &str,
        input: Bytes,
        end: bool,
    ) -> Result<Reply, RemoteError> {
        let Exec { stdin, output } = self.transport.exec(command).await?;
        // A failed write needs no handling here, because the command's output says why it ended.
        let _ = stdin.send(input).await;
        let stdin = if end { None } else { Some(stdin) };
        Ok(Reply {
            host: self.host.clone(),
            verb,
            frames: Frames::new(nonce),
            stdin,
            output,
            stderr: Vec::new(),
            exit: None,
            first: None,
        })
    }

    /// Installs the runner unless another call did so since `seen`.
    async fn install(&self, seen: Option<u64>) -> Result<(), RemoteError> {
        let mut done = self.install.lock().await;
        if *done != seen {
            return Ok(());
        }
        let mut tries = 0;
        loop {
            let written = self.write_runner().await?;
            tries += 1;
            match written {
                Ok(()) => break,
                Err(reply) if reply.was_unheard() && tries < MOST_UNHEARD => {}
                Err(reply) => return Err(self.not_installed(reply.words())),
            }
        }
        *done = Some(done.unwrap_or(0) + 1);
        Ok(())
    }

    /// Sends the runner. If the transfer broke off, returns the reply as the inner error.
    async fn write_runner(&self) -> Result<Result<(), Reply>, RemoteError> {
        let nonce = nonce();
        let mut input = format!("{nonce}\n{}\n", self.root.replace('\n', " ")).into_bytes();
        input.extend_from_slice(runner::text().as_bytes());
        let loader = runner::install_loader(self.known() != Known::Nothing);
        let mut reply = self.start(&loader, "install", &nonce, input.into(), true).await?;
        let mut lines = Vec::new();
        while let Some(piece) = reply.next().await? {
            match piece {
                Piece::End(0) => return Ok(Ok(())),
                Piece::Line(line) => lines.push(line),
                _ => break,
            }
        }
        if lines.is_empty() {
            return Ok(Err(reply));
        }
        if lines.iter().any(|line| line.starts_with("error unmounted ")) {
            return Err(self.refusal(&lines));
        }
        Err(self.not_installed(lines.join("; ").replacen("error install ", "", 1)))
    }

    fn not_installed(&self, reason: String) -> RemoteError {
        RemoteError::NotInstalled { host: self.host.to_string(), reason }
    }

    /// The error that a refused reply's lines describe.
    pub(super) fn refusal(&self, lines: &[String]) -> RemoteError {
        refusal(&self.host, lines)
    }

    /// The error of a host that accepts a command and does not answer.
    pub(super) fn silent(&self, after: Duration) -> RemoteError {
        silent(&self.host, after)
    }

    pub(super) fn garbled(&self, verb: Verb, what: &str) -> RemoteError {
        RemoteError::Garbled { host: self.host.to_string(), verb: verb.word(), what: what.to_owned() }
    }
}

fn silent(host: &str, after: Duration) -> RemoteError {
    TransportError::lost(host, format!("it accepts commands but has not answered for {} s", after.as_secs())).into()
}

fn refusal(host: &str, lines: &[String]) -> RemoteError {
    let told = lines.iter().find_map(|line| line.strip_prefix("error "));
    let (class, text) = told.and_then(|told| told.split_once(' ')).unwrap_or(("request", "no reason given"));
    let class = RefusalClass::from(class);
    if class == RefusalClass::Unmounted {
        let left = lines.iter().filter_map(|line| line.strip_prefix("left ")).map(str::to_owned).collect();
        return RemoteError::Rootless { host: host.to_owned(), root: text.to_owned(), left };
    }
    RemoteError::Refused { host: host.to_owned(), class, text: text.to_owned() }
}

/// A reply that is still arriving.
pub struct Reply {
    host: Arc<str>,
    verb: &'static str,
    frames: Frames,
    /// Open only where a pack follows the request.
    pub(super) stdin: Option<mpsc::Sender<Bytes>>,
    output: mpsc::UnboundedReceiver<Output>,
    stderr: Vec<u8>,
    exit: Option<Exit>,
    first: Option<Piece>,
}

impl Reply {
    /// The next piece; `None` after the command has ended.
    pub async fn next(&mut self) -> Result<Option<Piece>, RemoteError> {
        if let Some(piece) = self.first.take() {
            return Ok(Some(piece));
        }
        loop {
            let piece = self.frames.piece().map_err(|error| RemoteError::Garbled {
                host: self.host.to_string(),
                verb: self.verb,
                what: error.to_string(),
            })?;
            if piece.is_some() {
                return Ok(piece);
            }
            match self.output.recv().await {
                Some(Output::Stdout(bytes)) => self.frames.push(bytes),
                Some(Output::Stderr(bytes)) => self.keep_stderr(&bytes),
                Some(Output::Exit(exit)) => self.exit = Some(exit),
                Some(Output::Severed(error)) => return Err(error.into()),
                None => return Ok(None),
            }
        }
    }

    fn keep_stderr(&mut self, bytes: &[u8]) {
        self.stderr.extend_from_slice(bytes);
        let excess = self.stderr.len().saturating_sub(2048);
        self.stderr.drain(..excess);
    }

    /// Whether the server never started the command, once it has ended.
    fn was_unheard(&self) -> bool {
        self.exit.is_none()
    }

    pub(super) fn garbled(&self, what: &str) -> RemoteError {
        RemoteError::Garbled { host: self.host.to_string(), verb: self.verb, what: what.to_owned() }
    }

    pub(super) fn silent(&self, after: Duration) -> RemoteError {
        silent(&self.host, after)
    }

    pub(super) fn refused(&self, lines: &[String]) -> RemoteError {
        refusal(&self.host, lines)
    }

    /// The error of a command that ended before its frame was complete.
    pub(super) fn cut(&self) -> RemoteError {
        RemoteError::Cut { host: self.host.to_string(), verb: self.verb, noise: self.words() }
    }

    /// The host's output outside the frame, on one line.
    fn words(&self) -> String {
        let stderr = String::from_utf8_lossy(&self.stderr);
        let said = [stderr.trim().to_owned(), self.frames.noise()].join(" ");
        let clean: String = said.trim().chars().map(|c| if c.is_control() { ' ' } else { c }).take(400).collect();
        match (&self.exit, clean.is_empty()) {
            (Some(Exit::Code(code)), true) => format!("exit status {code}, no message"),
            (Some(Exit::Signal(name)), true) => format!("killed by SIG{name}"),
            _ => clean,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// That a host has nothing of a handoff needs evidence.
    #[test]
    fn a_refusal_without_a_reason_does_not_say_that_the_handoff_is_unknown() {
        for lines in [vec![], vec!["error".to_owned()], vec!["error unknown".to_owned()]] {
            assert!(!refusal("buildbox", &lines).is_refused(&RefusalClass::Unknown), "{lines:?}");
        }
        let left = ["left /h/trees/x-1/x".to_owned(), "error unmounted /h".to_owned()];
        assert_eq!(
            refusal("buildbox", &left).to_string(),
            "buildbox has no /h: it was deleted, or its file system is not mounted (left of it: /h/trees/x-1/x)"
        );
        let refused = refusal("buildbox", &["error unknown no attempt 3".to_owned()]);
        assert!(refused.is_refused(&RefusalClass::Unknown));
    }
}
