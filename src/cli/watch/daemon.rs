//! `handoff watch --daemon`: a user service that runs `watch --all`.

use std::io::{ErrorKind, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use clap::ValueEnum;
use serde::Serialize;

use super::unit::{self, KEPT, LABEL, Manager, UNIT};
use crate::cli::error::Error;
use crate::cli::{Global, context, exit};
use crate::config::paths::Paths;
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::supervise::watch_all;
use crate::ui::screen;
use crate::ui::text::neutral;

/// What to do with the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Action {
    /// Write its file, enable and start it
    Install,
    /// Print whether it is installed, enabled and running, and what it follows
    Status,
    /// Stop it and delete the file that `install` wrote
    Remove,
}

/// The state of the service that follows all handoffs.
#[derive(Serialize, schemars::JsonSchema)]
pub struct DaemonStatus {
    /// Its file, whether it exists or not.
    file: String,
    installed: bool,
    /// Whether someone changed the file. Then `remove` keeps it.
    changed: bool,
    /// Whether the service manager starts it at login; null if there is none to ask.
    enabled: Option<bool>,
    /// Whether a process runs `watch --all`, as the service or in a terminal.
    running: bool,
    /// The process that does.
    pid: Option<u32>,
    /// The handoffs in which something may still happen by itself.
    active: Vec<ActiveHandoff>,
}

/// A handoff that is followed.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ActiveHandoff {
    id: HandoffId,
    status: Status,
    host: String,
    /// The directory of its repository.
    repository: String,
}

impl Action {
    pub fn run(self, global: &Global, json: bool) -> Result<u8, Error> {
        let paths = context::paths()?;
        let service = Service::here(&paths);
        match self {
            Action::Status => status(&service, &paths, json),
            Action::Install | Action::Remove if json => Err(Error::usage("only `--daemon status` has --json")),
            Action::Install => service.install(global),
            Action::Remove => service.remove(),
        }
    }
}

fn status(service: &Service, paths: &Paths, json: bool) -> Result<u8, Error> {
    let text = service.present()?;
    let locked = watch_all::lock(&paths.state)?;
    let active = watch_all::active(&paths.state)?.into_iter().map(|((common_dir, id), status, host)| {
        let repository = common_dir.parent().unwrap_or(&common_dir).display().to_string();
        ActiveHandoff { id, status, host, repository }
    });
    let status = DaemonStatus {
        file: service.file.display().to_string(),
        installed: text.is_some(),
        changed: text.as_deref().is_some_and(|text| !unit::is_ours(text)),
        enabled: service.is_enabled(),
        running: locked.is_err(),
        pid: locked.err().flatten(),
        active: active.collect(),
    };
    if json {
        outln!("{}", screen::json(&status));
    } else {
        status.print();
    }
    Ok(if status.installed && status.running { exit::OK } else { exit::FAILED })
}

impl DaemonStatus {
    fn print(&self) {
        let installed = match (self.installed, self.changed) {
            (false, _) => "no: `handoff watch --daemon install`",
            (true, false) => "yes",
            (true, true) => "yes, and changed by someone",
        };
        let enabled = match self.enabled {
            Some(true) => "yes, it starts at login",
            Some(false) => "no",
            None => "unknown: no service manager answers",
        };
        let running = match (self.running, self.pid) {
            (true, Some(pid)) => format!("yes, process {pid}"),
            (true, None) => "yes".to_owned(),
            (false, _) => "no".to_owned(),
        };
        outln!("file:      {}", neutral(&self.file));
        outln!("installed: {installed}");
        outln!("enabled:   {enabled}");
        outln!("running:   {running}");
        if self.active.is_empty() {
            outln!("active:    no handoff");
        }
        for ActiveHandoff { id, status, host, repository } in &self.active {
            outln!("active:    {id}  {} on {}  {}", status.label(), neutral(host), neutral(repository));
        }
    }
}

/// The service manager of this system, and the file that it reads.
struct Service {
    manager: Manager,
    file: PathBuf,
}

