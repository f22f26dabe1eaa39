//! Operations that are not finished, and conflicts.

use super::{file, refusal, snapshot};
use crate::git::Repository;
use crate::git::snapshot::take;
use crate::git::testing::{Repo, contents, git_in, raw};

/// A repository whose branches `main` and `side` change the same line.
fn divided() -> Repo {
    let repo = Repo::with_commit();
    repo.git(["checkout", "-q", "-b", "side"]);
    repo.write("README", "side\n");
    repo.write("gone", "side\n");
    repo.commit("side");
    repo.git(["checkout", "-q", "main"]);
    repo.write("README", "main\n");
    repo.commit("main");
    repo
}

fn fails(directory: &std::path::Path, arguments: &[&str]) {
    let output = raw(directory, ["-c", "user.name=x", "-c", "user.email=x"].iter().chain(arguments));
    assert!(!output.status.success(), "{arguments:?} succeeds");
}

#[test]
fn a_conflict_has_both_sides_and_the_users_side_is_the_tree_of_the_index() {
    let repo = divided();
    fails(repo.top(), &["merge", "side"]);
    repo.write("new", "staged\n");
    repo.git(["add", "new"]);
    let before = contents(repo.top());
    let taken = snapshot(&repo);
    let changed = before.changes_but_new_objects(&contents(repo.top()));
    assert!(changed.iter().all(|path| path.contains("/.git/handoff/.index-")), "{changed:?}");
    assert_eq!(file(&repo, &taken.index_tree, "README").unwrap(), "main\n");
    assert_eq!(file(&repo, &taken.index_tree, "new").unwrap(), "staged\n");
    assert!(file(&repo, &taken.files_tree, "README").unwrap().contains("<<<<<<<"));
    let operation = taken.operation.unwrap();
    assert_eq!(operation.what, "a merge in progress");
    let listed = repo.sibling("listed");
    std::fs::write(&listed, raw(repo.top(), ["ls-files", "-s", "-z"]).stdout).unwrap();
    let hash = repo.git(["hash-object", "--no-filters", listed.to_str().unwrap()]);
    assert_eq!(operation.listing.unwrap().as_str(), hash.trim());
    let side = repo.git(["rev-parse", "side"]);
    assert_eq!(repo.git(["show", &format!("{}:files/MERGE_HEAD", operation.commit)]), side);
    assert_eq!(repo.git(["rev-parse", &format!("{}^2", operation.commit)]), side, "its history travels, too");
    repo.git(["fsck", "--strict", "--no-dangling", operation.commit.as_str()]);
    // The second snapshot starts from the index that the first one kept.
    let again = snapshot(&repo);
    assert_eq!((again.index_tree, again.files_tree), (taken.index_tree, taken.files_tree));
}

#[test]
fn conflicts_without_an_operation_are_sent_and_a_state_without_both_has_none() {
    let repo = divided();
    repo.git(["read-tree", "-m", "main~1", "main", "side"]);
    let operation = snapshot(&repo).operation.unwrap();
    assert_eq!((operation.what.as_str(), operation.listing.is_some()), ("unresolved conflicts", true));
    repo.git(["reset", "-q", "--hard"]);
    repo.write(".git/MERGE_MSG", "left over\n");
    repo.git(["update-ref", "ORIG_HEAD", "HEAD"]);
    assert_eq!(snapshot(&repo).operation, None);
}

#[test]
fn a_linked_worktree_sends_its_own_operation() {
    let repo = divided();
    let linked = repo.sibling("linked");
    repo.git(["worktree", "add", "-q", linked.to_str().unwrap(), "side"]);
    fails(&linked, &["rebase", "main"]);
    assert_eq!(snapshot(&repo).operation, None);
    let operation = take(&Repository::discover(&linked).unwrap(), &[]).unwrap().operation.unwrap();
    assert_eq!(operation.what, "a rebase in progress");
    let branches: Vec<_> = operation.branches.iter().map(|(_, name)| name.as_str()).collect();
    assert_eq!(branches, ["refs/heads/side"]);
    let names = git_in(&linked, ["ls-tree", "-r", "--name-only", operation.commit.as_str(), "files/"]);
    assert!(names.contains("files/rebase-merge/git-rebase-todo\n") && names.contains("files/REBASE_HEAD\n"), "{names}");
}

