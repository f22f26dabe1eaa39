//! The record as resources, `handoff://ID/handoff.md` and `handoff://ID/attempt-N.log`, and the takeover prompt.

use std::io::{Read, Seek, SeekFrom};
use std::sync::Arc;

use rmcp::model::{Resource, ResourceTemplate};

use crate::cli::error::Error;
use crate::cli::{Global, context};
use crate::model::attempt::{AttemptNo, log_name};
use crate::model::id::HandoffId;
use crate::state::log_reader;
use crate::supervise::progress::NullReporter;
use crate::supervise::record::written_page;
use crate::supervise::services::Services;
use crate::supervise::show;
use crate::ui::screen;

const SCHEME: &str = "handoff://";
const DOCUMENT: &str = "handoff.md";
/// Number of handoffs whose resources are listed. Those of others can be read, too.
const LISTED: usize = 20;
/// Bytes at the end of a log that are its resource. The tool `log` reads the rest.
const LONGEST_LOG: u64 = 256 << 10;

/// A file of the record.
#[derive(Debug, PartialEq, Eq)]
enum File {
    Document,
    Log(AttemptNo),
}

fn services(global: &Global) -> Result<Arc<Services>, Error> {
    context::services(global, Arc::new(NullReporter))
}

/// The forms of the addresses.
pub fn templates() -> Vec<ResourceTemplate> {
    let form = |file: &str, about: &str, kind: &str| {
        let template = ResourceTemplate::new(format!("{SCHEME}{{id}}/{file}"), file);
        template.with_description(about).with_mime_type(kind)
    };
    vec![
        form(DOCUMENT, "The record of a handoff: task, attempts, what was tried, what is left", "text/markdown"),
        form("attempt-{n}.log", "The end of the agent's log of an attempt, at most 256 KiB of it", "text/plain"),
    ]
}

/// The resources of the newest handoffs.
pub fn list(global: &Global) -> Result<Vec<Resource>, Error> {
    let services = services(global)?;
    let handoffs = services.store.ids()?.into_iter().filter_map(|id| {
        let journal = services.store.open(&id).ok()?;
        Some((journal.handoff().created_at(), id, journal))
    });
    let mut handoffs: Vec<_> = handoffs.collect();
    handoffs.sort_by_key(|(created, ..)| std::cmp::Reverse(*created));
    let mut all = Vec::new();
    for (_, id, journal) in handoffs.iter().take(LISTED) {
        let resource = |file: String, kind: &str| {
            Resource::new(format!("{SCHEME}{id}/{file}"), format!("{id}/{file}")).with_mime_type(kind)
        };
        all.push(resource(DOCUMENT.to_owned(), "text/markdown"));
        all.extend(journal.handoff().attempts().keys().map(|n| resource(log_name(*n, 1), "text/plain")));
    }
    Ok(all)
}

/// The text of a resource and its type; `None` if there is no such resource.
pub fn read(global: &Global, uri: &str) -> Result<Option<(String, &'static str)>, Error> {
    let Some((id, file)) = parse(uri) else { return Ok(None) };
    let services = services(global)?;
    if !services.store.ids()?.contains(&id) {
        return Ok(None);
    }
    let journal = services.store.open(&id)?;
    let (bytes, kind) = match file {
        File::Document => (written_page(&services, journal.handoff())?, "text/markdown"),
        File::Log(n) if journal.handoff().attempt(n).is_some() => {
            let path = services.readable_logs(journal.handoff())?.join(log_name(n, 1));
            let read =
                end_of(&path).map_err(|error| Error::failed(format!("could not read {}: {error}", path.display())));
            (Some(read?), "text/plain")
        }
        File::Log(_) => (None, "text/plain"),
    };
    Ok(bytes.map(|bytes| (screen::masked(&String::from_utf8_lossy(&bytes)), kind)))
}

/// The end of a log, from the beginning of a line. A log that nothing was fetched of has no file.
fn end_of(path: &std::path::Path) -> std::io::Result<Vec<u8>> {
    let mut file = match log_reader::open(path) {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(Vec::new()),
        file => file?,
    };
    let begin = file.metadata()?.len().saturating_sub(LONGEST_LOG);
    file.seek(SeekFrom::Start(begin))?;
    let mut bytes = Vec::new();
    file.take(LONGEST_LOG).read_to_end(&mut bytes)?;
    if begin > 0 {
        let line = bytes.iter().position(|byte| *byte == b'\n').map_or(0, |end| end + 1);
        bytes.drain(..line);
    }
    Ok(bytes)
}

fn parse(uri: &str) -> Option<(HandoffId, File)> {
    let (id, file) = uri.strip_prefix(SCHEME)?.split_once('/')?;
    let file = match file {
        DOCUMENT => File::Document,
        log => {
            let n = log.strip_prefix("attempt-")?.strip_suffix(".log")?.parse().ok()?;
            // A number has one address: neither `+1` nor `01` is one.
            File::Log(Some(n).filter(|n| log_name(*n, 1) == log)?)
        }
    };
    Some((id.parse().ok()?, file))
}

/// The prompt that continues the work of a handoff in this session, without taking it over.
pub fn takeover_prompt(global: &Global, id: Option<&str>) -> Result<String, Error> {
    let services = services(global)?;
    let id = context::resolve(&services, id)?;
    let prompt = show::takeover_prompt(&services, &id)?;
    let first = format!("First call the tool `takeover` with the id {id}, and work in the worktree that it returns.");
    Ok(screen::masked(&format!("{first}\n\n{prompt}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_addresses_of_the_record_are_read() {
        let id: HandoffId = "20260407-fix".parse().unwrap();
        assert_eq!(parse("handoff://20260407-fix/handoff.md"), Some((id.clone(), File::Document)));
        assert_eq!(parse("handoff://20260407-fix/attempt-12.log"), Some((id, File::Log(12))));
        for wrong in ["", "file:///etc/passwd", "handoff://x", "handoff://../x/handoff.md", "handoff://x/journal.jsonl"]
        {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for wrong in ["handoff://x/attempt-1.log/../y", "handoff://x/attempt--1.log", "handoff://%2e%2e/handoff.md"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
        for wrong in ["handoff://x/attempt-+1.log", "handoff://x/attempt-01.log"] {
            assert_eq!(parse(wrong), None, "{wrong}");
        }
    }
}