impl Service {
    fn here(paths: &Paths) -> Service {
        let manager = Manager::here();
        let config_home = paths.config.parent().unwrap_or(&paths.config);
        Service { manager, file: manager.file(&paths.home, config_home) }
    }

    /// The file's text; `None` if there is no file.
    fn present(&self) -> Result<Option<String>, Error> {
        match std::fs::read(&self.file) {
            Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    fn failed(&self, verb: &str, error: &std::io::Error) -> Error {
        Error::failed(format!("could not {verb} {}: {}", self.file.display(), crate::ui::text::plain(error)))
    }

    fn install(&self, global: &Global) -> Result<u8, Error> {
        let before = self.present()?;
        if before.as_deref().is_some_and(|text| !unit::is_ours(text)) {
            return Err(self.changed("it was not replaced"));
        }
        self.need_manager()?;
        let text = self.manager.text(&context::program()?, &arguments(global)?, &environment());
        if before.as_deref() != Some(&*text) {
            self.write(&text)?;
        }
        if let Err(error) = self.start(before.is_some()) {
            // Nothing is left half done.
            let undone = match &before {
                Some(before) => self.write(before),
                None => std::fs::remove_file(&self.file).map_err(|error| self.failed("remove", &error)),
            };
            _ = self.reload();
            undone?;
            return Err(error);
        }
        outln!("installed {}", neutral(&self.file.to_string_lossy()));
        outln!("handoffs are followed from now on; `handoff watch --daemon status` shows which");
        if self.manager == Manager::Systemd {
            if std::env::var_os("SSH_AUTH_SOCK").is_some() {
                outln!("for keys in an ssh-agent: systemctl --user import-environment SSH_AUTH_SOCK");
            }
            outln!("to continue after you log out: loginctl enable-linger");
        }
        Ok(exit::OK)
    }

    fn remove(&self) -> Result<u8, Error> {
        match self.present()? {
            None => {
                outln!("{} is not there: nothing was installed", neutral(&self.file.to_string_lossy()));
                return Ok(exit::OK);
            }
            Some(text) if !unit::is_ours(&text) => return Err(self.changed("it was kept, and nothing was stopped")),
            Some(_) => {}
        }
        self.need_manager()?;
        match self.manager {
            Manager::Systemd => called(self.call(&["--user", "disable", "--now", UNIT])?)?,
            // It fails if the agent is not loaded, which is what is wanted.
            Manager::Launchd => drop(self.call(&["bootout", &format!("{}/{LABEL}", domain())])?),
        }
        std::fs::remove_file(&self.file).map_err(|error| self.failed("remove", &error))?;
        self.reload()?;
        outln!("stopped and removed {}", neutral(&self.file.to_string_lossy()));
        outln!("hosts continue alone; `handoff watch` follows a handoff in a terminal");
        Ok(exit::OK)
    }

    fn changed(&self, what: &str) -> Error {
        let file = context::quoted(&self.file);
        let error = Error::failed(format!("{} was changed since handoff wrote it; {what}", self.file.display()));
        match self.manager {
            Manager::Systemd => error.hint(format!("systemctl --user disable --now {UNIT} && rm {file}")),
            Manager::Launchd => error.hint(format!("launchctl bootout {}/{LABEL}; rm {file}", domain())),
        }
    }

    /// Writes the file, whole or not at all.
    fn write(&self, text: &str) -> Result<(), Error> {
        let directory = self.file.parent().unwrap_or(Path::new("."));
        std::fs::create_dir_all(directory).map_err(|error| self.failed("make the directory of", &error))?;
        let write = || -> std::io::Result<()> {
            let mut new = tempfile::Builder::new().prefix(".handoff-").tempfile_in(directory)?;
            new.write_all(text.as_bytes())?;
            new.persist(&self.file)?;
            Ok(())
        };
        write().map_err(|error| self.failed("write", &error))
    }

    /// Fails, before anything is changed, if the service manager of the user does not answer.
    fn need_manager(&self) -> Result<(), Error> {
        let probe: &[&str] = match self.manager {
            Manager::Systemd => &["--user", "show-environment"],
            Manager::Launchd => &["print", &domain()],
        };
        match self.call(probe) {
            Ok(output) if output.status.success() => Ok(()),
            Ok(output) => Err(without_manager(&format!("no user manager answers: {}", words(&output)))),
            Err(error) => Err(without_manager(error.message())),
        }
    }

    fn start(&self, is_there: bool) -> Result<(), Error> {
        self.reload()?;
        match self.manager {
            Manager::Systemd => {
                called(self.call(&["--user", "enable", "--now", UNIT])?)?;
                // `enable --now` leaves an older program running.
                if is_there { called(self.call(&["--user", "restart", UNIT])?) } else { Ok(()) }
            }
            Manager::Launchd => {
                if is_there {
                    drop(self.call(&["bootout", &format!("{}/{LABEL}", domain())])?);
                }
                called(self.call(&["bootstrap", &domain(), &self.file.to_string_lossy()])?)
            }
        }
    }

    /// Lets the manager read its files again.
    fn reload(&self) -> Result<(), Error> {
        match self.manager {
            Manager::Systemd => called(self.call(&["--user", "daemon-reload"])?),
            Manager::Launchd => Ok(()),
        }
    }

    fn is_enabled(&self) -> Option<bool> {
        match self.manager {
            Manager::Systemd => {
                self.need_manager().ok()?;
                Some(self.call(&["--user", "is-enabled", UNIT]).ok()?.status.success())
            }
            Manager::Launchd => Some(self.call(&["print", &format!("{}/{LABEL}", domain())]).ok()?.status.success()),
        }
    }

    /// Runs the manager's program.
    fn call(&self, arguments: &[&str]) -> Result<Output, Error> {
        let program = match self.manager {
            Manager::Systemd => "systemctl",
            Manager::Launchd => "launchctl",
        };
        Command::new(program).args(arguments).output().map_err(|error| match error.kind() {
            ErrorKind::NotFound => Error::failed(format!("there is no `{program}` on PATH")),
            _ => Error::failed(format!("could not run `{program}`: {}", crate::ui::text::plain(&error))),
        })
    }
}

/// The domain of the user's agents, as launchctl(1) writes it.
fn domain() -> String {
    format!("gui/{}", rustix::process::getuid().as_raw())
}

fn without_manager(why: &str) -> Error {
    Error::failed(format!("the service cannot be managed, and nothing was changed: {why}"))
        .hint("handoff watch --all  (follows everything while it runs, in a terminal or in tmux)")
}

fn called(output: Output) -> Result<(), Error> {
    match output.status.success() {
        true => Ok(()),
        false => Err(Error::failed(format!("the service manager refused: {}", words(&output)))
            .hint("handoff watch --all  (follows everything while it runs, in a terminal or in tmux)")),
    }
}

/// What a program said, on one line.
fn words(output: &Output) -> String {
    let text = String::from_utf8_lossy(&output.stderr);
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    if line.is_empty() { output.status.to_string() } else { neutral(&line).chars().take(300).collect() }
}

fn arguments(global: &Global) -> Result<Vec<String>, Error> {
    let mut arguments = vec!["watch".to_owned(), "--all".to_owned()];
    if let Some(hosts) = &global.hosts {
        let path =
            std::path::absolute(hosts).map_err(|error| Error::failed(format!("{}: {error}", hosts.display())))?;
        arguments.extend(["--hosts".to_owned(), path.to_string_lossy().into_owned()]);
    }
    Ok(arguments)
}

/// A service does not start from a shell, so it gets what decides which files and programs are found.
fn environment() -> Vec<(String, String)> {
    let kept = KEPT.iter().filter_map(|name| Some(((*name).to_owned(), std::env::var(name).ok()?)));
    kept.filter(|(_, value)| !value.is_empty()).collect()
}
