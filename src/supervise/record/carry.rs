//! What people wrote in the record of a worktree that is about to be removed.

use std::path::{Path, PathBuf};

use crate::mirror::RECORD;
use crate::mirror::directory::is_temporary;
use crate::mirror::document;
use crate::mirror::files::RecordFiles;
use crate::mirror::place::Place;
use crate::supervise::error::Error;
use crate::supervise::record::Record;
use crate::supervise::record::places::Places;

impl Record {
    /// Copies what people wrote in `handoff.md` of a worktree to the worktree that the handoff was created in. Returns
    /// why the worktree must stay, as fragments: both have words, or there are files that handoff did not write.
    ///
    /// # Errors
    /// A file cannot be read or written.
    pub(in crate::supervise) fn carry_words(&self, worktree: &Path) -> Result<Vec<String>, Error> {
        let mut why = self.foreign_files(worktree)?;
        if Place::of(worktree, self.id()) != Place::Worktree || !worktree.join(RECORD).join(self.id().as_str()).is_dir()
        {
            return Ok(why);
        }
        let rendered = self.render(&self.findings()?)?;
        let bare = document::merge(&rendered, None);
        let theirs = document::merge(&rendered, RecordFiles::open(worktree, self.id())?.document()?.as_deref());
        let there = Places::of(&self.services, self.handoff()).created_in.filter(|there| there != worktree);
        let target = match &there {
            Some(there) if Place::of(there, self.id()) == Place::Worktree => RecordFiles::open(there, self.id())?,
            _ => RecordFiles::in_git_directory(&self.services.store.directory(self.id()))?,
        };
        let ours = document::merge(&rendered, target.document()?.as_deref());
        if theirs == bare || theirs == ours {
            return Ok(why);
        }
        if ours == bare {
            target.write_document(&theirs)?;
        } else {
            why.push(format!("you wrote in its {RECORD}/{}/handoff.md and in the other one", self.id()));
        }
        Ok(why)
    }

    /// `handoff.md` as handoff renders it, without what people wrote in it.
    pub(in crate::supervise) fn page_without_words(&self) -> Result<Vec<u8>, Error> {
        Ok(document::merge(&self.render(&self.findings()?)?, None))
    }

    /// Files in the directory of records that handoff did not write for this handoff.
    fn foreign_files(&self, worktree: &Path) -> Result<Vec<String>, Error> {
        let top = worktree.join(RECORD);
        let logs = self.services.readable_logs(self.handoff())?;
        let mut why = Vec::new();
        for path in entries(&top)?.into_iter().filter(|path| path.file_name() != Some(self.id().as_str().as_ref())) {
            why.push(format!("{} is not of this handoff", shown(worktree, &path)));
        }
        for path in entries(&top.join(self.id().as_str()))? {
            let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
            let is_copy = name.ends_with(".log") && logs.join(&name).exists();
            if name != "handoff.md" && !is_copy && !is_temporary(&name) {
                why.push(format!("{} was not written by handoff", shown(worktree, &path)));
            }
        }
        Ok(why)
    }
}

/// The entries of a directory, sorted; none if it does not exist or is a link.
fn entries(directory: &Path) -> Result<Vec<PathBuf>, Error> {
    if !directory.symlink_metadata().is_ok_and(|meta| meta.is_dir()) {
        return Ok(vec![]);
    }
    let fail = |source| Error::Read { path: directory.display().to_string(), source };
    let read = std::fs::read_dir(directory).map_err(fail)?;
    let mut paths = read.map(|entry| Ok(entry?.path())).collect::<std::io::Result<Vec<_>>>().map_err(fail)?;
    paths.sort();
    Ok(paths)
}

fn shown(worktree: &Path, path: &Path) -> String {
    path.strip_prefix(worktree).unwrap_or(path).display().to_string()
}
