//! The user's git configuration, as far as the agent's repository must have the same.

use std::path::PathBuf;

use super::command::Git;
use super::repository::path_of;
use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// Settings that change what a file's bytes mean; the agent's repository gets the same. Filters are left out, because
/// they name commands of this machine. `core.ignorecase`, `filemode`, `symlinks` and `precomposeunicode` are left out
/// too: they describe this machine's disk, and the host's git tests its own.
const SHIPPED: [(&str, &[&str]); 3] = [
    ("core.autocrlf", &["true", "false", "input"]),
    ("core.eol", &["lf", "crlf", "native"]),
    ("core.safecrlf", &["true", "false", "warn"]),
];

/// All settings in effect, in git's order.
#[derive(Clone, Debug)]
pub struct Config(Vec<(String, String)>);

/// The upstream branch of the checked-out branch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Upstream {
    pub remote: String,
    /// Full name of the ref on the remote.
    pub merge: String,
}

/// A remote, without anything that the host must not know.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Remote {
    pub name: String,
    /// Without credentials.
    pub url: String,
}

impl Config {
    /// The last value of a key (section and name in lower case); a key without `=` is `true`.
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(k, _)| k == key).map(|(_, value)| value.as_str())
    }

    /// `user.name` and `user.email`, where set.
    pub fn identity(&self) -> (Option<&str>, Option<&str>) {
        (self.get("user.name"), self.get("user.email"))
    }

    /// The upstream of a branch; `None` if it is another local branch.
    pub fn upstream(&self, branch: &str) -> Option<Upstream> {
        let remote = self.get(&format!("branch.{branch}.remote"))?;
        let merge = self.get(&format!("branch.{branch}.merge"))?;
        (remote != ".").then(|| Upstream { remote: remote.to_owned(), merge: merge.to_owned() })
    }

    /// The settings that the agent's repository gets, only with values that git documents.
    pub fn shipped(&self) -> Vec<(&'static str, &'static str)> {
        let known = |(key, values): &(&'static str, &'static [&'static str])| {
            let value = match self.get(key)?.to_ascii_lowercase().as_str() {
                "yes" | "on" | "1" => "true".to_owned(),
                "no" | "off" | "0" | "" => "false".to_owned(),
                other => other.to_owned(),
            };
            values.iter().find(|known| **known == value).map(|value| (*key, *value))
        };
        SHIPPED.iter().filter_map(known).collect()
    }

    /// Names of the filters that rewrite content on its way into or out of git.
    pub fn filters(&self) -> std::collections::BTreeSet<&str> {
        let commands = self.0.iter().filter(|(_, value)| !value.is_empty()).filter_map(|(key, _)| {
            let (name, command) = key.strip_prefix("filter.")?.rsplit_once('.')?;
            ["clean", "smudge", "process"].contains(&command).then_some(name)
        });
        commands.collect()
    }

    /// The remotes that have the objects that may be absent here, in the order in which git asks them. Empty: this is no
    /// partial clone.
    pub fn promisors(&self) -> Vec<String> {
        let set = self.0.iter().filter(|(_, value)| value != "false");
        let remotes = set.filter_map(|(key, _)| key.strip_prefix("remote.")?.strip_suffix(".promisor"));
        let mut found: Vec<String> = Vec::new();
        for remote in remotes.chain(self.get("extensions.partialclone")) {
            if !found.iter().any(|known| known == remote) {
                found.push(remote.to_owned());
            }
        }
        found
    }
}

impl Repository {
    /// Reads the configuration in effect, with its includes.
    pub fn config(&self) -> Result<Config> {
        let printed = self.git("config").args(["--list", "-z"]).run()?;
        let entries = printed.split(|b| *b == 0).filter(|entry| !entry.is_empty());
        let parse = |entry: &[u8]| {
            let text = String::from_utf8_lossy(entry);
            let (key, value) = text.split_once('\n').unwrap_or((&text, "true"));
            (key.to_owned(), value.to_owned())
        };
        Ok(Config(entries.map(parse).collect()))
    }

