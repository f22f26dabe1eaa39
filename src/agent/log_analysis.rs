//! Reads a log once for its events, its summary and its verdict.

use std::io::Read;

use jiff::Zoned;

use crate::agent::classify::{Log, classify_log};
use crate::agent::summary::{Summary, SummaryBuilder};
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::Outcome;
use crate::model::profile::Profile;
use crate::model::verdict::Verdict;

/// A log that is read as it grows. It is read only once, however many summaries are made.
pub struct LogAnalysis {
    log: Log,
    summary: SummaryBuilder,
}

impl LogAnalysis {
    /// A log of which nothing was read yet.
    pub fn new(profile: &Profile) -> LogAnalysis {
        LogAnalysis { log: Log::new(profile), summary: SummaryBuilder::new(None) }
    }

    /// Analyses a log in parts as far as it is there. More may follow, so an incomplete last line is not read as a line.
    ///
    /// # Errors
    /// Those of reading.
    pub fn read(profile: &Profile, parts: impl IntoIterator<Item = impl Read>) -> std::io::Result<LogAnalysis> {
        let mut analysis = LogAnalysis::new(profile);
        let mut chunk = vec![0; 256 << 10];
        for (index, mut part) in parts.into_iter().enumerate() {
            if index > 0 {
                analysis.begin_part();
            }
            loop {
                match part.read(&mut chunk) {
                    Ok(0) => break,
                    Ok(length) => drop(analysis.push(&chunk[..length])),
                    Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                    Err(error) => return Err(error),
                }
            }
        }
        Ok(analysis)
    }

    /// Takes the next bytes, and returns the events of the lines that they complete, each with its line number from 1.
    pub fn push(&mut self, bytes: &[u8]) -> Vec<(u64, AgentEvent)> {
        let events = self.log.push(bytes);
        events.iter().for_each(|(line, event)| self.summary.note(*line, event));
        events
    }

    /// The log continues in another file. An incomplete line at the end of the last file is read as a line.
    pub fn begin_part(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.log.begin_part();
        events.iter().for_each(|(line, event)| self.summary.note(*line, event));
        events
    }

    /// The log has ended: reads a last line without a newline. A second call returns nothing.
    pub fn finish(&mut self) -> Vec<(u64, AgentEvent)> {
        let events = self.log.finish();
        events.iter().for_each(|(line, event)| self.summary.note(*line, event));
        events
    }

    /// The summary of the lines read so far.
    pub fn summary(&self, profile: &Profile) -> Summary {
        self.summary.summary(profile.dialect, self.log.reader())
    }

    /// Whether the last top-level event says that the agent has ended, well or badly.
    pub fn has_final_event(&self) -> bool {
        self.log.reader().facts().end.is_some()
    }

    /// The current verdict on the lines read so far.
    pub fn classify(&self, profile: &Profile, outcome: &Outcome) -> Verdict {
        classify_log(profile, &self.log, outcome, &Zoned::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::agent::classify::classify;
    use crate::agent::profiles;
    use crate::agent::summary::summarise;
    use crate::model::verdict::Class;

    #[test]
    fn a_claim_names_the_part_of_the_log_with_its_line() {
        let profiles = profiles::built_in().unwrap();
        let profile = &profiles["cursor"];
        let parts = [
            "a line of stderr\n{\"type\":\"assistant\",\"message\":{\"content\":[{\"text\":\"lost its e",
            "stray\n{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"Done.\"}\n",
        ];
        let mut analysis = LogAnalysis::new(profile);
        analysis.push(parts[0].as_bytes());
        analysis.begin_part();
        analysis.push(parts[1].as_bytes());
        analysis.finish();
        let outcome = Outcome { exit: Some(0), check: Some(0), ..Outcome::default() };
        let verdict = analysis.classify(profile, &outcome);
        assert_eq!((verdict.class, verdict.pointer(2).as_deref()), (Class::Done, Some("attempt-2.2.log:2")));
        let mut read = LogAnalysis::read(profile, parts.map(str::as_bytes)).unwrap();
        read.finish();
        let whole = read.summary(profile);
        assert_eq!(analysis.summary(profile), whole);
        assert_eq!(whole.finished, Some(true));
        let failed = Outcome { exit: Some(1), ..Outcome::default() };
        let mut analysis = LogAnalysis::new(profile);
        analysis.push(b"cannot connect\n");
        analysis.begin_part();
        assert_eq!(analysis.classify(profile, &failed).pointer(2).as_deref(), Some("attempt-2.log:1"));
        assert_eq!(analysis.summary(profile).blockers.shown[0].pointer(2), "attempt-2.log:1");
    }

    #[test]
    fn one_reading_in_any_pieces_gives_the_same_as_three() {
        let profiles = profiles::built_in().unwrap();
        let fixtures = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/agents");
        let mut seen = 0;
        for entry in std::fs::read_dir(fixtures).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy().into_owned();
            let Some(profile) = profiles.iter().find_map(|(agent, it)| name.starts_with(agent.as_str()).then_some(it))
            else {
                continue;
            };
            if !path.is_file() {
                continue;
            }
            seen += 1;
            let log = std::fs::read(&path).unwrap();
            let outcome = Outcome { exit: Some(1), ..Outcome::default() };
            for size in [7, 1000, log.len().max(1)] {
                let mut analysis = LogAnalysis::new(profile);
                log.chunks(size).for_each(|piece| drop(analysis.push(piece)));
                analysis.finish();
                assert!(analysis.finish().is_empty());
                assert_eq!(analysis.summary(profile), summarise(profile.dialect, &log[..], None).unwrap(), "{name}");
                // The reset time is not compared: "in 5 minutes" differs by a second between two calls.
                let told = |verdict: Verdict| (verdict.class, verdict.evidence, verdict.line);
                let judged = classify(profile, &log[..], &outcome);
                assert_eq!(told(analysis.classify(profile, &outcome)), told(judged), "{name}");
            }
        }
        assert!(seen > 10, "{seen} fixtures");
    }
}
