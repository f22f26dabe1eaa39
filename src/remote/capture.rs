//! `capture`: captures the work of an attempt whose watcher died.

use super::client::Remote;
use super::error::RemoteError;
use super::poll::{MOST_COMPANIONS, read_companion};
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;
use crate::model::uncaptured::Uncaptured;

/// The capture of an attempt on its host.
#[derive(Clone, Debug)]
pub struct Captured {
    pub commit: Oid,
    /// Those of the companions, by their words.
    pub companions: Vec<(String, Oid)>,
    /// What it lacks.
    pub lacks: Option<Uncaptured>,
}

impl Remote {
    /// Returns the attempt's capture. It is made now unless it exists.
    pub async fn capture(&self, name: &RemoteName, attempt: AttemptNo) -> Result<Captured, RemoteError> {
        let request = || Request::new().line("name", name).line("attempt", attempt);
        let lines = self.call(Verb::Capture, request).await?;
        let oid = lines.iter().find_map(|line| line.strip_prefix("capture ")?.trim().parse().ok());
        let lacks = Uncaptured::read(lines.iter().filter_map(|line| line.strip_prefix("lacks ")));
        let companions = lines.iter().filter_map(|line| read_companion(line.strip_prefix("companion ")?));
        Ok(Captured {
            commit: oid.ok_or_else(|| self.garbled(Verb::Capture, "the object id is missing"))?,
            companions: companions.take(MOST_COMPANIONS).collect(),
            lacks,
        })
    }
}
