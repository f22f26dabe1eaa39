//! `capture`: captures the work of an attempt whose watcher died.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;
use crate::model::uncaptured::Uncaptured;

impl Remote {
    /// Returns the commit of the attempt's capture and what it lacks. The capture is made now unless it exists.
    pub async fn capture(
        &self,
        name: &RemoteName,
        attempt: AttemptNo,
    ) -> Result<(Oid, Option<Uncaptured>), RemoteError> {
        let request = || Request::new().line("name", name).line("attempt", attempt);
        let lines = self.call(Verb::Capture, request).await?;
        let oid = lines.iter().find_map(|line| line.strip_prefix("capture ")?.trim().parse().ok());
        let lacks = Uncaptured::read(lines.iter().filter_map(|line| line.strip_prefix("lacks ")));
        Ok((oid.ok_or_else(|| self.garbled(Verb::Capture, "the object id is missing"))?, lacks))
    }
}
