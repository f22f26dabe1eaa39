//! Takeovers with failing filters, and with names that the disk refuses.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::*;

/// A repository with files that a filter scrambles. Like git-crypt, the filter needs a key in the git directory.
fn scrambled(required: &str) -> Repo {
    let repo = Repo::with_commit();
    let key = "[ -f \"$(git rev-parse --git-dir)/key\" ] || { echo 'no key' >&2; exit 1; }";
    let filter = repo.script("filter", &format!("{key}\nexec tr a-zA-Z n-za-mN-ZA-M"));
    repo.write(".git/key", "");
    for of in ["clean", "smudge"] {
        repo.git(["config", &format!("filter.toy.{of}"), &filter]);
    }
    repo.git(["config", "filter.toy.required", required]);
    repo.write(".gitattributes", "*secret filter=toy\n");
    repo.write("secret", "password\n");
    repo.write("in/other secret", "another\n");
    repo.executable("secret");
    repo.write("plain", "plain\n");
    repo.commit("scrambled");
    repo.write("plain", "edited\n");
    repo
}

fn read(landed: &Landed, name: &str) -> String {
    std::fs::read_to_string(landed.path.join(name)).unwrap()
}

#[test]
fn a_file_whose_filter_fails_is_written_as_stored_and_listed() {
    for required in ["true", "false"] {
        let repo = scrambled(required);
        let before = status(repo.top());
        let landed = land(&repo, &taken(&repo)).unwrap();
        let stored: Vec<_> = landed.stored.iter().map(|it| (it.path.as_str(), it.why.as_str())).collect();
        assert_eq!(stored, [("in/other secret", "toy: no key"), ("secret", "toy: no key")]);
        assert_eq!(read(&landed, "secret"), "cnffjbeq\n");
        assert_eq!(read(&landed, "plain"), "edited\n");
        assert_eq!(landed.path.join("secret").metadata().unwrap().permissions().mode() & 0o111, 0o111);
        assert_eq!(landed.differing, [""; 0]);
        // Neither this nor the next snapshot runs the filter again.
        assert_eq!(status(&landed.path), before);
        let given = snapshot::take(&Repository::discover(&landed.path).unwrap(), &[]).unwrap();
        assert_eq!(given.files_tree, taken(&repo).files_tree);
    }
}

#[test]
fn a_filter_that_fails_for_one_file_is_used_for_the_others() {
    let repo = Repo::with_commit();
    let smudge = repo.script("smudge", "case $1 in *bad*) echo 'error: cannot' >&2; exit 3;; esac\ntr a-z b-za");
    repo.git(["config", "filter.toy.clean", "tr b-za a-z"]);
    repo.git(["config", "filter.toy.smudge", &format!("{smudge} %f")]);
    repo.git(["config", "filter.toy.required", "true"]);
    repo.write(".gitattributes", "*.toy filter=toy\n");
    for name in ["bad.toy", "good.toy", "z bad.toy", "z good.toy"] {
        repo.write(name, "text\n");
    }
    repo.commit("toys");
    let landed = land(&repo, &taken(&repo)).unwrap();
    assert_eq!(landed.stored.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["bad.toy", "z bad.toy"]);
    assert_eq!(["bad.toy", "good.toy", "z good.toy"].map(|it| read(&landed, it)), ["sdws\n", "text\n", "text\n"]);
    assert_eq!(status(&landed.path), "");
}

