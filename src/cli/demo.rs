//! `handoff demo`: a whole handoff on a host inside this program.
//!
//! Only the server and the agent are stand-ins. Everything in between is what `handoff run` does.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use super::context::{self, Show};
use super::diff::work_of;
use super::error::Error;
use super::exit;
use crate::agent::profiles;
use crate::config::hosts::Hosts;
use crate::config::paths::{HostsFile, NamedBy};
use crate::git::command::Git;
use crate::git::repository::Repository;
use crate::model::host::Limits;
use crate::model::profile::DEFAULT_AGENT;
use crate::state::store::Store;
use crate::supervise::attempt::Until;
use crate::supervise::driver::Driver;
use crate::supervise::progress::Progress;
use crate::supervise::run::Plan;
use crate::supervise::services::Services;
use crate::transport::NonInteractive;
use crate::transport::Options;
use crate::transport::ssh::server::{Server, Setup, key};

const TASK: &str = "Two tests of the till fail (sh test.sh). Find out why and fix total.sh; do not touch the tests.";
const CHECK: &str = "sh test.sh";
const HOST: &str = "demobox";

/// Run a demonstration on a host inside this program: a failing test, a rate limit, a resumed session, a fix
#[derive(Debug, clap::Args)]
pub struct Demo {
    /// Directory for its files, which are kept for you to explore (default: a new temporary directory)
    directory: Option<PathBuf>,
}

impl Demo {
    pub async fn run(self) -> Result<u8, Error> {
        let place = Place::new(self.directory)?;
        let server = place.host().await?;
        place.configure(&server)?;
        let services = place.services()?;
        outln!("an SSH server inside this program plays {HOST}; a script plays Cursor's agent; the rest is handoff");
        outln!("$ handoff run --host {HOST} --check '{CHECK}' '{TASK}'\n");
        let host = services.host(HOST)?;
        let flags = Limits { backoff: Some(Duration::from_secs(2)), ..Limits::default() };
        let plan = Plan {
            include: vec![],
            artifacts: vec![],
            companions: vec![],
            id: None,
            task: TASK.to_owned(),
            agent: DEFAULT_AGENT.to_owned(),
            model: None,
            check: Some(CHECK.to_owned()),
            limits: flags.or(host.limits).filled(),
            host,
            attach: vec![],
            again: false,
        };
        let mut driver = Driver::run(&services, plan).await?;
        driver.follow(Until::Rest).await?;
        let (id, status) = (driver.id().to_string(), driver.handoff().status());
        driver.tell(&Progress::Rest { id, status });
        place.explain(&driver)?;
        Ok(exit::of(driver.handoff(), true))
    }
}

/// The demo's directory: a laptop, and the home of a host.
struct Place {
    top: PathBuf,
}

impl Place {
    fn new(directory: Option<PathBuf>) -> Result<Place, Error> {
        let top = match directory {
            Some(directory) => std::path::absolute(directory).map_err(io("the demo's directory"))?,
            None => {
                tempfile::Builder::new().prefix("handoff-demo-").tempdir().map_err(io("the demo's directory"))?.keep()
            }
        };
        let place = Place { top };
        if place.repository().exists() {
            return Err(Error::usage(format!("{} already contains a demo", place.top.display())));
        }
        for directory in [place.repository(), place.laptop(), place.home().join(".local/bin")] {
            std::fs::create_dir_all(&directory).map_err(io("the demo's directory"))?;
        }
        place.write_repository()?;
        place.write_agent()?;
        Ok(place)
    }

    fn laptop(&self) -> PathBuf {
        self.top.join("laptop")
    }

    fn repository(&self) -> PathBuf {
        self.top.join("laptop/till")
    }

    fn home(&self) -> PathBuf {
        self.top.join(HOST)
    }

    fn write_repository(&self) -> Result<(), Error> {
        let files = [
            ("README.md", include_str!("../../config/demo/repo/README.md")),
            ("total.sh", include_str!("../../config/demo/repo/total.sh")),
            ("test.sh", include_str!("../../config/demo/repo/test.sh")),
        ];
        let top = self.repository();
        for (name, text) in files {
            std::fs::write(top.join(name), text).map_err(io(name))?;
        }
        let git = |verb| Git::new(&top, verb);
        git("init").args(["-q", "-b", "main"]).run()?;
        git("config").args(["user.name", "You"]).run()?;
        git("config").args(["user.email", "you@laptop.example"]).run()?;
        git("add").arg(".").run()?;
        git("commit").args(["-q", "-m", "Add up a cart"]).run()?;
        Ok(())
    }

