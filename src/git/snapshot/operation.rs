//! An operation of the user's that is not finished, such as a merge or a rebase: its files in the git directory, the
//! objects that these name, and the conflicts of the index. It becomes a commit of its own, so that the host can write
//! all of it into its repository.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::path::Path;

use super::scratch::{Scratch, path_of};
use crate::git::record::RECORD;
use crate::git::repository::oid;
use crate::git::unfinished_operation::UnfinishedOperation;
use crate::git::{Error, Repository, Result};
use crate::model::snapshot::{Head, Oid, Operation};

/// The message of a squashed merge. It is no operation for git, but its author expects it in the next commit.
const SQUASH: &str = "SQUASH_MSG";
/// Files that exist only during an operation.
const SIGNS: [&str; 2] = ["MERGE_HEAD", "BISECT_START"];
/// Directories of the same kind.
const DIRECTORIES: [&str; 3] = ["rebase-merge", "rebase-apply", "sequencer"];
/// Further files that belong to an operation and may remain after its end.
const FILES: [&str; 7] = [
    "MERGE_MSG",
    "MERGE_MODE",
    "BISECT_LOG",
    "BISECT_NAMES",
    "BISECT_TERMS",
    "BISECT_ANCESTORS_OK",
    "BISECT_FIRST_PARENT",
];
/// Refs next to HEAD. With the reftable format they are not files.
const REFS: [&str; 8] = [
    "CHERRY_PICK_HEAD",
    "REVERT_HEAD",
    "REBASE_HEAD",
    "MERGE_AUTOSTASH",
    "AUTO_MERGE",
    "ORIG_HEAD",
    "BISECT_HEAD",
    "BISECT_EXPECTED_REV",
];
/// Files whose lines may name branches that the operation changes or returns to.
const NAMES_OF_BRANCHES: [&str; 4] =
    ["rebase-merge/head-name", "rebase-merge/update-refs", "rebase-apply/head-name", "BISECT_START"];
/// Length from which hexadecimal digits may be an abbreviated object id.
const SHORTEST_ID: usize = 7;
/// The same in a list of steps, whose ids are as short as `core.abbrev` says.
const SHORTEST_STEP_ID: usize = 4;
/// Lists of steps that are still to be done. Each line is a command, options, an id and a subject.
const STEPS: [&str; 2] = ["rebase-merge/git-rebase-todo", "sequencer/todo"];
/// Files that tell git to sign. The host has no key of the user's, so the operation could not be continued there.
const SIGNING: [&str; 2] = ["rebase-merge/gpg_sign_opt", "rebase-apply/gpg_sign_opt"];
const SEQUENCER_OPTIONS: &str = "sequencer/opts";

/// The files of an operation by their paths in the git directory. Empty if there is none.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Files {
    found: BTreeMap<String, Vec<u8>>,
    what: Vec<&'static str>,
}

impl Files {
    /// Reads the files. Refs of the operation become files, as git stores them outside the reftable format.
    ///
    /// # Errors
    /// [`Error::Unfit`]: a directory of the operation is empty, or has something that is not a file.
    pub(super) fn read(repo: &Repository) -> Result<Files> {
        let mut files = Files::default();
        for directory in DIRECTORIES {
            let before = files.found.len();
            if files.read_directory(repo, directory)? && files.found.len() == before {
                let what = format!(".git/{directory} is empty, so git cannot continue its operation");
                return Err(Error::unfit(what, format!("rmdir \"$(git rev-parse --git-path {directory})\"")));
            }
        }
        let operations = repo.unfinished_operations()?;
        files.what = operations.iter().map(|operation| operation.name()).collect();
        if files.read_file(repo, SQUASH)? && matches!(operations[..], [] | [UnfinishedOperation::Bisect]) {
            files.what.insert(0, "a squashed merge");
        }
        if files.what.is_empty() {
            return Ok(Files::default());
        }
        files.read_refs(repo)?;
        SIGNS.iter().try_for_each(|name| files.read_file(repo, name).map(drop))?;
        Ok(files)
    }

