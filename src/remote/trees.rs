//! `trees`: the trees on a host, their owners, and why a tree is not used any more.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;

/// A tree on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Tree {
    pub path: String,
    /// `<id>-<uid>` of the handoff that owns it; `kept` if no handoff may use it, absent if the next one may.
    pub owner: Option<String>,
    /// Why no handoff may use it any more.
    pub kept: Option<String>,
    /// Size on the host's disk; absent if it could not be measured in ten seconds.
    pub kib: Option<u64>,
}

impl Remote {
    /// Every tree of the host's root, sorted by name.
    pub async fn trees(&self) -> Result<Vec<Tree>, RemoteError> {
        Ok(read(&self.call(Verb::Trees, Request::new).await?))
    }
}

fn read(lines: &[String]) -> Vec<Tree> {
    let mut trees: Vec<Tree> = Vec::new();
    for line in lines {
        let Some((key, value)) = line.split_once(' ') else { continue };
        if key == "tree" {
            trees.push(Tree { path: value.to_owned(), ..Tree::default() });
        } else if let Some(tree) = trees.last_mut() {
            match key {
                "owner" => tree.owner = Some(value.to_owned()),
                "kept" => tree.kept = Some(value.to_owned()),
                "size" => tree.kib = value.parse().ok(),
                _ => {}
            }
        }
    }
    trees
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_belongs_to_the_tree_before_it() {
        let lines =
            ["owner lost", "tree /h/trees/x y-1/x y", "owner a-1", "size 12", "tree /h/trees/x-2/x", "kept why it is"];
        let trees = read(&lines.map(str::to_owned));
        let path = |path: &str| path.to_owned();
        let first = Tree { path: path("/h/trees/x y-1/x y"), owner: Some("a-1".into()), kept: None, kib: Some(12) };
        let second = Tree { path: path("/h/trees/x-2/x"), owner: None, kept: Some("why it is".into()), kib: None };
        assert_eq!(trees, [first, second]);
    }
}
