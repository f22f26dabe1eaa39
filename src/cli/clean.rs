//! `handoff clean`

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use crate::model::event::Owner;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::refusal::{WORK, accept};
use crate::supervise::clean::{CleanOptions, CleanStatus, Cleaner, HostReport, Planned, by_hosts};
use crate::supervise::progress::NullReporter;
use crate::supervise::services::Services;
use crate::supervise::services::join_all;
use crate::ui::text::{first_line, neutral};

/// Delete handoffs from their hosts once everything has been fetched, and print a receipt
#[derive(Debug, clap::Args)]
pub struct Clean {
    /// Ids of the handoffs, or unambiguous prefixes
    #[arg(value_name = "ID")]
    ids: Vec<String>,
    /// Every handoff of this repository that is not running
    #[arg(long, conflicts_with = "ids")]
    all: bool,
    /// Only on this host; without an id, every handoff there that is not running
    #[arg(long)]
    host: Option<String>,
    /// Only print what would be deleted; work that is missing here is still fetched
    #[arg(long)]
    dry_run: bool,
    /// Also delete files that exist only on the host; needs an id. They are listed by --dry-run
    #[arg(long, requires = "ids", conflicts_with = "all")]
    discard_ignored: bool,
    /// Print one JSON object per handoff and host
    #[arg(long)]
    json: bool,
}

impl Clean {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let services = context::services(global, std::sync::Arc::new(NullReporter))?;
        let sweeping = self.ids.is_empty() && (self.all || self.host.is_some());
        let mut ids: Vec<HandoffId> = match (sweeping, &self.ids[..]) {
            (true, _) => services.store.ids()?,
            (false, []) => vec![context::choose(&services, None, "clean", is_cleanable)?],
            (false, ids) => ids.iter().map(|id| context::resolve(&services, Some(id))).collect::<Result<_, _>>()?,
        };
        let mut seen = std::collections::HashSet::new();
        ids.retain(|id| seen.insert(id.clone()));
        let options = CleanOptions { host: self.host.clone(), discard: self.discard_ignored, dry: self.dry_run };
        let groups = by_hosts(&services, &ids);
        let mut cleaners: Vec<_> = groups.iter().map(|_| Cleaner::new(&services, options.clone())).collect();
        // Everything is fetched and compared before anything is deleted.
        let plans = groups.iter().zip(&mut cleaners).map(|(group, cleaner)| plan(cleaner, group, &ids));
        let mut plans = join_all(plans).await;
        for planned in in_order(&plans) {
            for report in planned.reports.iter().filter(|report| report.status == CleanStatus::Held) {
                warn_of_session(&services, report, self.dry_run)?;
            }
        }
        let mut done = Ok(());
        if !self.dry_run {
            let work = plans.iter_mut().zip(&mut cleaners).map(|(plan, cleaner)| carry_out(cleaner, plan));
            done = join_all(work).await.into_iter().collect();
        }
        let mut code = exit::OK;
        let mut told = 0;
        for planned in in_order(&plans) {
            for report in &planned.reports {
                let idle = matches!(report.status, CleanStatus::Active | CleanStatus::Nothing);
                if sweeping && idle {
                    continue;
                }
                told += 1;
                self.tell(report);
                code = worse(code, report.status);
            }
        }
        if told == 0 && !self.json {
            outln!(
                "nothing to clean{}",
                self.host.as_deref().map_or(String::new(), |host| format!(" on {}", neutral(host)))
            );
        }
        done.map(|()| code)
    }

    fn tell(&self, report: &HostReport) {
        if self.json {
            outln!("{}", crate::ui::screen::json(report));
        } else {
            context::print(&receipt(report));
        }
    }
}

/// Whether a host may still have something of the handoff.
fn is_cleanable(handoff: &Handoff) -> bool {
    !handoff.status().is_active() && !handoff.is_released()
}

/// The plans of a group, each with the place of its receipts in the output.
type Plans = Vec<(usize, Planned)>;

async fn plan(cleaner: &mut Cleaner, group: &[usize], ids: &[HandoffId]) -> Plans {
    let mut plans = Vec::new();
    for at in group {
        plans.push((*at, cleaner.plan(&ids[*at]).await));
    }
    plans
}

async fn carry_out(cleaner: &mut Cleaner, plans: &mut Plans) -> Result<(), Error> {
    for (_, planned) in plans {
        cleaner.carry_out(planned).await?;
    }
    Ok(())
}

/// All plans in the order of the ids, although several hosts are asked at once.
fn in_order(groups: &[Plans]) -> Vec<&Planned> {
    let mut plans: Vec<_> = groups.iter().flatten().collect();
    plans.sort_by_key(|(at, _)| *at);
    plans.into_iter().map(|(_, planned)| planned).collect()
}

/// Reports, before a release, that it deletes the agent's session, which belongs to the tree that is released.
fn warn_of_session(services: &Services, report: &HostReport, dry_run: bool) -> Result<(), Error> {
    let journal = services.store.open(&report.id)?;
    let handoff = journal.handoff();
    if let Some(session) = handoff.session().filter(|_| handoff.host() == report.host) {
        let (id, host) = (&report.id, &report.host);
        let deletes = if dry_run { "would also delete" } else { "also deletes" };
        // After a takeover there is no resume.
        let later = match handoff.owner() {
            Owner::Host(_) => format!("; a later `handoff resume {id}` starts a new one"),
            Owner::Laptop => String::new(),
        };
        errln!("{id} on {host}: this {deletes} the agent's session {session}{later}");
    }
    Ok(())
}

