//! `cancel`: ends an attempt's whole process tree.

use super::client::Remote;
use super::error::RemoteError;
use super::poll::StateLine;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::RemoteName;

impl Remote {
    /// Marks the attempt as to be ended for `reason` (one word); TERM comes first, KILL after `grace` seconds.
    pub async fn cancel(
        &self,
        name: &RemoteName,
        attempt: AttemptNo,
        reason: &str,
        grace: u64,
    ) -> Result<StateLine, RemoteError> {
        let request = || {
            let request = Request::new().line("name", name).line("attempt", attempt);
            request.line("reason", reason).line("grace", grace)
        };
        let lines = self.call(Verb::Cancel, request).await?;
        self.state_of(Verb::Cancel, &lines)
    }

    /// Sends the watcher of an attempt home that waits for a ship nobody sends now. The attempt stays as it is: an
    /// `ensure` takes it up again. One whose agent was started, or may have been, is left alone.
    pub async fn withdraw(&self, name: &RemoteName, attempt: AttemptNo) -> Result<StateLine, RemoteError> {
        self.cancel(name, attempt, "withdraw", 0).await
    }
}
