//! The push of a dispatch, and the repair if the host has lost what the push builds on.

use std::sync::Arc;

use crate::git::pack_file::{self, PackFile};
use crate::git::repository::Repository;
use crate::git::transfer;
use crate::model::attempt::Reason;
use crate::model::snapshot::Oid;
use crate::model::verdict::Class;
use crate::remote::bridge::{Bridge, Service};
use crate::remote::client::Remote;
use crate::remote::receive_pack::Cache;
use crate::remote::refusal::RefusalClass;
use crate::supervise::dispatch::Prepared;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::progress::{Progress, Reporter, Throttle};
use crate::supervise::services::blocking;

/// Maximum number of pushes of one repository that may come first.
const MOST_RIVALS: u32 = 10;

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
    /// Pushes the refs of a dispatch. A cache that is damaged, or known to be (`broken`), is repaired first and gets
    /// all objects, because nothing in it is relied on.
    pub async fn run(&self, broken: bool) -> Result<(), Error> {
        if broken {
            self.repair_cache().await?;
        }
        let pushed = match self.unrivalled(broken).await {
            Err(error) if !broken && is_damage(&error) => match self.repair_cache().await? {
                true => self.unrivalled(true).await,
                // The objects that an earlier pack builds on may be gone.
                false if is_of_pack(&error) => self.unrivalled(false).await,
                false => Err(error),
            },
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

    /// Pushes until no other push comes first.
    async fn unrivalled(&self, whole: bool) -> Result<(), Error> {
        for _ in 0..MOST_RIVALS {
            match self.once(whole).await {
                Err(Error::Git(error)) if transfer::is_race(&error) => {}
                pushed => return pushed,
            }
        }
        self.once(whole).await
    }

    async fn once(&self, whole: bool) -> Result<(), Error> {
        if let Some(pack) = self.large(whole).await? {
            return self.send(&pack).await;
        }
        let Prepared { ensure, key, format, refs, .. } = self.prepared;
        let bridge = Bridge::new(self.remote, Service::Receive { whole }, &ensure.name, key, format)?;
        let command = transfer::Bridge { command: bridge.command() };
        let pushed = transfer::push(self.repository, &command, refs);
        tokio::pin!(pushed);
        tokio::select! {
            biased;
            result = &mut pushed => drop(result?),
            served = bridge.serve() => match served {
                // Only the end of the host's process concerns the link; git's own errors do not.
                Err(error) => return Err(Error::Remote(error)),
                Ok(()) => drop(pushed.await?),
            },
        }
        Ok(())
    }

    /// The pack of this push if it is large: one whose transfer had begun, or a new one.
    async fn large(&self, whole: bool) -> Result<Option<PackFile>, Error> {
        let Prepared { refs, outbox, .. } = self.prepared;
        let tips: Vec<Oid> = refs.iter().map(|(oid, _)| oid.clone()).collect();
        if !whole && let Some(pack) = pack_file::kept(self.repository, outbox, &tips) {
            return Ok(Some(pack));
        }
        let repository = self.repository.clone();
        if !blocking(move || repository.may_be_large()).await?? {
            return Ok(None);
        }
        let held = if whole { Vec::new() } else { self.remote.tips(self.cache()).await? };
        match pack_file::make(self.repository, outbox, &tips, &held).await {
            Ok(pack) => Ok(pack),
            // There is no room for a file. git's own push needs none.
            Err(_) => pack_file::forget(outbox).map(|()| None).map_err(Error::Git),
        }
    }

    async fn send(&self, pack: &PackFile) -> Result<(), Error> {
        let Prepared { refs, outbox, .. } = self.prepared;
        let (host, length) = (self.remote.host().to_owned(), pack.length);
        let mut throttle = Throttle::default();
        let arrived = |sent| {
            if throttle.is_due(sent == length) {
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

fn is_damage(error: &Error) -> bool {
    is_of_pack(error) || matches!(error, Error::Git(error) if transfer::is_damage(error))
}

/// Whether the host has refused the pack itself.
fn is_of_pack(error: &Error) -> bool {
    error.is_refused(&RefusalClass::Lacking) || error.is_refused(&RefusalClass::Damaged)
}
