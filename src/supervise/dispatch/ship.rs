//! The push of a dispatch, and the repair if the host has lost what the push builds on.

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
    /// Sends the objects and makes the refs of a dispatch. A cache that is damaged, or known to be (`broken`), is
    /// repaired first and gets all objects, because nothing in it is relied on.
    pub async fn run(&self, broken: bool) -> Result<(), Error> {
        if broken {
            self.repair_cache().await?;
        }
        let pushed = match self.once(broken).await {
            // Without a repair, the pack was damaged, or built on tips that were deleted in the meantime.
            Err(error) if !broken && is_of_pack(&error) => {
                forget_tips(&self.prepared.tips)?;
                let repaired = self.repair_cache().await?;
                self.once(repaired).await
            }
            pushed => pushed,
        };
        pushed?;
        let Prepared { refs, outbox, tips, .. } = self.prepared;
        remember_tips(tips, refs.iter().map(|(oid, _)| oid));
        Ok(pack_file::forget(outbox)?)
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

/// The tips that the host had after the last push. They are a hint: only the host knows what it has.
fn remembered_tips(file: &Path) -> Option<Vec<Oid>> {
    let text = std::fs::read_to_string(file).ok()?;
    Some(text.lines().filter_map(|line| line.parse().ok()).collect())
}

/// Without the file, the host is asked at the next push, so a failure needs no handling.
fn remember_tips<'a>(file: &Path, tips: impl Iterator<Item = &'a Oid>) {
    let text: String = tips.map(|oid| format!("{oid}\n")).collect();
    _ = file.parent().map(std::fs::create_dir_all);
    _ = std::fs::write(file, text);
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
