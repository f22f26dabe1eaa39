//! Finds out when a usage limit resets, from a CLI's message.

use std::sync::LazyLock;

use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};
use regex::{Captures, Regex};

/// Maximum seconds until a reset. A later time was misread, because usage limits last hours, days, or a month.
const FARTHEST: i64 = 35 * 24 * 3600;
/// Maximum age of a reset in seconds, because a log may be read some time after it was written.
const OLDEST: i64 = 24 * 3600;

static EPOCH: LazyLock<Regex> = LazyLock::new(|| pattern(r"\|([0-9]{10})(?:[0-9]{3})?\b"));
static RELATIVE: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:resets?|try again) in ((?:[0-9]{1,4} ?(?:days?|d|hours?|hrs?|h|minutes?|mins?|m|seconds?|secs?|s)\b[ ,]*(?:and )?)+)",
    )
});
static AMOUNT: LazyLock<Regex> = LazyLock::new(|| pattern(r"([0-9]{1,4}) ?([dhms])"));
static INSTANT: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:resets?|try again)[^|]{0,40}?([0-9]{4}-[0-9]{2}-[0-9]{2}[T ][0-9]{2}:[0-9]{2}(?::[0-9]{2})?(?:\.[0-9]+)?(?:Z|[+-][0-9]{2}:?[0-9]{2}))",
    )
});
static SLASHED: LazyLock<Regex> =
    LazyLock::new(|| pattern(r"resets? [a-z ]{0,60}?\bon ([0-9]{1,2})/([0-9]{1,2})/([0-9]{4})\b"));
static CLOCK: LazyLock<Regex> = LazyLock::new(|| {
    pattern(
        r"(?:resets?|try again)(?: at| on)? (?:([a-z]{3})[a-z]* ([0-9]{1,2})(?:st|nd|rd|th)?(?:, ?([0-9]{4}))?,? (?:at )?)?([0-9]{1,2})(?::([0-9]{2}))? ?(am|pm)\b(?: \(([A-Za-z_+/-]+[0-9]*)\))?",
    )
});

/// Compiles a constant of this file; the tests use each one.
fn pattern(text: &str) -> Regex {
    regex::RegexBuilder::new(text).case_insensitive(true).build().expect("a constant pattern")
}

/// When a usage limit resets in Unix seconds, or `None` if the text is not clear. A clock time without a zone is in the
/// host's zone, which is unknown. The earlier of UTC and `now`'s zone is used, because trying too early costs one
/// refused start, and trying too late costs hours.
pub fn reset_time(text: &str, now: &Zoned) -> Option<i64> {
    let found = epoch(text).or_else(|| instant(text)).or_else(|| relative(text, now));
    let found = found.or_else(|| slashed(text, now)).or_else(|| clock(text, now))?;
    let away = found - now.timestamp().as_second();
    (-OLDEST..=FARTHEST).contains(&away).then_some(found)
}

fn epoch(text: &str) -> Option<i64> {
    EPOCH.captures(text)?[1].parse().ok()
}

fn instant(text: &str) -> Option<i64> {
    INSTANT.captures(text)?[1].parse::<Timestamp>().ok().map(Timestamp::as_second)
}

fn relative(text: &str, now: &Zoned) -> Option<i64> {
    let amounts = RELATIVE.captures(text)?;
    let mut seconds = 0;
    for amount in AMOUNT.captures_iter(&amounts[1]) {
        let unit = match amount[2].to_ascii_lowercase().as_str() {
            "d" => 86_400,
            "h" => 3_600,
            "m" => 60,
            _ => 1,
        };
        seconds += amount[1].parse::<i64>().ok()? * unit;
    }
    Some(now.timestamp().as_second() + seconds)
}

/// `… reset when your monthly cycle ends on 9/19/2026`: the month comes first, as Cursor writes it.
fn slashed(text: &str, now: &Zoned) -> Option<i64> {
    let found = SLASHED.captures(text)?;
    let date = Date::new(found[3].parse().ok()?, found[1].parse().ok()?, found[2].parse().ok()?).ok()?;
    seconds(date.to_datetime(Time::midnight()), now.time_zone())
}

/// `resets 5pm`, `try again at 2:04 PM`, `try again at Nov 25th, 2026 2:04 PM`, `resets Nov 25, 5pm (Europe/Berlin)`.
fn clock(text: &str, now: &Zoned) -> Option<i64> {
    let found = CLOCK.captures(text)?;
    let zones = match found.get(7) {
        Some(name) => vec![TimeZone::get(name.as_str()).ok()?],
        None => vec![TimeZone::UTC, now.time_zone().clone()],
    };
    zones.into_iter().filter_map(|zone| clock_in(&found, now, zone)).min()
}

