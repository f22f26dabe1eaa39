//! Keeps objects from a host apart from the repository's own until git has checked them.
//!
//! They arrive in a bare repository below `<common dir>/handoff/` that borrows the user's objects. Everything that the
//! new refs reach and no ref of the user's does is packed again, and that pack is checked. Only what an accepted ref
//! reaches is published, so an object of a refused ref never gets into the user's object database. An object that is
//! already there is accepted only if a ref reaches it.

mod check;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};

use check::Finding;

use super::command::Git;
use super::pack_file::PackFile;
use super::refs::{self, Change};
use super::snapshot::{PACK_FROM, quoted, remove_stale};
use super::{Error, Repository, Result};
use crate::model::id::HandoffId;
use crate::model::refusal::{Fault, RefusedRef};
use crate::model::snapshot::Oid;

/// Name of a quarantine's directory: what a killed process left is removed after a day.
const PREFIX: &str = ".arriving-";
/// Synced before the host may delete its copy.
const SYNC: &str = "core.fsync=committed,reference";

/// Removed with everything in it when dropped.
pub struct Quarantine {
    repo: Repository,
    id: HandoffId,
    is_partial: bool,
    directory: tempfile::TempDir,
}

/// The result of taking in refs that arrived.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct TakenIn {
    /// Names and tips of the refs that are now in the repository.
    pub refs: Vec<(String, Oid)>,
    /// The refused refs, with names relative to the directory that was taken in.
    pub refused: Vec<RefusedRef>,
}

/// A ref that arrived: its full name here, and its tip.
pub type Tip = (String, Oid);

impl Quarantine {
    /// Makes an empty quarantine for objects of a handoff.
    pub fn new(repo: &Repository, id: &HandoffId) -> Result<Self> {
        let home = repo.state_dir();
        std::fs::create_dir_all(&home).map_err(Error::io("make", &home))?;
        remove_stale(&home, PREFIX);
        let directory =
            tempfile::Builder::new().prefix(PREFIX).tempdir_in(&home).map_err(Error::io("write in", &home))?;
        let is_partial = repo.is_partial_clone()?;
        let quarantine = Self { repo: repo.clone(), id: id.clone(), is_partial, directory };
        quarantine.bare("arriving")?;
        let borrowed = quarantine.path("arriving/objects/info/alternates");
        std::fs::write(&borrowed, quoted(&repo.git_path("objects"))).map_err(Error::io("write", &borrowed))?;
        // The end of a shallow clone's history does not count as a missing object.
        let shallow = repo.common_dir().join("shallow");
        if shallow.exists() {
            let copy = quarantine.path("arriving/shallow");
            std::fs::copy(&shallow, &copy).map_err(Error::io("write", &copy))?;
        }
        Ok(quarantine)
    }

    /// A git command in the bare repository that receives: our settings, and the objects that arrived.
    fn git(&self, verb: &'static str) -> Git {
        self.in_bare("arriving", verb)
    }

    /// A git command with the user's refs and settings that reads the arrived objects too, and writes next to them.
    fn with_arrived(&self, verb: &'static str) -> Git {
        self.repo.git(verb).env("GIT_OBJECT_DIRECTORY", self.path("arriving/objects"))
    }

