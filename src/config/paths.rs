//! Where the user's files are: XDG directories, on Linux and macOS.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;

/// The variable that names a hosts file.
pub const HOSTS_VARIABLE: &str = "HANDOFF_HOSTS";

/// The directories of one user.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Paths {
    /// The user's home.
    pub home: PathBuf,
    /// `$XDG_CONFIG_HOME/handoff`, else `~/.config/handoff`.
    pub config: PathBuf,
    /// `$XDG_STATE_HOME/handoff`, else `~/.local/state/handoff`.
    pub state: PathBuf,
}

/// Who named the hosts file. A file that was named must exist.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum NamedBy {
    /// `--hosts FILE`.
    Flag,
    /// [`HOSTS_VARIABLE`].
    Variable,
    /// The default path, which need not exist.
    Default,
}

/// Which hosts file to read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostsFile {
    pub path: PathBuf,
    pub named_by: NamedBy,
}

/// The error without a home directory.
#[derive(Debug, thiserror::Error)]
#[error("no home directory: HOME is not set, and the system lists none")]
pub struct NoHome;

impl Paths {
    /// The directories from the environment. A relative XDG variable is ignored, as the XDG specification requires.
    ///
    /// # Errors
    /// There is no home directory.
    pub fn from_env() -> Result<Self, NoHome> {
        let xdg = etcetera::base_strategy::Xdg::new().map_err(|_| NoHome)?;
        let home = xdg.home_dir().to_owned();
        let state = xdg.state_dir().unwrap_or_else(|| home.join(".local/state"));
        Ok(Self { config: xdg.config_dir().join("handoff"), state: state.join("handoff"), home })
    }

    /// All directories below one, for tests and containers.
    pub fn under(home: &Path) -> Self {
        Self { home: home.to_owned(), config: home.join(".config/handoff"), state: home.join(".local/state/handoff") }
    }

    /// The hosts file: the flag has precedence over the variable, and the variable over the default. An empty variable
    /// counts as unset.
    pub fn hosts_file(&self, flag: Option<&Path>, variable: Option<OsString>) -> HostsFile {
        if let Some(path) = flag {
            return HostsFile { path: path.to_owned(), named_by: NamedBy::Flag };
        }
        match variable.filter(|value| !value.is_empty()) {
            Some(path) => HostsFile { path: path.into(), named_by: NamedBy::Variable },
            None => HostsFile { path: self.config.join("hosts.toml"), named_by: NamedBy::Default },
        }
    }

    /// The user's agent profiles, which are added to the built-in ones.
    pub fn agents_file(&self) -> PathBuf {
        self.config.join("agents.toml")
    }

    /// The user's templates, which replace built-in ones of the same name.
    pub fn templates(&self) -> PathBuf {
        self.config.join("templates")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_flag_overrides_the_variable_and_the_variable_the_default() {
        let paths = Paths::under(Path::new("/home/u"));
        let (flag, variable) = (Path::new("a.toml"), Some(OsString::from("b.toml")));
        let named = |file: HostsFile| (file.path.display().to_string(), file.named_by);
        assert_eq!(named(paths.hosts_file(Some(flag), variable.clone())), ("a.toml".into(), NamedBy::Flag));
        assert_eq!(named(paths.hosts_file(None, variable)), ("b.toml".into(), NamedBy::Variable));
        let default = ("/home/u/.config/handoff/hosts.toml".to_owned(), NamedBy::Default);
        assert_eq!(named(paths.hosts_file(None, None)), default);
        assert_eq!(named(paths.hosts_file(None, Some(OsString::new()))), default);
    }

    #[test]
    fn directories_end_in_the_name_of_the_program() {
        let paths = Paths::from_env().unwrap();
        assert!(paths.config.is_absolute() && paths.config.ends_with("handoff"));
        assert!(paths.state.is_absolute() && paths.state.ends_with("handoff"));
    }
}
