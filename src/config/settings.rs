//! Parses and prints durations and sizes as people write them: `"4h"`, `"1h30m"`, `"64GiB"`.

use std::time::Duration;

/// Maximum duration, one year. Longer ones are typing errors, and this one cannot overflow a host's clock.
pub const MAX_DURATION: Duration = Duration::from_secs(365 * DAY);

const DAY: u64 = 86_400;

/// Units of time, the longest first.
const TIME_UNITS: [(&str, u64); 4] = [("d", DAY), ("h", 3600), ("m", 60), ("s", 1)];

/// Units of memory, the largest of each family first.
const SIZE_UNITS: [(&str, u64); 9] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
    ("TB", 1_000_000_000_000),
    ("GB", 1_000_000_000),
    ("MB", 1_000_000),
    ("kB", 1_000),
    ("B", 1),
];

/// Why a text is not a duration or a size.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SettingError {
    /// Not a duration.
    #[error("{0:?} is not a duration: write `90s`, `30m`, `4h`, `1h30m` or `2d`")]
    NotADuration(String),
    /// Longer than [`MAX_DURATION`].
    #[error("{0:?} is longer than a year")]
    TooLong(String),
    /// Not a size.
    #[error("{0:?} is not a size: write `512MiB`, `64GiB` or a number of bytes")]
    NotASize(String),
    /// Does not fit in 64 bits.
    #[error("{0:?} is too large")]
    TooLarge(String),
}

/// Parses `"4h"`, `"1h30m"`, `"90s"`, or a number of seconds. Each unit may occur once, the longest first.
///
/// # Errors
/// The text is none of these, or longer than [`MAX_DURATION`].
pub fn parse_duration(text: &str) -> Result<Duration, SettingError> {
    let wrong = || SettingError::NotADuration(shown(text));
    let too_long = || SettingError::TooLong(shown(text));
    let mut rest = text.trim();
    if rest.is_empty() {
        return Err(wrong());
    }
    let mut total: u64 = 0;
    let mut units = TIME_UNITS.as_slice();
    while !rest.is_empty() {
        let (number, after) = leading_number(rest).ok_or_else(wrong)?;
        let bare = after.is_empty() && number.len() == text.trim().len();
        let at = units.iter().position(|(unit, _)| after.starts_with(unit) || (bare && *unit == "s"));
        let (unit, seconds) = units[at.ok_or_else(wrong)?];
        rest = if bare { "" } else { &after[unit.len()..] };
        units = &units[units.iter().position(|u| u.0 == unit).map_or(0, |i| i + 1)..];
        let number: u64 = number.parse().map_err(|_| too_long())?;
        total = number.checked_mul(seconds).and_then(|n| total.checked_add(n)).ok_or_else(too_long)?;
    }
    Some(Duration::from_secs(total)).filter(|d| *d <= MAX_DURATION).ok_or_else(too_long)
}

/// Prints whole seconds in the form of [`parse_duration`]: `1h30m`. Fractions of a second are dropped.
pub fn human_duration(duration: Duration) -> String {
    let mut rest = duration.as_secs();
    if rest == 0 {
        return "0s".to_owned();
    }
    let mut text = String::new();
    for (unit, seconds) in TIME_UNITS {
        if rest >= seconds {
            text.push_str(&format!("{}{unit}", rest / seconds));
            rest %= seconds;
        }
    }
    text
}

/// Parses `"64GiB"` (powers of two), `"64GB"` (powers of ten) or a number of bytes.
///
/// # Errors
/// The text is none of these, or does not fit in 64 bits.
pub fn parse_bytes(text: &str) -> Result<u64, SettingError> {
    let wrong = || SettingError::NotASize(shown(text));
    let (number, after) = leading_number(text.trim()).ok_or_else(wrong)?;
    let unit = if after.is_empty() { "B" } else { after.trim_start() };
    let (_, factor) = SIZE_UNITS.into_iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?;
    let too_large = || SettingError::TooLarge(shown(text));
    number.parse::<u64>().ok().and_then(|n| n.checked_mul(factor)).ok_or_else(too_large)
}

/// Prints bytes for people, in powers of two, with one decimal unless the number is whole: `64GiB`, `1.5GiB`.
pub fn human_bytes(bytes: u64) -> String {
    for (unit, factor) in &SIZE_UNITS[..4] {
        if bytes >= *factor {
            let (whole, tenths) = (bytes / factor, (bytes % factor) * 10 / factor);
            return if tenths == 0 { format!("{whole}{unit}") } else { format!("{whole}.{tenths}{unit}") };
        }
    }
    format!("{bytes}B")
}

/// The leading digits and the rest.
fn leading_number(text: &str) -> Option<(&str, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    (end > 0).then(|| text.split_at(end))
}

/// A wrong text, shortened for an error.
fn shown(text: &str) -> String {
    text.chars().take(40).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in
            [("90s", 90), ("30m", 1800), ("4h", 14_400), ("1h30m", 5400), ("2d", 172_800), ("15", 15), (" 4h ", 14_400)]
        {
            assert_eq!(parse_duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
    }

    #[test]
    fn an_invalid_duration_is_refused() {
        for text in ["", "h", "4 h", "4hours", "-4h", "1.5h", "30m1h", "1h1h", "4h30", "4x", "½h"] {
            assert_eq!(parse_duration(text), Err(SettingError::NotADuration(text.to_owned())), "{text}");
        }
        for text in ["366d", "99999999999999999999s", "18446744073709551615d"] {
            assert_eq!(parse_duration(text), Err(SettingError::TooLong(text.to_owned())), "{text}");
        }
    }

    #[test]
    fn sizes_distinguish_powers_of_two_and_ten() {
        assert_eq!(parse_bytes("64GiB"), Ok(64 << 30));
        assert_eq!(parse_bytes("64 GiB"), Ok(64 << 30));
        assert_eq!(parse_bytes("64GB"), Ok(64_000_000_000));
        assert_eq!(parse_bytes("512"), Ok(512));
        for text in ["", "GiB", "64G", "64gib", "1.5GiB", "-1"] {
            assert_eq!(parse_bytes(text), Err(SettingError::NotASize(text.to_owned())), "{text}");
        }
        assert_eq!(parse_bytes("99999999TiB"), Err(SettingError::TooLarge("99999999TiB".to_owned())));
    }

    #[test]
    fn sizes_are_short_for_people() {
        for (bytes, text) in
            [(0, "0B"), (1023, "1023B"), (64 << 30, "64GiB"), (3 << 29, "1.5GiB"), (u64::MAX, "16777215.9TiB")]
        {
            assert_eq!(human_bytes(bytes), text);
        }
    }

    proptest! {
        #[test]
        fn a_printed_duration_is_parsed_to_the_same(seconds in 0..=MAX_DURATION.as_secs()) {
            let duration = Duration::from_secs(seconds);
            prop_assert_eq!(parse_duration(&human_duration(duration)), Ok(duration));
        }

        #[test]
        fn no_text_panics(text in any::<String>(), near in "[0-9]{0,22}[dhmsKMGTiB ]{0,4}[0-9]{0,3}[a-z]{0,2}") {
            let _ = (parse_duration(&text), parse_bytes(&text), parse_duration(&near), parse_bytes(&near));
        }
    }
}
