//! The short texts of a host: state lines, results, `next` links, reset times and names; and text that is made safe for
//! printing.
#![no_main]

use handoff::agent::reset::reset_time;
use handoff::agent::sanitize::{in_checkout, one_line, paragraph, prefix};
use handoff::model::attempt::Next;
use handoff::model::id::HandoffId;
use handoff::remote::poll::{read_result, read_state};
use handoff::ui::text::{first_line, neutral};
use handoff_fuzz::assert_harmless;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let text = &*String::from_utf8_lossy(data);
    shown(text);
    if let Some(state) = read_state(text) {
        assert!(state.session.as_deref().is_none_or(is_session), "{state:?}");
    }
    if let Some(outcome) = read_result(text) {
        assert!(outcome.session.as_deref().is_none_or(is_session), "{outcome:?}");
        let journaled = serde_json::to_string(&outcome).unwrap();
        assert_eq!(serde_json::from_str::<handoff::model::attempt::Outcome>(&journaled).unwrap(), outcome);
    }
    if let Some((writer, next)) = Next::from_link(text) {
        assert_eq!(Next::from_link(&next.to_link(&writer)), Some((writer, next)));
    }
    let now = jiff::Timestamp::from_second(1_795_000_000).unwrap().to_zoned(jiff::tz::TimeZone::UTC);
    if let Some(at) = reset_time(text, &now) {
        assert!((at - now.timestamp().as_second()).abs() <= 35 * 24 * 3600, "{at}");
    }
    if let Ok(id) = text.parse::<HandoffId>() {
        assert!(!id.as_str().starts_with('-') && !id.as_str().contains(['/', '.']));
    }
    assert!(text.ends_with(in_checkout(text)));
});

fn shown(text: &str) {
    for line in [one_line(text, 80), first_line(text, 80), neutral(text).into_owned()] {
        assert_harmless(&line);
    }
    assert!(one_line(text, 80).chars().count() <= 80 && prefix(text, 10).len() <= 10);
    paragraph(text, 80).lines().for_each(|line| assert_harmless(&line.replace('\t', " ")));
}

fn is_session(text: &str) -> bool {
    (1..=128).contains(&text.len()) && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}