/// An unreachable host takes precedence over one that keeps something.
pub(super) fn worse(code: u8, status: CleanStatus) -> u8 {
    match status {
        CleanStatus::Unreachable => exit::UNREACHABLE,
        CleanStatus::Kept | CleanStatus::Active if code == exit::OK => exit::FAILED,
        _ => code,
    }
}

/// What happened to one host, for people.
pub(super) fn receipt(report: &HostReport) -> String {
    let HostReport { id, host, held, files, .. } = report;
    let on = if host.is_empty() { String::new() } else { format!(" on {}", neutral(host)) };
    let mut text = match report.status {
        CleanStatus::Released => format!("{id}{on}: released\n"),
        CleanStatus::Held => format!("{id}{on}: would be released\n"),
        CleanStatus::Kept => format!("{id}{on}: kept\n"),
        CleanStatus::Active | CleanStatus::Unreachable | CleanStatus::Nothing => format!("{id}{on}\n"),
    };
    for receipt in held {
        let n = receipt.attempt;
        let is_refused = report.refused.iter().any(|one| one.attempt == n && one.refused.name == WORK);
        let capture = match &receipt.capture {
            Some(_) if is_refused => "git refused its work here".to_owned(),
            Some(capture) => format!("work {} saved as refs/handoff/{id}/{n}/work", capture.short()),
            None => "nothing was captured".to_owned(),
        };
        text += &format!("  attempt {n}: {capture}, log saved ({} bytes)\n", receipt.log);
    }
    if matches!(report.status, CleanStatus::Released | CleanStatus::Held) {
        let (gone, is) = match report.status {
            CleanStatus::Held => ("would be deleted", "would be"),
            _ => ("deleted", "is"),
        };
        if files.count > 0 {
            let what = counted(files.count, files.bytes);
            text += &format!("  {gone}: {what} that existed only there\n{}", listing(report));
        }
        text += &match report.gone {
            true => "  nothing was left there\n".to_owned(),
            false => format!("  {gone}: the attempts' files and {} in the cache\n", plural(report.refs, "ref")),
        };
        for tree in report.tree.iter().chain(&report.more_trees) {
            let tree_is = match report.aside.contains(tree) {
                true => "cannot be used again (`handoff show --host` says why); delete it by hand".to_owned(),
                false => format!("{is} free for the next handoff"),
            };
            text += &format!("  checkout {} {tree_is}\n", neutral(tree));
        }
    }
    if !report.refused.is_empty() {
        text += &refused(report);
    }
    for n in &report.elsewhere {
        text += &format!(
            "  attempt {n}: was sent to a directory that no longer exists on {}; not released\n",
            neutral(host)
        );
    }
    if report.status == CleanStatus::Kept && files.count > 0 {
        let what = counted(files.count, files.bytes);
        let exist = if files.count == 1 { "exists" } else { "exist" };
        text += &format!("  {what} {exist} only there:\n{}", listing(report));
        if let Some(tree) = &report.tree {
            text += &format!("  in {}\n", neutral(tree));
        }
    }
    // A host that reports only a number has nothing to list.
    if let Some(why) = report.why.as_deref().filter(|why| files.count == 0 || !why.ends_with("are nowhere else")) {
        text += &format!("  {}\n", first_line(why, 300));
    }
    if let Some(help) = &report.help {
        text += &format!("  try: {}\n", neutral(help));
    }
    text
}

/// Refs that git refused here, and the command that accepts those that can still be fetched.
fn refused(report: &HostReport) -> String {
    let (what, host) = (plural(report.refused.len() as u64, "ref"), neutral(&report.host));
    let mut text = match report.status {
        CleanStatus::Released => format!("  deleted: {what} that git refused here\n"),
        CleanStatus::Held => format!("  would be deleted: {what} that git refused here\n"),
        _ => format!("  git refused {what} here; {host} keeps what it had:\n"),
    };
    for one in &report.refused {
        text += &format!("    attempt {}: {}\n", one.attempt, neutral(&one.refused.to_string()));
    }
    if report.status == CleanStatus::Kept {
        let all: Vec<_> = report.refused.iter().map(|one| one.refused.clone()).collect();
        for command in accept(&all) {
            text += &format!("  to accept: {} && handoff pull {}\n", neutral(&command), report.id);
        }
    }
    text
}

/// The names come from the host, so control characters in them are made visible.
fn listing(report: &HostReport) -> String {
    let files = &report.files;
    let line = |(size, name): &(u64, String)| format!("    {size:>10}  {}\n", neutral(name));
    let mut text: String = files.first.iter().map(line).collect();
    let more = files.count.saturating_sub(files.first.len() as u64);
    if more > 0 {
        text += &format!("    and {more} more\n");
    }
    text
}

fn counted(count: u64, bytes: u64) -> String {
    format!("{} ({bytes} bytes)", plural(count, "file"))
}

fn plural(count: u64, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unreachable_host_decides_the_exit_code() {
        assert_eq!(worse(exit::OK, CleanStatus::Released), exit::OK);
        assert_eq!(worse(exit::OK, CleanStatus::Kept), exit::FAILED);
        assert_eq!(worse(exit::UNREACHABLE, CleanStatus::Kept), exit::UNREACHABLE);
        assert_eq!(worse(exit::FAILED, CleanStatus::Unreachable), exit::UNREACHABLE);
    }
}