fn clock_in(found: &Captures<'_>, now: &Zoned, zone: TimeZone) -> Option<i64> {
    let here = now.with_time_zone(zone.clone());
    let hour: i8 = found[4].parse().ok().filter(|hour| (1..=12).contains(hour))?;
    let afternoon = if found[6].eq_ignore_ascii_case("pm") { 12 } else { 0 };
    let minute = found.get(5).map_or(Some(0), |minute| minute.as_str().parse().ok())?;
    let time = Time::new(hour % 12 + afternoon, minute, 0, 0).ok()?;
    let Some(month) = found.get(1) else {
        let today = seconds(here.date().to_datetime(time), &zone)?;
        let tomorrow = seconds(here.date().tomorrow().ok()?.to_datetime(time), &zone)?;
        return Some(if today > now.timestamp().as_second() { today } else { tomorrow });
    };
    const MONTHS: [&str; 12] = ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
    let month = MONTHS.iter().position(|name| month.as_str().eq_ignore_ascii_case(name))? as i8 + 1;
    let day = found[2].parse().ok()?;
    if let Some(year) = found.get(3) {
        return seconds(Date::new(year.as_str().parse().ok()?, month, day).ok()?.to_datetime(time), &zone);
    }
    let this = Date::new(here.year(), month, day).ok()?.to_datetime(time);
    // In December, "Jan 2" is in the next year.
    let past = here.datetime().checked_sub(Span::new().days(60)).ok()?;
    seconds(if this < past { Date::new(here.year() + 1, month, day).ok()?.to_datetime(time) } else { this }, &zone)
}

fn seconds(at: DateTime, zone: &TimeZone) -> Option<i64> {
    at.to_zoned(zone.clone()).ok().map(|zoned| zoned.timestamp().as_second())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    /// 2026-11-21 02:00 UTC, a Saturday; 03:00 in Berlin.
    fn now() -> Zoned {
        "2026-11-21T03:00:00+01:00[+01:00]".parse().unwrap()
    }

    fn at(text: &str) -> Option<String> {
        reset_time(text, &now()).map(|at| Timestamp::from_second(at).unwrap().to_string())
    }

    #[test]
    fn every_known_wording_is_understood() {
        for (text, expected) in [
            ("Claude AI usage limit reached|1795240800", "2026-11-21T06:00:00Z"),
            ("usage limit reached|1795240800123", "2026-11-21T06:00:00Z"),
            ("You've hit your limit · resets 5pm (UTC)", "2026-11-21T17:00:00Z"),
            ("You've hit your limit · resets 5pm", "2026-11-21T16:00:00Z"),
            ("You've hit your limit · resets 1am", "2026-11-22T00:00:00Z"),
            ("You've hit your limit · resets 12:30am (UTC)", "2026-11-22T00:30:00Z"),
            ("limit reached, resets Nov 25, 5pm (UTC)", "2026-11-25T17:00:00Z"),
            ("limit reached, resets at 2026-11-21T04:05:06Z", "2026-11-21T04:05:06Z"),
            ("[resource_exhausted] resets in 12 minutes", "2026-11-21T02:12:00Z"),
            ("or try again in 3 days 22 hours 17 minutes.", "2026-11-25T00:17:00Z"),
            ("Please try again in 1h 30m", "2026-11-21T03:30:00Z"),
            ("or try again at 2:04 PM.", "2026-11-21T13:04:00Z"),
            ("try again at Nov 25th, 2026 2:04 PM.", "2026-11-25T13:04:00Z"),
            ("usage limits will reset when your monthly cycle ends on 12/19/2026", "2026-12-18T23:00:00Z"),
        ] {
            assert_eq!(at(text).as_deref(), Some(expected), "{text}");
        }
    }

    #[test]
    fn an_ambiguous_time_is_not_guessed() {
        for text in [
            "resets soon",
            "resets 17",
            "resets 5",
            "resets 25pm",
            "resets Foo 25, 5pm",
            "resets 5pm (Nowhere/Land)",
            "usage limit reached|0000000001",
            "try again in 4000 days",
            "reset when your monthly cycle ends on 9/19/2026",
            "reset when your monthly cycle ends on 31/12/2026",
            "a commit resets 5 files",
        ] {
            assert_eq!(at(text), None, "{text}");
        }
    }

    proptest! {
        #[test]
        fn no_text_panics(text in "(resets?|try again)?( in| at)? ?[0-9a-z:,/ |()pm]{0,40}") {
            reset_time(&text, &now());
        }
    }
}
