//! The link loop: it reconnects to a host. It never decides about an attempt.

pub mod backoff;
pub mod retry;
pub mod sleep_detector;

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

use crate::model::host::Host;
use crate::model::root::Known;
use crate::remote::client::Remote;
use crate::remote::poll::LONGEST_WAIT;
use crate::supervise::connection::retry::{Retries, Stage};
use crate::supervise::connection::sleep_detector::woken;
use crate::supervise::error::{Error, Remedy, remedy};
use crate::supervise::progress::{Progress, Reporter};
use crate::transport::{Connected, Options, Prompter, TransportError, connect};

/// How long a command waits for a host that does not answer.
pub const PATIENCE: Duration = Duration::from_secs(10);
/// Failures that are shorter than this are not reported.
pub(in crate::supervise) const QUIET: Duration = Duration::from_secs(3);

/// Makes connections over the network; a test supplies its own.
#[async_trait::async_trait]
pub trait Dial: Send + Sync {
    /// One try. The host's name is resolved each time, because the configuration may change while we run.
    async fn dial(&self, host: &Host) -> Result<Connected, TransportError>;
}

struct Network {
    options: Options,
    prompter: Arc<dyn Prompter>,
}

#[async_trait::async_trait]
impl Dial for Network {
    async fn dial(&self, host: &Host) -> Result<Connected, TransportError> {
        connect(host, &self.options, self.prompter.clone()).await
    }
}

/// One host, and the connection to it if there is one.
pub struct HostConnection {
    pub host: Host,
    /// Whether this process has reported that the host is out of reach.
    pub(in crate::supervise) is_loss_reported: bool,
    /// Milliseconds after which a poll ends by itself.
    pub(in crate::supervise) longest_wait: u64,
    dial: Arc<dyn Dial>,
    reporter: Arc<dyn Reporter>,
    /// What is known of the host's root. The connection reads it at each request.
    known: Arc<Mutex<Known>>,
    /// The connection and when it was made.
    remote: Option<(Remote, Instant)>,
}

impl HostConnection {
    pub fn new(host: Host, options: Options, prompter: Arc<dyn Prompter>, reporter: Arc<dyn Reporter>) -> Self {
        HostConnection::by(host, Arc::new(Network { options, prompter }), reporter)
    }

    /// A connection that `dial` makes, again after each loss.
    pub fn by(host: Host, dial: Arc<dyn Dial>, reporter: Arc<dyn Reporter>) -> Self {
        HostConnection {
            host,
            is_loss_reported: false,
            longest_wait: LONGEST_WAIT,
            dial,
            reporter,
            known: Arc::default(),
            remote: None,
        }
    }

    /// Sets what is known of the host's root.
    pub fn know(&mut self, known: Known) {
        *self.known.lock().unwrap_or_else(PoisonError::into_inner) = known;
    }

    /// The connection, made now if there is none. One try.
    pub async fn once(&mut self) -> Result<Remote, TransportError> {
        if let Some((remote, _)) = &self.remote {
            return Ok(remote.clone());
        }
        self.reporter.tell(&Progress::Connecting { host: self.host.name.clone() });
        let connected = self.dial.dial(&self.host).await?;
        for text in connected.notes {
            self.reporter.tell(&Progress::Note { text });
        }
        let root = self.host.root.as_deref().unwrap_or("");
        let remote = Remote::new(connected.transport, &self.host.name, root).with_known(self.known.clone());
        self.remote = Some((remote.clone(), Instant::now()));
        Ok(remote)
    }

    /// Uses a connection that was made elsewhere to the same host.
    pub fn reuse(&mut self, remote: Remote) {
        self.remote = Some((remote.with_known(self.known.clone()), Instant::now()));
    }

    /// The connection, for a user who waits for it: temporary failures are retried for a short while.
    pub async fn patiently(&mut self) -> Result<Remote, TransportError> {
        let mut retries = Retries::new(Stage::FirstContact);
        loop {
            let error = match self.once().await {
                Ok(remote) => return Ok(remote),
                Err(error) => error,
            };
            let Some(delay) = retries.after(&error.clone().into(), None) else { return Err(error) };
            if retries.since().elapsed() > QUIET {
                self.reporter.tell(&Progress::Note { text: format!("{error}; retrying") });
            }
            tokio::time::sleep(delay).await;
        }
    }

    /// Drops the connection. The next use makes a new one.
    pub fn drop_connection(&mut self) {
        self.remote = None;
    }

    /// The age of the connection. `None`: there is none.
    pub fn stood(&self) -> Option<Duration> {
        self.remote.as_ref().map(|(_, since)| since.elapsed())
    }

    /// After a failure: drops a connection that is of no more use. Returns when to try again; `None`: never.
    pub fn failed(&mut self, error: &Error, retries: &mut Retries) -> Option<Duration> {
        let delay = retries.after(error, self.stood());
        if remedy(error) == Remedy::Reconnect {
            self.drop_connection();
        }
        delay
    }
}

/// Sleeps until `delay` is over or the machine wakes from sleep. Returns whether it woke.
pub async fn pause(delay: Duration) -> bool {
    if delay.is_zero() {
        return false;
    }
    tokio::select! {
        () = tokio::time::sleep(delay) => false,
        () = woken() => true,
    }
}
