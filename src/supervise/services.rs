//! What every verb needs: the repository, its records, the configuration, the prompter and the reporter.

use std::path::PathBuf;
use std::sync::Arc;

use super::error::Error;
use super::progress::{Progress, Reporter};
use super::record_files::Summaries;
use crate::agent::profiles::{self, Profiles};
use crate::config::hosts::Hosts;
use crate::git::repository::Repository;
use crate::model::host::Host;
use crate::model::profile::Profile;
use crate::state::store::Store;
use crate::transport::Options;
use crate::transport::Prompter;

/// Shared by the verbs of one process.
pub struct Services {
    pub repository: Repository,
    pub store: Store,
    pub hosts: Hosts,
    pub profiles: Profiles,
    /// Directory of the user's templates.
    pub templates: PathBuf,
    /// The user's state directory, with the index of repositories.
    pub state_dir: PathBuf,
    pub connect: Options,
    pub prompter: Arc<dyn Prompter>,
    pub reporter: Arc<dyn Reporter>,
    pub summaries: Summaries,
}

impl Services {
    pub fn tell(&self, progress: &Progress) {
        self.reporter.tell(progress);
    }

    /// The profile of an agent, or an error with the nearest name.
    pub fn profile(&self, name: &str) -> Result<&Profile, Error> {
        Ok(profiles::find(&self.profiles, name)?)
    }

    /// The host with this name: from the hosts file, or as `ssh` resolves it.
    pub fn host(&self, name: &str) -> Result<Host, Error> {
        Ok(self.hosts.resolve(name)?)
    }
}

/// Runs blocking work (git, files) on a thread of its own.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Inner(error.to_string()))
}
