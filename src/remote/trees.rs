//! `trees`: the trees on a host, their owners, and why a tree is not used any more; and the caches. Also whether a
//! handoff still has its tree.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::id::RemoteName;

/// A tree on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Tree {
    pub path: String,
    /// `<id>-<uid>` of the handoff that owns it; `kept` if no handoff may use it, absent if the next one may.
    pub owner: Option<String>,
    /// Why no handoff may use it any more.
    pub kept: Option<String>,
    /// Size on the host's disk; absent if it could not be measured in ten seconds.
    pub kib: Option<u64>,
}

/// A repository's cache of objects on a host.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Cache {
    pub path: String,
    /// Size on the host's disk; absent if it could not be measured in ten seconds.
    pub kib: Option<u64>,
}

/// What a host's root contains besides the attempts' own files.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Contents {
    pub trees: Vec<Tree>,
    pub caches: Vec<Cache>,
}

impl Remote {
    /// Every tree and every cache of the host's root, sorted by name.
    pub async fn trees(&self) -> Result<Contents, RemoteError> {
        Ok(read(&self.call(Verb::Trees, Request::new).await?))
    }

    /// Whether a handoff owns the tree that it worked in last.
    pub async fn has_tree(&self, name: &RemoteName) -> Result<bool, RemoteError> {
        let lines = self.call(Verb::Trees, || Request::new().line("name", name)).await?;
        Ok(!read(&lines).trees.is_empty())
    }
}

fn read(lines: &[String]) -> Contents {
    let Contents { mut trees, mut caches } = Contents::default();
    for line in lines {
        let Some((key, value)) = line.split_once(' ') else { continue };
        match (key, trees.last_mut(), caches.last_mut()) {
            ("tree", ..) => trees.push(Tree { path: value.to_owned(), ..Tree::default() }),
            ("cache", ..) => caches.push(Cache { path: value.to_owned(), kib: None }),
            ("size", _, Some(cache)) => cache.kib = value.parse().ok(),
            ("size", Some(tree), None) => tree.kib = value.parse().ok(),
            ("owner", Some(tree), _) => tree.owner = Some(value.to_owned()),
            ("kept", Some(tree), _) => tree.kept = Some(value.to_owned()),
            _ => {}
        }
    }
    Contents { trees, caches }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_line_belongs_to_the_tree_or_cache_before_it() {
        let trees =
            ["owner lost", "tree /h/trees/x y-1/x y", "owner a-1", "size 12", "tree /h/trees/x-2/x", "kept why it is"];
        let caches = ["cache /h/cache/a.git", "size 7", "cache /h/cache/b.git"];
        let lines: Vec<String> = trees.into_iter().chain(caches).map(str::to_owned).collect();
        let Contents { trees, caches } = read(&lines);
        let path = |path: &str| path.to_owned();
        let first = Tree { path: path("/h/trees/x y-1/x y"), owner: Some("a-1".into()), kept: None, kib: Some(12) };
        let second = Tree { path: path("/h/trees/x-2/x"), owner: None, kept: Some("why it is".into()), kib: None };
        assert_eq!(trees, [first, second]);
        let cache = |name: &str, kib| Cache { path: path(name), kib };
        assert_eq!(caches, [cache("/h/cache/a.git", Some(7)), cache("/h/cache/b.git", None)]);
    }
}
