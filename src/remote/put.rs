//! `put`: writes what follows an attempt, or a change of owner. First writer wins; what stands there is the answer.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::script::Verb;
use crate::model::attempt::{AttemptNo, Epoch, Next};
use crate::model::id::HostName;

impl Remote {
    /// Writes `next` unless one is there; gives the link that stands there.
    pub async fn put_next(&self, name: &HostName, attempt: AttemptNo, next: &Next) -> Result<String, RemoteError> {
        let link = next.to_link("laptop");
        let request = || Request::new().line("name", name).line("attempt", attempt).line("next", &link);
        let lines = self.call(Verb::Put, request).await?;
        let stands = lines.iter().find_map(|line| line.strip_prefix("next "));
        stands.map(str::to_owned).ok_or_else(|| self.garbled(Verb::Put, "no word of what follows"))
    }

    /// Tells the host of a higher epoch. `true`: an attempt's agent may have been started before.
    pub async fn put_epoch(&self, name: &HostName, epoch: Epoch) -> Result<bool, RemoteError> {
        let request = || Request::new().line("name", name).line("epoch", epoch);
        let lines = self.call(Verb::Put, request).await?;
        let intent = lines.iter().find_map(|line| line.strip_prefix("intent "));
        match intent.map(str::trim) {
            Some("0") => Ok(false),
            Some("1") => Ok(true),
            _ => Err(self.garbled(Verb::Put, "no word of whether an agent was started")),
        }
    }
}
