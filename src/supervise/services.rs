//! What every verb needs: the repository, its records, the configuration, the prompter and the reporter.

use std::future::{Future, poll_fn};
use std::path::PathBuf;
use std::sync::Arc;
use std::task::Poll;

use crate::agent::profiles::{self, Profiles};
use crate::config::hosts::Hosts;
use crate::git::repository::Repository;
use crate::model::host::Host;
use crate::model::profile::Profile;
use crate::state::store::Store;
use crate::supervise::error::Error;
use crate::supervise::progress::{Progress, Reporter};
use crate::supervise::summaries::Summaries;
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

/// Runs futures at the same time, on the task that calls it. The results have the order of the futures.
pub async fn join_all<F: Future>(futures: impl IntoIterator<Item = F>) -> Vec<F::Output> {
    let mut all: Vec<_> = futures.into_iter().map(|future| (Box::pin(future), None)).collect();
    poll_fn(|context| {
        let mut all_ready = true;
        for (future, output) in &mut all {
            if output.is_none() {
                match future.as_mut().poll(context) {
                    Poll::Ready(value) => *output = Some(value),
                    Poll::Pending => all_ready = false,
                }
            }
        }
        if all_ready { Poll::Ready(()) } else { Poll::Pending }
    })
    .await;
    all.into_iter().filter_map(|(_, output)| output).collect()
}

/// Runs blocking work (git, files) on a thread of its own.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, Error> {
    tokio::task::spawn_blocking(work).await.map_err(|error| Error::Inner(error.to_string()))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn futures_run_at_the_same_time_and_results_keep_their_order() {
        let began = tokio::time::Instant::now();
        let after = |seconds| async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            seconds
        };
        assert_eq!(join_all([30, 10, 20].map(after)).await, [30, 10, 20]);
        assert_eq!(began.elapsed(), Duration::from_secs(30));
    }
}