#[test]
fn a_missing_filter_and_a_wrong_encoding_do_not_fail_the_takeover() {
    let repo = Repo::with_commit();
    repo.write(".gitattributes", "*.gone filter=gone\n*.wide working-tree-encoding=UTF-16LE\n");
    repo.write("a.gone", "a\n");
    let wide: Vec<u8> = "w\n".encode_utf16().flat_map(u16::to_le_bytes).collect();
    repo.write("b.wide", &wide);
    repo.commit("x");
    let mut work = taken(&repo);
    repo.git(["config", "filter.gone.smudge", "/nonexistent/filter"]);
    repo.git(["config", "filter.gone.required", "true"]);
    let landed = land(&repo, &work).unwrap();
    assert_eq!(landed.stored.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["a.gone"]);
    assert_eq!(std::fs::read(landed.path.join("b.wide")).unwrap(), wide);
    // As if an agent had written bytes that are not UTF-8.
    repo.git(["worktree", "remove", "--force", landed.path.to_str().unwrap()]);
    repo.git(["branch", "-D", "handoff/20260407-fix"]);
    repo.write("raw", b"\xff\xfe\xff");
    let blob = repo.git(["hash-object", "-w", "--no-filters", "raw"]);
    repo.git(["read-tree", work.files_tree.as_str()]);
    repo.git(["update-index", "--cacheinfo", &format!("100644,{},b.wide", blob.trim())]);
    work.files_tree = repo.git(["write-tree"]).trim().parse().unwrap();
    let landed = land(&repo, &work).unwrap();
    assert_eq!(landed.stored.iter().map(|it| it.path.as_str()).collect::<Vec<_>>(), ["a.gone", "b.wide"]);
    assert_eq!(std::fs::read(landed.path.join("b.wide")).unwrap(), b"\xff\xfe\xff");
}

#[test]
fn real_git_crypt_files_are_listed_and_taken_over() {
    if Command::new("git-crypt").arg("--version").output().is_err() {
        return skip!("git-crypt is not installed");
    }
    let repo = Repo::with_commit();
    let crypt = |arguments: &[&str]| {
        let output = Command::new("git-crypt").args(arguments).current_dir(repo.top()).output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    };
    crypt(&["init"]);
    repo.write(".gitattributes", "*.key filter=git-crypt diff=git-crypt\n");
    repo.write("a.key", "password\n");
    repo.commit("locked");
    let shipped = snapshot::take(&repo.open(), &[]).unwrap();
    let reason = "sent as git stores it, because the filter git-crypt exists only on this machine";
    assert_eq!(shipped.left_behind.iter().map(|it| (&*it.path, &*it.reason)).collect::<Vec<_>>(), [("a.key", reason)]);
    let landed = land(&repo, &taken(&repo)).unwrap();
    let text = std::fs::read(landed.path.join("a.key")).unwrap();
    // A git-crypt that finds the key of the main work tree decrypts the file; another one does not.
    match landed.stored.as_slice() {
        [] => assert_eq!(text, b"password\n"),
        stored => assert!(stored[0].path == "a.key" && text.starts_with(b"\0GITCRYPT"), "{stored:?}"),
    }
    assert_eq!(status(&landed.path), "");
}

#[test]
fn real_git_annex_files_are_listed_and_taken_over() {
    if Command::new("git-annex").arg("version").output().is_err() {
        return skip!("git-annex is not installed");
    }
    let repo = Repo::with_commit();
    repo.git(["annex", "init", "-q"]);
    repo.write("locked.bin", "large\n");
    repo.git(["annex", "add", "-q", "locked.bin"]);
    repo.write("unlocked.bin", "large too\n");
    repo.git(["annex", "add", "-q", "unlocked.bin"]);
    repo.git(["annex", "unlock", "-q", "unlocked.bin"]);
    repo.commit("annexed");
    repo.write("plain", "x");
    let shipped = snapshot::take(&repo.open(), &[]).unwrap();
    let reasons = [
        ("locked.bin", "content is in the git directory"),
        ("unlocked.bin", "sent as git stores it, because the filter annex exists only on this machine"),
    ];
    assert_eq!(shipped.left_behind.iter().map(|it| (&*it.path, &*it.reason)).collect::<Vec<_>>(), reasons);
    let landed = land(&repo, &taken(&repo)).unwrap();
    assert_eq!(read(&landed, "plain"), "x");
    assert!(landed.path.join(".git").symlink_metadata().unwrap().is_file());
    let again = land(&repo, &taken(&repo)).unwrap();
    assert!(again.before && again.path == landed.path, "it is found again");
}