    /// Remotes with their URLs as git would use them (after `insteadOf`), without credentials. A URL for a remote
    /// helper (`ext::…`) is left out, because it is a command of this machine.
    pub fn remotes(&self) -> Result<Vec<Remote>> {
        let printed = self.git("remote").arg("-v").run()?;
        let text = String::from_utf8_lossy(&printed);
        let parse = |line: &str| {
            let (name, rest) = line.split_once('\t')?;
            let (url, _) = rest.rsplit_once(" (fetch)")?;
            let url = without_credentials(url);
            (!url.contains("::")).then(|| Remote { name: name.to_owned(), url })
        };
        Ok(text.lines().filter_map(parse).collect())
    }

    /// Tags and remote-tracking refs as (object, full name), for the agent's repository. An annotated tag is given by
    /// its tag object. Symbolic refs and names that are not UTF-8 are left out.
    pub fn shared_refs(&self) -> Result<Vec<(Oid, String)>> {
        self.listed_refs(self.git("for-each-ref"))
    }

    /// Those that a `for-each-ref` selects.
    pub(super) fn listed_refs(&self, git: Git) -> Result<Vec<(Oid, String)>> {
        let format = "--format=%(objectname) %(symref) %(refname)";
        let printed = git.args([format, "refs/tags", "refs/remotes"]).run()?;
        let lines = printed.split(|b| *b == b'\n').filter_map(|line| std::str::from_utf8(line).ok());
        let parse = |line: &str| {
            let (oid, name) = line.split_once("  ")?;
            Some((oid.parse().ok()?, name.to_owned()))
        };
        Ok(lines.filter_map(parse).collect())
    }

    /// The ignore rules outside the tree, in one text: `core.excludesFile`, then `info/exclude`, because the later rule
    /// decides.
    pub fn excludes(&self) -> Result<Vec<u8>> {
        let mut text = Vec::new();
        for path in [self.excludes_file()?, Some(self.git_path("info/exclude"))].into_iter().flatten() {
            match std::fs::read(&path) {
                Ok(bytes) => text.extend(bytes),
                Err(error) if is_absent(&error) => continue,
                Err(error) => return Err(Error::io("read", &path)(error)),
            }
            if text.last().is_some_and(|last| *last != b'\n') {
                text.push(b'\n');
            }
        }
        Ok(text)
    }

    /// Where git looks for the user's global ignore rules (gitignore(5)).
    fn excludes_file(&self) -> Result<Option<PathBuf>> {
        let output = self.git("config").args(["-z", "--type=path", "--get", "core.excludesFile"]).output()?;
        if output.status.success() {
            let mut path = output.stdout;
            path.pop();
            return Ok(Some(self.top().join(path_of(path))));
        }
        let set = |name: &str| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let directory = set("XDG_CONFIG_HOME").or_else(|| Some(set("HOME")?.join(".config")));
        Ok(directory.map(|directory| directory.join("git/ignore")))
    }
}

fn is_absent(error: &std::io::Error) -> bool {
    matches!(error.kind(), std::io::ErrorKind::NotFound | std::io::ErrorKind::NotADirectory)
}

