//! What a host must know of a repository in addition to its objects.

use super::Repository;
use super::Result;
use crate::model::snapshot::{Oid, Snapshot};

/// Facts that a handoff's spec contains.
#[derive(Clone, Debug)]
pub struct ShipFacts {
    /// 40 hex digits that identify the repository, whatever it is called and wherever it is.
    pub cache_key: String,
    /// `sha1` or `sha256`.
    pub object_format: String,
    /// The directory's name, made safe for a host's file system.
    pub directory: String,
    /// Remote and merge ref of the checked-out branch.
    pub upstream: Option<(String, String)>,
    /// Names and URLs, without credentials.
    pub remotes: Vec<(String, String)>,
    /// Tags and remote-tracking refs.
    pub refs: Vec<(Oid, String)>,
    /// Commits at which the history ends on the host; empty where it is whole.
    pub shallow: Vec<Oid>,
    /// Those of a partial clone among them: here the history continues, but not with all objects.
    pub ends: Vec<Oid>,
    /// Configuration in git's own format.
    pub config: String,
    pub excludes: Vec<u8>,
    pub author_name: String,
    pub author_email: String,
}

impl ShipFacts {
    /// Reads the facts, of the checked-out commit or of the snapshot of an earlier ship.
    ///
    /// # Errors
    /// git fails.
    pub fn of(repository: &Repository, base: Option<&Snapshot>) -> Result<ShipFacts> {
        let config = repository.config()?;
        let (name, email) = config.identity();
        let (head, branch) = match base {
            Some(base) => (base.head.clone(), base.branch.clone()),
            None => repository.head_and_branch()?,
        };
        let ends = base.and_then(|base| base.history.as_ref()).map(|history| history.ends.clone()).unwrap_or_default();
        // What was fetched since the base was sent may not be complete.
        let refs = match base.filter(|_| !config.promisors().is_empty()) {
            Some(base) => repository.refs_within(&base.head, &ends)?,
            None => repository.shared_refs()?,
        };
        let mut shallow = repository.boundary()?;
        shallow.extend(ends.iter().cloned());
        shallow.sort();
        shallow.dedup();
        let recorded = base.and_then(|base| base.cache_key.clone());
        let cache_key = recorded.map_or_else(|| repository.cache_key_for(&head, &shallow), Ok)?;
        let upstream = branch.and_then(|branch| config.upstream(&branch)).map(|up| (up.remote, up.merge));
        Ok(ShipFacts {
            cache_key,
            object_format: repository.format().word().to_owned(),
            directory: directory_name(repository.top()),
            upstream,
            remotes: repository.remotes()?.into_iter().map(|remote| (remote.name, remote.url)).collect(),
            refs,
            shallow,
            ends,
            config: sections(&config.shipped()),
            excludes: repository.excludes()?,
            author_name: name.unwrap_or("handoff").to_owned(),
            author_email: email.unwrap_or("handoff@localhost").to_owned(),
        })
    }
}

/// The name of a directory without characters that a shell or a file system of a host treats specially.
pub fn directory_name(top: &std::path::Path) -> String {
    let name = top.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let safe = |c: char| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' };
    let name: String = name.chars().map(safe).take(60).collect();
    let name = name.trim_start_matches(['.', '-']);
    if name.is_empty() { "repository".to_owned() } else { name.to_owned() }
}

/// `section.key = value` pairs as a configuration file; the values come from a fixed list.
fn sections(settings: &[(&str, &str)]) -> String {
    let line = |(key, value): &(&str, &str)| {
        key.split_once('.').map(|(section, key)| format!("[{section}]\n\t{key} = {value}\n"))
    };
    settings.iter().filter_map(line).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn a_directory_name_has_no_special_characters() {
        let name = |path: &str| super::directory_name(std::path::Path::new(path));
        assert_eq!(name("/w/my repo"), "my-repo");
        assert_eq!(name("/w/.-x;rm"), "x-rm");
        assert_eq!(name("/"), "repository");
    }

    #[test]
    fn settings_become_sections() {
        let text = super::sections(&[("core.autocrlf", "input"), ("core.eol", "lf")]);
        assert_eq!(text, "[core]\n\tautocrlf = input\n[core]\n\teol = lf\n");
    }
}
