//! Pushes a branch for the user, as `git push` does when it is typed: with the user's hooks, credentials and transport.

use super::{Error, Repository, Result};
use crate::model::snapshot::Oid;

/// A remote to which a finished branch goes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Destination {
    pub remote: String,
    /// The forge's machine; `None` for a directory.
    pub machine: Option<String>,
    /// The branch there that gets the work in the end, if it is known.
    pub target: Option<String>,
}

impl Repository {
    /// The remote of a branch's upstream, or the only remote.
    ///
    /// # Errors
    /// [`Error::Unfit`] if there is none, or several could be meant, or the user pushes to another one (a fork).
    pub fn remote_for(&self, branch: Option<&str>) -> Result<String> {
        let config = self.config()?;
        let upstream = branch.and_then(|branch| config.upstream(branch));
        let push_remote = branch.and_then(|branch| config.get(&format!("branch.{branch}.pushremote")));
        match (push_remote.or_else(|| config.get("remote.pushdefault")), upstream) {
            (Some(remote), Some(upstream)) if remote != upstream.remote => {
                let what = format!("`git push` goes to {remote} here, and the upstream is at {}", upstream.remote);
                return Err(Error::unfit(
                    what,
                    format!("git push {remote} BRANCH  (after `handoff finish --branch BRANCH`)"),
                ));
            }
            (Some(remote), _) => return Ok(remote.to_owned()),
            (None, Some(upstream)) => return Ok(upstream.remote),
            (None, None) => {}
        }
        let printed = self.git("remote").run()?;
        let text = String::from_utf8_lossy(&printed);
        let remotes: Vec<&str> = text.lines().collect();
        match (&remotes[..], branch) {
            ([only], _) => Ok((*only).to_owned()),
            ([], _) => Err(Error::unfit("the repository has no remote to push to", "git remote add origin URL")),
            (_, Some(branch)) => {
                let what = format!("the branch {branch} has no upstream, and there are several remotes");
                Err(Error::unfit(what, format!("git branch --set-upstream-to=REMOTE/{branch} {branch}")))
            }
            (_, None) => Err(Error::unfit(
                "there are several remotes",
                "git push REMOTE BRANCH  (after `handoff finish --branch BRANCH`)",
            )),
        }
    }

    /// What is known of a remote, for work that began on `branch`.
    ///
    /// # Errors
    /// git fails, or there is no such remote.
    pub fn destination(&self, remote: &str, branch: Option<&str>) -> Result<Destination> {
        let url = self.git("remote").args(["get-url", "--push", "--", remote]).line()?;
        let config = self.config()?;
        let stated = ["pushurl", "url"].iter().find_map(|key| config.get(&format!("remote.{remote}.{key}")));
        // `insteadOf` may replace a forge's URL by a directory.
        let machine = machine_of(&url).or_else(|| stated.and_then(machine_of));
        let upstream = branch.and_then(|branch| config.upstream(branch)).filter(|upstream| upstream.remote == remote);
        let target = match upstream.and_then(|it| it.merge.strip_prefix("refs/heads/").map(str::to_owned)) {
            Some(target) => Some(target),
            None => {
                let head = format!("refs/remotes/{remote}/HEAD");
                let main = self.git("symbolic-ref").args(["--quiet", &head]).answer()?;
                main.and_then(|name| name.strip_prefix(&format!("refs/remotes/{remote}/")).map(str::to_owned))
            }
        };
        Ok(Destination { remote: remote.to_owned(), machine, target })
    }

    /// Pushes a commit as a new branch. A branch that is at this commit there already is left as it is.
    ///
    /// # Errors
    /// [`Error::Unfit`] if the remote has a branch of this name with another commit; git fails.
    pub fn push_branch(&self, remote: &str, name: &str, commit: &Oid) -> Result<()> {
        // An empty expectation means that the branch must not exist.
        let lease = format!("--force-with-lease=refs/heads/{name}:");
        let push = self.git("push").as_typed().args(["--porcelain", "--no-follow-tags", &lease, "--", remote]);
        let output = push.arg(format!("{commit}:refs/heads/{name}")).output()?;
        if output.status.success() {
            return Ok(());
        }
        if String::from_utf8_lossy(&output.stdout).contains("[rejected]") {
            let what = format!("{remote} has a branch {name} already, with another commit");
            return Err(Error::unfit(what, "choose another name with --branch NAME"));
        }
        Err(super::command::failed(format!("push {remote} {name}"), &output))
    }
}