#[test]
fn a_place_that_cannot_be_written_is_refused_with_the_option_and_nothing_is_left() {
    let repo = Repo::with_commit();
    let work = taken(&repo);
    let refused = |destination: &Path| {
        let git = repo.open();
        let first = takeover(1, |it| check_place(&git, it, destination, &git.head_commit())).unwrap_err();
        let second = takeover(1, |it| worktree_for_takeover(&git, it, &work, destination)).unwrap_err();
        for error in [first, second] {
            let hint = error.hint().unwrap_or_else(|| panic!("{error}"));
            assert!(hint.contains("--worktree DIR"), "{error}: {hint}");
        }
    };
    refused(Path::new("/proc/handoff"));
    refused(&repo.sibling("no such directory/x"));
    std::fs::write(repo.sibling("file"), "").unwrap();
    refused(&repo.sibling("file"));
    refused(&repo.sibling("file/below"));
    let closed = repo.sibling("closed");
    std::fs::create_dir(&closed).unwrap();
    std::fs::set_permissions(&closed, std::fs::Permissions::from_mode(0o555)).unwrap();
    if std::fs::write(closed.join("x"), "").is_err() {
        refused(&closed.join("x"));
    } // root writes everywhere
    std::fs::remove_dir_all(&closed).unwrap();
    let mut names: Vec<_> = repo.sibling("").read_dir().unwrap().map(|it| it.unwrap().file_name()).collect();
    names.sort();
    assert_eq!(names, ["file", "the repo"]);
    takeover(1, |it| check_place(&repo.open(), it, &repo.sibling("fine"), &repo.open().head_commit())).unwrap();
    assert!(!repo.sibling("fine").exists());
}

/// A file system in a file, unmounted when dropped.
struct Mounted(tempfile::TempDir);

impl Mounted {
    /// `None` where this machine cannot make one.
    fn new(make: &str, options: &str) -> Option<Self> {
        let folder = Self(tempfile::tempdir().unwrap());
        let script = format!(
            "cd '{}' && mkdir at && truncate -s 16M disk && {make} disk && mount -o loop{options} disk at",
            folder.0.path().display()
        );
        let made = Command::new("sh").args(["-c", &script]).output().unwrap();
        made.status.success().then_some(folder)
    }

    fn at(&self) -> PathBuf {
        self.0.path().join("at")
    }
}

impl Drop for Mounted {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg(self.at()).output();
    }
}

/// Agents on Linux create such names. The list comes from the disk's own errors.
#[test]
fn names_that_the_disk_cannot_store_are_listed_before_anything_is_written() {
    let repo = Repo::with_commit();
    for name in ["Guide.md", "guide.md", "docs/a", "Docs/b", "what?", "plain"] {
        repo.write(name, name);
    }
    let work = taken(&repo);
    assert!(land(&repo, &work).is_ok() || repo.path(".GIT").exists(), "this disk holds them");
    let disks = [("mkfs.vfat", ",utf8,shortname=mixed"), ("mkfs.ext4 -q -O casefold", "")];
    let disks: Vec<_> = disks.iter().filter_map(|(make, options)| Mounted::new(make, options)).collect();
    if disks.is_empty() {
        skip!("no file system that folds case can be mounted here");
    }
    for disk in &disks {
        let place = disk.at().join("folds");
        std::fs::create_dir(&place).unwrap();
        let folds = Command::new("chattr").arg("+F").arg(&place).output();
        let is_vfat = !folds.is_ok_and(|it| it.status.success());
        repo.git(["branch", "-q", "-D", "handoff/20260407-fix"]);
        repo.git(["worktree", "prune"]);
        let git = repo.open();
        let error = takeover(1, |it| worktree_for_takeover(&git, it, &work, &place.join("x"))).unwrap_err();
        let said = error.to_string();
        assert!(said.contains("\n  Guide.md and guide.md have the same name there"), "{said}");
        assert!(said.contains("\n  Docs and docs have the same name there"), "{said}");
        assert_eq!(said.contains("\n  what? ("), is_vfat, "{said}");
        assert!(error.hint().unwrap().contains("--worktree"));
        assert_eq!(place.read_dir().unwrap().count(), 0);
    }
}
