//! The push of a dispatch, and the repair if the host has lost what the push builds on.

use std::sync::Arc;

use crate::git::pack_file::{self, LARGE, PackFile};
use crate::git::repository::Repository;
use crate::model::attempt::Reason;
use crate::model::snapshot::Oid;
use crate::model::verdict::Class;
use crate::remote::client::Remote;
use crate::remote::receive_pack::Cache;
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
                let repaired = self.repair_cache().await?;
                self.once(repaired).await
            }
            pushed => pushed,
        };
        pushed?;
        Ok(pack_file::forget(&self.prepared.outbox)?)
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
        let Prepared { refs, outbox, .. } = self.prepared;
        let tips: Vec<Oid> = refs.iter().map(|(oid, _)| oid.clone()).collect();
        if !whole && let Some(pack) = pack_file::kept(self.repository, outbox, &tips) {
            return Ok(pack);
        }
        let held = if whole { Vec::new() } else { self.remote.tips(self.cache()).await? };
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

/// Whether the host has refused the pack itself.
fn is_of_pack(error: &Error) -> bool {
    error.is_refused(&RefusalClass::Lacking) || error.is_refused(&RefusalClass::Damaged)
}
