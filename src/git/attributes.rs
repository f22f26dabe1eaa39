//! The attributes that make a file's bytes differ from what git stores.

use std::collections::BTreeMap;

use super::Result;
use super::command::Git;

/// What gitattributes(5) says of a file. A field is empty if the attribute has no value.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Attributes {
    pub filter: String,
    pub encoding: String,
}

/// The attributes of each path that has some. `ask` is `git check-attr` in the right directory and index; every path
/// ends with a NUL.
pub fn of(ask: Git, paths: Vec<u8>) -> Result<BTreeMap<Vec<u8>, Attributes>> {
    let printed = ask.args(["-z", "--stdin", "filter", "working-tree-encoding"]).stdin(paths).run()?;
    let fields: Vec<_> = printed.split(|b| *b == 0).collect();
    let mut found: BTreeMap<Vec<u8>, Attributes> = BTreeMap::new();
    // git-check-attr(1): `<path> NUL <attribute> NUL <info> NUL`.
    for field in fields.chunks_exact(3) {
        let value = String::from_utf8_lossy(field[2]).into_owned();
        if ["unspecified", "unset", "set"].contains(&value.as_str()) {
            continue;
        }
        let entry = found.entry(field[0].to_vec()).or_default();
        if field[1] == b"filter" { entry.filter = value } else { entry.encoding = value }
    }
    Ok(found)
}
