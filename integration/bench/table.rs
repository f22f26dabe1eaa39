//! Medians, and the table that shows them.

use std::fmt;
use std::time::Duration;

/// Times of handoff and of the tool that it is compared with, taken in turns.
#[derive(Default)]
pub struct Pair {
    pub ours: Vec<Duration>,
    pub theirs: Vec<Duration>,
}

/// The rows measured so far.
#[derive(Default)]
pub struct Table {
    rows: Vec<[String; 6]>,
    notes: Vec<String>,
}

impl Table {
    /// A row where less is better: `at_most` is the largest ratio of the times that meets the target.
    pub fn slower(&mut self, what: &str, round_trip: Duration, beside: &str, pair: &Pair, at_most: Option<f64>) {
        let ratio = median(&pair.ours).as_secs_f64() / median(&pair.theirs).as_secs_f64();
        let target = at_most.map_or("–".into(), |at_most| verdict(ratio <= at_most, &format!("≤ {at_most}×")));
        self.row(what, round_trip, beside, pair, ratio, target);
    }

    /// A row where more is better: `at_least` is the smallest ratio of the speeds that meets the target.
    pub fn faster(&mut self, what: &str, round_trip: Duration, beside: &str, pair: &Pair, at_least: f64) {
        let ratio = median(&pair.theirs).as_secs_f64() / median(&pair.ours).as_secs_f64();
        let target = verdict(ratio >= at_least, &format!("≥ {at_least}×"));
        self.row(what, round_trip, beside, pair, ratio, target);
    }

    fn row(&mut self, what: &str, delay: Duration, beside: &str, pair: &Pair, ratio: f64, target: String) {
        let row = [
            format!("{what} ({})", pair.ours.len()),
            format!("{} ms", delay.as_millis()),
            shown(median(&pair.ours)),
            format!("{} {beside}", shown(median(&pair.theirs))),
            format!("{ratio:.2}×"),
            target,
        ];
        eprintln!("  {}", row.join("  "));
        self.rows.push(row);
    }

    /// A line below the table.
    pub fn note(&mut self, text: String) {
        eprintln!("  {text}");
        self.notes.push(text);
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "| what (rounds) | round trip | handoff | beside | ratio | target |")?;
        writeln!(f, "|---|---|---|---|---|---|")?;
        for row in &self.rows {
            writeln!(f, "| {} |", row.join(" | "))?;
        }
        self.notes.iter().try_for_each(|note| writeln!(f, "\n{note}"))
    }
}

/// The median. Of an even number of times it is the later of the two in the middle.
pub fn median(times: &[Duration]) -> Duration {
    let mut sorted = times.to_vec();
    sorted.sort_unstable();
    sorted[sorted.len() / 2]
}

fn verdict(met: bool, target: &str) -> String {
    format!("{target}{}", if met { "" } else { " **missed**" })
}

fn shown(time: Duration) -> String {
    if time < Duration::from_secs(10) {
        format!("{} ms", time.as_millis())
    } else {
        format!("{:.1} s", time.as_secs_f64())
    }
}
