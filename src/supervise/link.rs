//! The link loop: a connection that comes back. It never decides about an attempt.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::backoff::link_delays;
use super::progress::{Progress, Reporter};
use crate::model::host::Host;
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::transport::{Asker, TransportError};
use crate::transport::{Options, connect};

/// A failure shorter than this is nobody's business.
const QUIET: Duration = Duration::from_secs(3);

/// One host and the connection to it, if there is one now.
pub struct Link {
    pub host: Host,
    options: Options,
    asker: Arc<dyn Asker>,
    reporter: Arc<dyn Reporter>,
    remote: Option<Remote>,
}

impl Link {
    pub fn new(host: Host, options: Options, asker: Arc<dyn Asker>, reporter: Arc<dyn Reporter>) -> Self {
        Link { host, options, asker, reporter, remote: None }
    }

    /// The connection, made now where there is none. One try.
    pub async fn once(&mut self) -> Result<Remote, TransportError> {
        if let Some(remote) = &self.remote {
            return Ok(remote.clone());
        }
        self.reporter.tell(&Progress::Connecting { host: self.host.name.clone() });
        let connected = connect(&self.host, &self.options, self.asker.clone()).await?;
        for text in connected.notes {
            self.reporter.tell(&Progress::Note { text });
        }
        let root = self.host.root.as_deref().unwrap_or("");
        let remote = Remote::new(connected.transport, &self.host.name, root);
        self.remote = Some(remote.clone());
        Ok(remote)
    }

    /// Goes on with a connection that somebody else has made to the same host.
    pub fn reuse(&mut self, remote: Remote) {
        self.remote = Some(remote);
    }

    /// Forgets the connection: the next use makes a new one.
    pub fn drop_connection(&mut self) {
        self.remote = None;
    }

    /// Does `call` until it succeeds or fails for good, reconnecting where the connection is gone. `unreachable` is told once it
    /// has failed for a while, and at every further try.
    pub async fn persist<T, F>(
        &mut self,
        mut call: impl FnMut(Remote) -> F,
        mut unreachable: impl FnMut(&RemoteError, Duration),
    ) -> Result<T, RemoteError>
    where
        F: Future<Output = Result<T, RemoteError>>,
    {
        let since = Instant::now();
        for delay in link_delays() {
            tokio::time::sleep(delay).await;
            let result = match self.once().await {
                Ok(remote) => call(remote).await,
                Err(error) => Err(error.into()),
            };
            match result {
                Err(error) if error.may_retry() => {
                    if error.is_severed() {
                        self.drop_connection();
                    }
                    if since.elapsed() > QUIET {
                        unreachable(&error, delay);
                    }
                }
                other => return other,
            }
        }
        // The delays never end; this is what the types cannot say.
        Err(TransportError::Unreachable { host: self.host.name.clone(), reason: "given up".into() }.into())
    }
}
