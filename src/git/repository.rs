//! The repository that the user is in; these functions only read it.

use std::ffi::OsString;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use super::command::{self, Git};
use super::{Error, Result};
use crate::model::snapshot::{Head, Oid};

/// A repository with a work tree. The branch that is checked out may have no commit yet.
#[derive(Clone, Debug)]
pub struct Repository {
    top: PathBuf,
    git_dir: PathBuf,
    common_dir: PathBuf,
    subdir: PathBuf,
    format: ObjectFormat,
}

/// The hash that names a repository's objects.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectFormat {
    Sha1,
    Sha256,
}

impl ObjectFormat {
    /// The name that git uses.
    pub fn word(self) -> &'static str {
        match self {
            Self::Sha1 => "sha1",
            Self::Sha256 => "sha256",
        }
    }

    /// The id that means "no object".
    pub fn zero(self) -> &'static str {
        match self {
            Self::Sha1 => "0000000000000000000000000000000000000000",
            Self::Sha256 => "0000000000000000000000000000000000000000000000000000000000000000",
        }
    }

    /// The id of a tree without entries, which git knows without an object.
    pub fn empty_tree(self) -> &'static str {
        match self {
            Self::Sha1 => "4b825dc642cb6eb9a060e54bf8d69288fbee4904",
            Self::Sha256 => "6ef19b41225c5369f1c104d45d8d85efa9b057b53b14b4b9b939dd74decc5321",
        }
    }

    /// The id of an empty file.
    pub fn empty_blob(self) -> &'static str {
        match self {
            Self::Sha1 => "e69de29bb2d1d6434b8b29ae775ad8c2e48c5391",
            Self::Sha256 => "473a0f4c3be8a93681a267e3b1e9a7dcda1185436fe141f7749120a303721813",
        }
    }
}