    /// Adds what belongs to an operation, but is no sign of one.
    fn complete(&mut self, repo: &Repository) -> Result<()> {
        for name in FILES {
            self.read_file(repo, name)?;
        }
        let listed = ["--format=%(objectname) %(refname)", "refs/bisect/", "refs/rewritten/"];
        let printed = repo.git("for-each-ref").args(listed).run()?;
        for (id, name) in String::from_utf8_lossy(&printed).lines().filter_map(|line| line.split_once(' ')) {
            self.found.insert(name.to_owned(), format!("{id}\n").into_bytes());
        }
        Ok(())
    }

    fn read_file(&mut self, repo: &Repository, name: &str) -> Result<bool> {
        if self.found.contains_key(name) {
            return Ok(true);
        }
        let path = repo.git_dir().join(name);
        if !path.is_file() {
            return Ok(false);
        }
        let bytes = match std::fs::read(&path) {
            // The operation has just ended, so the state is read again.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            read => read.map_err(Error::io("read", &path))?,
        };
        self.found.insert(name.to_owned(), bytes);
        Ok(true)
    }

    fn read_directory(&mut self, repo: &Repository, name: &str) -> Result<bool> {
        let path = repo.git_dir().join(name);
        let entries = match path.read_dir() {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(false),
            entries => entries.map_err(Error::io("read", &path))?,
        };
        for entry in entries {
            let entry = entry.map_err(Error::io("read", &path))?;
            let kind = entry.file_type().map_err(Error::io("read", &path))?;
            let below = entry.file_name().into_string().map(|file| format!("{name}/{file}"));
            match below {
                Ok(below) if kind.is_file() => drop(self.read_file(repo, &below)?),
                Ok(below) if kind.is_dir() => drop(self.read_directory(repo, &below)?),
                _ => {
                    let what =
                        format!("{} is not a file of git's, so the operation is not sent", entry.path().display());
                    let ends = repo.unfinished_operations()?.first().map(|operation| operation.hint(repo.top()));
                    return Err(Error::unfit(what, ends.unwrap_or_else(|| "git status".to_owned())));
                }
            }
        }
        Ok(true)
    }

    /// Reads the refs next to HEAD. With the reftable format, git must be asked for them.
    fn read_refs(&mut self, repo: &Repository) -> Result<()> {
        for (name, id) in repo.refs_next_to_head(&REFS)? {
            self.found.insert(name.to_owned(), format!("{id}\n").into_bytes());
        }
        REFS.iter().try_for_each(|name| self.read_file(repo, name).map(drop))
    }

    /// Removes what tells git to sign commits.
    fn do_not_sign(&mut self) {
        self.found.retain(|name, _| !SIGNING.contains(&name.as_str()));
        if let Some(options) = self.found.get_mut(SEQUENCER_OPTIONS) {
            let lines = options.split_inclusive(|byte| *byte == b'\n');
            *options =
                lines.filter(|line| !line.trim_ascii_start().starts_with(b"gpg-sign")).flatten().copied().collect();
        }
    }

    fn text(&self, name: &str) -> String {
        self.found.get(name).map(|bytes| String::from_utf8_lossy(bytes).into_owned()).unwrap_or_default()
    }

    /// The local branches that the files name, except the one that is checked out.
    fn branches(&self, repo: &Repository, current: Option<&str>) -> Result<Vec<(Oid, String)>> {
        let mut names = BTreeSet::new();
        for file in NAMES_OF_BRANCHES {
            for line in self.text(file).lines().map(str::trim) {
                let name = line.strip_prefix("refs/heads/").unwrap_or(if file == "BISECT_START" { line } else { "" });
                if !name.is_empty() && Some(name) != current {
                    names.insert(format!("refs/heads/{name}"));
                }
            }
        }
        if names.is_empty() {
            return Ok(vec![]);
        }
        let listed = repo.git("for-each-ref").arg("--format=%(objectname) %(refname)").args(&names).run()?;
        let text = String::from_utf8_lossy(&listed).into_owned();
        let found = text.lines().filter_map(|line| line.split_once(' ')).filter(|(_, name)| names.contains(*name));
        found.map(|(id, name)| Ok((oid(id)?, name.to_owned()))).collect()
    }

