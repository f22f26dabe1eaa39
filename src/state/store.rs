//! The handoffs of one repository.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use super::Error;
use super::journal::{self, Journal};
use crate::model::attempt::AttemptNo;
use crate::model::event::{Created, Event, Kind};
use crate::model::id::HandoffId;
use crate::model::status::Status;
use crate::model::verdict::Class;

const CACHE: &str = "state.json";

/// Start of the name of a record that is being removed.
const REMOVED: &str = ".removed-";

/// `<git common dir>/handoff`.
#[derive(Clone, Debug)]
pub struct Store {
    top: PathBuf,
}

/// The fields of a handoff that a listing shows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, schemars::JsonSchema)]
pub struct Summary {
    pub id: HandoffId,
    pub status: Status,
    pub verdict: Option<Class>,
    pub host: String,
    pub agent: String,
    pub task: String,
    pub attempts: AttemptNo,
    /// Number of superseded attempts.
    #[serde(default)]
    pub superseded: usize,
    pub created: Timestamp,
    pub changed: Timestamp,
    pub unreachable_since: Option<Timestamp>,
    pub worktree: Option<String>,
    /// Whether no host has anything of it any more.
    #[serde(default)]
    pub released: bool,
    /// Whether it was adopted and no host has ever had it; `host` is then this machine.
    #[serde(default)]
    pub by_hand: bool,
}

/// A summary, with the length of the journal that it was made from. It is only a cache.
#[derive(Serialize, Deserialize)]
struct Cached {
    journal_bytes: u64,
    summary: Summary,
}

impl Store {
    /// The handoffs of the repository with this common git directory.
    pub fn new(git_common_dir: &Path) -> Self {
        Store { top: git_common_dir.join("handoff") }
    }

    /// The directory of a handoff.
    pub fn directory(&self, id: &HandoffId) -> PathBuf {
        self.top.join(id.as_str())
    }

    /// The mirrored log of an attempt.
    pub fn log(&self, id: &HandoffId, n: AttemptNo) -> PathBuf {
        self.directory(id).join(format!("attempt-{n}.log"))
    }

    /// The mirrored output of another step of an attempt, by its file name on the host.
    pub fn output(&self, id: &HandoffId, n: AttemptNo, name: &str) -> PathBuf {
        self.directory(id).join(format!("attempt-{n}.{name}"))
    }

    /// Directory for the packs of a handoff's pushes.
    pub fn outboxes(&self, id: &HandoffId) -> PathBuf {
        self.directory(id).join("outbox")
    }

    /// Directory for the pack of a push, until the cache `key` of the host has it. The pack builds on what that cache
    /// has.
    pub fn outbox(&self, id: &HandoffId, host: &str, key: &str) -> PathBuf {
        self.outboxes(id).join(cache_name(host, key))
    }

    /// File with the tips that a host is believed to have in the cache `key`.
    pub fn tips(&self, host: &str, key: &str) -> PathBuf {
        self.top.join(".tips").join(cache_name(host, key))
    }

    /// Directory for the pack of a capture, until its objects are in the repository.
    pub fn inbox(&self, id: &HandoffId) -> PathBuf {
        self.directory(id).join("inbox")
    }

    /// Directory for the pack of build results, in the same way.
    pub fn artifacts_inbox(&self, id: &HandoffId) -> PathBuf {
        self.directory(id).join("inbox.artifacts")
    }

    /// Creates a handoff. Its directory appears complete or not at all.
    ///
    /// # Errors
    /// [`Error::Exists`], or the disk fails.
    pub fn create(&self, made: Created) -> Result<Journal, Error> {
        self.create_with(made, |_, _| Ok(()))
    }

