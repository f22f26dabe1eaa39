//! What a host lacks, or does in its own way.

use super::{Fault, row};

pub const FAULTS: &[Fault] = &[
    row(
        19,
        "odd_login_shells",
        "fish, tcsh, zsh as login shell; a noisy rc file; one that fails",
        "the task runs to its end",
    ),
    row(
        20,
        "missing_tools",
        "no setsid, no perl, no flock, busybox alone",
        "another way is found; stop still ends the whole process tree",
    ),
    row(30, "disk_full_before_the_start", "the host's file system is full", "refused; nothing is left behind"),
    row(
        31,
        "disk_full_during_the_run",
        "the file system fills up while the agent works",
        "the result is recorded: `disk-full`",
    ),
    row(32, "no_inodes", "no inode is free while the agent works", "the result is recorded"),
    row(33, "read_only", "the file system is remounted read-only", "detected, with a clear message"),
    row(
        48,
        "tools_that_hang",
        "flock, setsid or df never return",
        "given up after a while, with a message or by another way",
    ),
    row(
        51,
        "clock_skew",
        "the host's clock is a day off, and steps in the middle of a run",
        "ages are right; limits are enforced",
    ),
    row(
        72,
        "settings_of_a_disk",
        "the laptop's configuration says that its disk folds case and has no modes; the agent changes only the case \
         of a file's name and makes a twin",
        "each side uses what its own disk can do; every file arrives, and comes back, under its own name",
    ),
    row(
        73,
        "defaults_of_another_git",
        "the account on the host, and the laptop's shell, export GIT_ variables: defaults of git 3, literal \
         pathspecs, another git directory",
        "handoff's git sees none of them, the agent sees the host's; branches and commits come back",
    ),
    row(
        74,
        "cache_of_another_format",
        "the cache on the host was made with another object format",
        "replaced, and the run succeeds; captures in the old cache are kept under another name",
    ),
    row(
        75,
        "modes_of_the_checkout",
        "the account's umask is 027",
        "the checkout has the modes of a clone under umask 022, in a directory that no other user can enter; the \
         agent has the account's umask",
    ),
];
