//! `handoff agents explain`

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use jiff::Zoned;
use serde::Serialize;

use crate::agent::classify::{Log, alone, classify_log};
use crate::agent::profiles;
use crate::cli::context;
use crate::cli::error::Error;
use crate::cli::exit;
use crate::model::agent_event::AgentEvent;
use crate::model::attempt::Outcome;
use crate::model::verdict::Class;
use crate::ui::text::neutral;
use crate::ui::{line, screen};

/// Show how handoff judges a log: its events, the verdict, and the evidence
///
/// Works on any log; it needs no repository and no host. It assumes that the attempt changed files and that no check was set.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The agent CLI that wrote the log
    #[arg(long, value_name = "NAME")]
    agent: String,
    /// Exit code of the agent
    #[arg(long, value_name = "N", allow_hyphen_values = true)]
    exit: i32,
    /// Number of the signal that ended the agent, if any
    #[arg(long, value_name = "N")]
    signal: Option<i32>,
    /// The session that the agent was asked to resume
    #[arg(long, value_name = "ID")]
    resumed: Option<String>,
    /// Print one JSON object
    #[arg(long)]
    json: bool,
    /// The log file; `-` reads standard input
    #[arg(value_name = "LOG")]
    log: PathBuf,
}

/// How handoff judges a log.
#[derive(Serialize, schemars::JsonSchema)]
pub struct Explained<'a> {
    verdict: Class,
    /// The line or fact that proves it.
    evidence: &'a str,
    /// Line of the log that contains the evidence, from 1.
    line: Option<u64>,
    /// When a usage limit resets, in Unix seconds.
    until: Option<i64>,
    notes: &'a [String],
    /// The verdict of a host without contact.
    alone: Class,
}

impl Explain {
    /// Reads the log once, in bounded memory.
    pub fn run(self) -> Result<u8, Error> {
        let all = context::agents()?;
        let profile = profiles::find(&all, &self.agent)?;
        let show = |number: u64, event: &AgentEvent| {
            if !self.json {
                line::agent(event).iter().for_each(|text| outln!("{number:>6}  {text}"));
            }
        };
        let log = Log::read_with(profile, open(&self.log)?, show);
        let outcome = Outcome {
            reason: "exit".into(),
            exit: Some(self.exit),
            signal: self.signal,
            resumed: self.resumed,
            ..Outcome::default()
        };
        let verdict = classify_log(profile, &log, &outcome, &Zoned::now());
        let alone = alone(profile, &log, &outcome);
        let place = verdict.line.map(|line| format!("line {line}"));
        if self.json {
            let explained = Explained {
                verdict: verdict.class,
                evidence: &verdict.evidence,
                line: verdict.line,
                until: verdict.until,
                notes: &verdict.notes,
                alone,
            };
            outln!("{}", screen::json(&explained));
            return Ok(exit::OK);
        }
        let place = place.map_or_else(String::new, |place| format!(" ({place})"));
        outln!("verdict: {}: {}{place}", verdict.class, neutral(&verdict.evidence));
        verdict.notes.iter().for_each(|note| outln!("note: {}", neutral(note)));
        outln!("verdict of a host without contact: {alone}");
        Ok(exit::OK)
    }
}

fn open(path: &Path) -> Result<Box<dyn Read>, Error> {
    if path == Path::new("-") {
        return Ok(Box::new(std::io::stdin().lock()));
    }
    let file = File::open(path).and_then(|file| match file.metadata()?.is_dir() {
        true => Err(std::io::Error::from(std::io::ErrorKind::IsADirectory)),
        false => Ok(file),
    });
    match file {
        Ok(file) => Ok(Box::new(file)),
        Err(error) => Err(Error::usage(format!("cannot read {}: {error}", path.display()))),
    }
}
