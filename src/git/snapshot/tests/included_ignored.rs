//! Ignored files that go with a snapshot because the work needs them.

use super::*;

fn taken(repo: &Repo, include: &[&str]) -> Snapshot {
    let include: Vec<_> = include.iter().map(|pattern| (*pattern).to_owned()).collect();
    take(&repo.open(), &include).unwrap()
}

fn taken_for_run(repo: &Repo, include: &[&str]) -> Snapshot {
    let include: Vec<_> = include.iter().map(|pattern| (*pattern).to_owned()).collect();
    super::super::take_for_run(&repo.open(), &include, &[], &|_, _| {}).unwrap()
}

fn ignoring() -> Repo {
    let repo = Repo::with_commit();
    repo.write(".gitignore", ".env\nlocal/\n*.o\n");
    repo.commit("ignore");
    repo.write(".env", "KEY=1\n");
    repo.write("local/a.conf", "a\n");
    repo.write("local/b.conf", "b\n");
    repo.write("made.o", "o\n");
    repo.write("untracked", "u\n");
    repo
}

#[test]
fn included_files_are_in_their_own_tree_and_the_rest_is_listed() {
    let repo = ignoring();
    let taken = taken(&repo, &[".env", "/local/a.conf", "untracked", "README", "nothing-here"]);
    let extra = taken.extra.as_ref().unwrap();
    let names = repo.git(["ls-tree", "-r", "--name-only", extra.tree.as_str()]);
    assert_eq!((names.as_str(), extra.files), (".env\nlocal/a.conf\n", 2));
    assert_eq!(repo.git(["log", "-1", "--format=%P%T", extra.commit.as_str()]).trim(), extra.tree.as_str());
    assert_eq!(file(&repo, &taken.files_tree, ".env"), None);
    assert_eq!(file(&repo, &taken.files_tree, "untracked").as_deref(), Some("u\n"));
    assert_eq!(reasons(&taken), [("local/b.conf", "ignored"), ("made.o", "ignored")]);
    assert_eq!(file(&repo, &extra.tree, ".env").as_deref(), Some("KEY=1\n"));
}

#[test]
fn a_directory_is_included_whole_and_then_not_listed() {
    let repo = ignoring();
    let taken = taken(&repo, &["local/"]);
    assert_eq!(taken.extra.as_ref().unwrap().files, 2);
    assert_eq!(reasons(&taken), [(".env", "ignored"), ("made.o", "ignored")]);
}

#[test]
fn neither_the_record_nor_another_repository_is_taken() {
    let repo = ignoring();
    repo.write(".cursor/agent-handoffs/x/handoff.md", "h\n");
    repo.git(["init", "-q", repo.path("local/nested").to_str().unwrap()]);
    repo.write("local/nested/file", "n\n");
    let taken = taken(&repo, &["*"]);
    let names = repo.git(["ls-tree", "-r", "--name-only", taken.extra.as_ref().unwrap().tree.as_str()]);
    assert_eq!(names, ".env\nlocal/a.conf\nlocal/b.conf\nmade.o\n");
    assert!(reasons(&taken).contains(&("local/nested/", "ignored")), "{:?}", reasons(&taken));
}

#[test]
fn without_a_match_nothing_is_included() {
    let repo = ignoring();
    assert_eq!(taken(&repo, &["nothing-here"]).extra, None);
    assert_eq!(taken(&repo, &[]).extra, None);
}

#[test]
fn patterns_that_match_nothing_of_what_is_sent_are_listed() {
    let repo = Repo::with_commit();
    repo.write(".gitignore", "*.env\nout/\n");
    repo.write("a.env", "KEY=1\n");
    repo.write("out/deep/x", "built\n");
    repo.write("plain.txt", "untracked\n");
    let listed = |include: &[&str]| taken_for_run(&repo, include).unmatched;
    assert_eq!(listed(&["*.env", "out/", "/out/deep/x", "plain.txt", "deep"]), [""; 0]);
    assert_eq!(listed(&["*.enw", "a.env", "/deep", "out/*.o"]), ["*.enw", "/deep", "out/*.o"]);
    assert_eq!(listed(&[]), [""; 0]);
    assert_eq!(taken(&repo, &["*.enw"]).unmatched, [""; 0], "only a run has patterns that a person typed");
}

#[test]
fn a_worktreeinclude_sends_what_a_new_worktree_needs_and_no_secret() {
    let repo = ignoring();
    repo.write(".worktreeinclude", "# needed to build\n.env\nlocal/*\n!local/b.conf\nREADME\n");
    let plain = taken_for_run(&repo, &[]);
    let names = |taken: &Snapshot| {
        let tree = taken.extra.as_ref().unwrap().tree.clone();
        repo.git(["ls-tree", "-r", "--name-only", tree.as_str()])
    };
    assert_eq!(names(&plain), "local/a.conf\n");
    assert_eq!(plain.extra.as_ref().unwrap().bytes, 2);
    let secret = (".env", "may be a secret; `--include PATH` sends it");
    assert!(reasons(&plain).contains(&secret), "{:?}", reasons(&plain));
    assert!(!reasons(&plain).contains(&(".env", "ignored")), "{:?}", reasons(&plain));
    assert!(reasons(&plain).contains(&("local/b.conf", "ignored")), "{:?}", reasons(&plain));

    let named = taken_for_run(&repo, &["/.env"]);
    assert_eq!(names(&named), ".env\nlocal/a.conf\n");
    let later = taken(&repo, &[]);
    assert_eq!(later.extra, None, "only a new handoff needs it");
    assert!(reasons(&later).contains(&(".env", "ignored")), "{:?}", reasons(&later));
    assert!(!reasons(&named).iter().any(|(path, _)| *path == ".env"), "{:?}", reasons(&named));
}

#[test]
fn a_worktreeinclude_that_selects_too_much_sends_nothing() {
    let repo = ignoring();
    repo.write(".worktreeinclude", "local/\n");
    let large = std::fs::File::create(repo.path("local/large")).unwrap();
    large.set_len(101 << 20).unwrap();
    let taken = taken_for_run(&repo, &[]);
    assert_eq!(taken.extra, None);
    let told = reasons(&taken).iter().filter(|(_, reason)| reason.contains("more than 100 MiB")).count();
    assert_eq!(told, 3, "{:?}", reasons(&taken));
}

#[test]
fn a_worktreeinclude_that_is_no_file_is_not_read() {
    let repo = ignoring();
    std::os::unix::fs::symlink("/etc/passwd", repo.path(".worktreeinclude")).unwrap();
    assert_eq!(taken_for_run(&repo, &[]).extra, None);
    std::fs::remove_file(repo.path(".worktreeinclude")).unwrap();
    std::fs::create_dir(repo.path(".worktreeinclude")).unwrap();
    assert_eq!(taken_for_run(&repo, &[]).extra, None);
}
