//! `clean`: deletes from the hosts what the laptop holds. Everything is fetched, verified and compared before a host
//! deletes anything.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use tokio::time::Instant;

use crate::git::pack_file;
use crate::model::attempt::AttemptNo;
use crate::model::event::Kind;
use crate::model::id::HandoffId;
use crate::model::refusal::RefusedRef;
use crate::remote::client::Remote;
use crate::remote::refusal::RefusalClass;
use crate::remote::release::{Answer, Files, Receipt, ReleaseOptions};
use crate::supervise::capture::acknowledged;
use crate::supervise::connection::PATIENCE;
use crate::supervise::contact::reachability::contact_made;
use crate::supervise::custody::hold_all;
use crate::supervise::driver::Driver;
use crate::supervise::error::Error;
use crate::supervise::services::Services;

/// How long another process may keep a handoff that is at rest: another `clean`, a `pull`, a `show`.
const LOCK: Duration = Duration::from_secs(30);

/// The options of the user.
#[derive(Clone, Debug, Default)]
pub struct CleanOptions {
    /// Only this host.
    pub host: Option<String>,
    /// Also delete files that exist only on the host.
    pub discard: bool,
    /// Delete nothing.
    pub dry: bool,
}

/// The state of a host's part of a handoff.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, schemars::JsonSchema)]
#[serde(rename_all = "kebab-case")]
pub enum CleanStatus {
    /// The laptop holds everything, and the host may delete its copy.
    Held,
    Released,
    /// The host keeps everything.
    Kept,
    /// The handoff is running. The host was not asked.
    Active,
    /// The host did not answer.
    Unreachable,
    /// The host has nothing of the handoff.
    Nothing,
}

/// A host's part of one handoff, with its receipt.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct HostReport {
    pub id: HandoffId,
    pub host: String,
    #[serde(rename = "standing")]
    pub status: CleanStatus,
    /// What the laptop holds, by attempt.
    pub held: Vec<Receipt>,
    /// The host no longer had anything.
    pub gone: bool,
    /// The tree that was released, or would be.
    pub tree: Option<String>,
    /// The trees of earlier attempts that were released, or would be.
    pub more_trees: Vec<String>,
    /// Trees among these that no handoff can use again.
    pub aside: Vec<String>,
    /// Refs that were deleted from the host's cache, or would be.
    pub refs: u64,
    /// Files of the tree that exist only on the host.
    pub files: Files,
    /// Refs that git refused here. Only the host has them.
    pub refused: Vec<Withheld>,
    /// Attempts that were sent to a root directory which the host no longer shows.
    pub elsewhere: Vec<AttemptNo>,
    /// Why the host keeps its copy.
    pub why: Option<String>,
    /// The command that helps.
    pub help: Option<String>,
    #[serde(skip)]
    last: AttemptNo,
}

/// A ref of an attempt that git refused here.
#[derive(Clone, Debug, Serialize, schemars::JsonSchema)]
pub struct Withheld {
    pub attempt: AttemptNo,
    #[serde(flatten)]
    pub refused: RefusedRef,
}

/// A handoff of the plan. Its driver lock keeps other processes away.
pub struct Planned {
    pub reports: Vec<HostReport>,
    driver: Option<Driver>,
}

/// Handoffs that share a host, directly or through others, one group each: a group has one connection to each of its
/// hosts, and groups do not wait for each other. The numbers are those of `ids`.
pub fn by_hosts(services: &Services, ids: &[HandoffId]) -> Vec<Vec<usize>> {
    let hosts = |id: &HandoffId| {
        let journal = services.store.open(id).ok()?;
        Some(journal.handoff().hosts().into_iter().map(str::to_owned).collect())
    };
    // A record that cannot be read reaches no host.
    groups(ids.iter().map(|id| hosts(id).unwrap_or_default()))
}

