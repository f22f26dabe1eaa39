//! Journals a grant and its first attempt before the host hears of them.

use crate::model::attempt::{AttemptNo, Grant};
use crate::model::event::Kind;
use crate::model::profile::SessionMode;
use crate::supervise::dispatch::DispatchSpec;
use crate::supervise::dispatch::shown_command::shown_command;
use crate::supervise::dispatch::spec::Start;
use crate::supervise::error::Error;
use crate::supervise::record::Record;

/// Journals grant and attempt before the host hears of them.
pub(in crate::supervise) fn record_grant(
    record: &mut Record,
    host: &str,
    launch: &DispatchSpec,
) -> Result<(Grant, AttemptNo), Error> {
    let handoff = record.handoff();
    let number = handoff.grants().last().map_or(1, |grant| grant.number + 1);
    let first = handoff.next_grant_first();
    let last = first + launch.attempts.max(1) - 1;
    let (epoch, host) = (handoff.epoch(), host.to_owned());
    let active = handoff.request().limits.timeout;
    let grant = Grant { number, epoch, host: host.clone(), first, last, active };
    record.ledger.require(Kind::Granted { grant: grant.clone() })?;
    if let Some(text) = launch.message.clone() {
        record.ledger.require(Kind::Message { grant: number, text })?;
    }
    if record.profile.session == SessionMode::Preset && launch.start == Start::Fresh {
        let session = uuid()?;
        record.ledger.require(Kind::Session { session, attempt: None })?;
    }
    record_dispatch(record, &grant, launch.start)?;
    Ok((grant, first))
}

/// Journals the first attempt of a grant.
pub(in crate::supervise) fn record_dispatch(record: &mut Record, grant: &Grant, start: Start) -> Result<(), Error> {
    let command = shown_command(record, start, grant.first)?;
    let (attempt, host) = (grant.first, grant.host.clone());
    record.ledger.require(Kind::Dispatched { attempt, grant: grant.number, host, command })?;
    Ok(())
}

/// A random UUID (version 4, RFC 9562).
fn uuid() -> Result<String, Error> {
    let mut bytes = [0u8; 16];
    getrandom::fill(&mut bytes).map_err(|error| Error::Inner(error.to_string()))?;
    bytes[6] = (bytes[6] & 0x0f) | 0x40;
    bytes[8] = (bytes[8] & 0x3f) | 0x80;
    let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    Ok([&hex[..8], &hex[8..12], &hex[12..16], &hex[16..20], &hex[20..]].join("-"))
}
