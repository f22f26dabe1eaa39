//! `handoff logs`, and following a log while another process drives the handoff.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use super::Global;
use super::closing::{closing, say_detached};
use super::context::{self, Show};
use super::error::Error;
use super::exit;
use super::interrupt::interrupted;
use crate::agent::dialect::Reader;
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::log_name;
use crate::model::handoff::Handoff;
use crate::model::id::HandoffId;
use crate::model::profile::DialectName;
use crate::state::lock::DriverLock;
use crate::state::log_reader::{Chunk, LogReader};
use crate::supervise::attempt::Until;
use crate::supervise::progress::{Progress, Reporter};
use crate::supervise::services::Services;

/// How often the mirror is read while following.
const LOOK: Duration = Duration::from_millis(100);
/// How many reads come between two looks at the lock of the process that drives.
const FREE: u64 = 10;

/// Print the agent's log as far as it was fetched; contacts no host
#[derive(Debug, clap::Args)]
pub struct Logs {
    /// Id of the handoff, or an unambiguous prefix (default: the newest)
    id: Option<String>,
    /// Keep printing while the log grows
    #[arg(short, long)]
    follow: bool,
    /// Number of the attempt (default: the last)
    #[arg(long, value_name = "N")]
    attempt: Option<u32>,
    #[command(flatten)]
    show: Show,
}

impl Logs {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        let reporter: Arc<dyn Reporter> = match self.show {
            Show { json: false, raw: false } => Arc::new(crate::ui::plain::Plain),
            show => show.reporter(),
        };
        let services = context::services(global, reporter)?;
        let id = context::resolve(&services, self.id.as_deref())?;
        let journal = services.store.open(&id)?;
        let last = journal.handoff().last_attempt().map(|(n, _)| n);
        let n = self.attempt.or(last).ok_or_else(|| Error::failed(format!("{id} has no attempt yet")))?;
        if !journal.handoff().attempts().contains_key(&n) {
            return Err(Error::usage(format!("{id} has no attempt {n}")).hint(format!("handoff show {id}")));
        }
        if journal.handoff().run_by_hand(n).is_some_and(|run| run.log.is_none()) {
            errln!("attempt {n} was run by hand, and its log was not there when {id} was adopted");
            return Ok(exit::OK);
        }
        let mut tail = Tail::new(&services, journal.handoff(), n, self.show.raw)?;
        let unread = services.unread_secrets(journal.handoff());
        if !self.show.raw && !unread.is_empty() {
            // Another process may have masked a part of it.
            errln!(
                "this log is not shown in full: the secret {} has no value here, so it cannot be masked; `handoff logs --raw {id}` \
                 prints everything",
                unread.join(", ")
            );
        }
        tail.read(&services)?;
        let is_stale = journal.handoff().status().is_active() && is_free(&services, &id);
        if !self.follow {
            tail.finish(&services);
            match (tail.log.is_at_start(), is_stale) {
                (true, true) => errln!("no output of attempt {n} is here yet; `handoff watch {id}` fetches it"),
                (true, false) => errln!("attempt {n} has printed nothing"),
                (false, true) => errln!("this log is not being updated; run `handoff watch {id}`"),
                (false, false) => {}
            }
            return Ok(exit::OK);
        }
        if is_stale {
            errln!("this log is not being updated; run `handoff watch {id}`");
        }
        match attach_from(&services, &id, &mut tail, self.attempt.is_none(), None).await? {
            End::Left => Ok(exit::DETACHED),
            End::Rest(_) | End::Started(_) | End::Orphaned => Ok(exit::OK),
        }
    }
}

/// How following ended.
pub enum Along {
    /// The handoff is at rest, or got as far as was asked. The exit code.
    There(u8),
    /// The process that drove the handoff has ended, and the handoff continues.
    Orphaned,
}

