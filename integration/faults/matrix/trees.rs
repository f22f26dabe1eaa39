//! Checkouts on a host, and what is captured of them.

use super::{Fault, row};

pub const FAULTS: &[Fault] = &[
    row(
        60,
        "changed_after_the_capture",
        "files of a tree are changed and created after the capture, with their old size and time",
        "kept and named by `clean`, not used for the next handoff; deleted only on request",
    ),
    row(
        61,
        "moved_away_and_back",
        "the agent leaves an ignored file, a file in the record's directory and nested repositories; the handoff \
         moves to another host and back",
        "the work goes into another tree; the first one is kept complete and named by `show --host` and `clean`",
    ),
    row(
        62,
        "closed_directories",
        "directories of mode 000 and 0555, with files that are in no capture and with files that are",
        "named; the next handoff runs; `--discard-ignored` deletes them, and the tree is used again",
    ),
    row(
        63,
        "directory_of_another_user",
        "root makes a directory in the tree, then takes one whose files are captured",
        "named; never called released before it is; no handoff is stopped, and the tree is not used again",
    ),
    row(
        64,
        "path_too_long",
        "files below a path of 5,000 bytes",
        "named; the next handoff runs; `--discard-ignored` deletes them",
    ),
    row(
        65,
        "paths_not_captured",
        "the agent leaves an unreadable directory and file, a pipe, a nested repository, names and contents that git \
         refuses",
        "the work is here; each path is named with its size at the end of the attempt, in `show`, in `handoff.md` and \
         in `--json`",
    ),
    row(
        66,
        "unfinished_operations",
        "a rebase stops at a conflict with changes in its autostash, and the branch is deleted",
        "every commit and every file that the operation names is here",
    ),
    row(
        67,
        "worktrees_and_other_refs",
        "the agent works in linked worktrees in and next to its checkout, writes notes, stashes",
        "commits, index and files of the worktrees are here, and so are notes and stash",
    ),
    row(
        68,
        "special_files_in_git",
        "pipes as HEAD, index, configuration and refs, a ref of 1 TiB, a loop of links, a long log, pipes as \
         `.gitignore` and `.gitattributes`",
        "nothing hangs; the files are here, the rest is named",
    ),
    row(
        69,
        "git_directory_moved",
        "the agent moves its git directory next to the checkout or inside it, or deletes it",
        "a moved one is found; the files are here in any case",
    ),
    row(
        70,
        "thousands_of_refs",
        "the agent makes 5,000 branches",
        "the time does not depend on their number; all names and commits are here, in one file",
    ),
    row(
        71,
        "killed_in_the_capture",
        "the watcher is killed and leaves lock files in our git directory and in the cache",
        "the next contact captures the work; the attempt is judged as usual",
    ),
];