fn groups(hosts: impl IntoIterator<Item = BTreeSet<String>>) -> Vec<Vec<usize>> {
    let mut groups: Vec<(BTreeSet<String>, Vec<usize>)> = Vec::new();
    for (at, mut hosts) in hosts.into_iter().enumerate() {
        let mut members = vec![at];
        let (shared, others): (Vec<_>, _) = groups.into_iter().partition(|(others, _)| !others.is_disjoint(&hosts));
        groups = others;
        for (more_hosts, more) in shared {
            hosts.extend(more_hosts);
            members.extend(more);
        }
        members.sort_unstable();
        groups.push((hosts, members));
    }
    groups.into_iter().map(|(_, members)| members).collect()
}

/// Cleans, with one connection per host.
pub struct Cleaner {
    services: Arc<Services>,
    options: CleanOptions,
    /// Hosts that could not be reached. They are not tried again for the next handoff.
    contacts: HashMap<String, Result<Remote, String>>,
}

impl Cleaner {
    pub fn new(services: &Arc<Services>, options: CleanOptions) -> Self {
        Cleaner { services: services.clone(), options, contacts: HashMap::new() }
    }

    /// Fetches and verifies what the hosts have of a handoff, and asks each host what it would delete.
    pub async fn plan(&mut self, id: &HandoffId) -> Planned {
        let mut driver = match self.take(id).await {
            Ok(driver) => driver,
            Err(error) => {
                let help = matches!(error, Error::Driven { .. }).then(|| format!("handoff show {id}"));
                return Planned { reports: vec![HostReport::kept(id, "", error.to_string(), help)], driver: None };
            }
        };
        let handoff = driver.handoff();
        if handoff.status().is_active() {
            let why = format!("is still running ({})", handoff.status().word());
            let report = HostReport::kept(id, handoff.host(), why, Some(format!("handoff stop {id}")));
            return Planned { reports: vec![HostReport { status: CleanStatus::Active, ..report }], driver: None };
        }
        let wanted = |host: &&str| self.options.host.as_deref().is_none_or(|wanted| wanted == *host);
        let hosts: Vec<String> = handoff.hosts().into_iter().filter(wanted).map(str::to_owned).collect();
        let mut reports = Vec::new();
        for host in &hosts {
            reports.push(self.plan_host(&mut driver, id, host).await);
        }
        if reports.is_empty() {
            let host = self.options.host.as_deref().unwrap_or(driver.handoff().host()).to_owned();
            let report = HostReport::kept(id, &host, "this handoff was never sent there".into(), None);
            reports.push(HostReport { status: CleanStatus::Nothing, ..report });
        }
        // Only a plan that will be carried out keeps other processes waiting.
        let releases = reports.iter().any(|report| report.status == CleanStatus::Held);
        let driver = (!self.options.dry && releases).then_some(driver);
        Planned { reports, driver }
    }

    /// The driver. Another process that has a handoff at rest needs it for a moment: that is waited for.
    async fn take(&self, id: &HandoffId) -> Result<Driver, Error> {
        let until = Instant::now() + LOCK;
        loop {
            match Driver::open(&self.services, id) {
                Err(Error::Driven { .. }) if Instant::now() < until && self.is_at_rest(id) => {
                    tokio::time::sleep(Duration::from_millis(100)).await;
                }
                opened => return opened,
            }
        }
    }

    fn is_at_rest(&self, id: &HandoffId) -> bool {
        self.services.store.open(id).is_ok_and(|journal| !journal.handoff().status().is_active())
    }

    async fn plan_host(&mut self, driver: &mut Driver, id: &HandoffId, host: &str) -> HostReport {
        if driver.handoff().release_of(host).is_some_and(|release| release.confirmed) {
            let report = HostReport::kept(id, host, "was already released".into(), None);
            return HostReport { status: CleanStatus::Nothing, ..report };
        }
        let again = Some(format!("handoff clean {id}"));
        let unreachable = |why: String| {
            let report = HostReport::kept(id, host, format!("cannot be reached ({why}); nothing was deleted"), again);
            HostReport { status: CleanStatus::Unreachable, ..report }
        };
        if let Some(Err(why)) = self.contacts.get(host) {
            return unreachable(why.clone());
        }
        let looked = match self.look(driver, host).await {
            // The connection may have been cut since the last handoff. Every request here can be sent again.
            Err(error) if error.may_retry() && self.contacts.remove(host).is_some() => self.look(driver, host).await,
            looked => looked,
        };
        match looked {
            Ok(looked) => looked,
            Err(error) if error.may_retry() || matches!(error, Error::Transport(_)) => {
                self.contacts.insert(host.to_owned(), Err(error.reason()));
                unreachable(error.reason())
            }
            Err(error) => HostReport::kept(id, host, error.to_string(), Some(format!("handoff hosts check {host}"))),
        }
    }

