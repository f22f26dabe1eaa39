//! `set-next`: writes what follows an attempt. The first writer wins; the answer is what is stored there.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::{AttemptNo, Next, Writer};
use crate::model::id::RemoteName;

impl Remote {
    /// Writes `next` unless it exists, and returns the link that is stored there.
    pub async fn set_next(&self, name: &RemoteName, attempt: AttemptNo, next: &Next) -> Result<String, RemoteError> {
        let link = next.to_link(&Writer::Laptop);
        let request = || Request::new().line("name", name).line("attempt", attempt).line("next", &link);
        let lines = self.call(Verb::SetNext, request).await?;
        let stands = lines.iter().find_map(|line| line.strip_prefix("next "));
        stands.map(str::to_owned).ok_or_else(|| self.garbled(Verb::SetNext, "the `next` line is missing"))
    }
}
