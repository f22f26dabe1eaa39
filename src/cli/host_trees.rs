//! `handoff show --host`: the checkouts on a host, who uses them, and why one is not used again.

use super::Global;
use super::context;
use super::error::Error;
use super::exit;
use super::ways;
use crate::config::settings::human_bytes;
use crate::remote::trees::Tree;
use crate::supervise::connection::HostConnection;
use crate::supervise::error::Error as SuperviseError;
use crate::supervise::progress::NullReporter;
use crate::ui::text::{first_line, neutral};

/// Asks the host and prints one checkout a line.
pub async fn show(global: &Global, name: &str, json: bool) -> Result<u8, Error> {
    let host = context::hosts(global)?.resolve(name).map_err(SuperviseError::from)?;
    let mut connection =
        HostConnection::new(host, ways::connect(), context::prompter(), std::sync::Arc::new(NullReporter));
    let remote = connection.patiently().await.map_err(SuperviseError::from)?;
    let trees = remote.trees().await.map_err(SuperviseError::from)?.trees;
    for tree in &trees {
        if json {
            outln!("{}", crate::ui::screen::json(tree));
        } else {
            context::print(&text(tree));
        }
    }
    if trees.is_empty() && !json {
        outln!("{} has no checkouts", neutral(name));
    }
    Ok(exit::OK)
}

fn text(tree: &Tree) -> String {
    let size = tree.kib.map_or("size unknown".to_owned(), |kib| human_bytes(kib.saturating_mul(1024)));
    let state = match (&tree.owner, &tree.kept) {
        (None, _) => "free for the next handoff".to_owned(),
        (Some(owner), None) => format!("used by {}", id(owner)),
        (Some(owner), Some(why)) if owner == "kept" => format!("no longer used: it {}", first_line(why, 200)),
        (Some(owner), Some(why)) => {
            let clean = format!("`handoff clean {}` releases it", id(owner));
            format!("kept for {}, because it {}; {clean}", id(owner), first_line(why, 200))
        }
    };
    format!("{}\n  {size}, {state}\n", neutral(&tree.path))
}

/// The handoff's id: the owner's name begins with it.
fn id(owner: &str) -> String {
    neutral(owner.rsplit_once('-').map_or(owner, |(id, _)| id)).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_state_of_a_tree_is_said() {
        let tree = |owner: Option<&str>, kept: Option<&str>| {
            let (owner, kept) = (owner.map(str::to_owned), kept.map(str::to_owned));
            text(&Tree { path: "/t".into(), owner, kept, kib: Some(2048) })
        };
        assert_eq!(tree(None, None), "/t\n  2MiB, free for the next handoff\n");
        assert!(tree(Some("fix-0AB"), None).ends_with("used by fix\n"));
        assert!(tree(Some("kept"), Some("has a \u{1b}[2J")).contains("no longer used: it has a ␛[2J"));
        assert!(tree(Some("fix-0AB"), Some("has 2 files")).contains("kept for fix, because it has 2 files"));
    }
}