    /// Fetches everything, then asks.
    async fn look(&mut self, driver: &mut Driver, host: &str) -> Result<HostReport, Error> {
        let id = driver.id().clone();
        let remote = self.connect(driver, host).await?;
        contact_made(&mut driver.record, &mut driver.connection)?;
        let owes = |driver: &Driver| driver.handoff().unfenced_hosts().iter().any(|behind| behind == host);
        if owes(driver) {
            if !self.options.dry {
                driver.settle(PATIENCE).await?;
            }
            if owes(driver) {
                // A host without its root cannot be told. It answers what is left of it instead.
                remote.instance().await?;
                let why = if self.options.dry { "; without --dry-run, clean tells it" } else { "" };
                let why = format!("has not been told yet that the handoff moved on{why}");
                return Ok(HostReport::kept(&id, host, why, Some(format!("handoff clean {id}"))));
            }
        }
        let (held, last) = hold_all(&mut driver.record, &remote).await?;
        let answer = remote.release(&driver.record.name, &held, &self.release_options(driver, true).await?).await?;
        let has_nothing = answer.gone || answer.kept.as_ref().is_some_and(|(class, _)| *class == RefusalClass::Absent);
        let mut report = HostReport::of(&id, host, held, last, answer, self.options.discard);
        // Only the root that an attempt was sent to may release it. Another root proves nothing about that attempt.
        report.elsewhere = driver.handoff().sent_before(host);
        report.elsewhere.retain(|n| report.held.iter().all(|receipt| receipt.attempt != *n));
        if has_nothing && report.held.is_empty() && report.elsewhere.last().is_some_and(|n| *n >= last) {
            return Ok(HostReport { status: CleanStatus::Nothing, why: None, help: None, ..report });
        }
        report.refused = withheld(driver, host);
        // These files exist only on the host. They are deleted only after they were listed and the handoff was named.
        if !report.refused.is_empty() && !self.options.discard && report.status == CleanStatus::Held {
            report.status = CleanStatus::Kept;
            report.why = Some("git refused refs here that exist only on the host".to_owned());
            report.help = Some(format!("handoff clean {id} --discard-ignored"));
        }
        Ok(report)
    }

    async fn connect(&mut self, driver: &mut Driver, host: &str) -> Result<Remote, Error> {
        driver.move_to(host)?;
        match self.contacts.get(host) {
            Some(Ok(remote)) => driver.connection.reuse(remote.clone()),
            _ => driver.connection.drop_connection(),
        }
        let remote = driver.connection.once().await?;
        self.contacts.insert(host.to_owned(), Ok(remote.clone()));
        Ok(remote)
    }

    async fn release_options(&self, driver: &Driver, dry: bool) -> Result<ReleaseOptions, Error> {
        let (discard, caches) = (self.options.discard, driver.connection.host.caches.clone());
        Ok(ReleaseOptions {
            dry,
            discard,
            caches,
            held: acknowledged(&driver.record.services, driver.handoff()).await?,
        })
    }