    fn write_agent(&self) -> Result<(), Error> {
        use std::os::unix::fs::PermissionsExt;
        let agent = self.home().join(".local/bin/agent");
        std::fs::write(&agent, include_str!("../../config/demo/agent")).map_err(io("the scripted agent"))?;
        std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).map_err(io("the scripted agent"))
    }

    fn key(&self) -> PathBuf {
        self.laptop().join("id_ed25519")
    }

    async fn host(&self) -> Result<Server, Error> {
        let public = key::generate(&self.key()).map_err(io("a key"))?;
        let setup = Setup { authorized: vec![public], home: self.home(), ..Setup::default() };
        Server::start(setup).await.map_err(io("the embedded server"))
    }

    /// The files that a user would write, for the demo.
    fn configure(&self, server: &Server) -> Result<(), Error> {
        let (port, key) = (server.port(), self.key());
        let hosts = format!(
            "[host.{HOST}]\naddress = \"127.0.0.1\"\nport = {port}\nuser = \"you\"\nidentity = {:?}\n",
            key.display().to_string()
        );
        std::fs::write(self.laptop().join("hosts.toml"), hosts).map_err(io("hosts.toml"))?;
        let known = format!("{}\n", server.known_hosts_line());
        std::fs::write(self.laptop().join("known_hosts"), known).map_err(io("known_hosts"))?;
        std::fs::write(self.laptop().join("ssh_config"), "").map_err(io("ssh_config"))
    }

    fn services(&self) -> Result<Arc<Services>, Error> {
        let repository = Repository::discover(&self.repository())?;
        let file = HostsFile { path: self.laptop().join("hosts.toml"), named_by: NamedBy::Flag };
        Ok(Arc::new(Services {
            store: Store::new(repository.common_dir()),
            repository,
            hosts: Hosts::load(&file, &self.laptop()).map_err(Error::usage)?,
            profiles: profiles::built_in().map_err(Error::failed)?,
            templates: self.laptop().join("templates"),
            state_dir: self.laptop().join("state"),
            connect: Options {
                known_hosts: Some(self.laptop().join("known_hosts")),
                ssh_config: Some(self.laptop().join("ssh_config")),
                ..Options::default()
            },
            prompter: Arc::new(NonInteractive),
            reporter: Show { json: false, raw: false }.reporter(),
            summaries: Default::default(),
        }))
    }

    /// Where everything is stored, and the commands that continue.
    fn explain(&self, driver: &Driver) -> Result<(), Error> {
        let handoff = driver.handoff();
        let id = &handoff.request().id;
        let record = self.repository().join(crate::mirror::RECORD).join(id.as_str());
        outln!("\nthe record, in your repository:");
        outln!("  {}", record.join("handoff.md").display());
        for n in handoff.attempts().keys() {
            outln!("  {}", record.join(format!("attempt-{n}.log")).display());
        }
        outln!("the host's side:\n  {}", self.home().join(".handoff").display());
        outln!("\nthe diff (handoff diff {id}):");
        let work = work_of(handoff, None)?;
        let diff = driver.record.services.repository.diff(&handoff.request().base.commit, &work)?;
        for line in String::from_utf8_lossy(&diff).lines() {
            outln!("  {}", crate::ui::text::neutral(line));
        }
        if let Some(verdict) = handoff.last_attempt().and_then(|(_, attempt)| attempt.verdict.as_ref()) {
            outln!("\nthe verdict: {} ({})", verdict.class, crate::ui::text::neutral(&verdict.evidence));
        }
        let exe = std::env::current_exe().map_err(io("this program"))?;
        outln!("\ntake it over, with its whole context:");
        outln!("  {} -C {} takeover {id}", context::quoted(&exe), context::quoted(&self.repository()));
        Ok(())
    }
}

fn io(what: &str) -> impl Fn(std::io::Error) -> Error + '_ {
    move |error| Error::failed(format!("could not make {what}: {error}"))
}
