//! `handoff list`

use serde::Serialize;

use super::Global;
use super::closing::in_brackets;
use super::context;
use super::error::Error;
use super::exit;
use crate::git::repository::Repository;
use crate::state::index;
use crate::state::store::{Store, Summary};
use crate::ui::screen;
use crate::ui::text::{age, first_line};

/// List the handoffs of this repository; contacts no host
#[derive(Debug, clap::Args)]
pub struct List {
    /// List the handoffs of every repository
    #[arg(long)]
    all: bool,
    /// Print one JSON object per handoff
    #[arg(long)]
    json: bool,
}

/// Longest name of a host, in characters.
const HOST: usize = 20;

/// A handoff in a listing.
#[derive(Serialize, schemars::JsonSchema)]
pub struct ListedHandoff {
    /// The directory of its repository.
    repository: String,
    #[serde(flatten)]
    summary: Summary,
}

impl List {
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let (rows, broken) = listed(global, self.all)?;
        broken.iter().for_each(|broken| errln!("warning: {broken}"));
        if self.json {
            print_json(&rows)
        } else if rows.is_empty() && broken.is_empty() {
            outln!("no handoffs yet; start one with `handoff run --host HOST \"TASK\"`");
        } else {
            print(&rows, self.all)
        }
        Ok(exit::OK)
    }
}

/// The handoffs of this repository, or of all, the newest first; and what is wrong with records that cannot be read.
pub fn listed(global: &Global, all: bool) -> Result<(Vec<ListedHandoff>, Vec<String>), Error> {
    let stores = if all {
        index::repositories(&context::paths()?.state)?
    } else {
        let here = context::here(global)?;
        let records = Repository::records_of(&here).map_err(Error::from);
        vec![records.map_err(|error| error.instead("handoff list --all"))?]
    };
    let (mut rows, mut broken) = (Vec::new(), Vec::new());
    for common_dir in stores {
        let store = Store::new(&common_dir);
        let repository = common_dir.parent().unwrap_or(&common_dir).display().to_string();
        for id in store.ids()? {
            match store.summary(&id) {
                Ok(summary) => rows.push(ListedHandoff { repository: repository.clone(), summary }),
                // A broken record must not hide the others.
                Err(error) => broken.push(format!("{id}: {error}")),
            }
        }
    }
    rows.sort_by_key(|row| std::cmp::Reverse(row.summary.created));
    Ok((rows, broken))
}

fn print_json(rows: &[ListedHandoff]) {
    let lines = rows.iter().map(screen::json);
    context::print(&lines.map(|line| line + "\n").collect::<String>());
}

fn print(rows: &[ListedHandoff], all: bool) {
    let now = jiff::Timestamp::now();
    let width = rows.iter().map(|row| row.summary.id.as_str().len()).max().unwrap_or(0);
    let host_of = |s: &Summary| if s.by_hand { "by hand".to_owned() } else { first_line(&s.host, HOST) };
    let host_width = rows.iter().map(|row| host_of(&row.summary).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let s = &row.summary;
        let verdict = s.verdict.map_or(String::new(), |class| in_brackets(s.status, class));
        let status = format!("{}{verdict}", s.status.label());
        let attempt = s.attempts;
        let late = if s.superseded > 0 { format!(", {} superseded", s.superseded) } else { String::new() };
        let seen = age(now.as_second() - s.changed.as_second());
        let place = if all { format!("  {}", row.repository) } else { String::new() };
        let host = host_of(s);
        let released = if s.released { "  released" } else { "" };
        let id = s.id.as_str();
        text.push_str(&format!(
            "{id:width$}  {status:<22}  {host:host_width$}  attempt {attempt}{late}  {seen} ago{released}{place}\n"
        ));
    }
    context::print(&text);
}
