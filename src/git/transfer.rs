//! Takes in what came from a host.

use std::collections::BTreeMap;

use super::background::blocking;
use super::pack_file::PackFile;
use super::quarantine::{Quarantine, TakenIn, Tip};
use super::refs::{self, check_name};
use super::{Error, Repository, Result};
use crate::model::id::{HandoffId, RemoteName};
use crate::model::snapshot::Oid;

/// What attempt `n` left on its host, in quarantine. The repository has not changed.
pub struct Arrival {
    repo: Repository,
    quarantine: Quarantine,
    attempt: u32,
    below: String,
    tips: Vec<Tip>,
    is_connected: bool,
}

impl Arrival {
    /// Puts the objects of a pack and the refs of a capture into a quarantine, and deletes the pack's file. The refs are
    /// named as on the host. `None`: the pack is damaged, or it builds on objects that are not here.
    ///
    /// # Errors
    /// A ref is not one of the capture, or git fails.
    pub async fn of(
        repo: &Repository,
        (id, name): (&HandoffId, &RemoteName),
        attempt: u32,
        refs: &[(Oid, String)],
        pack: &PackFile,
    ) -> Result<Option<Arrival>> {
        let below = format!("{}{attempt}/", refs::of(id));
        let above = format!("refs/capture/{}/{attempt}/", name.as_str());
        let tips = refs.iter().map(|(oid, from)| {
            let rest = from.strip_prefix(&above).filter(|rest| !rest.is_empty() && !rest.contains(".."));
            let rest = rest.ok_or_else(|| Error::untrusted(format!("{from:?} is not a ref of the capture")))?;
            Ok((name_here(&below, rest, oid), oid.clone()))
        });
        let tips: Vec<Tip> = tips.collect::<Result<BTreeMap<_, _>>>()?.into_iter().collect();
        let (repo, id, pack) = (repo.clone(), id.clone(), pack.clone());
        let unpack = move || {
            let quarantine = Quarantine::new(&repo, &id)?;
            if !quarantine.unpack(&pack)? {
                return Ok(None);
            }
            // The disk may not have room for both. A file that stays is deleted after the fetch.
            _ = std::fs::remove_file(&pack.path);
            let is_connected = quarantine.is_connected(&tips)?;
            Ok(Some(Arrival { repo, quarantine, attempt, below, tips, is_connected }))
        };
        blocking(unpack).await
    }

    /// Whether everything is here that the refs reach. If not, only the refs that lack something are refused.
    pub fn is_connected(&self) -> bool {
        self.is_connected
    }

    /// Takes the refs into `refs/handoff/<id>/<n>/`, and checks that every accepted ref is complete. `capture` is the
    /// commit that the host reported. The user's checkout is not touched.
    ///
    /// Objects are checked before any of them gets into the repository ([`Quarantine`]). A ref that reaches a refused
    /// object is left out and listed; the others are taken in, the work included.
    ///
    /// # Errors
    /// The refs are not those of the capture, or git fails.
    pub async fn take_in(self, capture: &Oid) -> Result<TakenIn> {
        let capture = capture.clone();
        let take_in = move || {
            let Arrival { repo, quarantine, attempt, below, tips, .. } = self;
            let work = format!("{below}work");
            match tips.iter().find(|(name, _)| *name == work) {
                Some((_, oid)) if *oid == capture => {}
                Some((_, oid)) => {
                    return Err(Error::untrusted(format!("{work} is {}, not {}", oid.short(), capture.short())));
                }
                None => return Err(Error::untrusted(format!("the host has no capture of attempt {attempt}"))),
            }
            let taken = quarantine.take_in(&below, &tips)?;
            let tips: Vec<Oid> = taken.refs.iter().map(|(_, tip)| tip.clone()).collect();
            repo.verify_connected(&tips)?;
            Ok(taken)
        };
        blocking(take_in).await
    }
}

/// The name of a capture's ref here. One that cannot be stored, or was not UTF-8, is replaced by the object's id, as on
/// the host.
fn name_here(below: &str, rest: &str, oid: &Oid) -> String {
    let name = format!("{below}{rest}");
    let is_text = !name.contains(char::REPLACEMENT_CHARACTER);
    if is_text && check_name(&name).is_ok() { name } else { format!("{below}reflog/{oid}") }
}

impl Repository {
    /// Fails unless every object is here with everything it refers to. Walks from each object to refs that are not
    /// ours, so the time depends on the size of the work. The objects' content was checked when they arrived.
    pub fn verify_connected(&self, objects: &[Oid]) -> Result<()> {
        if objects.is_empty() {
            return Ok(());
        }
        let walk = self.git("rev-list").args(["--objects", "--quiet"]).args(objects.iter().map(Oid::as_str));
        walk.args(["--not", &format!("--exclude={}*", refs::ROOT), "--all"]).run()?;
        Ok(())
    }

    /// The tips of what a host need not send of a handoff's work: the handoff's refs, and the refs that were shipped. Other
    /// commits of a partial clone may lack objects; after a pack that lacked some (`is_last`), it counts on nothing.
    ///
    /// # Errors
    /// git fails.
    pub fn held_of(&self, id: &HandoffId, is_last: bool) -> Result<Vec<Oid>> {
        let is_partial = self.is_partial_clone()?;
        if is_partial && is_last {
            return Ok(vec![]);
        }
        let below = if is_partial { &["", ""][..0] } else { &["refs/tags", "refs/remotes"][..] };
        let listed = self.git("for-each-ref").args(["--format=%(objectname)", &refs::of(id)]).args(below);
        let mut held: Vec<Oid> = String::from_utf8_lossy(&listed.run()?).lines().flat_map(str::parse).collect();
        held.sort();
        held.dedup();
        Ok(held)
    }
}

#[cfg(test)]
mod tests;
