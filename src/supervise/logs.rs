//! The mirrored logs of a handoff's attempts. This is the only place that writes them and the only one that analyses
//! them while they grow.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::log_analysis::LogAnalysis;
use crate::agent::summary::Summary;
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::{AttemptNo, Outcome, log_name};
use crate::model::event::Kind;
use crate::model::id::{HandoffId, RemoteName};
use crate::model::profile::Profile;
use crate::model::verdict::Verdict;
use crate::remote::poll::{Stream, Want};
use crate::state::log_mirror::{Appended, LogMirror};
use crate::state::log_reader;
use crate::state::store::Store;
use crate::supervise::error::Error;
use crate::supervise::ledger::Ledger;
use crate::supervise::progress::Progress;

/// Events of a log, each with its line from 1.
#[derive(Default)]
pub(in crate::supervise) struct Events(Vec<(u64, AgentEvent)>);

impl Events {
    /// Reports the events of attempt `n`.
    pub fn tell(self, ledger: &Ledger, n: AttemptNo) {
        for (line, event) in self.0 {
            ledger.tell(&Progress::Agent { attempt: n, line, event });
        }
    }
}

/// Bytes that a host sent from `offset` of a file of an attempt.
pub(in crate::supervise) struct Piece {
    pub attempt: AttemptNo,
    pub stream: Stream,
    pub inode: u64,
    pub offset: u64,
    pub bytes: Bytes,
}

/// The logs of every attempt and the outputs of its other steps, opened when they are first used.
pub(in crate::supervise) struct AttemptLogs {
    store: Store,
    id: HandoffId,
    /// The profile of the first agent.
    profile: Profile,
    /// Those of later agents, by the first attempt that each runs.
    later: BTreeMap<AttemptNo, Profile>,
    mirrors: BTreeMap<(AttemptNo, Stream), LogMirror>,
    /// The analyses of logs so far, of those attempts whose events are needed.
    analyses: BTreeMap<AttemptNo, LogAnalysis>,
}

impl AttemptLogs {
    pub fn new(store: &Store, id: &HandoffId, profile: &Profile) -> AttemptLogs {
        let (store, id, profile) = (store.clone(), id.clone(), profile.clone());
        AttemptLogs { store, id, profile, later: BTreeMap::new(), mirrors: BTreeMap::new(), analyses: BTreeMap::new() }
    }

    /// The attempts from `first` on are another agent's.
    pub fn learn_profile(&mut self, first: AttemptNo, profile: Profile) {
        self.later.insert(first, profile);
    }

    /// The profile of the agent that runs attempt `n`.
    pub fn profile(&self, n: AttemptNo) -> &Profile {
        self.later.range(..=n).next_back().map_or(&self.profile, |(_, profile)| profile)
    }

    /// What to ask the host for, of each stream of an attempt.
    pub fn wants(&mut self, name: &RemoteName, n: AttemptNo) -> Result<Vec<Want>, Error> {
        let mut wants = Vec::new();
        for stream in Stream::ALL {
            // A file for an output exists only once there is output.
            let is_open = stream == Stream::Log || self.path(n, stream).exists();
            let (inode, offset, end) = match is_open {
                true => {
                    let file = self.file(n, stream)?;
                    (file.inode(), file.len(), file.end_sum()?)
                }
                false => (0, 0, None),
            };
            wants.push(Want { name: name.clone(), attempt: n, stream, inode, offset, end });
        }
        Ok(wants)
    }

    /// Mirrors and reports a piece. `host` is named in the report.
    pub fn receive(&mut self, ledger: &mut Ledger, host: &str, piece: &Piece) -> Result<(), Error> {
        let n = piece.attempt;
        self.analyse(n)?;
        if self.is_of_another_file(piece)? {
            self.next_part(ledger, host, n)?;
        }
        let (bytes, events) = self.append(piece)?;
        if piece.stream == Stream::Log && !bytes.is_empty() {
            ledger.tell(&Progress::Log { attempt: n, bytes });
            events.tell(ledger, n);
        }
        Ok(())
    }

    /// Mirrors a piece without a report, and without an analysis unless the log is already analysed.
    pub fn mirror(&mut self, ledger: &mut Ledger, piece: &Piece) -> Result<(), Error> {
        if self.is_of_another_file(piece)? {
            self.begin_part(ledger, piece.attempt)?;
        }
        self.append(piece).map(drop)
    }

    /// The host has no log of the attempt. If there was one, it is gone: what was mirrored stays, and a new part begins.
    pub fn missing(&mut self, ledger: &mut Ledger, host: &str, n: AttemptNo) -> Result<(), Error> {
        if self.file(n, Stream::Log)?.inode() == 0 {
            return Ok(());
        }
        self.analyse(n)?;
        self.next_part(ledger, host, n)
    }

