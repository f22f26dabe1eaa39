//! What a command needs before it can act: directories, configuration, repository, services.

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
use crate::state::chat;
use crate::state::store::Store;
use crate::supervise::driver::{Driver, with_unfinished_checkout};
use crate::supervise::progress::Reporter;
use crate::supervise::record::{created_in, document_of};
use crate::supervise::services::Services;
use crate::transport::{NonInteractive, Prompter};
use crate::ui::ask::Terminal;
use crate::ui::plain::PlainErrors;
use crate::ui::text::{first_line, neutral};
use crate::ui::{json::Json, live::Live, plain::Plain, raw::Raw};

/// How a followed handoff is printed.
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

/// Who answers questions: the user, if there is a terminal.
pub fn prompter() -> Arc<dyn Prompter> {
    if Terminal::is_there() { Arc::new(Terminal) } else { Arc::new(NonInteractive) }
}

/// The hosts file that is used.
pub fn hosts(global: &Global) -> Result<Hosts, Error> {
    let paths = paths()?;
    let file = paths.hosts_file(global.hosts.as_deref(), None);
    let hosts = Hosts::load(&file, &paths.home).map_err(Error::usage)?;
    ways::know(&hosts);
    Ok(hosts)
}

/// The built-in agents and the user's.
pub fn agents() -> Result<Profiles, Error> {
    let file = paths()?.agents_file();
    let text = match std::fs::read_to_string(&file) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => String::new(),
        text => text.map_err(|error| Error::failed(format!("could not read {}: {error}", file.display())))?,
    };
    profiles::layered(&text, &file.display().to_string()).map_err(Error::usage)
}

/// Prints on stdout. A reader that closes the pipe early, such as `head`, is no error.
pub fn print(text: &str) {
    crate::ui::screen::print(text);
}

/// A path, quoted for a shell.
pub fn quoted(path: &std::path::Path) -> String {
    let text = path.to_string_lossy();
    shlex::try_quote(&text).map_or_else(|_| text.to_string(), |quoted| quoted.into_owned())
}

/// The path of this program, for files that start it: an editor or a service has another PATH. A link on PATH is better than
/// the file that it leads to, because package managers put each version into a directory of its own.
pub fn program() -> Result<std::path::PathBuf, Error> {
    let here =
        std::env::current_exe().map_err(|error| Error::failed(format!("could not find this program: {error}")))?;
    let path = std::env::var_os("PATH").unwrap_or_default();
    let places = std::env::split_paths(&path).filter(|directory| directory.is_absolute());
    let is_this = |link: &std::path::PathBuf| {
        link.canonicalize().is_ok_and(|file| here.canonicalize().is_ok_and(|own| own == file))
    };
    let found = here.file_name().and_then(|name| places.map(|directory| directory.join(name)).find(is_this));
    Ok(found.unwrap_or(here))
}

/// The directory of the user, or that of `-C`.
pub fn here(global: &Global) -> Result<std::path::PathBuf, Error> {
    match &global.directory {
        Some(directory) => match std::fs::metadata(directory) {
            Ok(meta) if meta.is_dir() => Ok(directory.clone()),
            Ok(_) => Err(Error::usage(format!("-C {}: this is not a directory", directory.display()))),
            Err(error) => Err(Error::usage(format!("-C {}: {}", directory.display(), crate::ui::text::plain(&error)))),
        },
        None => std::env::current_dir().map_err(|error| Error::failed(format!("no current directory: {error}"))),
    }
}

/// If an agent in Cursor started this, lets its chat report the handoff when it comes to rest. The handoff itself does not
/// depend on that, so a failure is only a note.
pub fn report_to_chat(global: &Global, services: &Services, id: &HandoffId) {
    // Cursor sets this variable in the shells of its agent.
    let is_in_cursor = global.in_cursor || std::env::var_os("CURSOR_AGENT").is_some();
    let is_active = || services.store.open(id).is_ok_and(|journal| journal.handoff().status().is_active());
    if is_in_cursor
        && is_active()
        && let Err(error) = chat::expect(&services.store.directory(id))
    {
        errln!("the chat will not report {id}: {error}");
    }
}

/// The repository around the current directory.
pub fn repository(global: &Global) -> Result<Repository, Error> {
    Ok(Repository::discover(&here(global)?)?)
}

