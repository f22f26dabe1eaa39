//! `set-epoch`: records a change of owner.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::Epoch;
use crate::model::id::RemoteName;

impl Remote {
    /// Sends the host a higher epoch. `true`: the agent of an attempt may have started before.
    pub async fn set_epoch(&self, name: &RemoteName, epoch: Epoch) -> Result<bool, RemoteError> {
        let request = || Request::new().line("name", name).line("epoch", epoch);
        let lines = self.call(Verb::SetEpoch, request).await?;
        let intent = lines.iter().find_map(|line| line.strip_prefix("intent "));
        match intent.map(str::trim) {
            Some("0") => Ok(false),
            Some("1") => Ok(true),
            _ => Err(self.garbled(Verb::SetEpoch, "the `intent` line is missing")),
        }
    }
}
