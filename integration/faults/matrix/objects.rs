//! Git objects and scripts on their way.

use super::{Fault, row};

pub const FAULTS: &[Fault] = &[
    row(
        41,
        "push_cut",
        "the connection is cut in the middle of the pack; receive-pack is killed; the cache cannot be written",
        "no ref moves; the push continues and succeeds; leftovers are removed after a week; a push that fails for \
         good leaves no watcher waiting, and `watch` sends it again",
    ),
    row(
        42,
        "cache_broken",
        "a pack of the host's cache is truncated, a file's content in one is overwritten, a loose object is emptied; \
         everything that laptops sent is pruned",
        "noticed by the push or by the verification of the checkout, before an agent starts; reported, repaired and \
         sent again automatically; a capture that was not fetched stays",
    ),
    row(
        53,
        "runner_upload_cut",
        "the runner's upload is cut at five points, by reset and by close",
        "the partial file is not used and is removed; nothing runs; the upload is sent again",
    ),
    row(
        55,
        "large_push_cut",
        "a push of 48 MiB is cut twice, and the laptop's program is killed in between",
        "it continues at the byte where it stopped, also in the program's next call; one start; no part of it is left \
         on either side",
    ),
    row(
        56,
        "large_fetch_cut",
        "the fetch of a 48 MiB capture is cut, and the laptop's program is killed later in it",
        "it continues at the byte where it stopped, also in the program's next call; the capture is here and \
         complete; no part of the transfer is left",
    ),
    row(
        79,
        "bad_side_branch",
        "an object that git's check refuses, on a side branch of the agent's",
        "the branch is named with the setting that accepts it, and stays on its host; work, pull, takeover and clean \
         are not affected",
    ),
    row(
        80,
        "refused_work",
        "the work itself has an object that could harm whoever checks it out, in a small pack and in one of 32 \
         MiB",
        "refused each time, and nothing of it stays; the printed command accepts it",
    ),
    row(81, "odd_history", "a commit with an impossible time zone, as in old public histories", "the work comes back"),
];
