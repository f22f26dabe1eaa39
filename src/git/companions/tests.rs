use super::*;
use crate::git::testing::{Repo, git_in};

/// Adds a repository as a submodule, and commits that.
fn add_submodule(outer: &Repo, inner: &Path, at: &str) {
    let source = inner.to_str().unwrap();
    outer.git(["-c", "protocol.file.allow=always", "submodule", "--quiet", "add", source, at]);
    outer.git(["-c", "protocol.file.allow=always", "submodule", "--quiet", "update", "--init", "--recursive"]);
    outer.commit("with a submodule");
}

fn taken(repo: &Repo, named: &[&str]) -> Snapshot {
    let named: Vec<Named> = named.iter().copied().map(Named::from).collect();
    take_for_run(&repo.open(), &[], &named, &|_, _| {}).unwrap()
}

fn paths(snapshot: &Snapshot) -> Vec<&str> {
    snapshot.companions.iter().map(|companion| companion.path.as_str()).collect()
}

#[test]
fn submodules_go_with_their_commits_and_changes_and_are_not_left_behind() {
    let (outer, middle, inner) = (Repo::with_commit(), Repo::with_commit(), Repo::with_commit());
    add_submodule(&middle, inner.top(), "deep/inner");
    add_submodule(&outer, middle.top(), "lib");
    let deep = outer.path("lib/deep/inner");
    outer.write("lib/deep/inner/README", "changed\n");
    outer.write("lib/new", "untracked\n");
    git_in(
        &outer.path("lib"),
        ["-c", "user.name=a", "-c", "user.email=a@b", "commit", "-qm", "local", "--allow-empty"],
    );
    let snapshot = taken(&outer, &[]);
    assert_eq!(paths(&snapshot), ["lib", "lib/deep/inner"]);
    assert_eq!(snapshot.left_behind, []);
    let (lib, inner) = (&snapshot.companions[0].work, &snapshot.companions[1].work);
    let link = outer.git(["ls-tree", snapshot.files_tree.as_str(), "lib"]);
    assert!(link.contains(lib.head.commit().unwrap().as_str()), "{link} has the commit that no remote has");
    let show = |directory: &Path, what: String| git_in(directory, ["show", what.as_str()]);
    assert_eq!(show(&outer.path("lib"), format!("{}:new", lib.commit)), "untracked\n");
    assert_eq!(show(&deep, format!("{}:README", inner.commit)), "changed\n");
    assert!(snapshot.companions.iter().all(|companion| companion.work.cache_key.is_some()));
}

#[test]
fn a_repository_that_is_no_submodule_goes_only_when_it_is_named() {
    let outer = Repo::with_commit();
    let nested = outer.path("vendor/x");
    std::fs::create_dir_all(&nested).unwrap();
    git_in(&nested, ["clone", "-q", outer.top().to_str().unwrap(), "."]);
    let beside = outer.sibling("lib");
    git_in(outer.top(), ["clone", "-q", ".", beside.to_str().unwrap()]);
    std::fs::write(beside.join("new"), "1").unwrap();
    let without = taken(&outer, &[]);
    assert!(without.companions.is_empty() && without.left_behind[0].reason == "nested repository");
    let with = taken(&outer, &["vendor/x", "../lib"]);
    assert_eq!((paths(&with), &with.left_behind[..]), (vec!["../lib", "vendor/x"], &[][..]));
    assert_eq!(git_in(&beside, ["show", &format!("{}:new", with.companions[0].work.commit)]), "1");
    // The tree of the outer one has no trace of it.
    assert_eq!(with.files_tree, without.files_tree);
}

#[test]
fn what_is_no_repository_or_reached_through_a_link_is_refused_by_name() {
    let outer = Repo::with_commit();
    outer.write("plain/file", "1");
    let elsewhere = Repo::with_commit();
    std::os::unix::fs::symlink(elsewhere.top(), outer.path("link")).unwrap();
    for path in ["plain", "link", "missing", "../missing", "../../x", ".git"] {
        let refused = take(&outer.open(), &[Named::from(path)], Purpose::Work).unwrap_err();
        assert!(matches!(&refused, Error::Unfit { what, .. } if what.starts_with(path)), "{refused}");
    }
}

#[test]
fn a_worktree_of_a_repository_that_is_sent_is_refused() {
    let outer = Repo::with_commit();
    outer.git(["worktree", "add", "-q", "--detach", "../side"]);
    let refused = take(&outer.open(), &[Named::from("../side")], Purpose::Work).unwrap_err();
    assert!(refused.to_string().contains("../side is a worktree of a repository that is sent already"), "{refused}");
}

#[test]
fn a_submodule_without_a_commit_or_a_checkout_stays_as_it_was() {
    let (outer, inner) = (Repo::with_commit(), Repo::with_commit());
    add_submodule(&outer, inner.top(), "lib");
    outer.git(["submodule", "--quiet", "deinit", "-f", "lib"]);
    assert!(taken(&outer, &[]).companions.is_empty());
    let lib = outer.path("lib");
    git_in(&lib, ["init", "-q"]);
    assert!(taken(&outer, &[]).companions.is_empty());
}

#[test]
fn a_preview_stores_nothing() {
    let (outer, inner) = (Repo::with_commit(), Repo::with_commit());
    add_submodule(&outer, inner.top(), "lib");
    outer.write("lib/new", "untracked\n");
    // Git updates the time of an object that it writes again.
    let names = || {
        let listed = std::process::Command::new("find").arg(outer.top()).output().unwrap();
        String::from_utf8(listed.stdout).unwrap().lines().map(str::to_owned).collect::<std::collections::BTreeSet<_>>()
    };
    let before = names();
    let shown = preview(&outer.open(), &[], &[]).unwrap();
    assert_eq!(before, names());
    assert_eq!(paths(&shown), ["lib"]);
}