impl Repository {
    /// Those of the ids, or beginnings of ids, that are no single commit here.
    ///
    /// # Errors
    /// git fails.
    pub fn missing_commits<'a>(&self, ids: &[&'a str]) -> Result<Vec<&'a str>> {
        let questions: String = ids.iter().map(|id| format!("{id}^{{commit}}\n")).collect();
        let answers = self.git("cat-file").arg("--batch-check=%(objecttype)").stdin(questions).run()?;
        let answers = String::from_utf8_lossy(&answers);
        Ok(ids.iter().zip(answers.lines()).filter(|(_, answer)| *answer != "commit").map(|(id, _)| *id).collect())
    }

    /// Finds the repository around a directory: a main work tree or a linked one.
    ///
    /// [`Error::Unfit`] if there is none, or if it is bare.
    pub fn discover(path: &Path) -> Result<Self> {
        let (fit, found) = std::thread::scope(|scope| {
            let fit = scope.spawn(command::require);
            let found = Self::at_once(path);
            (fit.join(), found)
        });
        fit.unwrap_or_else(|_| command::require())?;
        match found? {
            Some(found) => Ok(found),
            None => {
                let found = Self::step_by_step(path)?;
                found.head()?;
                Ok(found)
            }
        }
    }

    /// The common directory of the repository around `path`, which contains the records, whatever HEAD is at.
    pub fn records_of(path: &Path) -> Result<PathBuf> {
        match Self::discover(path) {
            Ok(found) => Ok(found.common_dir),
            Err(Error::Unfit { .. }) => Ok(Self::step_by_step(path)?.common_dir),
            Err(error) => Err(error),
        }
    }

    /// Asks everything in one process. `None` if a value is missing or has several lines, because a directory's name
    /// may contain a newline.
    fn at_once(path: &Path) -> Result<Option<Self>> {
        let questions = ["--is-bare-repository", "--is-inside-work-tree", "--show-object-format", "--show-toplevel"];
        let ask = Git::new(path, "rev-parse").args(questions);
        let ask = ask.args(["--absolute-git-dir", "--git-common-dir", "--show-prefix", "HEAD^{commit}"]);
        let output = ask.output()?;
        let Some(printed) = output.stdout.strip_suffix(b"\n").filter(|_| output.status.success()) else {
            return Ok(None);
        };
        let lines: Vec<_> = printed.split(|byte| *byte == b'\n').collect();
        let [b"false", b"true", format, top, git_dir, common_dir, subdir, _] = lines[..] else { return Ok(None) };
        let format = match format {
            b"sha1" => ObjectFormat::Sha1,
            b"sha256" => ObjectFormat::Sha256,
            _ => return Ok(None),
        };
        let of = |bytes: &[u8]| PathBuf::from(OsString::from_vec(bytes.to_vec()));
        let common_dir = absolute(path, of(common_dir))?;
        let subdir = of(subdir).components().collect();
        Ok(Some(Self { top: of(top), git_dir: of(git_dir), common_dir, subdir, format }))
    }

    /// Asks for one value a process, with an error for each that is missing.
    fn step_by_step(path: &Path) -> Result<Self> {
        let ask = |question: &str| Git::new(path, "rev-parse").arg(question);
        let bare = ask("--is-bare-repository").line().map_err(|error| no_repository(path, error))?;
        if bare == "true" {
            let what = format!("{} is in a bare repository, which has no work tree", path.display());
            return Err(Error::unfit(what, "git worktree add <directory>"));
        }
        if ask("--is-inside-work-tree").line()? != "true" {
            let what = format!("{} is inside a git directory, not in a work tree", path.display());
            return Err(Error::unfit(what, "cd to the work tree"));
        }
        let format = match ask("--show-object-format").line()?.as_str() {
            "sha1" => ObjectFormat::Sha1,
            "sha256" => ObjectFormat::Sha256,
            other => {
                return Err(Error::unfit(
                    format!("handoff does not know the object format {other:?}"),
                    "upgrade handoff",
                ));
            }
        };
        let found = Self {
            // One value a call, because a directory's name may contain a newline.
            top: path_of(ask("--show-toplevel").run()?),
            git_dir: path_of(ask("--absolute-git-dir").run()?),
            common_dir: absolute(path, path_of(ask("--git-common-dir").run()?))?,
            subdir: path_of(ask("--show-prefix").run()?).components().collect(),
            format,
        };
        Ok(found)
    }

    /// The directory with the files.
    pub fn top(&self) -> &Path {
        &self.top
    }

    /// This work tree's own git directory (its HEAD and index).
    pub fn git_dir(&self) -> &Path {
        &self.git_dir
    }

    /// The git directory that all work trees share.
    pub fn common_dir(&self) -> &Path {
        &self.common_dir
    }

    /// The directory of all our files: `<common dir>/handoff`. It may not exist yet.
    pub fn state_dir(&self) -> PathBuf {
        self.common_dir.join("handoff")
    }

    /// The user's directory relative to the top; empty at the top.
    pub fn subdir(&self) -> &Path {
        &self.subdir
    }

    /// The object format of the repository.
    pub fn format(&self) -> ObjectFormat {
        self.format
    }

    /// A git command that works on this repository, from its top.
    pub fn git(&self, verb: &'static str) -> Git {
        Git::new(&self.top, verb)
    }

    /// What is checked out: a commit, or a branch without one.
    ///
    /// # Errors
    /// [`Error::Unfit`] if HEAD names a commit that cannot be read.
    pub fn head(&self) -> Result<Head> {
        let resolve = |name: &str| self.git("rev-parse").args(["--quiet", "--verify", name]).answer();
        if let Some(text) = resolve("HEAD^{commit}")? {
            return Ok(oid(&text)?.into());
        }
        let name = self.git("symbolic-ref").args(["--quiet", "HEAD"]).answer()?;
        let name = name.filter(|name| name.starts_with("refs/heads/"));
        // git does not resolve a damaged branch either, but that one has a file.
        let is_absent =
            |name: &String| Ok::<_, Error>(resolve(name)?.is_none() && !self.common_dir.join(name).is_file());
        match name {
            Some(name) if is_absent(&name)? => self.unborn(),
            _ => Err(Error::unfit("HEAD names a commit that cannot be read", "git fsck")),
        }
    }

    /// The state of HEAD on a branch without a commit.
    pub(super) fn unborn(&self) -> Result<Head> {
        oid(self.format.zero()).map(Head::from)
    }

    /// Short name of the checked-out branch; `None` if HEAD is detached.
    pub fn branch(&self) -> Result<Option<String>> {
        let name = self.git("symbolic-ref").args(["--quiet", "HEAD"]).answer()?;
        Ok(name.and_then(|name| name.strip_prefix("refs/heads/").map(str::to_owned)))
    }

    /// A file of this work tree's git directory, which may be in the common directory; see gitrepository-layout(5).
    pub fn git_path(&self, name: &str) -> PathBuf {
        let shared = name == "objects" || name.starts_with("info/") && name != "info/sparse-checkout";
        if shared { self.common_dir.join(name) } else { self.git_dir.join(name) }
    }

    /// HEAD and the branch, from one process if HEAD is at a commit.
    pub fn head_and_branch(&self) -> Result<(Head, Option<String>)> {
        let ask = self.git("rev-parse").args(["HEAD^{commit}", "--symbolic-full-name", "HEAD"]);
        match ask.line().ok().as_deref().and_then(|text| text.split_once('\n')) {
            Some((head, name)) => Ok((oid(head)?.into(), name.strip_prefix("refs/heads/").map(str::to_owned))),
            None => Ok((self.head()?, self.branch()?)),
        }
    }
}