#[test]
fn an_operation_that_would_arrive_incomplete_is_refused_by_name() {
    let repo = divided();
    std::fs::create_dir(repo.path(".git/sequencer")).unwrap();
    let (what, hint) = refusal(&repo);
    assert!(what.contains(".git/sequencer is empty") && hint.starts_with("rmdir"), "{what} ({hint})");
    std::os::unix::fs::symlink("elsewhere", repo.path(".git/sequencer/todo")).unwrap();
    assert!(refusal(&repo).0.contains("sequencer/todo is not a file"), "{:?}", refusal(&repo));
    std::fs::remove_dir_all(repo.path(".git/sequencer")).unwrap();
    let page = ".cursor/agent-handoffs/x/handoff.md";
    for branch in ["side", "main"] {
        repo.git(["checkout", "-q", branch]);
        repo.write(page, branch);
        repo.commit("the record");
    }
    fails(repo.top(), &["merge", "side"]);
    assert!(refusal(&repo).0.contains(&format!("{page} has a merge conflict")), "{:?}", refusal(&repo));
}

#[test]
fn the_host_is_not_asked_to_sign_and_gets_the_commits_of_short_ids() {
    let repo = divided();
    repo.git(["config", "core.abbrev", "4"]);
    repo.git(["checkout", "-q", "side"]);
    repo.write("second", "side\n");
    repo.commit("second");
    let second = repo.git(["rev-parse", "side"]);
    let sent = |what: &str| {
        let taken = snapshot(&repo).operation.unwrap();
        assert_eq!(taken.what, what);
        let names = repo.git(["ls-tree", "-r", "--name-only", &format!("{}:files", taken.commit)]);
        assert!(!names.contains("gpg"), "{names}");
        let parents = repo.git(["rev-parse", &format!("{}^@", taken.commit)]);
        assert!(parents.lines().any(|parent| parent == second.trim()), "{what}: {parents}");
        taken.commit
    };
    for (backend, what) in [("--merge", "a rebase in progress"), ("--apply", "a rebase in progress")] {
        fails(repo.top(), &["-c", "commit.gpgSign=true", "rebase", backend, "main"]);
        sent(what);
        repo.git(["rebase", "--abort"]);
    }
    repo.git(["checkout", "-q", "main"]);
    fails(repo.top(), &["-c", "commit.gpgSign=true", "cherry-pick", "-x", "side~1", "side"]);
    assert!(repo.git(["cat-file", "blob", &blob(&repo, "sequencer/opts")]).contains("gpg-sign"));
    let commit = sent("a cherry-pick in progress");
    assert_eq!(repo.git(["show", &format!("{commit}:files/sequencer/opts")]), "[options]\n\trecord-origin = true\n");
}

/// The id of a file in the git directory as a blob.
fn blob(repo: &Repo, name: &str) -> String {
    repo.git(["hash-object", "-w", "--no-filters", &format!(".git/{name}")]).trim().to_owned()
}

#[test]
fn a_file_in_conflict_is_sent_even_if_it_is_ignored() {
    let repo = Repo::with_commit();
    repo.write("local.conf", "base\n");
    repo.write("both.conf", "base\n");
    repo.commit("configuration");
    repo.git(["checkout", "-q", "-b", "side"]);
    repo.write("local.conf", "side\n");
    repo.commit("side");
    repo.git(["checkout", "-q", "main"]);
    repo.git(["rm", "-q", "local.conf", "both.conf"]);
    repo.write(".gitignore", "*.conf\n");
    repo.commit("not tracked any more");
    fails(repo.top(), &["merge", "side"]);
    repo.write("both.conf", "mine\n");
    let taken = snapshot(&repo);
    assert_eq!(file(&repo, &taken.files_tree, "local.conf").as_deref(), Some("side\n"));
    assert_eq!(file(&repo, &taken.files_tree, "both.conf"), None);
    assert!(!taken.left_behind.iter().any(|item| item.path == "local.conf"), "{:?}", taken.left_behind);
}
