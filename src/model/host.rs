//! A machine of the user's, as `hosts.toml` describes it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

/// The host that is this machine, without SSH.
pub const LOCAL: &str = "local";

/// Directories that tools can make again, as patterns of gitignore(5).
const CACHES: [&str; 13] = [
    "target/",
    "node_modules/",
    ".venv/",
    "venv/",
    "__pycache__/",
    ".pytest_cache/",
    ".mypy_cache/",
    ".ruff_cache/",
    ".tox/",
    ".gradle/",
    ".next/",
    ".turbo/",
    ".cache/",
];

/// The declared caches if the user declares none.
pub fn default_caches() -> Vec<String> {
    CACHES.map(str::to_owned).to_vec()
}

/// How a host is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum TransportKind {
    /// SSH in this program (russh). If it cannot honour the configuration, `openssh` is used automatically.
    #[default]
    Ssh,
    /// The system's `ssh`.
    Openssh,
    /// A shell on this machine.
    Local,
}

/// Where a secret's value comes from. The value is read when an attempt is sent, and never stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SecretSource {
    /// A variable of the laptop's environment.
    Variable(String),
    /// A command on the laptop that prints the value, run by `sh -c`.
    Command(String),
}

/// One entry of `hosts.toml` with its defaults filled in, or a name that only `ssh` knows.
#[derive(Clone, Debug, PartialEq)]
pub struct Host {
    /// The name the user types.
    pub name: String,
    /// Address or SSH alias; the name itself unless set.
    pub address: String,
    pub user: Option<String>,
    pub port: Option<u16>,
    pub identity: Option<PathBuf>,
    /// A jump host, as `ssh -J` takes it.
    pub jump: Option<String>,
    pub transport: TransportKind,
    pub labels: Vec<String>,
    /// Maximum handoffs at once.
    pub slots: Option<u32>,
    pub cores: Option<u32>,
    /// Memory in bytes.
    pub memory: Option<u64>,
    /// Directory of handoff's files on the host; the default is `~/.handoff`.
    pub root: Option<String>,
    /// Directories that come before the host's own PATH.
    pub path: Vec<String>,
    pub env: BTreeMap<String, String>,
    /// Name on the host → source on the laptop.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Patterns of files that a release may delete or leave on the host without asking.
    pub caches: Vec<String>,
    /// Patterns of ignored files that the work needs.
    pub include: Vec<String>,
    /// Patterns of build results that are fetched when a handoff comes to rest.
    pub artifacts: Vec<String>,
    /// Run by `sh -c` in the checkout before each attempt.
    pub setup: Option<String>,
    pub agent: Option<String>,
    pub model: Option<String>,
    pub check: Option<String>,
    pub limits: Limits,
}

/// Limits of an attempt or a handoff; `None` means the built-in value of [`Limits::filled`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Default)]
pub struct Limits {
    /// Maximum attempts of a handoff.
    pub attempts: Option<u32>,
    /// Active time of one attempt; the time that a host sleeps does not count.
    pub timeout: Option<Duration>,
    /// Time until the first byte of output.
    pub first_output: Option<Duration>,
    /// Time without log growth, CPU time or changed files.
    pub no_progress: Option<Duration>,
    /// Time from the agent's terminal event until it must have exited.
    pub grace: Option<Duration>,
    /// First wait between two attempts; it doubles up to five minutes.
    pub backoff: Option<Duration>,
}

/// [`Limits`] with every value decided. All but the first are in seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize, schemars::JsonSchema)]
pub struct FilledLimits {
    pub attempts: u32,
    pub timeout: u64,
    pub first_output: u64,
    pub no_progress: u64,
    pub grace: u64,
    pub backoff: u64,
}

impl Limits {
    /// Values of `self`, else of `other`.
    pub fn or(self, other: Limits) -> Limits {
        Limits {
            attempts: self.attempts.or(other.attempts),
            timeout: self.timeout.or(other.timeout),
            first_output: self.first_output.or(other.first_output),
            no_progress: self.no_progress.or(other.no_progress),
            grace: self.grace.or(other.grace),
            backoff: self.backoff.or(other.backoff),
        }
    }

    /// The defaults: 3 attempts of 4 hours; 10 minutes to the first output and 30 without progress (working agents had
    /// gaps of up to 13 minutes between events); 60 seconds to exit after the terminal event; 15 seconds before the
    /// second attempt.
    pub fn filled(self) -> FilledLimits {
        let secs = |set: Option<Duration>, default: u64| set.map_or(default, |d| d.as_secs().max(1));
        FilledLimits {
            attempts: self.attempts.unwrap_or(3).max(1),
            timeout: secs(self.timeout, 4 * 3600),
            first_output: secs(self.first_output, 600),
            no_progress: secs(self.no_progress, 1800),
            grace: secs(self.grace, 60),
            backoff: secs(self.backoff, 15),
        }
    }
}

impl Host {
    /// A host of which only a name for `ssh` is known.
    pub fn bare(name: &str) -> Self {
        Host {
            name: name.to_owned(),
            address: name.to_owned(),
            user: None,
            port: None,
            identity: None,
            jump: None,
            transport: if name == LOCAL { TransportKind::Local } else { TransportKind::Ssh },
            labels: Vec::new(),
            slots: None,
            cores: None,
            memory: None,
            root: None,
            path: Vec::new(),
            env: BTreeMap::new(),
            secrets: BTreeMap::new(),
            caches: default_caches(),
            include: Vec::new(),
            artifacts: Vec::new(),
            setup: None,
            agent: None,
            model: None,
            check: None,
            limits: Limits::default(),
        }
    }
}
