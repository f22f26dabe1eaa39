//! Differences between two working states, for people.

use super::{Repository, Result, refs};
use crate::model::attempt::AttemptNo;
use crate::model::id::HandoffId;
use crate::model::snapshot::Oid;

impl Repository {
    /// The patch from one commit or tree to another, as `git diff` prints it. It contains bytes of files unchanged; the
    /// screen makes them harmless.
    pub fn diff(&self, from: &Oid, to: &Oid) -> Result<Vec<u8>> {
        self.compare(from, to, &["--patch"])
    }

    /// The changed paths with counts.
    pub fn diff_stat(&self, from: &Oid, to: &Oid) -> Result<Vec<u8>> {
        self.compare(from, to, &["--stat", "--summary"])
    }

    fn compare(&self, from: &Oid, to: &Oid, form: &[&str]) -> Result<Vec<u8>> {
        // No command of the user's runs on content that an agent wrote, and submodules are not entered.
        let guards = ["--no-ext-diff", "--no-textconv", "--submodule=short", "--color=never"];
        let between = ["--end-of-options", from.as_str(), to.as_str(), "--"];
        self.git("diff").args(guards).args(form).args(between).run()
    }
}

/// Commands that show what an attempt changed, for use after a pull.
pub fn how_to_see(id: &HandoffId, n: AttemptNo) -> [String; 2] {
    let (base, work) = (refs::base(id), format!("{}{n}/work", refs::of(id)));
    [format!("git diff {base} {work}"), format!("git log --oneline {base}^1..{work}^1")]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::snapshot;
    use crate::git::testing::Repo;

    #[test]
    fn a_diff_runs_no_command_of_the_user() {
        let repo = Repo::with_commit();
        let git = repo.open();
        let base = snapshot::take(&git, &[]).unwrap().commit;
        repo.write("README", "changed\n");
        repo.write(".gitattributes", "README diff=mine\n");
        let tool = repo.script("tool", "echo ran");
        repo.git(["config", "diff.external", &tool]);
        repo.git(["config", "diff.mine.textconv", &tool]);
        let work = snapshot::take(&git, &[]).unwrap().commit;
        let text = |bytes: Vec<u8>| String::from_utf8(bytes).unwrap();
        let patch = text(git.diff(&base, &work).unwrap());
        assert!(patch.contains("-hello\n+changed\n") && !patch.contains("ran"), "{patch}");
        assert!(text(git.diff_stat(&base, &work).unwrap()).contains("README         | 2 +-"));
    }

    #[test]
    fn the_commands_that_are_shown_work() {
        let repo = Repo::with_commit();
        let (git, id) = (repo.open(), "x".parse().unwrap());
        git.keep_ref(&refs::base(&id), &snapshot::take(&git, &[]).unwrap().commit).unwrap();
        repo.write("README", "changed\n");
        repo.commit("by the agent");
        git.keep_ref("refs/handoff/x/1/work", &snapshot::take(&git, &[]).unwrap().commit).unwrap();
        let [diff, log] = how_to_see(&id, 1).map(|command| repo.git(command.split(' ').skip(1)));
        assert!(diff.contains("+changed") && log.contains("by the agent"), "{diff}{log}");
    }
}
