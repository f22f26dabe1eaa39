//! The mirrored logs of a handoff's attempts. This is the only place that writes them and the only one that analyses
//! them while they grow.

use std::collections::BTreeMap;

use bytes::Bytes;

use crate::agent::log_analysis::LogAnalysis;
use crate::agent::summary::Summary;
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::{AttemptNo, Outcome};
use crate::model::id::{HandoffId, RemoteName};
use crate::model::profile::Profile;
use crate::model::verdict::Verdict;
use crate::remote::poll::{Stream, Want};
use crate::state::log_mirror::{self, Appended, LogMirror};
use crate::state::store::Store;
use crate::supervise::error::Error;

/// Events of a log, each with its line from 1.
pub(in crate::supervise) type Events = Vec<(u64, AgentEvent)>;

/// The logs of every attempt and the outputs of its other steps, opened when they are first used.
pub(in crate::supervise) struct AttemptLogs {
    store: Store,
    id: HandoffId,
    profile: Profile,
    mirrors: BTreeMap<(AttemptNo, Stream), LogMirror>,
    /// The analyses of logs so far, of those attempts whose events are needed.
    analyses: BTreeMap<AttemptNo, LogAnalysis>,
}

impl AttemptLogs {
    pub fn new(store: &Store, id: &HandoffId, profile: &Profile) -> AttemptLogs {
        let (store, id, profile) = (store.clone(), id.clone(), profile.clone());
        AttemptLogs { store, id, profile, mirrors: BTreeMap::new(), analyses: BTreeMap::new() }
    }

    /// What to ask the host for, of each stream of an attempt.
    pub fn wants(&mut self, name: &RemoteName, n: AttemptNo) -> Result<Vec<Want>, Error> {
        let mut wants = Vec::new();
        for stream in Stream::ALL {
            // A file for an output exists only once there is output.
            let is_open = stream == Stream::Log || self.path(n, stream).exists();
            let (inode, offset, end) = match is_open {
                true => {
                    let mirror = self.mirror(n, stream)?;
                    (mirror.inode(), mirror.len(), mirror.end_sum()?)
                }
                false => (0, 0, None),
            };
            wants.push(Want { name: name.clone(), attempt: n, stream, inode, offset, end });
        }
        Ok(wants)
    }

    /// Whether bytes at `offset` of the host's file `inode` belong to another file than the mirrored log. The log then
    /// continues in a part of its own.
    pub fn starts_again(&mut self, n: AttemptNo, inode: u64, offset: u64) -> Result<bool, Error> {
        Ok(self.mirror(n, Stream::Log)?.starts_again(inode, offset))
    }

    /// Whether some of the log was mirrored.
    pub fn is_begun(&mut self, n: AttemptNo) -> Result<bool, Error> {
        Ok(self.mirror(n, Stream::Log)?.inode() != 0)
    }

    /// The part of the log that grows, from 1.
    pub fn part(&mut self, n: AttemptNo) -> Result<u32, Error> {
        Ok(self.mirror(n, Stream::Log)?.part())
    }

    /// Bytes of the log's part that grows.
    pub fn length(&mut self, n: AttemptNo) -> Result<u64, Error> {
        Ok(self.mirror(n, Stream::Log)?.len())
    }

    /// Keeps what was mirrored of a log, and starts its next part.
    pub fn begin_part(&mut self, n: AttemptNo) -> Result<Events, Error> {
        self.mirror(n, Stream::Log)?.begin_part()?;
        Ok(self.analyses.get_mut(&n).map(LogAnalysis::begin_part).unwrap_or_default())
    }

    /// Appends bytes of a host's file, and returns those of them that are new, with their events if the log is analysed.
    pub fn append(
        &mut self,
        n: AttemptNo,
        stream: Stream,
        inode: u64,
        offset: u64,
        bytes: &Bytes,
    ) -> Result<(Bytes, Events), Error> {
        let mirror = self.mirror(n, stream)?;
        if stream != Stream::Log && mirror.starts_again(inode, offset) {
            mirror.begin_part()?;
        }
        let Appended::New(length) = mirror.append(inode, offset, bytes)? else { return Ok(Default::default()) };
        let new = bytes.slice(bytes.len() - length..);
        let analysis = self.analyses.get_mut(&n).filter(|_| stream == Stream::Log);
        let events = analysis.map(|analysis| analysis.push(&new)).unwrap_or_default();
        Ok((new, events))
    }

    /// Analyses the log of an attempt from now on, after what is mirrored of it.
    pub fn analyse(&mut self, n: AttemptNo) -> Result<&mut LogAnalysis, Error> {
        let analysis = match self.analyses.remove(&n) {
            Some(analysis) => analysis,
            None => {
                let path = self.path(n, Stream::Log);
                let fail = |source| Error::Read { path: path.display().to_string(), source };
                let parts = log_mirror::open_parts(&path).map_err(fail)?;
                LogAnalysis::read(&self.profile, parts).map_err(fail)?
            }
        };
        Ok(self.analyses.entry(n).or_insert(analysis))
    }

    /// The summary of a log that is analysed.
    pub fn summary(&self, n: AttemptNo) -> Option<Summary> {
        self.analyses.get(&n).map(|analysis| analysis.summary(&self.profile))
    }

    /// The attempt has ended: syncs its mirrors, and returns the last events and the verdict.
    pub fn finish(&mut self, n: AttemptNo, outcome: &Outcome) -> Result<(Events, Verdict), Error> {
        self.sync(n)?;
        let profile = self.profile.clone();
        let analysis = self.analyse(n)?;
        let events = analysis.finish();
        Ok((events, analysis.classify(&profile, outcome)))
    }

    /// Syncs the mirrors of an attempt to the disk.
    pub fn sync(&self, n: AttemptNo) -> Result<(), Error> {
        let of_attempt = self.mirrors.iter().filter(|((of, _), _)| *of == n);
        Ok(of_attempt.map(|(_, mirror)| mirror).try_for_each(LogMirror::sync)?)
    }

    fn mirror(&mut self, n: AttemptNo, stream: Stream) -> Result<&mut LogMirror, Error> {
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
