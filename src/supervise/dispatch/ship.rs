//! Sends a dispatch: the objects that the host lacks, and `ensure`. Repairs the host's cache if that has lost objects.

use std::io::Write;
use std::path::Path;
use std::sync::Arc;

use crate::git::pack_file::{self, LARGE, PackFile};
use crate::model::attempt::Reason;
use crate::model::handoff::Handoff;
use crate::model::root::Instance;
use crate::model::snapshot::Oid;
use crate::model::verdict::Class;
use crate::remote::client::Remote;
use crate::remote::ensure::Ensure;
use crate::remote::error::RemoteError;
use crate::remote::receive_pack::{AT_ONCE, Cache, Push};
use crate::supervise::dispatch::{Objects, Prepared};
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
    pub reporter: &'a Arc<dyn Reporter>,
}

impl Shipment<'_> {
    /// Sends the objects of the companions, then those of the handoff with its spec and secrets. Returns the instance
    /// that the host showed.
    pub async fn send(&self, is_broken: bool) -> Result<Instance, Error> {
        let Prepared { ensure, own, companions, outboxes } = self.prepared;
        // The host took the objects in before the attempt started.
        if ensure.started {
            return Ok(self.remote.ensure(ensure, None).await?);
        }
        for companion in companions {
            self.deliver(companion, None, is_broken).await?;
        }
        let instance = self.deliver(own, Some(ensure), is_broken).await?;
        pack_file::forget(outboxes)?;
        instance.ok_or_else(|| Error::Inner("the host showed no instance".to_owned()))
    }

    /// Sends the objects of one repository, with `ensure` where it starts the attempt. If the host refuses the pack, a
    /// second one builds on the tips that the host has now. If it refuses that too, its cache is repaired and gets all
    /// objects, as one does that is known to be damaged (`is_broken`): nothing in it is relied on.
    async fn deliver(
        &self,
        objects: &Objects,
        ensure: Option<&Ensure>,
        is_broken: bool,
    ) -> Result<Option<Instance>, Error> {
        if is_broken {
            self.repair_cache(objects).await?;
        }
        let pack = if is_broken { pack_for(objects, &[]).await? } else { self.first_pack(objects).await? };
        let mut sent = self.send_with(objects, ensure, &pack).await;
        if !is_broken && let Err(Error::Remote(RemoteError::PackRefused { tips: held, .. })) = &sent {
            // The pack was damaged on the way, or built on tips that were deleted in the meantime.
            forget_tips(&objects.tips)?;
            sent = self.send_with(objects, ensure, &pack_for(objects, held).await?).await;
        }
        if !is_broken && let Err(Error::Remote(RemoteError::PackRefused { .. })) = &sent {
            // If the cache is whole, its history ends earlier: its tips reach more here, in a clone that was deepened.
            self.repair_cache(objects).await?;
            sent = self.send_with(objects, ensure, &pack_for(objects, &[]).await?).await;
        }
        let instance = sent?;
        remember_tips(&objects.tips, &objects.refs);
        Ok(instance)
    }

    async fn repair_cache(&self, objects: &Objects) -> Result<bool, Error> {
        let repaired = self.remote.repair_cache(&objects.name, &objects.key, &objects.format).await?;
        if repaired {
            let text =
                format!("the repository in the cache of {} is damaged; everything is sent again", self.remote.host());
            self.reporter.tell(&Progress::Note { text });
        }
        Ok(repaired)
    }

    /// The pack to try first: one whose transfer had begun, or a new one.
    async fn first_pack(&self, objects: &Objects) -> Result<PackFile, Error> {
        if let Some(pack) = pack_file::kept(&objects.repository, &objects.outbox, &objects.oids()) {
            return Ok(pack);
        }
        if let Some(held) = remembered_tips(&objects.tips) {
            let pack = pack_for(objects, &[&held[..], &objects.captured].concat()).await?;
            // A host that no longer has the tips refuses the pack, which costs little if the pack is small.
            if pack.length <= AT_ONCE {
                return Ok(pack);
            }
        }
        let mut held = self.remote.tips(objects.cache()).await?;
        // A large pack that the host refuses costs much, so it builds on nothing that the host did not name.
        if objects.captured.first().is_some_and(|commit| held.contains(commit)) {
            held.extend(objects.captured.iter().cloned());
        }
        pack_for(objects, &held).await
    }

    /// Sends a pack and `ensure`: in one request if the pack is small.
    async fn send_with(
        &self,
        objects: &Objects,
        ensure: Option<&Ensure>,
        pack: &PackFile,
    ) -> Result<Option<Instance>, Error> {
        let push = Push { cache: objects.cache(), pack, refs: &objects.refs, shallow: &objects.shallow };
        let sent = match ensure {
            Some(ensure) if pack.length <= AT_ONCE => self.remote.ensure(ensure, Some(&push)).await.map(Some),
            _ => match (self.send_large(&push).await, ensure) {
                (Ok(()), Some(ensure)) => self.remote.ensure(ensure, None).await.map(Some),
                (sent, _) => sent.map(|()| None),
            },
        };
        if matches!(sent, Err(RemoteError::PackRefused { .. })) {
            pack_file::forget(&objects.outbox)?;
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
}

impl Objects {
    fn oids(&self) -> Vec<Oid> {
        self.refs.iter().map(|(oid, _)| oid.clone()).collect()
    }

    fn cache(&self) -> Cache<'_> {
        Cache { name: &self.name, key: &self.key, format: &self.format }
    }
}

/// A pack of everything that `held` does not reach.
async fn pack_for(objects: &Objects, held: &[Oid]) -> Result<PackFile, Error> {
    let Objects { repository, outbox, ends, .. } = objects;
    Ok(pack_file::make(repository, outbox, &objects.oids(), held, ends).await?)
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
