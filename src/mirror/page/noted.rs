//! What people and agents wrote by hand before the handoff was adopted. Nothing proves it, so it is always quoted.

use std::collections::BTreeMap;

use crate::config::{markdown, secrets};
use crate::mirror::document::OURS;
use crate::model::handoff::Handoff;

/// Sections of the page that are the same in another form: the text before the first heading is part of the metadata.
const METADATA: &str = "metadata";
const RESUME: &str = "resume prompt";
const TAKEOVER: &str = "headed takeover prompt";

/// By section of the page. The page keeps the other sections as they are.
pub fn noted(handoff: &Handoff) -> BTreeMap<String, String> {
    let mut noted: BTreeMap<String, String> = BTreeMap::new();
    for (section, text) in notes(handoff) {
        let section = if section.is_empty() { METADATA } else { section };
        if OURS.contains(&section) {
            let known = noted.entry(section.to_owned()).or_default();
            known.push_str(if known.is_empty() { "" } else { "\n\n" });
            known.push_str(&text);
        }
    }
    noted
}

/// All of it for a prompt, under the headings that it had.
pub fn noted_in_prompt(handoff: &Handoff) -> Option<String> {
    let has_resume = notes(handoff).any(|(section, _)| section == RESUME);
    // Both prompts say the same, and the resume prompt is for an agent.
    let is_told = |section: &str| section != TAKEOVER || !has_resume;
    let told = notes(handoff).filter(|(section, _)| is_told(section)).map(|(section, text)| {
        let heading = if section.is_empty() { "remarks" } else { section };
        format!("{heading}:\n\n{}", markdown::quoted(&text))
    });
    let told: Vec<String> = told.collect();
    (!told.is_empty()).then(|| told.join("\n\n"))
}

fn notes(handoff: &Handoff) -> impl Iterator<Item = (&str, String)> {
    let notes = handoff.adopted().map_or(&[][..], |adopted| &adopted.notes);
    let mask = secrets::mask();
    notes.iter().map(move |note| (note.section.as_str(), mask.text(&note.text).into_owned()))
}
