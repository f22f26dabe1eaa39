//! From the command line to the services that a command needs.

use std::sync::Arc;

use super::Global;
use super::error::Error;
use super::ways;
use crate::agent::profiles::{self, Profiles};
use crate::config::hosts::Hosts;
use crate::config::paths::Paths;
use crate::git::repository::Repository;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::state::store::Store;
use crate::supervise::progress::Reporter;
use crate::supervise::record_files::{document_of, given_from};
use crate::supervise::services::Services;
use crate::transport::Options;
use crate::transport::{NonInteractive, Prompter};
use crate::ui::ask::Terminal;
use crate::ui::{json::Json, live::Live, plain::Plain, raw::Raw};

/// How a followed handoff is shown.
#[derive(Debug, Clone, Copy, clap::Args)]
pub struct Show {
    /// Print one JSON event per line
    #[arg(long, conflicts_with = "raw")]
    pub json: bool,
    /// Print the agent's output unchanged, byte for byte
    #[arg(long)]
    pub raw: bool,
}

impl Show {
    pub fn reporter(self) -> Arc<dyn Reporter> {
        use std::io::IsTerminal;
        if self.json {
            Arc::new(Json)
        } else if self.raw {
            Arc::new(Raw)
        } else if std::io::stderr().is_terminal() && std::io::stdout().is_terminal() {
            Arc::new(Live::new())
        } else {
            Arc::new(Plain)
        }
    }
}

/// The configuration directories.
pub fn paths() -> Result<Paths, Error> {
    Paths::from_env().map_err(Error::failed)
}

/// How hosts are connected to.
pub fn connect() -> Options {
    Options { interactive: Terminal::is_there(), ..Options::default() }
}

/// Who answers questions: a person, where one is at a terminal.
pub fn prompter() -> Arc<dyn Prompter> {
    if Terminal::is_there() { Arc::new(Terminal) } else { Arc::new(NonInteractive) }
}

/// The hosts file that is in force.
pub fn hosts(global: &Global) -> Result<Hosts, Error> {
    let paths = paths()?;
    let file = paths.hosts_file(global.hosts.as_deref(), None);
    let hosts = Hosts::load(&file, &paths.home).map_err(Error::usage)?;
    ways::know(&hosts);
    Ok(hosts)
}

/// Built-in agents and the user's.
pub fn agents() -> Result<Profiles, Error> {
    let file = paths()?.agents_file();
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| Error::failed(format!("could not read {}: {error}", file.display())))?,
    };
    profiles::layered(&text, &file.display().to_string()).map_err(Error::usage)
}

/// Prints on stdout. A reader that has seen enough (`| head`) is no error.
pub fn print(text: &str) {
    crate::ui::screen::print(text);
}

/// A path as a shell takes it.
pub fn quoted(path: &std::path::Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
}

/// Where the user is, or says to be.
pub fn here(global: &Global) -> Result<std::path::PathBuf, Error> {
    match &global.directory {
        Some(directory) => Ok(directory.clone()),
        None => std::env::current_dir().map_err(|error| Error::failed(format!("no current directory: {error}"))),
    }
}

/// The repository around the current directory.
pub fn repository(global: &Global) -> Result<Repository, Error> {
    Ok(Repository::discover(&here(global)?)?)
}

/// The services for the repository around the current directory.
pub fn services(global: &Global, reporter: Arc<dyn Reporter>) -> Result<Arc<Services>, Error> {
    let paths = paths()?;
    let repository = repository(global)?;
    Ok(Arc::new(Services {
        store: Store::new(repository.common_dir()),
        repository,
        hosts: hosts(global)?,
        profiles: agents()?,
        templates: paths.templates(),
        state_dir: paths.state.clone(),
        connect: connect(),
        prompter: prompter(),
        reporter,
        summaries: Default::default(),
    }))
}

/// The handoff that a prefix means; the newest when there is none.
pub fn resolve(services: &Services, prefix: Option<&str>) -> Result<HandoffId, Error> {
    match prefix {
        Some(prefix) => Ok(services.store.resolve(prefix)?),
        None => newest(services),
    }
}

fn newest(services: &Services) -> Result<HandoffId, Error> {
    let mut newest = None;
    for id in services.store.ids()? {
        let Ok(journal) = services.store.open(&id) else { continue };
        let created = journal.handoff().created;
        if newest.as_ref().is_none_or(|(when, _)| created > *when) {
            newest = Some((created, id));
        }
    }
    newest
        .map(|(_, id)| id)
        .ok_or_else(|| Error::usage("this repository has no handoffs yet").hint("handoff run --host HOST \"TASK\""))
}

/// Where the record of a handoff is, from the worktree it was given from; in the git directory with the reason.
pub fn record_of(services: &Services, handoff: &Handoff) -> String {
    let worktree = given_from(services, handoff);
    let (path, why) = document_of(services, handoff, &worktree);
    match why {
        None => path.strip_prefix(&worktree).unwrap_or(&path).display().to_string(),
        Some(why) => format!("{} ({why})", path.display()),
    }
}