    /// The same with more in it: `fill` gets the journal and the directory before that has its name.
    ///
    /// # Errors
    /// As [`Store::create`], or those of `fill`; then nothing is left.
    pub fn create_with<E: From<Error>>(
        &self,
        made: Created,
        fill: impl FnOnce(&mut Journal, &Path) -> Result<(), E>,
    ) -> Result<Journal, E> {
        let directory = self.directory(&made.id);
        if directory.exists() {
            return Err(Error::Exists(made.id).into());
        }
        std::fs::create_dir_all(&self.top).map_err(Error::io("make", &self.top))?;
        let temporary = tempfile::Builder::new().prefix(".new-").tempdir_in(&self.top);
        let temporary = temporary.map_err(Error::io("make a directory in", &self.top))?;
        let id = made.id.clone();
        let event = Event::new(Timestamp::now(), Kind::Created(Box::new(made)));
        fill(&mut Journal::create(temporary.path(), &event)?, temporary.path())?;
        match std::fs::rename(temporary.path(), &directory) {
            Ok(()) => {}
            // A rename onto a non-empty directory fails: another process created it first.
            Err(_) if directory.exists() => return Err(Error::Exists(id).into()),
            Err(error) => return Err(Error::io("make", &directory)(error).into()),
        }
        // The directory was renamed, so there is nothing to remove.
        let _ = temporary.keep();
        sync_directory(&self.top)?;
        Ok(Journal::open(&directory)?)
    }

    /// Removes the record of a handoff. It disappears at once; a removal that was interrupted is completed by the next one.
    ///
    /// # Errors
    /// The disk fails.
    pub fn remove(&self, id: &HandoffId) -> Result<(), Error> {
        let directory = self.directory(id);
        // No id has this form.
        let away = self.top.join(format!("{REMOVED}{}-{}", id.as_str(), std::process::id()));
        std::fs::rename(&directory, &away).map_err(Error::io("remove", &directory))?;
        sync_directory(&self.top)?;
        let entries = std::fs::read_dir(&self.top).map_err(Error::io("read", &self.top))?;
        for path in entries.flatten().map(|entry| entry.path()) {
            let is_removed = path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(REMOVED));
            if is_removed && let Err(error) = std::fs::remove_dir_all(&path) {
                // Another process may remove it, too.
                if error.kind() != std::io::ErrorKind::NotFound {
                    return Err(Error::io("remove", &path)(error));
                }
            }
        }
        Ok(())
    }

    /// Every id, in order.
    ///
    /// # Errors
    /// The directory cannot be read.
    pub fn ids(&self) -> Result<Vec<HandoffId>, Error> {
        let entries = match std::fs::read_dir(&self.top) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(vec![]),
            entries => entries.map_err(Error::io("read", &self.top))?,
        };
        let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
        let mut ids: Vec<HandoffId> = names.filter_map(|name| name.parse().ok()).collect();
        ids.retain(|id| self.directory(id).join(journal::NAME).is_file());
        ids.sort();
        Ok(ids)
    }

    /// # Errors
    /// See [`Journal::open`].
    pub fn open(&self, id: &HandoffId) -> Result<Journal, Error> {
        Journal::open(&self.directory(id))
    }

    /// The id that a name or a prefix of an id means.
    ///
    /// # Errors
    /// No id or several match.
    pub fn resolve(&self, name: &str) -> Result<HandoffId, Error> {
        let ids = self.ids()?;
        if let Some(exact) = ids.iter().find(|id| id.as_str() == name) {
            return Ok(exact.clone());
        }
        let candidates: Vec<&HandoffId> = ids.iter().filter(|id| id.as_str().starts_with(name)).collect();
        match candidates[..] {
            [only] => Ok(only.clone()),
            [] => {
                let near = ids.iter().map(|id| (strsim::jaro_winkler(id.as_str(), name), id));
                let best = near.filter(|(score, _)| *score > 0.7).max_by(|a, b| a.0.total_cmp(&b.0));
                Err(Error::Unknown { name: name.to_owned(), nearest: best.map(|(_, id)| id.to_string()) })
            }
            _ => {
                let candidates = candidates.iter().take(8).map(ToString::to_string).collect();
                Err(Error::Ambiguous { name: name.to_owned(), candidates })
            }
        }
    }

    /// The summary for a listing, from the cache if the journal has not grown since.
    ///
    /// # Errors
    /// See [`Journal::open`].
    pub fn summary(&self, id: &HandoffId) -> Result<Summary, Error> {
        let directory = self.directory(id);
        let (path, cache) = (directory.join(journal::NAME), directory.join(CACHE));
        let length = std::fs::metadata(&path).map_err(Error::io("read", &path))?.len();
        let cached = std::fs::read(&cache).ok().and_then(|bytes| serde_json::from_slice::<Cached>(&bytes).ok());
        if let Some(cached) = cached.filter(|cached| cached.journal_bytes == length) {
            return Ok(cached.summary);
        }
        let journal = self.open(id)?;
        let cached = Cached { journal_bytes: journal.length(), summary: summarize(&journal) };
        // A cache that cannot be written only costs time.
        if let Ok(text) = serde_json::to_vec(&cached)
            && let Ok(mut file) = tempfile::NamedTempFile::new_in(&directory)
            && std::io::Write::write_all(&mut file, &text).is_ok()
        {
            let _ = file.persist(&cache);
        }
        Ok(cached.summary)
    }
}