/// The machine of a URL, or of git's short form `user@machine:path`; `None` for a directory.
fn machine_of(url: &str) -> Option<String> {
    let authority = match url.split_once("://") {
        Some(("file", _)) => return None,
        Some((_, rest)) => rest.split('/').next()?,
        None => url.split_once(':').map(|(before, _)| before).filter(|before| !before.contains('/'))?,
    };
    let machine = authority.rsplit_once('@').map_or(authority, |(_, machine)| machine);
    let machine = machine.rsplit_once(':').map_or(machine, |(machine, _)| machine);
    (!machine.is_empty()).then(|| machine.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Repo;

    #[test]
    fn the_machine_of_a_url_is_found() {
        for (url, machine) in [
            ("https://github.com/me/till.git", Some("github.com")),
            ("https://me:token@GitLab.example.org:8443/me/till", Some("gitlab.example.org")),
            ("git@github.com:me/till.git", Some("github.com")),
            ("ssh://git@host:22/x", Some("host")),
            ("../till.git", None),
            ("/srv/a:b.git", None),
            ("file:///srv/till.git", None),
        ] {
            assert_eq!(machine_of(url).as_deref(), machine, "{url}");
        }
    }

    #[test]
    fn the_remote_is_the_upstreams_or_the_only_one() {
        let repo = Repo::with_commit();
        let git = repo.open();
        assert!(matches!(git.remote_for(Some("main")), Err(Error::Unfit { .. })));
        repo.git(["remote", "add", "one", "https://github.com/me/till"]);
        assert_eq!(git.remote_for(Some("main")).unwrap(), "one");
        repo.git(["remote", "add", "two", "git@gitlab.com:me/till"]);
        assert!(matches!(git.remote_for(Some("main")), Err(Error::Unfit { .. })));
        assert!(git.remote_for(None).is_err());
        repo.git(["config", "branch.main.remote", "two"]);
        repo.git(["config", "branch.main.merge", "refs/heads/trunk"]);
        assert_eq!(git.remote_for(Some("main")).unwrap(), "two");
        for key in ["branch.main.pushRemote", "remote.pushDefault"] {
            repo.git(["config", key, "one"]);
            assert!(git.remote_for(Some("main")).unwrap_err().to_string().contains("goes to one here"), "{key}");
            repo.git(["config", key, "two"]);
            repo.git(["config", "--unset", key]);
        }
        let destination = git.destination("two", Some("main")).unwrap();
        assert_eq!(
            (destination.machine.as_deref(), destination.target.as_deref()),
            (Some("gitlab.com"), Some("trunk"))
        );
        assert_eq!(git.destination("one", Some("main")).unwrap().target, None);
        assert!(git.destination("three", None).is_err());
    }

    #[test]
    fn a_branch_is_pushed_once_and_a_branch_of_others_is_left_alone() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let bare = repo.sibling("remote.git");
        repo.git(["init", "-q", "--bare", bare.to_str().unwrap()]);
        repo.git(["remote", "add", "origin", bare.to_str().unwrap()]);
        let first = git.head_commit();
        git.push_branch("origin", "fix", &first).unwrap();
        git.push_branch("origin", "fix", &first).unwrap();
        repo.commit("second");
        let second = git.head_commit();
        // It would be a fast-forward.
        assert!(matches!(git.push_branch("origin", "fix", &second), Err(Error::Unfit { .. })));
        let there = repo.git(["ls-remote", "origin", "refs/heads/fix"]);
        assert_eq!(there, format!("{first}\trefs/heads/fix\n"));
        repo.git(["remote", "add", "gone", "/nonexistent"]);
        assert!(matches!(git.push_branch("gone", "fix", &second), Err(Error::Failed { .. })));
    }
}