/// Makes a commit with a fixed author, so that snapshots do not differ by who took them. `git` is a `commit-tree`.
pub(super) fn commit_tree<'a>(
    git: Git,
    message: &str,
    tree: &Oid,
    parents: impl IntoIterator<Item = &'a Oid>,
) -> Result<Oid> {
    let mut git = git.config("i18n.commitEncoding=UTF-8").arg(tree.as_str());
    for parent in parents {
        git = git.args(["-p", parent.as_str()]);
    }
    for role in ["AUTHOR", "COMMITTER"] {
        git = git.env(&format!("GIT_{role}_NAME"), "handoff").env(&format!("GIT_{role}_EMAIL"), "handoff@localhost");
    }
    oid(&git.stdin(message).line()?)
}

/// Parses an object id that git printed.
pub(super) fn oid(text: &str) -> Result<Oid> {
    text.parse().map_err(|error| Error::untrusted(format!("git printed no object id: {error}")))
}

/// Parses a path that git printed on a line of its own.
pub(super) fn path_of(mut printed: Vec<u8>) -> PathBuf {
    if printed.last() == Some(&b'\n') {
        printed.pop();
    }
    PathBuf::from(OsString::from_vec(printed))
}

fn absolute(base: &Path, path: PathBuf) -> Result<PathBuf> {
    let joined = base.join(path);
    joined.canonicalize().map_err(Error::io("find", &joined))
}

fn no_repository(path: &Path, error: Error) -> Error {
    match &error {
        Error::Failed { stderr, .. } if stderr.contains("not a git repository") => {
            Error::unfit(format!("{} is not in a git repository", path.display()), "git init")
        }
        Error::Failed { stderr, .. } if stderr.contains("dubious ownership") => Error::unfit(
            format!("the repository around {} belongs to another user", path.display()),
            format!("git config --global --add safe.directory '{}'", path.display()),
        ),
        _ => error,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Repo;

    #[test]
    fn a_subdirectory_knows_its_top() {
        let repo = Repo::with_commit();
        std::fs::create_dir_all(repo.path("a b/c")).unwrap();
        let found = Repository::discover(&repo.path("a b/c")).unwrap();
        assert_eq!(found.top(), repo.top());
        assert_eq!(found.git_dir(), repo.path(".git"));
        assert_eq!(found.common_dir(), repo.path(".git"));
        assert_eq!(found.subdir(), Path::new("a b/c"));
        assert_eq!(found.branch().unwrap().as_deref(), Some("main"));
        assert_eq!(found.format(), ObjectFormat::Sha1);
        assert_eq!(Repository::discover(repo.top()).unwrap().subdir(), Path::new(""));
    }

    #[test]
    fn a_linked_worktree_has_its_own_git_directory() {
        let repo = Repo::with_commit();
        let linked = repo.sibling("linked\ntree");
        repo.git(["worktree", "add", "-q", "--detach", linked.to_str().unwrap()]);
        let found = Repository::discover(&linked).unwrap();
        assert_eq!(found.top(), linked);
        assert_eq!(found.common_dir(), repo.path(".git"));
        assert!(found.git_dir().starts_with(repo.path(".git/worktrees")));
        assert_eq!(found.branch().unwrap(), None);
        assert_eq!(found.git_path("index").parent().unwrap(), found.git_dir());
    }

    #[test]
    fn a_bare_repository_is_refused_with_a_hint() {
        let hint = |path: &Path| match Repository::discover(path) {
            Err(Error::Unfit { what, hint }) => (what, hint),
            other => panic!("{other:?}"),
        };
        let folder = tempfile::tempdir().unwrap();
        assert!(hint(folder.path()).1.contains("git init"));
        let empty = Repo::empty();
        assert!(hint(&empty.path(".git")).0.contains("inside a git directory"));
        let bare = empty.sibling("bare.git");
        empty.git(["init", "-q", "--bare", bare.to_str().unwrap()]);
        assert!(hint(&bare).0.contains("bare"));
    }

    #[test]
    fn a_branch_without_a_commit_is_told_from_one_that_cannot_be_read() {
        let repo = Repo::empty();
        let found = repo.open();
        assert!(found.head().unwrap().is_unborn());
        assert_eq!(found.head_and_branch().unwrap().1.as_deref(), Some("main"));
        repo.write(".git/refs/heads/main", "garbage\n");
        assert!(found.head().is_err());
        repo.write(".git/refs/heads/main", format!("{}\n", "1".repeat(40)));
        assert!(matches!(Repository::discover(repo.top()), Err(Error::Unfit { .. })));
    }

    #[test]
    fn the_object_format_is_found() {
        let repo = Repo::with_format("sha256");
        let found = Repository::discover(repo.top()).unwrap();
        assert_eq!(found.format(), ObjectFormat::Sha256);
        assert_eq!(found.head_commit().as_str().len(), 64);
    }
}
