//! Commands over one connection. Each has a channel and a task that waits for nothing but its channel.

#[cfg(test)]
mod tests;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use bytes::Bytes;
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig, client};
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::connect::{DisconnectCause, Link, lower};
use crate::transport::process::STDIN_PIECES;
use crate::transport::session_limit::{Refused, SessionLimit};
use crate::transport::{Counters, Exec, Exit, Output, Transport, TransportError};

/// The SSH extended data type of stderr (RFC 4254 section 5.2).
const STDERR: u32 = 1;

/// How long a server may refuse sessions although we have none open: an abandoned command keeps its session until it
/// ends, a poll for up to 20 s.
const PATIENCE: Duration = Duration::from_secs(25);
/// The first pause between two tries: the time that a server needs to free a session that has just ended.
const FIRST_RETRY: Duration = Duration::from_millis(20);
const LONGEST_RETRY: Duration = Duration::from_millis(500);

/// A connection that is logged in. It runs as many commands at once as the server allows; others wait.
pub struct Connection {
    host: String,
    link: Link,
    session_limit: SessionLimit,
    /// Whether the server has ever opened a session.
    opened: AtomicBool,
    counters: Arc<Counters>,
}

impl Connection {
    /// `host` is the name used in errors.
    pub fn new(host: &str, link: Link, counters: Arc<Counters>) -> Self {
        Connection {
            host: host.to_owned(),
            link,
            session_limit: SessionLimit::new(),
            opened: AtomicBool::new(false),
            counters,
        }
    }

    fn gone(&self) -> TransportError {
        TransportError::lost(&self.host, self.link.disconnect.cause())
    }

    /// Opens a session, and waits while the server allows no more.
    async fn open(&self) -> Result<(OwnedSemaphorePermit, Channel<client::Msg>), TransportError> {
        let mut permit = self.session_limit.permit().await.ok_or_else(|| self.gone())?;
        let (began, mut delay) = (Instant::now(), FIRST_RETRY);
        loop {
            let error = match self.link.handle.channel_open_session().await {
                Ok(channel) => {
                    self.opened.store(true, Ordering::Relaxed);
                    return Ok((permit, channel));
                }
                Err(error @ russh::Error::ChannelOpenFailure(_)) => error,
                Err(_) => return Err(self.gone()),
            };
            permit = match self.session_limit.refused(permit) {
                Refused::Wait => self.session_limit.permit().await.ok_or_else(|| self.gone())?,
                Refused::Alone(_) if !self.opened.load(Ordering::Relaxed) => return Err(self.closed(&error)),
                Refused::Alone(_) if began.elapsed() > PATIENCE => return Err(self.failed(&error)),
                Refused::Alone(permit) => {
                    tokio::time::sleep(delay).await;
                    delay = (delay * 2).min(LONGEST_RETRY);
                    permit
                }
            };
        }
    }

    /// A server that refuses even the first session is configured to do so.
    fn closed(&self, error: &russh::Error) -> TransportError {
        let reason = format!("the server opens no session for this user: {}", lower(error));
        TransportError::Config { host: self.host.clone(), reason }
    }

    fn failed(&self, error: &russh::Error) -> TransportError {
        match error {
            russh::Error::ChannelOpenFailure(_) => {
                TransportError::Busy { host: self.host.clone(), reason: lower(error) }
            }
            _ => self.gone(),
        }
    }
}

#[async_trait::async_trait]
impl Transport for Connection {
    /// Takes two round trips: one for the channel, one for the command with its first input and output. The server's
    /// reply to the command is not awaited.
    async fn exec(&self, command: &str) -> Result<Exec, TransportError> {
        let (permit, channel) = self.open().await?;
        self.counters.channel();
        channel.exec(true, command).await.map_err(|e| self.failed(&e))?;
        self.counters.exec();
        let (stdin, input) = mpsc::channel(STDIN_PIECES);
        let (sender, output) = mpsc::unbounded_channel();
        let (read, write) = channel.split();
        let write = Arc::new(write);
        let feeder = tokio::spawn(feed(write.clone(), input));
        let pump =
            Pump { host: self.host.clone(), disconnect: self.link.disconnect.clone(), sender, feeder, _permit: permit };
        tokio::spawn(pump.run(read, write));
        Ok(Exec { stdin, output })
    }

    fn at_once(&self) -> usize {
        self.session_limit.at_once()
    }
}

type Write = Arc<ChannelWriteHalf<client::Msg>>;

/// Sends input to the command's stdin. It may block for ever if the command reads nothing; the pump then ends it.
async fn feed(write: Write, mut input: mpsc::Receiver<Bytes>) {
    while let Some(bytes) = input.recv().await {
        if write.data_bytes(bytes).await.is_err() {
            return;
        }
    }
    // The reader notices a closed connection, so an error here is ignored.
    let _ = write.eof().await;
}

/// Moves a channel's messages to the reader of an [`Exec`]. A channel that is not read would freeze the whole
/// connection, so this waits for nothing else.
struct Pump {
    host: String,
    disconnect: Arc<DisconnectCause>,
    sender: mpsc::UnboundedSender<Output>,
    feeder: tokio::task::JoinHandle<()>,
    _permit: OwnedSemaphorePermit,
}

impl Pump {
    async fn run(self, mut read: ChannelReadHalf, write: Write) {
        let mut end = None;
        let (mut refused, mut heard, mut closed) = (false, false, false);
        loop {
            let message = tokio::select! {
                message = read.wait() => message,
                () = self.sender.closed() => break,
            };
            match message {
                Some(ChannelMsg::Data { data }) => drop(self.sender.send(Output::Stdout(data))),
                Some(ChannelMsg::ExtendedData { data, ext: STDERR }) => drop(self.sender.send(Output::Stderr(data))),
                Some(ChannelMsg::ExitStatus { exit_status }) => end = Some(Exit::Code(exit_status)),
                Some(ChannelMsg::ExitSignal { signal_name, .. }) => end = Some(Exit::Signal(signal(&signal_name))),
                Some(ChannelMsg::Failure) => {
                    refused = true;
                    break;
                }
                Some(ChannelMsg::Success) => heard = true,
                // Only the server sends this message; a lost connection gives none. A status comes before it.
                Some(ChannelMsg::Close) => {
                    closed = true;
                    break;
                }
                // Eof and window changes say nothing about the command, which ends with the last message.
                Some(_) => {}
                None => break,
            }
        }
        self.feeder.abort();
        let last = match end {
            Some(exit) => Output::Exit(exit),
            // dropbear closes a channel on which no command runs yet when another command of the connection ends.
            None if closed && !heard => return,
            None if refused => Output::Severed(TransportError::Config {
                host: self.host,
                reason: "the server refuses to run commands for this user".to_owned(),
            }),
            None if closed => Output::Severed(TransportError::Closed { host: self.host }),
            None => Output::Severed(TransportError::lost(&self.host, self.disconnect.cause())),
        };
        if self.sender.send(last).is_err() || refused {
            // The [`Exec`] was dropped: the command loses its streams, as when the connection ends, and keeps running.
            let _ = write.close().await;
        }
    }
}

fn signal(signal: &Sig) -> String {
    match signal {
        Sig::Custom(name) => name.clone(),
        known => format!("{known:?}"),
    }
}