    /// Everything in the files that could be an object id.
    fn words(&self) -> BTreeSet<String> {
        let is_hex = |byte: u8| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte);
        let all = self.found.values().flat_map(|bytes| bytes.split(move |byte| !is_hex(*byte)));
        let ids = all.filter(|word| (SHORTEST_ID..=64).contains(&word.len()));
        let ids = ids.map(|word| String::from_utf8_lossy(word).into_owned());
        let steps = STEPS.map(|name| self.text(name)).join("\n");
        let steps = steps.lines().flat_map(|line| line.split_whitespace().skip(1).take(3));
        let steps = steps.filter(|word| word.len() >= SHORTEST_STEP_ID && word.bytes().all(is_hex));
        ids.chain(steps.map(str::to_owned)).collect()
    }
}

/// The conflicts of an index, with the entries of all stages.
pub(super) struct Conflicts {
    /// Input of `update-index --index-info` that makes them again, from an index with one side of each.
    input: Vec<u8>,
    objects: BTreeSet<String>,
    /// Paths without the user's side: one side has deleted the file. The index has them only as conflicts.
    without_ours: Vec<Vec<u8>>,
}

impl Conflicts {
    /// Takes the conflicts out of the copied index, which then has the user's side of each. `None`: there are none.
    ///
    /// # Errors
    /// [`Error::Unfit`]: the record is in conflict, which no snapshot contains.
    pub(super) fn take_out(scratch: &Scratch, zero: &str) -> Result<Option<Conflicts>> {
        let listed = scratch.git("ls-files").index(scratch.staged()).args(["-u", "-z"]).run()?;
        if listed.is_empty() {
            return Ok(None);
        }
        let (mut paths, mut ours, mut objects) = (BTreeSet::new(), Vec::new(), BTreeSet::new());
        let mut with_ours = BTreeSet::new();
        for entry in listed.split(|byte| *byte == 0).filter(|entry| !entry.is_empty()) {
            let Some(tab) = entry.iter().position(|byte| *byte == b'\t') else { continue };
            let words = String::from_utf8_lossy(&entry[..tab]).into_owned();
            let words: Vec<&str> = words.split(' ').collect();
            let [mode, object, stage] = words[..] else { continue };
            let path = &entry[tab + 1..];
            if path.strip_prefix(RECORD.as_bytes()).is_some_and(|rest| rest.starts_with(b"/")) {
                let what = format!("{} has a merge conflict", String::from_utf8_lossy(path));
                return Err(Error::unfit(what, "git add PATH, after you have resolved it"));
            }
            paths.insert(path);
            if stage == "2" {
                with_ours.insert(path);
                ours.extend(format!("{mode} {object}\t").into_bytes());
                ours.extend(path);
                ours.push(0);
            }
            if mode != super::scratch::GITLINK {
                objects.insert(object.to_owned());
            }
        }
        let without_ours = paths.difference(&with_ours).map(|path| path.to_vec()).collect();
        let mut input = Vec::new();
        for path in paths {
            input.extend(format!("0 {zero}\t").into_bytes());
            input.extend(path);
            input.push(0);
        }
        scratch.update(scratch.staged(), [input.as_slice(), &ours].concat())?;
        input.extend(&listed);
        Ok(Some(Conflicts { input, objects, without_ours }))
    }

    /// Adds the files of the conflicts to the index of files, also those that are ignored: for git they are tracked.
    pub(super) fn add_files(&self, repo: &Repository, scratch: &Scratch) -> Result<()> {
        let is_there = |path: &&Vec<u8>| {
            let metadata = repo.top().join(path_of(path)).symlink_metadata();
            metadata.is_ok_and(|metadata| !metadata.is_dir())
        };
        let paths: Vec<_> = self.without_ours.iter().filter(is_there).cloned().collect();
        if paths.is_empty() { Ok(()) } else { scratch.add_these(scratch.files(), &paths) }
    }

    /// Hash of what `ls-files -s -z` prints for the index with these conflicts.
    fn listing(&self, scratch: &Scratch, index_tree: &Oid) -> Result<Oid> {
        let index = scratch.place("conflicts");
        scratch.git("read-tree").index(&index).arg(index_tree.as_str()).run()?;
        scratch.update(&index, self.input.clone())?;
        let listed = scratch.git("ls-files").index(&index).args(["-s", "-z"]).run()?;
        oid(&scratch.git("hash-object").arg("--stdin").stdin(listed).line()?)
    }
}

