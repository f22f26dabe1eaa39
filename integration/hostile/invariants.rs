//! The invariants after each command: no work is lost, work that only the host has is named, and each attempt is
//! started once.

use std::collections::{BTreeSet, HashSet};
use std::path::{Path, PathBuf};
use std::process::Command;

use crate::files::{self, Kept};
use crate::story::Story;
use crate::support::agent::folders;
use crate::support::site::ID;

/// Maximum number of paths that the user is shown. Further ones are counted.
const NAMED: usize = 10;

impl Story {
    /// Records every file and every commit that exists now.
    pub fn note_what_exists(&mut self) {
        let trees: Vec<PathBuf> = self.roots().iter().map(|root| root.join("trees")).collect();
        let mut now: Vec<Kept> = Vec::new();
        for place in trees.iter().flat_map(|trees| folders(trees)) {
            // Only the checkout and the agent's files next to it count. handoff's own files are not the agent's work.
            let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            for folder in folders(&place) {
                let next_to_it = (!name(&place).starts_with(&format!("{}-", name(&folder)))).then(|| name(&folder));
                now.extend(files::below(&folder).into_iter().map(|kept| match &next_to_it {
                    Some(folder) => Kept { path: format!("{folder}/{}", kept.path), ..kept },
                    None => kept,
                }));
            }
        }
        // This agent may change or remove an earlier agent's files. A file that is gone counts only if the laptop has it.
        let held = self.laptop_objects();
        let here: HashSet<&str> = now.iter().map(|kept| kept.blob.as_str()).collect();
        self.kept.retain(|kept| kept.is_in(&held) || here.contains(kept.blob.as_str()));
        self.kept.extend(now);
        self.commits.extend(self.commits_that_exist());
    }

    fn commits_that_exist(&self) -> Vec<(String, String)> {
        let listed = std::fs::read_to_string(self.home("commits")).unwrap_or_default();
        let mut stores: Vec<PathBuf> = Vec::new();
        for root in self.roots() {
            for place in folders(&root.join("trees")) {
                for folder in folders(&place) {
                    stores.extend([folder.join(".git/objects"), folder.join("objects")]);
                }
            }
            stores.extend(folders(&root.join("cache")).iter().map(|cache| cache.join("objects")));
        }
        stores.retain(|store| store.is_dir());
        let stores: Vec<String> = stores.iter().map(|store| store.display().to_string()).collect();
        let scratch = tempfile::tempdir().unwrap();
        let git = |args: &[&str]| {
            let mut git = Command::new("git");
            git.arg("--git-dir")
                .arg(scratch.path())
                .args(args)
                .env("GIT_ALTERNATE_OBJECT_DIRECTORIES", stores.join(":"));
            git.output().unwrap().status.success()
        };
        git(&["init", "-q", "--bare"]);
        let pairs = listed.lines().filter_map(|line| line.split_once(' '));
        let exists = pairs.filter(|(commit, _)| git(&["cat-file", "-e", &format!("{commit}^{{commit}}")]));
        exists.map(|(commit, what)| (commit.to_owned(), what.to_owned())).collect()
    }

    /// Every object that a ref of the laptop reaches.
    fn laptop_objects(&self) -> HashSet<String> {
        let all = self.site.laptop.git(&["rev-list", "--objects", "--all"]);
        let mut objects: HashSet<String> =
            all.lines().filter_map(|line| line.split(' ').next()).map(str::to_owned).collect();
        // The laptop also has the content of its uncommitted files.
        objects.extend(files::contents(std::slice::from_ref(&self.site.laptop.repo)));
        objects
    }

    /// Promise 1: a ref on the laptop has everything that an agent left, or the host still has it.
    pub fn nothing_is_lost(&mut self, when: &str) {
        let held = self.laptop_objects();
        let on_host = files::contents(&self.roots());
        let lost = self.kept.iter().find(|kept| !kept.is_in(&held) && !on_host.contains(&kept.blob));
        if let Some(lost) = lost {
            self.broken(&format!("{when}: LOST {} ({})", lost.path, lost.blob));
        }
    }

    /// Work that only the host has was named to the user. Commits are named by their number.
    pub fn all_is_named(&mut self) {
        let held = self.laptop_objects();
        let page = self.site.laptop.mirror(ID).join("handoff.md");
        let said = format!("{}\n{}", self.said, std::fs::read_to_string(page).unwrap_or_default());
        let missing: Vec<Kept> = self.kept.iter().filter(|kept| !kept.is_in(&held)).cloned().collect();
        // A checkout that a deleted root has left is named as a whole.
        let left = |kept: &Kept| said.lines().any(|line| says_left(line, &kept.checkout.display().to_string()));
        let unnamed: Vec<&Kept> = missing.iter().filter(|kept| !left(kept) && !names(&said, &kept.path)).collect();
        if !unnamed.is_empty() && missing.len() <= NAMED {
            self.broken(&format!("only on the host, and not named: {unnamed:?}"));
        }
        let on_host: BTreeSet<(String, String)> = self.commits_that_exist().into_iter().collect();
        for (commit, what) in self.commits.iter().filter(|(commit, _)| !held.contains(commit)) {
            let exists = on_host.contains(&(commit.clone(), what.clone()));
            if !exists || ![" commit)", " commits)", " commits, "].iter().any(|named| self.said.contains(named)) {
                self.broken(&format!("{what} ({commit}) is not in a ref on the laptop; on the host: {exists}"));
            }
        }
    }

    /// Promise 4: each attempt that the record knows as started has one start, and none has two.
    pub fn starts_equal_attempts(&mut self) {
        let text = std::fs::read_to_string(self.home("starts")).unwrap_or_default();
        let starts: Vec<&str> = text.lines().collect();
        let once: BTreeSet<&str> = starts.iter().copied().collect();
        if once.len() != starts.len() {
            self.broken(&format!("started more than once: {starts:?}"));
        }
        let shown = self.site.laptop.handoff(&["show", "--offline", "--json", ID]).run().success().json();
        let known = shown["handoff"]["attempts"].as_object().cloned().unwrap_or_default();
        for start in &once {
            let number = start.rsplit('.').next().unwrap_or_default();
            if !known.contains_key(number) {
                self.broken(&format!("attempt {number} started, and the record does not know it"));
            }
        }
    }
}

/// Whether a message lists a checkout among what is left of a deleted root.
fn says_left(line: &str, checkout: &str) -> bool {
    let mut lists = line.split("(left of it: ").skip(1);
    lists.any(|list| list.split([',', ')']).any(|path| path.trim() == checkout))
}

/// Whether a text names a path, or a parent directory of it. Control characters and invalid bytes are shown as `?`.
fn names(text: &str, path: &str) -> bool {
    let plain = |c: char| if c.is_control() || c == '\u{fffd}' { '?' } else { c };
    let (text, path): (String, String) = (text.chars().map(plain).collect(), path.chars().map(plain).collect());
    let mut end = path.len();
    loop {
        if text.contains(&path[..end]) {
            return true;
        }
        match path[..end].rfind('/') {
            Some(slash) => end = slash,
            None => return false,
        }
    }
}
