//! Masks secrets that an agent printed, in the journal and in everything that is derived from a log. A process that
//! lacks a secret's value writes nothing that could contain it. Only the logs in the git directory are byte-exact.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;

use crate::agent::summary::Summary;
use crate::config::mask::Mask;
use crate::config::secrets;
use crate::git::diff::Changes;
use crate::mirror::files;
use crate::model::adopted::Adopted;
use crate::model::attempt::Next;
use crate::model::event::{ByHand, Kind};
use crate::model::handoff::Handoff;
use crate::model::host::SecretSource;
use crate::supervise::error::Error;
use crate::supervise::progress::Progress;
use crate::supervise::services::Services;

/// Directory of the masked copies of the logs, in the record's directory.
const MASKED: &str = "masked";

impl Services {
    /// The secrets of every host that was part of a handoff.
    pub fn secrets_of(&self, handoff: &Handoff) -> BTreeMap<String, SecretSource> {
        let granted = handoff.grants().iter().map(|grant| grant.host.as_str());
        let names = granted.chain(handoff.hosts()).chain([handoff.request().host.as_str()]);
        // The secrets of a host that was removed from the hosts file are unknown.
        names.filter_map(|name| self.host(name).ok()).flat_map(|host| host.secrets).collect()
    }

    /// The directory of the logs that people may read: the mirrors themselves if no secret was sent, else masked
    /// copies. A process without a secret's value leaves the copies unchanged.
    pub fn readable_logs(&self, handoff: &Handoff) -> Result<PathBuf, Error> {
        let exact = self.store.directory(&handoff.request().id);
        let secrets = self.secrets_of(handoff);
        if secrets.is_empty() {
            return Ok(exact);
        }
        let masked = exact.join(MASKED);
        secrets::read_variables(&secrets);
        if secrets::unread(&secrets).is_empty() {
            files::mask_logs(&exact, &masked, &secrets::mask())?;
        }
        Ok(masked)
    }

    /// The secrets of a handoff that this process cannot mask.
    pub fn unread_secrets(&self, handoff: &Handoff) -> Vec<String> {
        secrets::unread(&self.secrets_of(handoff))
    }
}

/// The secrets of a handoff's hosts, as far as their values are known here.
pub(in crate::supervise) struct Masking {
    services: Arc<Services>,
    /// Whether the values were asked for, or the reason was reported why there are none.
    has_asked: bool,
}

impl Masking {
    pub fn new(services: &Arc<Services>) -> Masking {
        Masking { services: services.clone(), has_asked: false }
    }

    /// Reads the secrets of the handoff's hosts once, to mask them. Reports those that have no value here.
    pub async fn read(&mut self, handoff: &Handoff) {
        if std::mem::replace(&mut self.has_asked, true) {
            return;
        }
        let secrets = self.services.secrets_of(handoff);
        let unread = secrets::unread(&secrets);
        for (name, source) in secrets.iter().filter(|(name, _)| unread.contains(name)) {
            if let Err(error) = secrets::resolve(name, source).await {
                let text = format!(
                    "{error}; without it, handoff cannot mask the secret, so the output of the agent is fetched but not shown"
                );
                self.services.tell(&Progress::Note { text });
            }
        }
    }

    /// An event as it may be written to the journal.
    pub fn cover(&self, handoff: &Handoff, kind: Kind) -> Kind {
        if matches!(
            kind,
            Kind::Created(_) | Kind::Message { .. } | Kind::Worktree { .. } | Kind::Here { .. } | Kind::Granted { .. }
        ) {
            return kind;
        }
        let unread = self.services.unread_secrets(handoff);
        if unread.is_empty() { masked(kind, &secrets::mask()) } else { withheld(kind, &unread) }
    }

    /// Whether the progress may contain a secret that cannot be masked. Without its value it is unknown which of the
    /// agent's words contain it.
    pub fn hides(&self, handoff: &Handoff, progress: &Progress) -> bool {
        let of_agent = matches!(progress, Progress::Agent { .. } | Progress::Ended { .. } | Progress::Output { .. });
        of_agent && !self.services.unread_secrets(handoff).is_empty()
    }
}

/// The event with every text masked. It is unchanged if a secret's value is a word of the format itself.
fn masked(kind: Kind, mask: &Mask) -> Kind {
    if mask.is_empty() {
        return kind;
    }
    // Only the explanation may contain words of the agent. A branch is named by the user.
    if matches!(kind, Kind::Given(_) | Kind::Finished(_)) {
        return texts(kind, |text| *text = mask.text(text).into_owned());
    }
    let Ok(mut value) = serde_json::to_value(&kind) else { return kind };
    walk(&mut value, mask);
    serde_json::from_value(value).unwrap_or_else(|_| texts(kind, |text| *text = mask.text(text).into_owned()))
}

