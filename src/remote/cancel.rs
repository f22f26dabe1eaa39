//! `cancel`: ends the whole process tree of an attempt.

use super::client::Remote;
use super::error::RemoteError;
use super::poll::StateLine;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::{AttemptNo, CancelReason};
use crate::model::id::RemoteName;

impl Remote {
    /// Marks the attempt as to be ended for `reason`; TERM comes first, KILL after `grace` seconds.
    pub async fn cancel(
        &self,
        name: &RemoteName,
        attempt: AttemptNo,
        reason: &CancelReason,
        grace: u64,
    ) -> Result<StateLine, RemoteError> {
        let request = || {
            let request = Request::new().line("name", name).line("attempt", attempt);
            request.line("reason", reason).line("grace", grace)
        };
        let lines = self.call(Verb::Cancel, request).await?;
        self.state_of(Verb::Cancel, &lines)
    }
}
