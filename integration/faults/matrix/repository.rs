//! The user's repository, and the record in it.

use super::{Fault, row};

pub const FAULTS: &[Fault] = &[
    row(
        43,
        "commits_during_the_snapshot",
        "the user edits, stages and commits in a loop; index.lock exists",
        "HEAD and index are of one moment, and each file has the content that it had at that moment; no command of \
         the user's fails, and the lock is neither waited for nor touched",
    ),
    row(
        44,
        "odd_repositories",
        "a nested repository, an unreadable file, assume-unchanged and skip-worktree edits, a dirty submodule, an LFS \
         pointer, ignored files, an empty directory, a pipe; a partial clone, an unborn HEAD",
        "each is captured, or listed by `run` with the reason; a repository that would arrive incomplete is refused, \
         with the command that helps",
    ),
    row(
        45,
        "branch_moved_back",
        "the laptop's branch is reset behind the base, the reflog expired and pruned, while the agent works",
        "the work is fetched, `diff` shows the agent's change alone, `takeover` starts from the base; nothing checked \
         out changes",
    ),
    row(
        54,
        "hostile_names",
        "branch, path, task and environment full of quotes, newlines, escapes",
        "nothing is executed; the exact bytes arrive",
    ),
    row(
        76,
        "odd_cursor",
        ".cursor is a link, a file or a submodule, a link is below it, the agent makes it a link",
        "shipped and captured like any file; the record is in the git directory alone, and run, show and takeover say \
         where; nothing is written through a link",
    ),
    row(
        77,
        "content_that_git_does_not_hold",
        "a filter with a key in the git directory, git-crypt, git-annex",
        "each file is listed before the agent starts; a takeover succeeds, and names the files that it has as git \
         stores them",
    ),
    row(
        78,
        "places_for_a_takeover",
        "the place of a takeover exists, has no directory, cannot be written, is on a full disk",
        "refused with the option that names another place, before the agent is stopped; nothing is left behind; the \
         next takeover succeeds",
    ),
    row(
        85,
        "forged_sections",
        "the agent's last message has headings with a tab, setext headings, an HTML comment, fences, lists with \
         headings",
        "the record has the program's sections and no others; what a person wrote in one stays",
    ),
    row(
        86,
        "captured_record_path",
        "a forged capture contains the record's path, as links to files of the laptop's",
        "nothing is read or written through a link; the record of the takeover is the program's",
    ),
    row(
        87,
        "repository_moved",
        "the repository is moved while the agent works, and another directory is at its old path",
        "the record is written where the repository is now, nothing at the old path",
    ),
    row(
        89,
        "echoed_secret",
        "agent and check print a secret",
        "masked on every screen, in the journal and in the record; only the log in the git directory is byte-exact",
    ),
    row(
        90,
        "foreign_bytes",
        "escape sequences in files, names, messages, the log and the check's output, on a terminal",
        "`run`, `diff`, `logs`, `show` and `list` send none of them to it",
    ),
];