fn walk(value: &mut Value, mask: &Mask) {
    match value {
        Value::String(text) => *text = mask.text(text).into_owned(),
        Value::Array(items) => items.iter_mut().for_each(|item| walk(item, mask)),
        Value::Object(fields) => fields.values_mut().for_each(|field| walk(field, mask)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

fn withheld(kind: Kind, unread: &[String]) -> Kind {
    let instead = format!("not shown: the secret {} has no value here", unread.join(", "));
    texts(kind, |text| text.clone_from(&instead))
}

/// The event with its free texts mapped.
fn texts(mut kind: Kind, change: impl Fn(&mut String)) -> Kind {
    match &mut kind {
        Kind::Given(given) => {
            change(&mut given.told);
            given.by_hand.iter_mut().flat_map(texts_by_hand).for_each(&change);
        }
        Kind::Finished(finish) => finish.by_hand.iter_mut().flat_map(texts_by_hand).for_each(&change),
        Kind::Ended { outcome, verdict, .. } => {
            outcome.detail.iter_mut().for_each(&change);
            change(&mut verdict.evidence);
            verdict.notes.iter_mut().for_each(&change);
        }
        Kind::Unreachable { reason, .. } => change(reason),
        Kind::Decided { next: Next::Park { why }, .. } if !why.is_empty() => change(why),
        _ => {}
    }
    kind
}

fn texts_by_hand(by_hand: &mut ByHand) -> impl Iterator<Item = &mut String> {
    by_hand.commits.iter_mut().chain(&mut by_hand.uncommitted)
}

/// What was taken over from a directory, masked. Its texts are those of people and of agents.
pub(in crate::supervise) fn covered_adopted(mut adopted: Adopted) -> Adopted {
    let mask = secrets::mask();
    let cover = |text: &mut String| *text = mask.text(text).into_owned();
    adopted.status.iter_mut().chain(&mut adopted.started).for_each(cover);
    adopted.notes.iter_mut().flat_map(|note| [&mut note.section, &mut note.text]).for_each(cover);
    for run in &mut adopted.attempts {
        run.command.iter_mut().for_each(cover);
        if let Some(verdict) = &mut run.verdict {
            cover(&mut verdict.evidence);
            verdict.notes.iter_mut().for_each(cover);
        }
    }
    adopted
}

/// What a log contains, masked.
pub(in crate::supervise) fn covered_summary(mut summary: Summary) -> Summary {
    let mask = secrets::mask();
    if mask.is_empty() {
        return summary;
    }
    for text in summary.texts_mut() {
        *text = mask.text(text).into_owned();
    }
    summary
}

/// Changed files, masked: an agent may have put a secret into the name of one.
pub(in crate::supervise) fn covered_changes(mut changes: Changes) -> Changes {
    let mask = secrets::mask();
    for path in changes.files.iter_mut().flat_map(|file| [Some(&mut file.path), file.was.as_mut()]).flatten() {
        *path = mask.text(path).into_owned();
    }
    changes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::attempt::Outcome;
    use crate::model::verdict::{Class, Verdict};

    fn ended(evidence: &str) -> Kind {
        let outcome = Outcome { detail: Some(format!("detail {evidence}")), ..Outcome::default() };
        let (evidence, notes) = (evidence.to_owned(), vec![format!("note {evidence}")]);
        let verdict = Verdict { evidence, notes, line: Some(3), ..Verdict::new(Class::Done, "") };
        Kind::Ended { attempt: 1, outcome: Box::new(outcome), verdict }
    }

    fn mask(value: &str) -> Mask {
        let mut mask = Mask::default();
        mask.add(value);
        mask
    }

    #[test]
    fn texts_of_an_event_are_covered_and_its_words_stay() {
        assert_eq!(masked(ended("used hunter2"), &mask("hunter2")), ended("used *******"));
        // A secret whose value is a word of the format cannot make the journal unreadable.
        let Kind::Ended { verdict, .. } = masked(ended("done"), &mask("done")) else { panic!() };
        assert_eq!((verdict.class, verdict.evidence.as_str()), (Class::Done, "****"));
    }

    #[test]
    fn without_the_value_no_text_of_an_agent_is_written_down() {
        let Kind::Ended { outcome, verdict, .. } = withheld(ended("used hunter2"), &["S".into()]) else { panic!() };
        assert_eq!(verdict.evidence, "not shown: the secret S has no value here");
        assert_eq!((verdict.line, outcome.detail.is_some_and(|detail| !detail.contains("hunter2"))), (Some(3), true));
        assert_eq!(withheld(Kind::StopRequested, &["S".into()]), Kind::StopRequested);
    }
}
