//! `handoff hosts disk`: what the checkouts and caches take on each host.

use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::cli::Global;
use crate::cli::context;
use crate::cli::error::Error;
use crate::cli::exit;
use crate::cli::ways;
use crate::config::settings::human_bytes;
use crate::model::host::Host;
use crate::remote::trees::Contents;
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::NullReporter;
use crate::supervise::services::join_all;
use crate::ui::screen;
use crate::ui::text::{first_line, neutral};

/// How long one host may take to answer. The host gives up on a directory after ten seconds.
const LIMIT: Duration = Duration::from_secs(60);

/// What a host's checkouts and caches take.
#[derive(Serialize, schemars::JsonSchema)]
pub struct HostDisk<'a> {
    host: &'a str,
    contents: Option<&'a Contents>,
    /// Why the contents are not known.
    unknown: Option<&'a String>,
}

/// Asks the hosts at the same time, and prints one line each. The exit code tells whether all of them answered.
pub(super) async fn show(global: &Global, names: &[String], json: bool) -> Result<u8, Error> {
    let known = context::hosts(global)?;
    let hosts: Vec<Host> = if names.is_empty() {
        known.hosts
    } else {
        names.iter().map(|name| known.resolve(name)).collect::<Result<_, _>>().map_err(SuperviseError::from)?
    };
    let mut answers = join_all(hosts.iter().map(ask)).await;
    // One host was asked for by name, which may be mistyped.
    if names.len() == 1
        && let Some(Some(Err(error))) = answers.pop_if(|answer| matches!(answer, Some(Err(_))))
    {
        return Err(error.into());
    }
    let answers: Vec<_> = answers.into_iter().map(told).collect();
    for (host, answer) in hosts.iter().zip(&answers) {
        if json {
            let (contents, unknown) = (answer.as_ref().ok(), answer.as_ref().err());
            outln!("{}", screen::json(&HostDisk { host: &host.name, contents, unknown }));
        } else {
            outln!("{}", row(&host.name, answer));
        }
    }
    if hosts.is_empty() && !json {
        outln!("no hosts yet: add one with `handoff hosts add NAME [USER@]ADDRESS`");
    }
    Ok(if answers.iter().all(Result::is_ok) { exit::OK } else { exit::UNREACHABLE })
}

/// A host's answer; `None` if it took too long.
type Answer = Option<Result<Contents, SuperviseError>>;

async fn ask(host: &Host) -> Answer {
    let reporter = Arc::new(NullReporter);
    let mut connection = HostConnection::new(host.clone(), ways::connect(), context::prompter(), reporter);
    let answer = async { Ok(connection.once().await?.trees().await?) };
    tokio::time::timeout(LIMIT, answer).await.ok()
}

/// What a host has, or why that is unknown.
fn told(answer: Answer) -> Result<Contents, String> {
    match answer {
        Some(answer) => answer.map_err(|error| error.to_string()),
        None => Err(format!("no answer within {} s", LIMIT.as_secs())),
    }
}

fn row(name: &str, answer: &Result<Contents, String>) -> String {
    let name = neutral(name);
    match answer {
        Err(why) => format!("{name:<16} unknown: {}", first_line(why, 200)),
        Ok(Contents { trees, caches }) => {
            let free = trees.iter().filter(|tree| tree.owner.is_none()).count();
            let checkouts = total(trees.iter().map(|tree| tree.kib));
            let cached = total(caches.iter().map(|cache| cache.kib));
            let (many, more) = (counted(trees.len(), "checkout"), counted(caches.len(), "cache"));
            format!("{name:<16} {many}: {checkouts} ({free} free for the next handoff); {more}: {cached}")
        }
    }
}

/// The sum of sizes in KiB; a size that could not be measured is said.
fn total(sizes: impl Iterator<Item = Option<u64>> + Clone) -> String {
    let sum: u64 = sizes.clone().flatten().fold(0, u64::saturating_add);
    let unknown = sizes.filter(Option::is_none).count();
    let sum = human_bytes(sum.saturating_mul(1024));
    if unknown == 0 { sum } else { format!("more than {sum}, {unknown} not measured") }
}

fn counted(count: usize, word: &str) -> String {
    if count == 1 { format!("1 {word}") } else { format!("{count} {word}s") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::remote::trees::{Cache, Tree};

    #[test]
    fn sizes_are_added_and_what_is_unknown_is_said() {
        let tree = |owner: Option<&str>, kib| Tree { owner: owner.map(str::to_owned), kib, ..Tree::default() };
        let trees = vec![tree(None, Some(1024)), tree(Some("fix-0AB"), Some(3072))];
        let caches = vec![Cache { path: "/c".into(), kib: Some(2048) }];
        let all = Contents { trees: trees.clone(), caches };
        let line = row("box", &Ok(all));
        assert_eq!(line, "box              2 checkouts: 4MiB (1 free for the next handoff); 1 cache: 2MiB");
        let some = Contents { trees: [trees, vec![tree(None, None)]].concat(), caches: vec![] };
        assert!(row("box", &Ok(some)).contains("3 checkouts: more than 4MiB, 1 not measured (2 free"));
        assert_eq!(row("box", &Err("no route\u{1b}[2J\n".into())), "box              unknown: no route␛[2J");
    }
}
