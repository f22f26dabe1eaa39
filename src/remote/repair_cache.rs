//! `repair-cache`: prepares a damaged cache to take the objects again that it has lost.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::id::RemoteName;

impl Remote {
    /// Moves damaged objects of the cache `key` aside and deletes the tips that pushes build on; captures stay.
    /// `false`: the cache was not damaged, and nothing was changed.
    pub async fn repair_cache(&self, name: &RemoteName, key: &str, format: &str) -> Result<bool, RemoteError> {
        let request = || Request::new().line("name", name).line("key", key).line("format", format);
        let lines = self.call(Verb::RepairCache, request).await?;
        Ok(lines.iter().any(|line| line.strip_prefix("repaired ").is_some_and(|count| count != "0")))
    }
}
