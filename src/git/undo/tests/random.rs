//! Random work and random changes of the user's: either the exact three-way result, or nothing; and an exact undo.

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::*;
use crate::git::roundtrip::{Deed, act, deed};
use crate::model::snapshot::Oid;

/// The merge by git itself: `None` if there is a conflict. `Err` if this git is too old to do it, or a side renames a
/// file: git 2.47 follows renames whatever its options are, and this program does not.
fn merged_by_git(repo: &Repo, base: &Oid, ours: &Oid, theirs: &Oid) -> std::result::Result<Option<Oid>, ()> {
    let renames = |side: &Oid| {
        let words = ["diff-tree", "-r", "-M50%", "-l0", "--diff-filter=R", "--name-only", base.as_str(), side.as_str()];
        !repo.git(words).is_empty()
    };
    if renames(ours) || renames(theirs) {
        return Err(());
    }
    let commit = |tree: &Oid, parents: &[&str]| {
        let parents = parents.iter().flat_map(|parent| ["-p", parent]);
        repo.git(["commit-tree", "-m", "x", tree.as_str()].into_iter().chain(parents)).trim().to_owned()
    };
    let base = commit(base, &[]);
    let [ours, theirs] = [ours, theirs].map(|tree| commit(tree, &[&base]));
    let words = ["merge-tree", "--write-tree", "--no-messages", &ours, &theirs];
    let output = raw(repo.top(), words);
    match output.status.code() {
        Some(0) => Ok(Some(String::from_utf8_lossy(&output.stdout).trim().parse().unwrap())),
        Some(1) => Ok(None),
        _ => Err(()),
    }
}

fn comes_here(start: &[Deed], agent: &[Deed], drift: &[Deed], kill: u32) -> std::result::Result<(), TestCaseError> {
    let start = |repo: &Repo| {
        repo.write(".gitignore", "*.ignored\n");
        let (committed, dirt) = start.split_at(start.len() / 2);
        committed.iter().for_each(|deed| act(repo, deed));
        repo.commit("committed");
        dirt.iter().for_each(|deed| act(repo, deed));
    };
    let case = Case::new(start, |host| agent.iter().for_each(|deed| act(host, deed)));
    drift.iter().for_each(|deed| act(&case.user, deed));
    let git = case.user.open();
    let ours = snapshot::take(&git, &[]).unwrap();
    let of = |base: &Oid, ours: &Oid, theirs: &Oid| merged_by_git(&case.user, base, ours, theirs);
    let files = of(&case.base.files_tree, &ours.files_tree, &case.work.files_tree);
    let index = of(&case.base.index_tree, &ours.index_tree, &case.work.index_tree);
    let before = everything(&case.user);
    let refs = case.user.git(["for-each-ref"]);
    match case.prepare().unwrap() {
        Outcome::Conflicts(conflicts) => {
            assert_same(&before, &everything(&case.user), "refused");
            let in_the_way = conflicts.iter().any(|it| it.why.contains("ignored") || it.why.contains("not track"));
            let is_clean = matches!((&files, &index), (Ok(Some(_)), Ok(Some(_))));
            prop_assert!(!is_clean || in_the_way, "git merges it: {:?}", conflicts);
            return Ok(());
        }
        Outcome::Ready(_) => {}
    }
    case.undo().begin().unwrap();
    if case.undo().write(&git, &mut killed_after(kill)).is_err() {
        if case.undo().roll_back(&git, &mut killed_after(kill)).is_err() {
            case.undo().roll_back(&git, &mut || Ok(())).unwrap();
        }
        assert_same(&before, &everything(&case.user), "killed and rolled back");
        case.undo().forget().unwrap();
        case.bring();
    }
    let now = snapshot::take(&git, &[]).unwrap();
    for (by_git, here) in [(files, &now.files_tree), (index, &now.index_tree)] {
        if let Ok(by_git) = by_git {
            prop_assert_eq!(by_git.as_ref(), Some(here));
        }
    }
    prop_assert_eq!(&now.head, &ours.head);
    prop_assert_eq!(case.user.git(["for-each-ref"]), refs);
    if case.undo().undo(&git, "x", &mut killed_after(kill)).is_err() {
        case.take_back().unwrap();
    }
    assert_same(&before, &everything(&case.user), "undone");
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 30, max_shrink_iters: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn any_drift_ends_in_the_exact_merge_or_untouched_and_undo_is_exact(
        start in proptest::collection::vec(deed(), 0..10),
        agent in proptest::collection::vec(deed(), 0..6),
        drift in proptest::collection::vec(deed(), 0..5),
        kill in 0..12u32,
    ) {
        comes_here(&start, &agent, &drift, kill)?;
    }
}