/// A file name for the cache `key` of a host.
fn cache_name(host: &str, key: &str) -> String {
    let digest = Sha256::digest(format!("{host}\n{key}").as_bytes());
    digest.iter().take(10).map(|byte| format!("{byte:02x}")).collect()
}

fn summarize(journal: &Journal) -> Summary {
    let handoff = journal.handoff();
    Summary {
        id: handoff.request().id.clone(),
        status: handoff.status(),
        verdict: handoff.history().last().copied(),
        host: handoff.host().to_owned(),
        agent: handoff.agent().to_owned(),
        task: handoff.request().task.clone(),
        attempts: handoff.last_attempt().map_or(0, |(n, _)| n),
        superseded: handoff.superseded().count(),
        created: handoff.created_at(),
        changed: handoff.changed_at(),
        unreachable_since: handoff.unreachable().map(|(since, _)| since),
        worktree: handoff.worktree().map(str::to_owned),
        released: handoff.is_released(),
        by_hand: handoff.is_only_by_hand(),
    }
}

fn sync_directory(path: &Path) -> Result<(), Error> {
    std::fs::File::open(path).and_then(|directory| directory.sync_all()).map_err(Error::io("write", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::created;

    #[test]
    fn an_id_is_used_once_and_found_by_a_prefix() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        for id in ["20261121-fix-a", "20261121-fix-b", "20261120-x"] {
            store.create(created(id)).unwrap();
        }
        assert!(matches!(store.create(created("20261120-x")), Err(Error::Exists(_))));
        assert_eq!(store.ids().unwrap().len(), 3, "a failed creation leaves nothing");
        assert_eq!(store.resolve("20261120").unwrap().as_str(), "20261120-x");
        assert!(matches!(store.resolve("20261121"), Err(Error::Ambiguous { candidates, .. }) if candidates.len() == 2));
        let error = store.resolve("20261121-fix-c").unwrap_err().to_string();
        assert!(error.contains("did you mean 20261121-fix-"), "{error}");
        let left = std::fs::read_dir(directory.path().join("handoff")).unwrap().count();
        assert_eq!(left, 3);
        std::fs::create_dir(directory.path().join("handoff/.removed-20261119-y-1")).unwrap();
        store.remove(&"20261120-x".parse().unwrap()).unwrap();
        assert_eq!(std::fs::read_dir(directory.path().join("handoff")).unwrap().count(), 2);
    }

    #[test]
    fn each_cache_of_each_host_has_its_own_outbox() {
        let (store, id) = (Store::new(Path::new("/x")), "20261121-x".parse().unwrap());
        let outbox = |host, key| store.outbox(&id, host, key);
        assert_eq!(outbox("a", "1"), outbox("a", "1"));
        assert!(outbox("a", "1") != outbox("b", "1") && outbox("a", "1") != outbox("a", "2"));
        assert!(outbox("a", "1").starts_with(store.outboxes(&id)));
    }

    #[test]
    fn a_listing_uses_the_cache_until_the_journal_grows() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::new(directory.path());
        let mut journal = store.create(created("20261121-x")).unwrap();
        let id = journal.handoff().request().id.clone();
        assert_eq!(store.summary(&id).unwrap().status, Status::Queued);
        let cache = store.directory(&id).join(CACHE);
        let marked = std::fs::read_to_string(&cache).unwrap().replace("\"fix\"", "\"from the cache\"");
        std::fs::write(&cache, marked).unwrap();
        assert_eq!(store.summary(&id).unwrap().task, "from the cache");
        journal.append(Kind::StopRequested).unwrap();
        assert_eq!(store.summary(&id).unwrap().task, "fix");
        std::fs::write(&cache, "{").unwrap();
        assert_eq!(store.summary(&id).unwrap().task, "fix", "a broken cache is no truth");
    }
}