/// A URL without password or token. Over http the user name, which may be a token, and the query are removed too.
pub(super) fn without_credentials(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let web = scheme.eq_ignore_ascii_case("http") || scheme.eq_ignore_ascii_case("https");
    let (authority, path) = rest.find('/').map_or((rest, ""), |slash| rest.split_at(slash));
    let path = if web { path.split(['?', '#']).next().unwrap_or_default() } else { path };
    let authority = match authority.rsplit_once('@') {
        Some((_, host)) if web => host.to_owned(),
        Some((user, host)) => format!("{}@{host}", user.split(':').next().unwrap_or_default()),
        None => authority.to_owned(),
    };
    format!("{scheme}://{authority}{path}")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Repo;

    #[test]
    fn no_url_keeps_a_credential() {
        for (url, clean) in [
            ("https://user:secret@example.com/a.git", "https://example.com/a.git"),
            ("https://token@example.com/a.git?private_token=x", "https://example.com/a.git"),
            ("https://a:p@ss@example.com/a", "https://example.com/a"),
            ("https://token@example.com", "https://example.com"),
            ("ssh://git:secret@example.com:22/a", "ssh://git@example.com:22/a"),
            ("git@example.com:a/b.git", "git@example.com:a/b.git"),
            ("/srv/git/a@b.git", "/srv/git/a@b.git"),
        ] {
            assert_eq!(without_credentials(url), clean);
        }
    }

    #[test]
    fn shipped_settings_and_upstream_are_read() {
        let repo = Repo::with_commit();
        repo.git(["config", "core.autocrlf", "Input"]);
        repo.git(["config", "core.eol", "$(touch pwned)"]);
        repo.git(["config", "core.safecrlf", "on"]);
        for of_the_disk in ["ignoreCase", "fileMode", "symlinks", "precomposeUnicode"] {
            repo.git(["config", &format!("core.{of_the_disk}"), "true"]);
        }
        repo.git(["config", "branch.main.remote", "origin"]);
        repo.git(["config", "branch.main.merge", "refs/heads/trunk"]);
        let config = repo.open().config().unwrap();
        assert_eq!(config.identity(), (Some("A U Thor"), Some("author@example.com")));
        let expected = Upstream { remote: "origin".into(), merge: "refs/heads/trunk".into() };
        assert_eq!(config.upstream("main"), Some(expected));
        assert_eq!(config.upstream("other"), None);
        let shipped = config.shipped();
        assert_eq!(shipped, [("core.autocrlf", "input"), ("core.safecrlf", "true")]);
        assert!(config.promisors().is_empty());
        for (key, value) in
            [("remote.a.promisor", "true"), ("remote.b.promisor", "false"), ("extensions.partialClone", "c")]
        {
            repo.git(["config", key, value]);
        }
        assert_eq!(repo.open().config().unwrap().promisors(), ["a", "c"]);
    }

    #[test]
    fn remotes_have_no_credentials_and_no_commands() {
        let repo = Repo::with_commit();
        repo.git(["remote", "add", "origin", "gh:a/b"]);
        repo.git(["remote", "add", "evil", "ext::sh -c whoami"]);
        repo.git(["config", "url.https://user:secret@github.com/.insteadOf", "gh:"]);
        let expected = Remote { name: "origin".into(), url: "https://github.com/a/b".into() };
        assert_eq!(repo.open().remotes().unwrap(), [expected]);
    }

    #[test]
    fn tags_keep_their_tag_object_and_symbolic_refs_are_left_out() {
        let repo = Repo::with_commit();
        repo.git(["tag", "light"]);
        repo.git(["tag", "-a", "-m", "x", "heavy"]);
        repo.git(["update-ref", "refs/remotes/origin/main", "HEAD"]);
        repo.git(["symbolic-ref", "refs/remotes/origin/HEAD", "refs/remotes/origin/main"]);
        let refs = repo.open().shared_refs().unwrap();
        let names: Vec<_> = refs.iter().map(|(_, name)| name.as_str()).collect();
        assert_eq!(names, ["refs/remotes/origin/main", "refs/tags/heavy", "refs/tags/light"]);
        assert_eq!(refs[1].0.as_str(), repo.git(["rev-parse", "heavy"]).trim());
        assert_ne!(refs[1].0, refs[2].0);
    }

    #[test]
    fn excludes_contain_both_files_with_the_repositorys_last() {
        let repo = Repo::with_commit();
        std::fs::write(repo.sibling("global"), "*.log").unwrap();
        repo.git(["config", "core.excludesFile", repo.sibling("global").to_str().unwrap()]);
        repo.write(".git/info/exclude", b"!keep.log\n\xff\n");
        assert_eq!(repo.open().excludes().unwrap(), b"*.log\n!keep.log\n\xff\n");
    }
}
