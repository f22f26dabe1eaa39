//! The options that name other repositories to send.

use std::path::{Path, PathBuf};

use super::error::Error;
use crate::git::companions::Named;
use crate::git::repository::Repository;
use crate::model::companion::is_possible;

/// Repositories that go with a handoff besides its submodules.
#[derive(Clone, Debug, Default, clap::Args)]
pub struct Companions {
    /// Also send a repository inside this one that is no submodule; can be repeated
    #[arg(long, value_name = "DIRECTORY")]
    include_repo: Vec<PathBuf>,
    /// Also send a repository next to this one, such as ../lib; can be repeated
    #[arg(long, value_name = "DIRECTORY")]
    with: Vec<PathBuf>,
}

impl Companions {
    /// The repositories, with their paths from the top of this one.
    pub fn named(&self, repository: &Repository) -> Result<Vec<Named>, Error> {
        let top = repository.top();
        if let Some(missing) = self.include_repo.iter().chain(&self.with).find(|given| !given.exists()) {
            return Err(Error::usage(format!("{} does not exist", missing.display())));
        }
        let inside = self.include_repo.iter().map(|given| {
            let found = relative(given, top);
            found.ok_or_else(|| {
                Error::usage(format!("{} is not below {}", given.display(), top.display()))
                    .hint("--with DIRECTORY  (for a repository next to this one)")
            })
        });
        let siblings = self.with.iter().map(|given| {
            let found = top.parent().and_then(|parent| relative(given, parent)).filter(|name| !name.contains('/'));
            found.map(|name| format!("../{name}")).ok_or_else(|| {
                Error::usage(format!("{} is not directly next to {}", given.display(), top.display()))
                    .hint("--include-repo DIRECTORY  (for a repository inside this one)")
            })
        });
        let paths: Vec<String> = inside.chain(siblings).collect::<Result<_, _>>()?;
        match paths.iter().find(|path| !is_possible(path)) {
            Some(path) => Err(Error::usage(format!("{path} cannot be sent: a host could not have it at that place"))),
            None => Ok(paths.iter().map(|path| Named::from(path.as_str())).collect()),
        }
    }
}

/// A directory as a path below `top`.
fn relative(given: &Path, top: &Path) -> Option<String> {
    let found = given.canonicalize().ok()?;
    let inner = found.strip_prefix(top.canonicalize().ok()?).ok()?.to_str()?.to_owned();
    (!inner.is_empty()).then_some(inner)
}