    /// Lets the hosts delete what was found releasable. A host that is asked again after a cut answers that it is done.
    pub async fn carry_out(&mut self, planned: &mut Planned) -> Result<(), Error> {
        let Some(driver) = &mut planned.driver else { return Ok(()) };
        for report in planned.reports.iter_mut().filter(|report| report.status == CleanStatus::Held) {
            let (host, last) = (report.host.clone(), report.last);
            // The journal comes first: from here on the tree is not relied on, even if the request gets lost.
            let journaled = driver.record.append(Kind::Released { host: host.clone(), last, confirmed: false });
            if let Err(error) = journaled {
                (report.status, report.why) = (CleanStatus::Kept, Some(error.to_string()));
                continue;
            }
            let released = match self.release(driver, report).await {
                Err(error) if error.may_retry() && self.contacts.remove(&host).is_some() => {
                    self.release(driver, report).await
                }
                released => released,
            };
            match released {
                Ok(answer) => {
                    let HostReport { held, refused, elsewhere, .. } = report.clone();
                    let now = HostReport::of(&report.id, &host, held, last, answer, self.options.discard);
                    *report = HostReport { refused, elsewhere, ..now };
                    if report.status == CleanStatus::Held {
                        report.status = CleanStatus::Released;
                        driver.record.append(Kind::Released { host, last, confirmed: true })?;
                        // A transfer that was given up has left its file.
                        pack_file::forget(&driver.record.services.store.outboxes(&report.id))?;
                        pack_file::forget(&driver.record.services.store.inbox(&report.id))?;
                    }
                }
                Err(error) => {
                    report.status = if error.may_retry() { CleanStatus::Unreachable } else { CleanStatus::Kept };
                    report.why = Some(format!("did not confirm the deletion ({error}); everything is saved here"));
                    report.help = Some(format!("handoff clean {}", report.id));
                }
            }
        }
        Ok(())
    }

    async fn release(&mut self, driver: &mut Driver, report: &HostReport) -> Result<Answer, Error> {
        let remote = self.connect(driver, &report.host).await?;
        Ok(remote.release(&driver.record.name, &report.held, &self.release_options(driver, false).await?).await?)
    }
}

/// What a host has of a handoff that git refused here.
fn withheld(driver: &Driver, host: &str) -> Vec<Withheld> {
    let attempts = driver.handoff().refused().filter(|(_, attempt)| attempt.host == host);
    let refs = attempts.flat_map(|(n, attempt)| attempt.refused.iter().map(move |refused| (n, refused.clone())));
    refs.map(|(attempt, refused)| Withheld { attempt, refused }).collect()
}

impl HostReport {
    fn kept(id: &HandoffId, host: &str, why: String, help: Option<String>) -> HostReport {
        HostReport {
            id: id.clone(),
            host: host.to_owned(),
            status: CleanStatus::Kept,
            held: vec![],
            gone: false,
            tree: None,
            more_trees: vec![],
            aside: vec![],
            refs: 0,
            files: Files::default(),
            refused: vec![],
            elsewhere: vec![],
            why: Some(why),
            help,
            last: 0,
        }
    }

    /// From a host's answer. `discard`: files that exist only there were to be deleted too.
    fn of(
        id: &HandoffId,
        host: &str,
        held: Vec<Receipt>,
        last: AttemptNo,
        answer: Answer,
        discard: bool,
    ) -> HostReport {
        let Answer { gone, tree, more_trees, aside, refs, files, kept } = answer;
        let status = if kept.is_some() { CleanStatus::Kept } else { CleanStatus::Held };
        let help = kept.as_ref().and_then(|(class, _)| match class {
            // What could not be discarded needs the user.
            RefusalClass::Kept if discard => None,
            RefusalClass::Kept | RefusalClass::Absent => Some(format!("handoff clean {id} --discard-ignored")),
            _ => Some(format!("handoff show {id}")),
        });
        let why = kept.map(|(_, text)| text);
        let unsaid = HostReport::kept(id, host, String::new(), help);
        HostReport { status, held, gone, tree, more_trees, aside, refs, files, why, last, ..unsaid }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn handoffs_that_share_a_host_are_one_group() {
        let hosts = [&["a"][..], &["b"], &["a", "c"], &["d"], &["c", "d"], &[]];
        let sets = hosts.map(|hosts| hosts.iter().map(|&host| host.to_owned()).collect());
        assert_eq!(groups(sets), [vec![1], vec![0, 2, 3, 4], vec![5]]);
    }
}
