//! Why a runner refuses a request.

use crate::model::words::words;

words! {
    /// The class of a refusal. Its text is for people.
    RefusalClass {
        /// The root has nothing of the handoff.
        Absent = "absent",
        /// The attempt was started before.
        Begun = "begun",
        /// Another request of the same kind is at work.
        Busy = "busy",
        /// The cache of the repository is missing or damaged.
        Cache = "cache",
        Capture = "capture",
        /// Objects that arrived are not those that were sent.
        Damaged = "damaged",
        DiskFull = "disk-full",
        /// The host knows a higher epoch.
        Epoch = "epoch",
        Grant = "grant",
        /// The tree is kept, for the reason in the text.
        Kept = "kept",
        /// Objects are missing that the pack builds on.
        Lacking = "lacking",
        NoGit = "no-git",
        /// The handoff has no checkout any more.
        NoTree = "no-tree",
        NoWatcher = "no-watcher",
        /// Another machine that shares the directory owns the attempt.
        OtherNode = "other-node",
        /// The root directory is another one than the laptop knows.
        OtherRoot = "instance",
        /// The request cannot be read.
        Request = "request",
        Shell = "shell",
        /// Some of the bytes that were sent did not arrive.
        Truncated = "truncated",
        /// The tree has content that the laptop has not acknowledged.
        Unacknowledged = "unacknowledged",
        Uncaptured = "uncaptured",
        Unfinished = "unfinished",
        /// The host has no such attempt.
        Unknown = "unknown",
        /// The root directory is missing.
        Unmounted = "unmounted",
    }
}
