//! Random repositories with random changes: after a takeover, `git status` says the same as where the snapshot was
//! taken.

use std::ffi::{OsStr, OsString};
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use proptest::prelude::*;
use proptest::test_runner::Config;

use super::capture::Captured;
use super::testing::{Repo, raw, status};
use super::{Repository, snapshot, takeover_worktree};
use crate::model::id::{RemoteName, Uid};

/// Names that collide as file and directory, that look like options or patterns, or that are not UTF-8.
const NAMES: [&[u8]; 12] = [
    b"a",
    b"a/b",
    b"a/b/c",
    b"with space/file",
    b"-n",
    b"*.txt",
    b":(top)x",
    b"n\xffn",
    b"line\nend",
    "ünï/cødé".as_bytes(),
    b"x.ignored",
    b"deep/er/and/deeper/file",
];

#[derive(Clone, Debug)]
pub(super) enum Deed {
    Write { name: usize, content: u8 },
    Crlf { name: usize },
    Link { name: usize, target: usize },
    Executable { name: usize },
    Delete { name: usize },
    Rename { name: usize, to: usize },
    Stage { name: usize, force: bool },
    Unstage { name: usize },
    RemoveFromIndex { name: usize },
    StageAll,
    Commit,
}

pub(super) fn deed() -> impl Strategy<Value = Deed> {
    let name = || 0..NAMES.len();
    prop_oneof![
        6 => (name(), any::<u8>()).prop_map(|(name, content)| Deed::Write { name, content }),
        1 => name().prop_map(|name| Deed::Crlf { name }),
        1 => (name(), name()).prop_map(|(name, target)| Deed::Link { name, target }),
        1 => name().prop_map(|name| Deed::Executable { name }),
        2 => name().prop_map(|name| Deed::Delete { name }),
        1 => (name(), name()).prop_map(|(name, to)| Deed::Rename { name, to }),
        3 => (name(), any::<bool>()).prop_map(|(name, force)| Deed::Stage { name, force }),
        1 => name().prop_map(|name| Deed::Unstage { name }),
        1 => name().prop_map(|name| Deed::RemoveFromIndex { name }),
        1 => Just(Deed::StageAll),
        1 => Just(Deed::Commit),
    ]
}

fn name(index: usize) -> &'static OsStr {
    OsStr::from_bytes(NAMES[index])
}

/// Makes room for a file by removing files and directories in its way.
fn clear(repo: &Repo, path: &PathBuf) {
    for above in path.ancestors().skip(1).take_while(|above| *above != repo.top()) {
        if above.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
            std::fs::remove_file(above).unwrap();
        }
    }
    remove(path);
    std::fs::create_dir_all(path.parent().unwrap()).unwrap();
}

fn remove(path: &PathBuf) {
    match path.symlink_metadata() {
        Ok(meta) if meta.is_dir() => std::fs::remove_dir_all(path).unwrap(),
        Ok(_) => std::fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// Does a deed. It has no effect where the repository's state does not allow it.
pub(super) fn act(repo: &Repo, deed: &Deed) {
    let git = |words: &[&OsStr]| {
        raw(repo.top(), std::iter::once(OsStr::new("--literal-pathspecs")).chain(words.iter().copied()))
    };
    let on = |words: &[&str], path: usize| {
        let words: Vec<OsString> = words.iter().map(OsString::from).collect();
        let mut words: Vec<&OsStr> = words.iter().map(OsString::as_os_str).collect();
        words.extend([OsStr::new("--"), name(path)]);
        git(&words);
    };
    let put = |index: usize, content: &[u8]| {
        let path = repo.path(name(index));
        clear(repo, &path);
        std::fs::write(path, content).unwrap();
    };
    match deed {
        // Few different contents, so that renames and equal files are found.
        Deed::Write { name, content } => put(*name, format!("{}\n", content % 5).repeat(20).as_bytes()),
        Deed::Crlf { name } => put(*name, b"one\r\ntwo\nthree\r\n"),
        Deed::Link { name: index, target } => {
            let path = repo.path(name(*index));
            clear(repo, &path);
            std::os::unix::fs::symlink(name(*target), path).unwrap();
        }
        Deed::Executable { name: index } => {
            let path = repo.path(name(*index));
            if path.symlink_metadata().is_ok_and(|meta| meta.is_file()) {
                std::fs::set_permissions(path, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
            }
        }
        Deed::Delete { name: index } => remove(&repo.path(name(*index))),
        Deed::Rename { name: from, to } => {
            let (from, to) = (repo.path(name(*from)), repo.path(name(*to)));
            if from.is_file() && !to.starts_with(&from) {
                let content = std::fs::read(&from).unwrap();
                clear(repo, &to);
                std::fs::write(&to, content).unwrap();
                if from != to && from.symlink_metadata().is_ok_and(|meta| !meta.is_dir()) {
                    std::fs::remove_file(from).unwrap();
                }
            }
        }
        Deed::Stage { name, force } => on(if *force { &["add", "-A", "-f"] } else { &["add", "-A"] }, *name),
        Deed::Unstage { name } => on(&["reset", "-q"], *name),
        Deed::RemoveFromIndex { name } => on(&["rm", "-q", "-r", "--cached"], *name),
        Deed::StageAll => drop(git(&["add", "-A"].map(OsStr::new))),
        Deed::Commit => drop(git(&["commit", "-q", "--allow-empty", "-m", "x"].map(OsStr::new))),
    }
}

fn ways_back(autocrlf: &str, committed: Option<&[Deed]>, dirt: &[Deed]) -> Result<(), TestCaseError> {
    let repo = if committed.is_some() { Repo::with_commit() } else { Repo::empty() };
    repo.git(["config", "core.autocrlf", autocrlf]);
    repo.write(".gitignore", "*.ignored\n");
    if let Some(deeds) = committed {
        deeds.iter().for_each(|deed| act(&repo, deed));
        repo.commit("committed");
    }
    dirt.iter().for_each(|deed| act(&repo, deed));
    let git = repo.open();
    let taken = snapshot::take(&git, &[]).unwrap();
    let destination = repo.sibling("landed");
    let id = "x".parse().unwrap();
    let name = RemoteName::new(&id, &Uid::from_random([7; 10]));
    let takeover = takeover_worktree::Takeover { id: &id, name: &name, round: 1, branch: None };
    let landed =
        takeover_worktree::worktree_for_takeover(&git, takeover, &Captured::from(&taken), &destination).unwrap();
    prop_assert_eq!(status(&landed.path), status(repo.top()));
    let again = snapshot::take(&Repository::discover(&landed.path).unwrap(), &[]).unwrap();
    let trees = |s: &crate::model::snapshot::Snapshot| (s.head.clone(), s.index_tree.clone(), s.files_tree.clone());
    prop_assert_eq!(trees(&again), trees(&taken));
    Ok(())
}

proptest! {
    #![proptest_config(Config { cases: 30, max_shrink_iters: 60, failure_persistence: None, ..Config::default() })]

    #[test]
    fn a_takeover_has_the_status_of_the_snapshot(
        autocrlf in prop_oneof![3 => Just("false"), 1 => Just("input"), 1 => Just("true")],
        // Without them, the branch has no commit, unless the dirt makes one.
        committed in proptest::option::weighted(0.8, proptest::collection::vec(deed(), 0..8)),
        dirt in proptest::collection::vec(deed(), 0..12),
    ) {
        ways_back(autocrlf, committed.as_deref(), &dirt)?;
    }
}
