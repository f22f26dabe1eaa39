//! The push of a dispatch, and the repair if the host has lost what the push builds on.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::git::pack_file::{self, LARGE, PackFile};
use crate::git::repository::Repository;
use crate::model::attempt::Reason;
use crate::model::snapshot::Oid;
use crate::model::verdict::Class;
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::remote::receive_pack::{AT_ONCE, Cache};
use crate::remote::refusal::RefusalClass;
use crate::supervise::dispatch::Prepared;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::{Progress, Reporter, Throttle};

impl Driver {
    /// Whether the attempt before `n` ended because objects of the ship were missing or damaged on the host.
    pub(in crate::supervise) fn ship_was_broken(&self, prepared: &Prepared) -> bool {
        let before = prepared.ensure.attempt.checked_sub(1).and_then(|n| self.handoff().attempt(n));
        let outcome = before.filter(|it| it.grant == prepared.ensure.grant).and_then(|it| it.outcome.as_ref());
        outcome.is_some_and(|outcome| outcome.reason == Reason::Ship && outcome.class.is(Class::Network))
    }
}

/// What a push needs.
pub(in crate::supervise) struct Push<'a> {
    pub remote: &'a Remote,
    pub prepared: &'a Prepared,
    pub repository: &'a Repository,
    pub reporter: &'a Arc<dyn Reporter>,
}

impl Push<'_> {
    /// Sends the objects and makes the refs of a dispatch. If the host refuses the pack, a second one builds on the tips
    /// that the host has now. If it refuses that too, its cache is repaired. A cache that was repaired, or is known to be
    /// damaged (`broken`), gets all objects, because nothing in it is relied on.
    pub async fn run(&self, broken: bool) -> Result<(), Error> {
        if broken {
            self.repair_cache().await?;
        }
        let mut pushed = self.once(broken).await;
        if !broken && pushed.as_ref().is_err_and(is_of_pack) {
            // The pack was damaged on the way, or built on tips that were deleted in the meantime.
            forget_tips(&self.prepared.tips)?;
            pushed = self.once(false).await;
            if pushed.as_ref().is_err_and(is_of_pack) {
                let repaired = self.repair_cache().await?;
                pushed = self.once(repaired).await;
            }
        }
        pushed?;
        let Prepared { refs, outboxes, tips, .. } = self.prepared;
        remember_tips(tips, refs);
        Ok(pack_file::forget(outboxes)?)
    }

    async fn repair_cache(&self) -> Result<bool, Error> {
        let Prepared { ensure, key, format, .. } = self.prepared;
        let repaired = self.remote.repair_cache(&ensure.name, key, format).await?;
        if repaired {
            let text =
                format!("the repository in the cache of {} is damaged; everything is sent again", self.remote.host());
            self.reporter.tell(&Progress::Note { text });
        }
        Ok(repaired)
    }

    async fn once(&self, whole: bool) -> Result<(), Error> {
        let pack = self.pack(whole).await?;
        self.send(&pack).await
    }

    /// The pack of this push: one whose transfer had begun, or a new one.
    async fn pack(&self, whole: bool) -> Result<PackFile, Error> {
        let Prepared { refs, outbox, tips: remembered, .. } = self.prepared;
        let tips: Vec<Oid> = refs.iter().map(|(oid, _)| oid.clone()).collect();
        if whole {
            return Ok(pack_file::make(self.repository, outbox, &tips, &[]).await?);
        }
        if let Some(pack) = pack_file::kept(self.repository, outbox, &tips) {
            return Ok(pack);
        }
        if let Some(held) = remembered_tips(remembered) {
            let pack = pack_file::make(self.repository, outbox, &tips, &held).await?;
            // A host that no longer has the tips refuses the pack, which costs little if the pack is small.
            if pack.length <= AT_ONCE {
                return Ok(pack);
            }
        }
        let held = self.remote.tips(self.cache()).await?;
        Ok(pack_file::make(self.repository, outbox, &tips, &held).await?)
    }

    async fn send(&self, pack: &PackFile) -> Result<(), Error> {
        let Prepared { refs, outbox, .. } = self.prepared;
        let (host, length) = (self.remote.host().to_owned(), pack.length);
        let mut throttle = Throttle::default();
        let arrived = |sent| {
            if length >= LARGE && throttle.is_due(sent == length) {
                self.reporter.tell(&Progress::Sending { host: host.clone(), sent, length });
            }
        };
        let sent = self.remote.send_pack(self.cache(), pack, refs, arrived).await.map_err(Error::Remote);
        if sent.as_ref().is_err_and(is_of_pack) {
            pack_file::forget(outbox)?;
        }
        sent
    }

    fn cache(&self) -> Cache<'_> {
        let Prepared { ensure, key, format, .. } = self.prepared;
        Cache { name: &ensure.name, key, format }
    }
}

/// The tips that the last push to the host left there to stay; `None` if that is not known. They are a hint: only the
/// host knows what it has.
fn remembered_tips(file: &Path) -> Option<Vec<Oid>> {
    let text = std::fs::read_to_string(file).ok()?;
    let tips: Vec<Oid> = text.lines().filter_map(|line| line.parse().ok()).collect();
    (!tips.is_empty()).then_some(tips)
}

/// Remembers the refs of a push that stay on the host. The others are deleted when the handoff is released, and their
/// objects by a later gc, even while a push builds on them. Without the file, the host is asked at the next push, so a
/// failure needs no handling.
fn remember_tips(file: &Path, refs: &[(Oid, String)]) {
    let stay = refs.iter().filter(|(_, name)| name.starts_with("refs/keep/"));
    let text: String = stay.map(|(oid, _)| format!("{oid}\n")).collect();
    let Some(directory) = file.parent() else { return };
    _ = std::fs::create_dir_all(directory);
    if let Ok(mut new) = tempfile::NamedTempFile::new_in(directory)
        && new.write_all(text.as_bytes()).is_ok()
    {
        _ = new.persist(file);
    }
}

fn forget_tips(file: &Path) -> Result<(), Error> {
    match std::fs::remove_file(file) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(RemoteError::Pack(error).into()),
        _ => Ok(()),
    }
}

/// Whether the host has refused the pack itself.
fn is_of_pack(error: &Error) -> bool {
    error.is_refused(&RefusalClass::Lacking) || error.is_refused(&RefusalClass::Damaged)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_tips_that_no_release_deletes_are_remembered() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join(".tips/x");
        assert_eq!(remembered_tips(&file), None);
        let oid = |digit: &str| digit.repeat(40).parse::<Oid>().unwrap();
        let keep = (oid("1"), format!("refs/keep/{}", oid("1")));
        let ship = (oid("2"), "refs/handoff/x/ship/1".to_owned());
        remember_tips(&file, &[keep, ship.clone()]);
        assert_eq!(remembered_tips(&file), Some(vec![oid("1")]));
        remember_tips(&file, &[ship]);
        assert_eq!(remembered_tips(&file), None, "a host that keeps nothing is asked");
        assert_eq!(file.parent().unwrap().read_dir().unwrap().count(), 1);
    }
}