    fn in_bare(&self, name: &str, verb: &'static str) -> Git {
        Git::new(self.directory.path(), verb).env("GIT_DIR", self.path(name))
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Makes a bare repository by hand, so that no template, default or setting of the user's applies.
    fn bare(&self, name: &str) -> Result<()> {
        let top = self.path(name);
        for directory in ["objects/info", "objects/pack", "refs"] {
            let directory = top.join(directory);
            std::fs::create_dir_all(&directory).map_err(Error::io("make", &directory))?;
        }
        let (version, format) = match self.repo.format().word() {
            "sha1" => (0, String::new()),
            word => (1, format!("[extensions]\n\tobjectformat = {word}\n")),
        };
        let config = format!("[core]\n\trepositoryformatversion = {version}\n\tbare = true\n{format}");
        for (file, text) in [("HEAD", "ref: refs/heads/none\n"), ("config", config.as_str())] {
            let file = top.join(file);
            std::fs::write(&file, text).map_err(Error::io("write", &file))?;
        }
        Ok(())
    }

    /// Adds the objects of a pack file. `false`: the pack is damaged, or it builds on objects that are not here.
    ///
    /// # Errors
    /// The file cannot be read, or git cannot write.
    pub fn unpack(&self, pack: &PackFile) -> Result<bool> {
        let file = File::open(&pack.path).map_err(Error::io("read", &pack.path))?;
        let index = self.git("index-pack").args(["--stdin", "--fix-thin"]).stdin_file(file);
        match index.run() {
            Err(Error::Failed { stderr, .. }) if !is_of_disk(&stderr) => Ok(false),
            indexed => indexed.map(|_| true),
        }
    }

    /// Whether every tip is here with everything that it reaches.
    ///
    /// # Errors
    /// git cannot write the list of objects.
    pub fn is_connected(&self, tips: &[Tip]) -> Result<bool> {
        match self.list(&tips.iter().collect::<Vec<_>>()) {
            Err(Error::Failed { stderr, .. }) if !is_of_disk(&stderr) => Ok(false),
            listed => listed.map(|_| true),
        }
    }

    /// Checks what the tips reach, publishes what is accepted, and moves those refs in the repository. The names of the
    /// tips begin with `below`.
    pub fn take_in(&self, below: &str, tips: &[Tip]) -> Result<TakenIn> {
        let all: Vec<&Tip> = tips.iter().collect();
        self.bare("checked")?;
        // A ref that cannot be read is found when each ref is checked alone.
        let findings = match self.pack("checked", &all) {
            Ok(_) => self.without_known(check::check(self)?)?,
            Err(error) if tips.is_empty() => return Err(error),
            Err(error) => vec![Finding::unreadable(&error)],
        };
        let refused = if findings.is_empty() { BTreeMap::new() } else { self.sort_out(&all, &findings)? };
        let sound: Vec<&Tip> = tips.iter().filter(|(name, _)| !refused.contains_key(name)).collect();
        let from = if refused.is_empty() { "checked" } else { "sound" };
        if !refused.is_empty() {
            self.bare(from)?;
            self.pack(from, &sound)?;
        }
        self.publish(from)?;
        let short = |name: &str| name.strip_prefix(below).unwrap_or(name).to_owned();
        let mut taken = TakenIn::default();
        for ((name, tip), why) in self.move_refs(&sound)? {
            taken.refused.push(RefusedRef { name: short(&name), tip, faults: vec![why] });
        }
        for (name, tip) in tips {
            if let Some(faults) = refused.get(name) {
                taken.refused.push(RefusedRef { name: short(name), tip: tip.clone(), faults: faults.clone() });
            }
        }
        let out: HashSet<&str> = taken.refused.iter().map(|refused| refused.name.as_str()).collect();
        taken.refs = tips.iter().filter(|(name, _)| !out.contains(short(name).as_str())).cloned().collect();
        Ok(taken)
    }

    /// Writes the objects that tips reach and no ref of the user's does to a file, a line `<oid> <path>` each. Refs of
    /// this handoff count as the user's, other handoffs' do not. In a partial clone, only the refs of this handoff count:
    /// others may reach commits whose files are not here.
    fn list(&self, tips: &[&Tip]) -> Result<PathBuf> {
        let mut input: String = tips.iter().map(|(_, tip)| format!("{tip}\n")).collect();
        for (_, held) in self.repo.list_refs(&refs::of(&self.id))? {
            input.push_str(&format!("^{held}\n"));
        }
        let path = self.path("objects");
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        let walk = self.with_arrived("rev-list").args(["--objects", "--stdin"]);
        let walk = match self.is_partial {
            true => walk,
            false => walk.args(["--not", &format!("--exclude={}*", refs::ROOT), "--all"]),
        };
        walk.stdin(input).stdout_file(file).run()?;
        Ok(path)
    }

    /// Packs what tips add into a bare repository of the quarantine.
    fn pack(&self, name: &str, tips: &[&Tip]) -> Result<()> {
        let list = self.list(tips)?;
        let list = File::open(&list).map_err(Error::io("read", &list))?;
        let to = self.path(name).join("objects/pack/pack");
        self.with_arrived("pack-objects").args(["-q", "--non-empty"]).arg(to).stdin_file(list).run()?;
        Ok(())
    }

    /// Drops findings about objects that a ref of the user's reaches. `rev-list` may list such an object if it is deep
    /// in the history.
    fn without_known(&self, findings: Vec<Finding>) -> Result<Vec<Finding>> {
        let carriers: Vec<Oid> = findings.iter().flat_map(|finding| finding.carriers.iter().cloned()).collect();
        let present = self.repo.present(&carriers)?;
        if present.is_empty() {
            return Ok(findings);
        }
        let own: String = self.repo.list_refs(&refs::of(&self.id))?.iter().map(|(_, oid)| format!("{oid}\n")).collect();
        let path = self.path("known");
        let file = File::create(&path).map_err(Error::io("write", &path))?;
        // A partial clone does not have everything that its refs reach.
        let walk = self.repo.git("rev-list").args(["--objects", "--missing=allow-any", "--stdin"]);
        let walk = walk.arg(format!("--exclude={}*", refs::ROOT));
        walk.arg("--all").stdin(own).stdout_file(file).run()?;
        let known = reached(&path, &present.into_iter().collect())?;
        let still = findings.into_iter().map(|mut finding| {
            finding.carriers.retain(|carrier| !known.contains(carrier));
            finding
        });
        Ok(still.filter(|finding| !finding.carriers.is_empty() || finding.is_of_all()).collect())
    }

    /// Finds the refs that reach a faulty object and the reasons. The refs are halved until one is alone.
    fn sort_out(&self, tips: &[&Tip], findings: &[Finding]) -> Result<BTreeMap<String, Vec<Fault>>> {
        let faults = match self.list(tips) {
            Ok(list) => {
                let carriers = findings.iter().flat_map(|finding| finding.carriers.iter().cloned()).collect();
                let hit = reached(&list, &carriers)?;
                check::faults(findings, &hit)
            }
            Err(error @ Error::Failed { .. }) => vec![Finding::unreadable(&error).fault],
            Err(error) => return Err(error),
        };
        if faults.is_empty() || tips.is_empty() {
            return Ok(BTreeMap::new());
        }
        if let [(name, _)] = tips {
            return Ok(BTreeMap::from([(name.clone(), faults)]));
        }
        let (left, right) = tips.split_at(tips.len() / 2);
        let mut refused = self.sort_out(left, findings)?;
        refused.extend(self.sort_out(right, findings)?);
        Ok(refused)
    }

    /// Moves the objects of a bare repository of the quarantine into the user's with git, so that each object or pack
    /// appears whole or not at all.
    fn publish(&self, name: &str) -> Result<()> {
        for pack in packs(&self.path(name).join("objects/pack"))? {
            let file = File::open(&pack).map_err(Error::io("read", &pack))?;
            let into = if count(&pack)? < PACK_FROM {
                self.repo.git("unpack-objects").arg("-q")
            } else {
                self.repo.git("index-pack").arg("--stdin")
            };
            into.config(SYNC).stdin_file(file).run()?;
        }
        Ok(())
    }

    /// Moves refs, in one transaction if possible. The rest are refs that this file system cannot store, such as one
    /// whose name differs from another's only in case.
    fn move_refs(&self, tips: &[&Tip]) -> Result<Vec<(Tip, Fault)>> {
        let change = |(name, tip): &Tip| Change { name: name.clone(), old: None, new: Some(tip.clone()) };
        let mut failed: BTreeMap<&str, String> = BTreeMap::new();
        let all: Vec<Change> = tips.iter().map(|tip| change(tip)).collect();
        if self.repo.update_refs(&all).is_err() {
            for tip in tips {
                if let Err(error) = self.repo.update_refs(&[change(tip)]) {
                    failed.insert(&tip.0, error.to_string());
                }
            }
        }
        let stored: HashSet<Tip> = self.repo.list_refs(&refs::of(&self.id))?.into_iter().collect();
        let lacking = tips.iter().filter(|tip| !stored.contains(**tip)).map(|tip| {
            let git = failed.remove(tip.0.as_str());
            let text = git.unwrap_or_else(|| "on this file system, its name is the same as another one's".to_owned());
            ((*tip).clone(), Fault { kind: String::new(), object: None, reason: String::new(), text, is_fatal: true })
        });
        Ok(lacking.collect())
    }
}

/// Whether git failed because it could not write, as on a full disk. That says nothing about the objects.
fn is_of_disk(stderr: &str) -> bool {
    let stderr = stderr.to_ascii_lowercase();
    ["no space left", "disk quota exceeded", "unable to write", "unable to create"].iter().any(|it| stderr.contains(it))
}

/// The ids in `wanted` that a list of objects contains.
fn reached(list: &Path, wanted: &HashSet<Oid>) -> Result<HashSet<Oid>> {
    let mut found = HashSet::new();
    let mut lines = BufReader::new(File::open(list).map_err(Error::io("read", list))?);
    let mut line = Vec::new();
    loop {
        line.clear();
        if lines.read_until(b'\n', &mut line).map_err(Error::io("read", list))? == 0 {
            return Ok(found);
        }
        let word = line.split(|byte| byte.is_ascii_whitespace()).next().unwrap_or_default();
        if let Some(oid) = std::str::from_utf8(word).ok().and_then(|word| word.parse::<Oid>().ok())
            && wanted.contains(&oid)
        {
            found.insert(oid);
        }
    }
}

/// The packs in a directory.
fn packs(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries = directory.read_dir().map_err(Error::io("read", directory))?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    Ok(paths.filter(|path| path.extension().is_some_and(|extension| extension == "pack")).collect())
}

/// Number of objects in a pack. gitformat-pack(5): "PACK", version, number of objects, each four bytes, big endian.
fn count(pack: &Path) -> Result<u32> {
    let mut header = [0; 12];
    let read = File::open(pack).and_then(|mut file| file.read_exact(&mut header));
    read.map_err(Error::io("read", pack))?;
    Ok(u32::from_be_bytes([header[8], header[9], header[10], header[11]]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::git::testing::Repo;

    #[test]
    fn an_object_that_cannot_be_written_is_no_damaged_pack() {
        for stderr in [
            "fatal: write error: No space left on device",
            "fatal: sha1 file '<stdout>' write error: Disk quota exceeded",
            "fatal: Unable to create temporary file '/x/objects/pack/tmp_pack_a': No such file or directory",
        ] {
            assert!(is_of_disk(stderr), "{stderr}");
        }
        for stderr in ["fatal: early EOF", "fatal: pack has bad object at offset 12", "fatal: bad object 11"] {
            assert!(!is_of_disk(stderr), "{stderr}");
        }
        // A file in the place of a directory stops git as a full disk does, also for root.
        let repo = Repo::with_commit();
        let git = repo.open();
        let file = repo.sibling("came.pack");
        let script = format!("git rev-parse HEAD | git pack-objects -q --revs --stdout >'{}'", file.display());
        let made = std::process::Command::new("sh").arg("-ec").arg(script).current_dir(repo.top()).status().unwrap();
        assert!(made.success());
        let hash = git.head_commit();
        let pack = PackFile { length: file.metadata().unwrap().len(), path: file, hash };
        let quarantine = Quarantine::new(&git, &"20261121-x".parse().unwrap()).unwrap();
        assert!(quarantine.unpack(&pack).unwrap());
        let objects = quarantine.path("arriving/objects");
        std::fs::remove_dir_all(&objects).unwrap();
        std::fs::create_dir(&objects).unwrap();
        std::fs::write(objects.join("pack"), "").unwrap();
        let error = quarantine.unpack(&pack).unwrap_err();
        assert!(matches!(error, Error::Failed { .. }), "{error}");
    }
}
