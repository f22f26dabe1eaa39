//! A host: an embedded SSH server with its own home and a scripted agent.

use std::ffi::OsString;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use handoff::transport::ssh::server::{Server, Setup};

use super::{DEADLINE, ID, processes, wait};

pub struct Host {
    pub name: &'static str,
    pub home: PathBuf,
    pub port: u16,
    pub known_hosts: String,
    /// Further keys of its table.
    pub keys: String,
    /// `None` after the server has been removed.
    pub server: Option<Server>,
    pub planned: bool,
}

impl Host {
    /// A host whose commands get the variables `env`.
    pub fn start(
        runtime: &tokio::runtime::Runtime,
        name: &'static str,
        home: PathBuf,
        public: &str,
        env: Vec<(OsString, OsString)>,
    ) -> Self {
        let bin = home.join(".local/bin");
        std::fs::create_dir_all(&bin).unwrap();
        // The agent has both of Cursor's names. Otherwise a real one further down the PATH would be used.
        for agent in [bin.join("agent"), bin.join("cursor-agent")] {
            std::fs::write(&agent, include_str!("../../../config/demo/agent")).unwrap();
            std::fs::set_permissions(&agent, std::fs::Permissions::from_mode(0o755)).unwrap();
        }
        let setup = Setup { authorized: vec![public.to_owned()], home: home.clone(), env, ..Setup::default() };
        let server = runtime.block_on(Server::start(setup)).unwrap();
        let (port, known_hosts) = (server.port(), server.known_hosts_line());
        Host { name, home, port, known_hosts, keys: String::new(), server: Some(server), planned: false }
    }

    /// Its table in hosts.toml.
    pub fn table(&self, identity: &Path) -> String {
        let Host { name, port, keys, .. } = self;
        let backoff = if keys.contains("backoff") { "" } else { "backoff = \"1s\"\n" };
        let plan = if self.planned { format!("SCRIPTED_AGENT_PLAN = {:?}\n", self.plan_file()) } else { String::new() };
        format!(
            "[host.{name}]\naddress = \"127.0.0.1\"\nport = {port}\nuser = \"tester\"\nidentity = {identity:?}\n\
             path = [\"~/.local/bin\"]\n{backoff}{keys}\
             [host.{name}.env]\nSCRIPTED_AGENT_PAUSE = \"0.02\"\n{plan}"
        )
    }

    fn plan_file(&self) -> PathBuf {
        self.home.join("plan")
    }

    /// Sets the agent's plan. The head of `config/demo/agent` describes the language.
    pub fn write_plan(&mut self, plan: &str) {
        std::fs::write(self.plan_file(), plan).unwrap();
        self.planned = true;
    }

    /// The directory of the handoff [`ID`].
    pub fn work(&self) -> PathBuf {
        let all = std::fs::read_dir(self.home.join(".handoff/work")).unwrap();
        let mut ours = all
            .map(|entry| entry.unwrap().path())
            .filter(|path| path.file_name().unwrap().to_string_lossy().starts_with(ID));
        let path = ours.next().unwrap();
        assert_eq!(ours.next(), None, "two directories for one handoff");
        path
    }

    /// The log of an attempt on the host.
    pub fn log(&self, attempt: u32) -> Vec<u8> {
        std::fs::read(self.work().join(attempt.to_string()).join("log")).unwrap()
    }

    /// The prompts of the only session of its agent.
    pub fn prompts(&self) -> Vec<String> {
        let sessions = std::fs::read_dir(self.home.join(".scripted-agent")).unwrap();
        let sessions: Vec<PathBuf> = sessions.map(|entry| entry.unwrap().path()).collect();
        assert_eq!(sessions.len(), 1, "{sessions:?}");
        (1..).map_while(|turn| std::fs::read_to_string(sessions[0].join(format!("prompt.{turn}"))).ok()).collect()
    }

    /// Command lines of the processes that run on the host now.
    pub fn running(&self) -> Vec<String> {
        processes::of_home(&self.home).into_iter().map(|(_, command)| command).collect()
    }

    /// Waits until no process runs on the host, except the commands that `expected` accepts. A failure lists the
    /// remaining ones.
    #[track_caller]
    pub fn wait_until_empty(&self, expected: impl Fn(&str) -> bool) {
        let left = || self.running().into_iter().filter(|command| !expected(command)).collect::<Vec<_>>();
        let is_empty = || left().is_empty().then_some(());
        wait::until_or_show("an empty host", DEADLINE, is_empty, || left().join("\n"));
    }

    /// Connections accepted so far.
    pub fn connections(&self) -> u64 {
        self.server.as_ref().map_or(0, Server::connections)
    }

    /// Cuts the present connections. New connections are accepted.
    pub fn cut(&self) {
        self.server.as_ref().unwrap().drop_connections();
    }

    /// Refuses new connections and cuts the old ones, or accepts connections again. The host is unreachable in between.
    pub fn out_of_reach(&self, yes: bool) {
        let server = self.server.as_ref().unwrap();
        server.refuse(yes);
        if yes {
            server.drop_connections();
        }
    }

    /// The process in a claim of an attempt (`watch.1`, `task`), if the claim exists.
    pub fn pid(&self, attempt: u32, claim: &str) -> Option<i32> {
        let works = std::fs::read_dir(self.home.join(".handoff/work")).ok()?;
        let work = works.flatten().find(|work| work.file_name().to_string_lossy().starts_with(ID))?.path();
        let link = std::fs::read_link(work.join(attempt.to_string()).join(claim)).ok()?;
        link.to_str()?.split(':').next()?.parse().ok()
    }

    /// Removes the host from the network. Its processes keep running.
    pub fn vanish(&mut self) {
        self.server = None;
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.server = None;
        processes::end(&self.home);
    }
}
