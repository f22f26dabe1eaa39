//! A handoff for tests, and the comparison of texts with files.

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
            head: oid('2').into(),
            index_tree: oid('3'),
            files_tree: oid('4'),
            branch: Some("main".into()),
            changes: None,
            extra: None,
            lfs: None,
            operation: None,
            cache_key: None,
            history: None,
            companions: vec![],
            left_behind: vec![],
            unmatched: vec![],
        },
        attached: None,
        artifacts: vec![],
        limits: Limits::default().filled(),
    }
}

/// Compares a text with `tests/cli/snapshots/<name>.snap`; `tests/cli/screens.rs` says how to update it.
#[track_caller]
pub(crate) fn match_file(name: &str, text: &str) {
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/snapshots"));
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.bind(|| insta::assert_snapshot!(name, text));
}
