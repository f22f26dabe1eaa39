//! Sends a dispatch: the objects that the host lacks, and `ensure`. Repairs the host's cache if that has lost objects.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::git::pack_file::{self, LARGE, PackFile};
use crate::git::repository::Repository;
use crate::model::attempt::Reason;
use crate::model::handoff::Handoff;
use crate::model::root::Instance;
use crate::model::snapshot::Oid;
use crate::model::verdict::Class;
use crate::remote::client::Remote;
use crate::remote::error::RemoteError;
use crate::remote::receive_pack::{AT_ONCE, Cache, Push};
use crate::supervise::dispatch::Prepared;
use crate::supervise::error::Error;
use crate::supervise::progress::{Progress, Reporter, Throttle};

/// Whether the attempt before `n` ended because objects of the ship were missing or damaged on the host.
pub(super) fn ship_was_broken(handoff: &Handoff, prepared: &Prepared) -> bool {
    let before = prepared.ensure.attempt.checked_sub(1).and_then(|n| handoff.attempt(n));
    let outcome = before.filter(|it| it.grant == prepared.ensure.grant).and_then(|it| it.outcome.as_ref());
    outcome.is_some_and(|outcome| outcome.reason == Reason::Ship && outcome.class.is(Class::Network))
}

/// A dispatch over one connection.
pub(super) struct Shipment<'a> {
    pub remote: &'a Remote,
    pub prepared: &'a Prepared,
    pub repository: &'a Repository,
    pub reporter: &'a Arc<dyn Reporter>,
}

impl Shipment<'_> {
    /// Sends objects, spec and secrets, and returns the instance that the host showed. If the host refuses the pack, a
    /// second one builds on the tips that the host has now. If it refuses that too, its cache is repaired and gets all
    /// objects, as one does that is known to be damaged (`is_broken`): nothing in it is relied on.
    pub async fn send(&self, is_broken: bool) -> Result<Instance, Error> {
        let Prepared { ensure, refs, outboxes, tips, .. } = self.prepared;
        // The host took the objects in before the attempt started.
        if ensure.started {
            return Ok(self.remote.ensure(ensure, None).await?);
        }
        if is_broken {
            self.repair_cache().await?;
        }
        let pack = if is_broken { self.pack(&[]).await? } else { self.first_pack().await? };
        let mut sent = self.send_with(&pack).await;
        if !is_broken && let Err(Error::Remote(RemoteError::PackRefused { tips: held, .. })) = &sent {
            // The pack was damaged on the way, or built on tips that were deleted in the meantime.
            forget_tips(tips)?;
            sent = self.send_with(&self.pack(held).await?).await;
        }
        if !is_broken && let Err(Error::Remote(RemoteError::PackRefused { .. })) = &sent {
            // If the cache is whole, its history ends earlier: its tips reach more here, in a clone that was deepened.
            self.repair_cache().await?;
            sent = self.send_with(&self.pack(&[]).await?).await;
        }
        let instance = sent?;
        remember_tips(tips, refs);
        pack_file::forget(outboxes)?;
        Ok(instance)
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

    /// The pack to try first: one whose transfer had begun, or a new one.
    async fn first_pack(&self) -> Result<PackFile, Error> {
        let Prepared { outbox, tips: remembered, captured, .. } = self.prepared;
        if let Some(pack) = pack_file::kept(self.repository, outbox, &self.tips()) {
            return Ok(pack);
        }
        if let Some(held) = remembered_tips(remembered) {
            let pack = self.pack(&[&held[..], captured].concat()).await?;
            // A host that no longer has the tips refuses the pack, which costs little if the pack is small.
            if pack.length <= AT_ONCE {
                return Ok(pack);
            }
        }
        let mut held = self.remote.tips(self.cache()).await?;
        // A large pack that the host refuses costs much, so it builds on nothing that the host did not name.
        if captured.first().is_some_and(|commit| held.contains(commit)) {
            held.extend(captured.iter().cloned());
        }
        self.pack(&held).await
    }

    /// A pack of everything that `held` does not reach.
    async fn pack(&self, held: &[Oid]) -> Result<PackFile, Error> {
        Ok(pack_file::make(self.repository, &self.prepared.outbox, &self.tips(), held, &self.prepared.ends).await?)
    }

    /// Sends a pack and `ensure`: in one request if the pack is small.
    async fn send_with(&self, pack: &PackFile) -> Result<Instance, Error> {
        let Prepared { ensure, refs, shallow, outbox, .. } = self.prepared;
        let push = Push { cache: self.cache(), pack, refs, shallow };
        let sent = if pack.length <= AT_ONCE {
            self.remote.ensure(ensure, Some(&push)).await
        } else {
            match self.send_large(&push).await {
                Ok(()) => self.remote.ensure(ensure, None).await,
                Err(error) => Err(error),
            }
        };
        if matches!(sent, Err(RemoteError::PackRefused { .. })) {
            pack_file::forget(outbox)?;
        }
        Ok(sent?)
    }

    async fn send_large(&self, push: &Push<'_>) -> Result<(), RemoteError> {
        let (host, length) = (self.remote.host().to_owned(), push.pack.length);
        let mut throttle = Throttle::default();
        let arrived = |sent| {
            if length >= LARGE && throttle.is_due(sent == length) {
                self.reporter.tell(&Progress::Sending { host: host.clone(), sent, length });
            }
        };
        self.remote.send_pack(push, arrived).await
    }

    fn tips(&self) -> Vec<Oid> {
        self.prepared.refs.iter().map(|(oid, _)| oid.clone()).collect()
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