/// Follows a handoff that another process drives, to `until` or until that process ends.
pub async fn attach(
    services: &Arc<Services>,
    id: &HandoffId,
    until: Until,
    show: Show,
    require_check: bool,
) -> Result<Along, Error> {
    let mut journal = services.store.open(id)?;
    // A handoff that was just recorded gets its first attempt in a moment.
    let n = loop {
        journal.refresh()?;
        match journal.handoff().last_attempt() {
            Some((n, _)) => break n,
            None if is_free(services, id) => return Ok(Along::Orphaned),
            None => tokio::time::sleep(LOOK).await,
        }
    };
    let mut tail = Tail::new(services, journal.handoff(), n, show.raw)?;
    match attach_from(services, id, &mut tail, true, Some(until)).await? {
        End::Left => Ok(Along::There(exit::DETACHED)),
        End::Orphaned => Ok(Along::Orphaned),
        End::Started(handoff) => {
            say_detached(&handoff, show);
            Ok(Along::There(exit::OK))
        }
        End::Rest(handoff) => {
            if !show.json && !show.raw {
                outln!("{}", closing(services, &handoff));
            }
            Ok(Along::There(exit::of(&handoff, require_check)))
        }
    }
}

enum End {
    Rest(Handoff),
    Started(Handoff),
    Orphaned,
    /// Ctrl-C.
    Left,
}

/// Follows to the end of the attempt (`onward`: of the handoff). With `until`, also to a start or to the end of the
/// process that drives it.
async fn attach_from(
    services: &Arc<Services>,
    id: &HandoffId,
    tail: &mut Tail,
    onward: bool,
    until: Option<Until>,
) -> Result<End, Error> {
    let mut journal = services.store.open(id)?;
    for look in 0_u64.. {
        // The lock comes first: what the other process wrote before it ended is then in the journal.
        let orphaned = until.is_some() && look % FREE == 0 && is_free(services, id);
        // The state is read before the log, so that everything written before the end is read.
        journal.refresh()?;
        let handoff = journal.handoff();
        tail.read(services)?;
        let attempt = handoff.attempt(tail.attempt);
        let ended = attempt.is_some_and(|attempt| attempt.ended.is_some());
        if ended {
            tail.finish(services);
            let next = handoff.last_attempt().map(|(n, _)| n).filter(|n| *n > tail.attempt && onward);
            match next {
                Some(n) => *tail = Tail::new(services, handoff, n, tail.raw)?,
                None if !onward || !handoff.status().is_active() => return Ok(End::Rest(handoff.clone())),
                None => {}
            }
        } else if until == Some(Until::Started) && attempt.is_some_and(|attempt| attempt.started.is_some()) {
            return Ok(End::Started(handoff.clone()));
        }
        if orphaned {
            return Ok(End::Orphaned);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = interrupted() => return Ok(End::Left),
        }
    }
    Ok(End::Left)
}

fn is_free(services: &Services, id: &HandoffId) -> bool {
    matches!(DriverLock::try_take(&services.store.directory(id)), Ok(Some(_)))
}

/// A log that is being read, with its events.
struct Tail {
    /// Print the bytes unchanged, secrets included.
    raw: bool,
    attempt: u32,
    log: LogReader,
    reader: Reader,
    done: bool,
}

impl Tail {
    fn new(services: &Services, handoff: &Handoff, attempt: u32, raw: bool) -> Result<Tail, Error> {
        let dialect = match handoff.is_unrecognised(attempt) {
            true => DialectName::Plain,
            false => services.profile(handoff.agent_of(attempt))?.dialect,
        };
        let exact = services.store.log(&handoff.request().id, attempt);
        let path = if raw { exact } else { services.readable_logs(handoff)?.join(log_name(attempt, 1)) };
        Ok(Tail { raw, attempt, log: LogReader::new(path), reader: Reader::new(dialect), done: false })
    }

    /// Reports what has arrived since the last read.
    fn read(&mut self, services: &Services) -> Result<(), Error> {
        while let Some(chunk) = self.log.read()? {
            let events = match chunk {
                Chunk::Bytes(bytes) => {
                    let bytes = Bytes::from(bytes);
                    services.tell(&Progress::Log { attempt: self.attempt, bytes: bytes.clone() });
                    self.reader.push(&bytes)
                }
                Chunk::NextPart => self.reader.begin_part(),
            };
            self.tell(services, events);
        }
        Ok(())
    }

    fn tell(&self, services: &Services, events: Vec<(u64, AgentEvent)>) {
        for (line, event) in events {
            services.tell(&Progress::Agent { attempt: self.attempt, line, event });
        }
    }

    fn finish(&mut self, services: &Services) {
        if !std::mem::replace(&mut self.done, true) {
            let events = self.reader.finish();
            self.tell(services, events);
        }
    }
}