    /// Begins the next part of a log, and reports it.
    fn next_part(&mut self, ledger: &mut Ledger, host: &str, n: AttemptNo) -> Result<(), Error> {
        let events = self.begin_part(ledger, n)?;
        let name = log_name(n, self.file(n, Stream::Log)?.part());
        let text = format!(
            "the log of attempt {n} was truncated, replaced or deleted on {host}; what was read is kept, and new output goes to {name}"
        );
        ledger.tell(&Progress::Note { text });
        events.tell(ledger, n);
        Ok(())
    }

    /// Whether the piece belongs to another file than the mirrored log.
    fn is_of_another_file(&mut self, piece: &Piece) -> Result<bool, Error> {
        let Piece { attempt, stream, inode, offset, .. } = *piece;
        Ok(stream == Stream::Log && self.file(attempt, stream)?.starts_again(inode, offset))
    }

    /// Journals that the log continues in its next part, and begins that part.
    fn begin_part(&mut self, ledger: &mut Ledger, n: AttemptNo) -> Result<Events, Error> {
        let log = self.file(n, Stream::Log)?;
        ledger.append(Kind::LogReplaced { attempt: n, part: log.part() + 1 })?;
        log.begin_part()?;
        Ok(Events(self.analyses.get_mut(&n).map(LogAnalysis::begin_part).unwrap_or_default()))
    }

    /// Appends a piece. Returns its bytes that are new, with their events if the log is analysed.
    fn append(&mut self, piece: &Piece) -> Result<(Bytes, Events), Error> {
        let Piece { attempt, stream, inode, offset, ref bytes } = *piece;
        let file = self.file(attempt, stream)?;
        if stream != Stream::Log && file.starts_again(inode, offset) {
            file.begin_part()?;
        }
        let Appended::New(length) = file.append(inode, offset, bytes)? else { return Ok(Default::default()) };
        let new = bytes.slice(bytes.len() - length..);
        let analysis = self.analyses.get_mut(&attempt).filter(|_| stream == Stream::Log);
        let events = analysis.map(|analysis| analysis.push(&new)).unwrap_or_default();
        Ok((new, Events(events)))
    }

    /// Bytes of the log's part that grows.
    pub fn length(&mut self, n: AttemptNo) -> Result<u64, Error> {
        Ok(self.file(n, Stream::Log)?.len())
    }

    /// Analyses the log of an attempt from now on, after what is mirrored of it.
    fn analyse(&mut self, n: AttemptNo) -> Result<&mut LogAnalysis, Error> {
        let analysis = match self.analyses.remove(&n) {
            Some(analysis) => analysis,
            None => {
                let path = self.path(n, Stream::Log);
                let fail = |source| Error::Read { path: path.display().to_string(), source };
                let parts = log_reader::open_parts(&path).map_err(fail)?;
                LogAnalysis::read(self.profile(n), parts).map_err(fail)?
            }
        };
        Ok(self.analyses.entry(n).or_insert(analysis))
    }

    /// The summary of a log that is analysed.
    pub fn summary(&self, n: AttemptNo) -> Option<Summary> {
        self.analyses.get(&n).map(|analysis| analysis.summary(self.profile(n)))
    }

    /// The attempt has ended: syncs its mirrors, and returns the last events and the verdict.
    pub fn finish(&mut self, n: AttemptNo, outcome: &Outcome) -> Result<(Events, Verdict), Error> {
        self.sync(n)?;
        let profile = self.profile(n).clone();
        let analysis = self.analyse(n)?;
        let events = Events(analysis.finish());
        Ok((events, analysis.classify(&profile, outcome)))
    }

    /// Syncs the mirrors of an attempt to the disk.
    pub fn sync(&self, n: AttemptNo) -> Result<(), Error> {
        let of_attempt = self.mirrors.iter().filter(|((of, _), _)| *of == n);
        Ok(of_attempt.map(|(_, mirror)| mirror).try_for_each(LogMirror::sync)?)
    }

    fn file(&mut self, n: AttemptNo, stream: Stream) -> Result<&mut LogMirror, Error> {
        let mirror = match self.mirrors.remove(&(n, stream)) {
            Some(mirror) => mirror,
            None => LogMirror::open(&self.path(n, stream))?,
        };
        Ok(self.mirrors.entry((n, stream)).or_insert(mirror))
    }

    fn path(&self, n: AttemptNo, stream: Stream) -> std::path::PathBuf {
        match stream {
            Stream::Log => self.store.log(&self.id, n),
            stream => self.store.output(&self.id, n, stream.word()),
        }
    }
}
