//! `handoff list`

use serde::Serialize;

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use super::watch::in_brackets;
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

/// A row, with the repository that it comes from.
#[derive(Serialize)]
struct Row {
    repository: String,
    #[serde(flatten)]
    summary: Summary,
}

impl List {
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        let stores = if self.all {
            index::repositories(&context::paths()?.state)?
        } else {
            let here = context::here(global)?;
            let records = Repository::records_of(&here).map_err(Error::from);
            vec![records.map_err(|error| error.instead("handoff list --all"))?]
        };
        let (mut rows, mut some_broken) = (Vec::new(), false);
        for common_dir in stores {
            let store = Store::new(&common_dir);
            let repository = common_dir.parent().unwrap_or(&common_dir).display().to_string();
            for id in store.ids()? {
                match store.summary(&id) {
                    Ok(summary) => rows.push(Row { repository: repository.clone(), summary }),
                    // A broken record must not hide the others.
                    Err(error) => {
                        some_broken = true;
                        errln!("warning: {id}: {error}");
                    }
                }
            }
        }
        rows.sort_by_key(|row| std::cmp::Reverse(row.summary.created));
        if self.json {
            print_json(&rows)
        } else if rows.is_empty() && !some_broken {
            outln!("no handoffs yet; start one with `handoff run --host HOST \"TASK\"`");
        } else {
            print(&rows, self.all)
        }
        Ok(exit::OK)
    }
}

fn print_json(rows: &[Row]) {
    let lines = rows.iter().map(screen::json);
    context::print(&lines.map(|line| line + "\n").collect::<String>());
}

fn print(rows: &[Row], all: bool) {
    let now = jiff::Timestamp::now();
    let width = rows.iter().map(|row| row.summary.id.as_str().len()).max().unwrap_or(0);
    let host_width = rows.iter().map(|row| first_line(&row.summary.host, HOST).chars().count()).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let s = &row.summary;
        let verdict = s.verdict.map_or(String::new(), |class| in_brackets(s.status, class));
        let status = format!("{}{verdict}", s.status.label());
        let attempt = s.attempts;
        let late = if s.superseded > 0 { format!(", {} superseded", s.superseded) } else { String::new() };
        let seen = age(now.as_second() - s.changed.as_second());
        let place = if all { format!("  {}", row.repository) } else { String::new() };
        let host = first_line(&s.host, HOST);
        let released = if s.released { "  released" } else { "" };
        let id = s.id.as_str();
        text.push_str(&format!(
            "{id:width$}  {status:<22}  {host:host_width$}  attempt {attempt}{late}  {seen} ago{released}{place}\n"
        ));
    }
    context::print(&text);
}
