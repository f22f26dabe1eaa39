//! A handoff for tests.

use crate::model::event::Created;
use crate::model::host::Limits;
use crate::model::id::Uid;
use crate::model::snapshot::Snapshot;

pub(crate) fn created(id: &str) -> Created {
    let oid = |digit: char| digit.to_string().repeat(40).parse().unwrap();
    Created {
        id: id.parse().unwrap(),
        uid: Uid::from_random([7; 10]),
        task: "fix".into(),
        host: "buildbox".into(),
        agent: "cursor".into(),
        model: None,
        check: None,
        workspace: "/w".into(),
        worktree: None,
        subdir: String::new(),
        base: Snapshot {
            commit: oid('1'),
            head: oid('2'),
            index_tree: oid('3'),
            files_tree: oid('4'),
            branch: Some("main".into()),
            extra: None,
            left_behind: vec![],
        },
        limits: Limits::default().filled(),
    }
}
