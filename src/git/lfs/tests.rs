use std::path::PathBuf;

use super::*;
use crate::git::snapshot;
use crate::git::testing::Repo;
use crate::model::snapshot::LfsContents;

/// The SHA-256 of `content`.
const ID: &str = "ed7002b439e9ac845f22357d822bac1444730fbdb6016d3ec9432297b9ec9f73";

fn pointer(id: &str, size: u64) -> String {
    Pointer { id: ContentId::parse(id).unwrap(), size }.to_string()
}

fn place(repo: &Repo, id: &str) -> PathBuf {
    repo.path(format!(".git/lfs/objects/{}/{}/{id}", &id[..2], &id[2..4]))
}

/// A repository with pointers, whose git has no filter.
fn repository() -> Repo {
    let repo = Repo::with_commit();
    repo.write(".gitattributes", "*.bin filter=lfs\nraw/* !filter\n");
    repo.write("a.bin", pointer(ID, 7));
    repo.write("same.bin", pointer(ID, 7));
    repo.write("raw/a.bin", pointer(ID, 7));
    repo.write("raw.bin", "content\n");
    repo.write("empty.bin", "");
    repo.write("text", pointer(ID, 7));
    repo
}

fn contents(repo: &Repo) -> (Oid, Option<LfsContents>) {
    let git = repo.open();
    let tree = snapshot::take(&git, &[]).unwrap().files_tree;
    let contents = git.lfs_contents(&tree).unwrap();
    (tree, contents)
}

#[test]
fn attributes_and_content_decide_what_a_file_is() {
    let repo = repository();
    let git = repo.open();
    let (tree, none) = contents(&repo);
    assert_eq!(none, None, "the content is not here");
    let found = files_of(&|verb| git.git(verb), &tree).unwrap();
    let paths: Vec<_> = found.pointers.iter().map(|file| String::from_utf8_lossy(&file.path).into_owned()).collect();
    assert_eq!((paths, found.raw), (vec!["a.bin".into(), "same.bin".into()], vec![b"raw.bin".to_vec()]));
}

#[test]
fn only_the_right_content_becomes_a_blob_and_it_is_read_once() {
    let repo = repository();
    repo.write(format!(".git/lfs/objects/ed/70/{ID}"), "CONTENT");
    assert_eq!(contents(&repo).1, None, "another content of the same length");
    std::fs::write(place(&repo, ID), "content").unwrap();
    let made = contents(&repo).1.unwrap();
    assert_eq!((made.files, made.bytes), (2, 7));
    let commit = made.commit.clone().unwrap();
    assert_eq!(repo.git(["show", &format!("{commit}:{ID}")]), "content");
    std::fs::remove_file(place(&repo, ID)).unwrap();
    assert_eq!(contents(&repo).1.unwrap(), made, "the blob is known");
}

#[test]
fn contents_from_a_host_are_stored_under_their_own_ids_only() {
    let repo = repository();
    let git = repo.open();
    let blob = |text: &str| {
        repo.write("came", text);
        repo.git(["hash-object", "-w", "--no-filters", "came"]).trim().to_owned()
    };
    let other = "0".repeat(64);
    let entries = [(ID, blob("content")), (other.as_str(), blob("something else")), ("..x", blob("a name"))];
    let index = repo.sibling("index");
    for (name, blob) in &entries {
        let add =
            git.git("update-index").index(&index).args(["--add", "--cacheinfo", &format!("100644,{blob},{name}")]);
        add.run().unwrap();
    }
    let tree = git.git("write-tree").index(&index).line().unwrap();
    let commit: Oid =
        git.git("commit-tree").args(["-m", "x", &tree]).env("GIT_AUTHOR_NAME", "x").line().unwrap().parse().unwrap();
    assert_eq!(git.receive_lfs(&commit).unwrap(), ["..x".to_owned(), other.clone()]);
    assert_eq!(std::fs::read_to_string(place(&repo, ID)).unwrap(), "content");
    assert!(!place(&repo, &other).exists());
    let mode = |path: PathBuf| std::os::unix::fs::MetadataExt::mode(&path.metadata().unwrap());
    assert_eq!(mode(place(&repo, ID)), mode(repo.path("came")), "the umask applies");
    assert!(!git.has_lfs(&commit).unwrap());
    // What is there stays.
    std::fs::write(place(&repo, ID), "mine!!!").unwrap();
    git.receive_lfs(&commit).unwrap();
    assert_eq!(std::fs::read_to_string(place(&repo, ID)).unwrap(), "mine!!!");
}

#[test]
fn a_takeover_writes_contents_only_over_pointers_and_only_with_a_filter() {
    let repo = repository();
    let git = repo.open();
    let (tree, _) = contents(&repo);
    let files = files_of(&|verb| git.git(verb), &tree).unwrap().pointers;
    repo.write("same.bin", "changed");
    let shown = show_in(&git, git.top(), &files).unwrap();
    assert!(shown.written.is_empty() && shown.left.is_empty(), "the user does not use git-lfs");
    repo.write(format!(".git/lfs/objects/ed/70/{ID}"), "content");
    let shown = show_in(&git, git.top(), &files).unwrap();
    assert!(shown.written.is_empty() && shown.left[0].1.contains("git lfs install"), "{:?}", shown.left);
    repo.git(["config", "filter.lfs.clean", "cat"]);
    let git = repo.open();
    let shown = show_in(&git, git.top(), &files).unwrap();
    assert_eq!((shown.written, shown.left.len()), (vec![b"a.bin".to_vec()], 0));
    let read = |name: &str| std::fs::read_to_string(repo.path(name)).unwrap();
    assert_eq!((read("a.bin"), read("same.bin"), read("text")), ("content".into(), "changed".into(), pointer(ID, 7)));
}
