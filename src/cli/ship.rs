//! `handoff ship`

use serde::Serialize;

use super::Global;
use super::companions::Companions;
use super::context;
use super::error::Error;
use super::exit;
use super::run::pattern;
use crate::config::hosts::Hosts;
use crate::git::companions;
use crate::model::host::LOCAL;
use crate::model::snapshot::{Changes, Companion, Extra, History, LeftBehind, LfsContents, Oid, SentFile, Snapshot};
use crate::supervise::error::Error as SuperviseError;
use crate::ui::text::neutral;
use crate::ui::{screen, ship_summary};

/// Show what `run` would send, leave behind and exclude
///
/// No host is asked, and nothing is sent or recorded.
#[derive(Debug, clap::Args)]
pub struct Ship {
    /// Required, because only `run` sends
    #[arg(long)]
    dry_run: bool,
    /// The host, whose `include` in hosts.toml counts
    #[arg(long, value_name = "HOST", env = "HANDOFF_HOST")]
    host: Option<String>,
    /// Also send ignored files that match this .gitignore pattern; can be repeated
    #[arg(long, value_name = "PATTERN", value_parser = pattern)]
    include: Vec<String>,
    #[command(flatten)]
    companions: Companions,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
}

/// What a ship would contain.
#[derive(Serialize, schemars::JsonSchema)]
pub struct PlannedShip<'a> {
    /// The checked-out commit, which is sent with its history; `null` on a branch without a commit.
    head: Option<&'a Oid>,
    /// `null` if HEAD is detached.
    branch: Option<&'a str>,
    /// Tree of the index.
    index_tree: &'a Oid,
    /// Tree of the files, untracked ones included.
    files_tree: &'a Oid,
    changes: Changes,
    /// The part of the history that is sent, if a partial clone does not have all of it. `fetched` is what `run` would
    /// fetch.
    #[serde(skip_serializing_if = "Option::is_none")]
    history: Option<&'a History>,
    /// Ignored files that are sent too.
    #[serde(skip_serializing_if = "Option::is_none")]
    ignored: Option<PlannedFiles<'a>>,
    /// Files of Git LFS whose content is sent. `bytes` counts each content once.
    #[serde(skip_serializing_if = "Option::is_none")]
    lfs: Option<PlannedFiles<'a>>,
    /// Submodules and other repositories that are sent too.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    repositories: Vec<PlannedRepository<'a>>,
    /// An operation of git that is not finished, such as "a merge in progress".
    #[serde(skip_serializing_if = "Option::is_none")]
    operation: Option<&'a str>,
    /// What is left behind with the reason; excluded files have the reason "ignored".
    left_behind: &'a [LeftBehind],
    /// Patterns of --include, and of `include` in hosts.toml, that match nothing of what is sent.
    unmatched: &'a [String],
}

/// Another repository that would be sent.
#[derive(Serialize, schemars::JsonSchema)]
pub struct PlannedRepository<'a> {
    /// Its directory, from the top of the outer one.
    path: &'a str,
    head: Option<&'a Oid>,
    /// Tree of the files, untracked ones included.
    files_tree: &'a Oid,
    changes: Changes,
}

impl<'a> From<&'a Companion> for PlannedRepository<'a> {
    fn from(Companion { path, work }: &'a Companion) -> Self {
        let changes = work.changes.unwrap_or_default();
        PlannedRepository { path, head: work.head.commit(), files_tree: &work.files_tree, changes }
    }
}

/// Files that would be sent in addition to those that git has.
#[derive(Serialize, schemars::JsonSchema)]
pub struct PlannedFiles<'a> {
    files: u64,
    bytes: u64,
    /// The first of them by name.
    first: &'a [SentFile],
}

impl<'a> From<&'a Extra> for PlannedFiles<'a> {
    fn from(extra: &'a Extra) -> Self {
        PlannedFiles { files: extra.files, bytes: extra.bytes, first: &extra.first }
    }
}

impl<'a> From<&'a LfsContents> for PlannedFiles<'a> {
    fn from(lfs: &'a LfsContents) -> Self {
        PlannedFiles { files: lfs.files, bytes: lfs.bytes, first: &lfs.first }
    }
}

impl<'a> From<&'a Snapshot> for PlannedShip<'a> {
    fn from(snapshot: &'a Snapshot) -> Self {
        PlannedShip {
            head: snapshot.head.commit(),
            branch: snapshot.branch.as_deref(),
            index_tree: &snapshot.index_tree,
            files_tree: &snapshot.files_tree,
            changes: snapshot.changes.unwrap_or_default(),
            history: snapshot.history.as_ref(),
            ignored: snapshot.extra.as_ref().map(PlannedFiles::from),
            lfs: snapshot.lfs.as_ref().map(PlannedFiles::from),
            repositories: snapshot.companions.iter().map(PlannedRepository::from).collect(),
            operation: snapshot.operation.as_ref().map(|operation| operation.what.as_str()),
            left_behind: &snapshot.left_behind,
            unmatched: &snapshot.unmatched,
        }
    }
}

impl Ship {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        if !self.dry_run {
            return Err(Error::usage("`handoff ship` only shows what would be sent")
                .hint("handoff ship --dry-run")
                .hint("handoff run --host HOST \"TASK\"  (sends it, and starts the task)"));
        }
        let repository = context::repository(global)?;
        let mut include = self.included(&context::hosts(global)?)?;
        let configured = include.clone();
        include.extend(self.include);
        let named = self.companions.named(&repository)?;
        let preview = tokio::task::spawn_blocking(move || companions::preview(&repository, &include, &named)).await;
        let mut snapshot = preview.map_err(|error| Error::failed(format!("internal error: {error}")))??;
        if self.json {
            outln!("{}", screen::json(&PlannedShip::from(&snapshot)));
            return Ok(exit::OK);
        }
        let (of_hosts, typed) = snapshot.unmatched.drain(..).partition(|pattern| configured.contains(pattern));
        snapshot.unmatched = typed;
        ship_summary::whole(&snapshot).iter().for_each(|line| outln!("{line}"));
        let of_hosts: Vec<String> = of_hosts;
        of_hosts
            .iter()
            .for_each(|pattern| outln!("note: `include` of hosts.toml: {} matches nothing here", neutral(pattern)));
        Ok(exit::OK)
    }

    /// The patterns of the host that `run` would use. Without a host, they must not depend on it.
    fn included(&self, hosts: &Hosts) -> Result<Vec<String>, Error> {
        let mut named = hosts.hosts.iter().filter(|host| host.name != LOCAL);
        let first = match (&self.host, named.next()) {
            (Some(name), _) => return Ok(hosts.resolve(name).map_err(SuperviseError::from)?.include),
            (None, None) => return Ok(hosts.resolve(LOCAL).map_err(SuperviseError::from)?.include),
            (None, Some(first)) => first,
        };
        match named.find(|host| host.include != first.include) {
            None => Ok(first.include.clone()),
            Some(other) => Err(Error::usage("no host is named, and hosts.toml has another `include` for each")
                .hint(format!("handoff ship --dry-run --host {}", first.name))
                .hint(format!("handoff ship --dry-run --host {}", other.name))),
        }
    }
}