/// Makes the commit of an operation, and of conflicts without one.
pub(super) fn take(
    scratch: &Scratch,
    repo: &Repository,
    (head, branch): (&Head, Option<&str>),
    mut files: Files,
    conflicts: Option<&Conflicts>,
    index_tree: &Oid,
) -> Result<Option<Operation>> {
    if files.found.is_empty() && conflicts.is_none() {
        return Ok(None);
    }
    let what = match &files.what[..] {
        [] => "unresolved conflicts".to_owned(),
        what => format!("{} in progress", what.join(" and ")),
    };
    files.read_refs(repo)?;
    files.complete(repo)?;
    files.do_not_sign();
    let branches = files.branches(repo, branch)?;
    let mut words = files.words();
    words.extend(conflicts.iter().flat_map(|conflicts| conflicts.objects.iter().cloned()));
    let named = Named::find(scratch, &words)?;
    let mut parents = named.commits;
    parents.extend(branches.iter().map(|(oid, _)| oid.clone()));
    if let Some(head) = head.commit() {
        parents.remove(head);
    }
    let mut top = format!("040000 tree {}\tfiles\n", files_tree(scratch, &files)?);
    if !named.others.is_empty() {
        let objects = oid(&scratch.git("mktree").stdin(named.others).line()?)?;
        _ = writeln!(top, "040000 tree {objects}\tobjects");
    }
    let mut listing = None;
    if let Some(conflicts) = conflicts {
        let blob = scratch.git("hash-object").args(["-w", "--stdin"]).stdin(conflicts.input.as_slice()).line()?;
        _ = writeln!(top, "100644 blob {blob}\tunmerged");
        listing = Some(conflicts.listing(scratch, index_tree)?);
    }
    let tree = oid(&scratch.git("mktree").stdin(top).line()?)?;
    let parents: Vec<&Oid> = head.commit().into_iter().chain(&parents).collect();
    let commit = scratch.commit_of_many("handoff: an unfinished operation", &tree, &parents)?;
    Ok(Some(Operation { commit, what, listing, branches }))
}

/// The objects that an operation names.
#[derive(Default)]
struct Named {
    commits: BTreeSet<Oid>,
    /// Trees and blobs as input of `mktree`, under their ids.
    others: String,
}

impl Named {
    fn find(scratch: &Scratch, words: &BTreeSet<String>) -> Result<Named> {
        let asked: String = words.iter().map(|word| format!("{word}\n{word}^{{commit}}\n")).collect();
        let check = "--batch-check=%(objectname) %(objecttype)";
        let printed = scratch.git("cat-file").args([check, "--buffer"]).stdin(asked).run()?;
        let (mut named, mut seen) = (Named::default(), BTreeSet::new());
        for line in String::from_utf8_lossy(&printed).lines() {
            // Other answers are `missing` and `ambiguous`: the word is no id.
            match line.split_once(' ') {
                Some((id, "commit")) => drop(named.commits.insert(oid(id)?)),
                Some((id, kind @ ("tree" | "blob"))) if seen.insert(id.to_owned()) => {
                    let mode = if kind == "tree" { "040000" } else { "100644" };
                    _ = writeln!(named.others, "{mode} {kind} {id}\t{id}");
                }
                _ => {}
            }
        }
        Ok(named)
    }
}

/// Writes the files as a tree.
fn files_tree(scratch: &Scratch, files: &Files) -> Result<Oid> {
    let (mut listed, mut input) = (Vec::new(), Vec::new());
    for (number, bytes) in files.found.values().enumerate() {
        let place = scratch.place(&format!("operation-{number}"));
        std::fs::write(&place, bytes).map_err(Error::io("write", &place))?;
        listed.extend(super::quoted(Path::new(&place)));
    }
    let hash = scratch.git("hash-object").args(["-w", "--no-filters", "--stdin-paths"]).stdin(listed);
    for (line, path) in String::from_utf8_lossy(&hash.run()?).lines().zip(files.found.keys()) {
        input.extend(format!("100644 {}\t{path}\0", oid(line)?).into_bytes());
    }
    let index = scratch.place("operation");
    scratch.update(&index, input)?;
    scratch.write_tree(&index)
}