/// The services for the repository around the current directory.
pub fn services(global: &Global, reporter: Arc<dyn Reporter>) -> Result<Arc<Services>, Error> {
    let services = Arc::new(services_with(global, reporter)?);
    for id in with_unfinished_checkout(&services) {
        // A command may report nothing, but the user always reads what happens to the checkout.
        drop(Driver::open(&Arc::new(services_with(global, Arc::new(PlainErrors))?), &id));
    }
    Ok(services)
}

/// The services of a command that runs without a user.
pub fn services_unattended(global: &Global, reporter: Arc<dyn Reporter>) -> Result<Services, Error> {
    Ok(Services { prompter: Arc::new(NonInteractive), ..services_with(global, reporter)? })
}

fn services_with(global: &Global, reporter: Arc<dyn Reporter>) -> Result<Services, Error> {
    let paths = paths()?;
    let repository = repository(global)?;
    Ok(Services {
        store: Store::new(repository.common_dir()),
        repository,
        hosts: hosts(global)?,
        profiles: agents()?,
        templates: paths.templates(),
        state_dir: paths.state.clone(),
        connect: ways::connect(),
        prompter: prompter(),
        reporter,
        summaries: Default::default(),
    })
}

/// The handoff that a command without an id acts on: the only one that fits, if it is the newest of all. Otherwise the user
/// chooses one on a terminal, and a script is refused: an older handoff may not be the one that is meant.
pub fn choose(
    services: &Services,
    prefix: Option<&str>,
    command: &str,
    fits: impl Fn(&Handoff) -> bool,
) -> Result<HandoffId, Error> {
    if prefix.is_some() {
        return resolve(services, prefix);
    }
    let mut found: Vec<(jiff::Timestamp, HandoffId, String)> = Vec::new();
    for id in services.store.ids()? {
        let Ok(journal) = services.store.open(&id) else { continue };
        let handoff = journal.handoff();
        if fits(handoff) {
            let task = first_line(&handoff.request().task, 50);
            let line = format!("{id}  {} on {}: {task}", handoff.status().label(), neutral(handoff.host()));
            found.push((handoff.created_at(), id, line));
        }
    }
    found.sort_by_key(|found| std::cmp::Reverse(found.0));
    match &found[..] {
        // No handoff fits: the newest is chosen, so that it is refused with its reason.
        [] => newest(services),
        [(_, only, _)] if newest(services)? == *only => Ok(only.clone()),
        _ => ask_which(services, command, &found),
    }
}

/// Number of candidates that are listed. `handoff list` shows the rest.
const LISTED: usize = 10;

fn ask_which(
    services: &Services,
    command: &str,
    found: &[(jiff::Timestamp, HandoffId, String)],
) -> Result<HandoffId, Error> {
    let why = match found.len() {
        1 => format!("the newest is not one to {command}"),
        several => format!("{several} could be meant"),
    };
    let error = Error::usage(format!("which handoff? {why}"));
    let refused =
        found.iter().take(LISTED).fold(error, |error, (_, id, _)| error.hint(format!("handoff {command} {id}")));
    if !Terminal::is_there() {
        return Err(refused);
    }
    for (n, (_, _, line)) in found.iter().take(LISTED).enumerate() {
        errln!("{:>3}  {line}", n + 1);
    }
    let answer = Terminal.secret(&format!("which one should `handoff {command}` use? number or id: "), true);
    let answer = answer.map(|answer| secrecy::ExposeSecret::expose_secret(&answer).trim().to_owned());
    match answer.as_deref() {
        None | Some("") => Err(refused),
        Some(answer) => {
            let number = answer.parse::<usize>().ok().filter(|number| (1..=LISTED).contains(number));
            match number.and_then(|number| found.get(number - 1)) {
                Some((_, id, _)) => Ok(id.clone()),
                None => resolve(services, Some(answer)),
            }
        }
    }
}

/// The handoff with this prefix; the newest if no prefix is given.
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
        let created = journal.handoff().created_at();
        if newest.as_ref().is_none_or(|(when, _)| created > *when) {
            newest = Some((created, id));
        }
    }
    newest
        .map(|(_, id)| id)
        .ok_or_else(|| Error::usage("this repository has no handoffs yet").hint("handoff run --host HOST \"TASK\""))
}

/// The path of a handoff's record, seen from the worktree that it was created in. If the record is in the git
/// directory, the reason is added.
pub fn record_of(services: &Services, handoff: &Handoff) -> String {
    let worktree = created_in(services, handoff);
    let (path, why) = document_of(services, handoff, &worktree);
    match why {
        None => path.strip_prefix(&worktree).unwrap_or(&path).display().to_string(),
        Some(why) => format!("{} ({why})", path.display()),
    }
}
