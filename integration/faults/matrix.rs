//! The fault matrix: what may go wrong between a laptop and a host, what is injected to show it, and what is promised.

/// One row. `docs/faults.md` is made of these and of what a run found.
pub struct Fault {
    pub number: u8,
    /// The test's name after `r<number>_`.
    pub name: &'static str,
    pub injected: &'static str,
    pub promised: &'static str,
}

const fn row(number: u8, name: &'static str, injected: &'static str, promised: &'static str) -> Fault {
    Fault { number, name, injected, promised }
}

/// Every row, in order.
pub const FAULTS: &[Fault] = &[
    row(
        1,
        "reset_while_connecting",
        "the first two connections are reset at byte 0; then nobody listens",
        "tried again with jitter, one start; given up within seconds where nobody listens",
    ),
    row(
        2,
        "cut_on_the_way_up",
        "a run is cut at byte N, from the greeting to the fetch, laptop to host, by reset and by close; every other program is killed with it",
        "it goes on by itself, or the same command again; exactly one start",
    ),
    row(
        3,
        "cut_on_the_way_down",
        "the same, host to laptop",
        "it goes on by itself, or the same command again; exactly one start",
    ),
    row(
        4,
        "two_controllers",
        "the same command twice at once, 0 to 500 ms apart",
        "one start, both follow it to its end",
    ),
    row(
        5,
        "controller_killed_after_dispatching",
        "SIGKILL 0 to 200 ms after the dispatch is journaled",
        "`watch` finds the same attempt; one start",
    ),
    row(
        6,
        "controller_killed_while_mirroring",
        "SIGKILL, eight times at random moments, while a burst of log bytes is written; `watch` each time",
        "a prefix of the host's log after each, equal to it at the end",
    ),
    row(
        7,
        "laptop_sleeps",
        "the controller is stopped, its connection goes dead without a word, the task ends meanwhile; it wakes",
        "a new connection within seconds, the log is whole, no verdict was made up",
    ),
    row(
        8,
        "black_hole_for_a_day",
        "nothing passes: for some seconds in earnest, for 24 h of a clock the test moves",
        "`unreachable since`, never failed; few tries, one event; goes on within seconds of the return",
    ),
    row(
        9,
        "address_changes",
        "the host answers at another port, which the ssh configuration names in the middle of a run",
        "reconnects there; the log is whole",
    ),
    row(10, "session_killed", "SIGKILL of the sshd session", "the task does not notice; the stream goes on"),
    row(
        11,
        "sshd_restarted",
        "the server is stopped and started again",
        "the task does not notice; the stream goes on",
    ),
    row(
        12,
        "socket_destroyed",
        "`ss -K` destroys the connection's socket, twice",
        "reconnects within seconds; one attempt",
    ),
    row(
        13,
        "max_startups",
        "the server refuses connections before the banner (MaxStartups 1:100:1, and the one is taken)",
        "one login; tried again with growing delays",
    ),
    row(14, "max_sessions", "MaxSessions 1", "commands take turns; one login"),
    row(
        15,
        "address_penalised",
        "connections are closed before the banner, as a penalty does, at the start and during a run",
        "one clear message, growing delays, no hammering",
    ),
    row(
        16,
        "key_removed",
        "authorized_keys is emptied while the task runs, then the line is cut",
        "the program stops and says so (exit 5), without a second try; the task goes on, and `watch` finds it",
    ),
    row(
        17,
        "host_key_swapped",
        "the server comes back with another host key",
        "a hard failure (exit 5: the task goes on); nothing is sent",
    ),
    row(
        18,
        "idle_channels_closed",
        "the server closes idle channels and connections (ChannelTimeout, UnusedConnectionTimeout)",
        "opened again over the same connection, unseen",
    ),
    row(
        19,
        "odd_login_shells",
        "fish, tcsh, zsh as login shell; a noisy rc file; one that fails",
        "the task is done all the same",
    ),
    row(
        20,
        "missing_tools",
        "no setsid, no perl, no flock, busybox alone",
        "another way is found; stop still ends the whole tree",
    ),
    row(
        21,
        "reboot",
        "every process dies and the boot id is another",
        "`lost`, said to be by a reboot; no signal is sent; tried again by the policy",
    ),
    row(22, "reboot_after_the_result", "the same, after the result was written", "the result counts"),
    row(
        23,
        "pid_recycled",
        "the kernel gives the pids of watcher, wrapper and agent to other processes of the user",
        "not taken for ours, and not killed",
    ),
    row(
        24,
        "watcher_killed",
        "SIGKILL of the watcher",
        "the exit status is recorded; a new watcher attends, nothing starts twice",
    ),
    row(
        25,
        "watcher_and_wrapper_killed",
        "SIGKILL of both; the agent lives on",
        "still running; stop works; its end is `lost`",
    ),
    row(26, "agent_killed", "SIGKILL of the agent", "the signal is recorded: `crashed`"),
    row(
        27,
        "agent_stopped",
        "SIGSTOP of the agent",
        "`show` says that it is stopped; the limit for no progress ends it",
    ),
    row(
        28,
        "agent_out_of_memory",
        "the host has a memory cgroup with a limit, and the agent outgrows it",
        "`oom`, by the counter of the cgroup; the watcher lives",
    ),
    row(
        29,
        "everything_out_of_memory",
        "the cgroup's limit kills watcher, wrapper and agent",
        "`oom` at the next contact, by the counter noted before the agent; no exit code is made up",
    ),
    row(30, "disk_full_before_the_start", "the host's file system is full", "refused; nothing half-made"),
    row(
        31,
        "disk_full_during_the_run",
        "the file system fills up while the agent works",
        "the result is recorded: `disk-full`",
    ),
    row(32, "no_inodes", "no inode is free while the agent works", "the result is recorded"),
    row(33, "read_only", "the file system is remounted read-only", "noticed, and said clearly"),
    row(
        34,
        "log_replaced",
        "the log is truncated, then replaced, then deleted on the host; between, the program is killed, and the log is cut and \
         grows again while nobody looks",
        "old bytes stay, each time is journaled, new bytes go on in `attempt-N.2.log` and so on; what the agent wrote into \
         files moved away comes back at its end; verdict, `logs` and `handoff.md` read all parts",
    ),
    row(
        35,
        "huge_log_slow_line",
        "128 MiB at full speed before a slow terminal; then one line of 5 GiB (a hole) on a line of 8 MiB/s, mirrored for its \
         first 48 MiB, whole with HANDOFF_SWEEP=1",
        "never more than 256 MiB resident; the burst and what has come of the line are mirrored byte for byte; the task \
         ends long before its log is here, and its host reads no such line into memory",
    ),
    row(
        36,
        "binary_log",
        "random bytes, 0xFF, NUL, split UTF-8, no newline, bursts to 1 MiB; the reader is killed twice",
        "the mirror is a beginning of the log at each look, and equal at the end",
    ),
    row(
        37,
        "agent_does_not_exit",
        "the agent ends its work and never exits; a child holds its output",
        "ended after the grace; judged by its work",
    ),
    row(
        38,
        "stop_meets_exit",
        "`stop` in the moment the agent exits, six times at once",
        "one result, `done` or `stopped`, the same on both sides, which never changes",
    ),
    row(39, "limit_meets_exit", "the time limit in the moment the agent exits", "one result, which never changes"),
    row(
        40,
        "escapees",
        "children with sessions of their own, double forks, stopped processes, ones that ignore TERM, and daemons that cleared their environment",
        "all gone before the result is there, at an exit and at a stop; a bystander of the same name and user lives",
    ),
    row(
        41,
        "push_cut",
        "the line is cut in the middle of the pack; receive-pack is killed; the cache cannot be written",
        "no ref moved; sent again by itself, it works; what was left is removed after an hour; a push that fails for good \
         leaves no watcher waiting, and `watch` sends it again",
    ),
    row(
        42,
        "cache_broken",
        "a pack of the host's cache is cut short, a file's content in one is overwritten, a loose object is emptied; all \
         that laptops sent is pruned",
        "noticed by the push or by the ship's proof, before an agent starts; said, mended and sent again by itself; a \
         capture that was not fetched stays",
    ),
    row(
        43,
        "commits_during_the_snapshot",
        "the user edits, stages and commits in a loop; index.lock is held",
        "HEAD and index are of one moment, each file is whole and what lay there; no command of the user's fails, and the \
         lock is neither waited for nor touched",
    ),
    row(
        44,
        "odd_repositories",
        "a nested repository, an unreadable file, assume-unchanged and skip-worktree edits, a dirty submodule, an LFS \
         pointer, ignored files, an empty directory, a pipe; a merge, shallow and partial clones, an unborn HEAD",
        "each captured, or listed by `run` with the reason; what would arrive incomplete is refused with the way out",
    ),
    row(
        45,
        "branch_moved_back",
        "the laptop's branch is reset behind the base, the reflog expired and pruned, while the agent works",
        "the work is fetched, `diff` shows the agent's change alone, `takeover` lands it on the base; nothing checked out \
         changes",
    ),
    row(
        46,
        "old_attempt_returns",
        "a host goes on behind a black hole, the handoff is moved to another, and the hole heals",
        "told of the epoch, stopped, its work kept as superseded and applied nowhere",
    ),
    row(
        47,
        "claim_of_another_node",
        "another machine with the same home answers in the middle of a run; the first one dies",
        "unknown, not dead: nothing starts, what is written there is followed, and it is said what to do",
    ),
    row(
        48,
        "tools_that_hang",
        "flock, setsid or df never return",
        "given up after a while, with a message or by another way",
    ),
    row(
        49,
        "batch_queue",
        "an agent CLI, allowed one attempt, submits a job to a queue and then fails",
        "one run, its own exit status, never a false `lost`; the job is left alone",
    ),
    row(
        50,
        "user_manager_dies",
        "systemd's user manager is stopped while the agent works",
        "not used to start anything: the task does not notice",
    ),
    row(
        51,
        "clock_skew",
        "the host's clock is a day off, and steps in the middle of a run",
        "ages are right; limits hold",
    ),
    row(
        52,
        "runner_upgraded",
        "the program is upgraded while an attempt lives whose watcher runs an older script (each released one, and another)",
        "followed to its end, and stopped, by the new program, which puts its own script beside it",
    ),
    row(
        53,
        "runner_upload_cut",
        "the runner's upload is cut at five points, by reset and by close",
        "not used, nothing runs, what arrived is removed; sent again",
    ),
    row(
        54,
        "hostile_names",
        "branch, path, task and environment full of quotes, newlines, escapes",
        "nothing is executed; exact bytes arrive",
    ),
    row(
        55,
        "large_push_cut",
        "a push of 48 MiB is cut twice, and the laptop's program killed in between",
        "goes on where it was, the program's next call too; one start; no part of it is left on either side",
    ),
    row(
        56,
        "large_fetch_cut",
        "the fetch of a 48 MiB capture is cut, and the laptop's program killed later in it",
        "goes on where it was, the program's next call too; what was captured is here whole; no part of it is left",
    ),
    row(
        57,
        "root_lost",
        "the agent deletes `~/.handoff`, or only the handoff's part; an older state of it comes back; another machine answers under its name",
        "one start of each attempt; it waits while the directory is missing, else it ends as `lost`; nothing is left running, and only an allowed number follows",
    ),
    row(
        58,
        "root_away",
        "the file system of `~/.handoff` is moved or unmounted while the agent works, and while it ends",
        "the attempt waits and says so; nothing is made there; one start, and the agent's own exit status",
    ),
    row(
        59,
        "own_processes_stopped",
        "SIGSTOP of the watcher, the wrapper, or both; a frozen cgroup",
        "`stop` and `takeover` end within a minute with the work; one watcher at a time; the exit status is recorded",
    ),
    row(
        60,
        "changed_after_the_capture",
        "files of a tree are changed and made after the capture, with the size and the time of before",
        "kept and named by `clean`, left alone by the next handoff; discarded only when asked",
    ),
    row(
        61,
        "moved_away_and_back",
        "the agent leaves an ignored file, a file in the record's directory and nested repositories; the handoff moves to another host and back",
        "the work goes into another tree; the first one is kept whole and named by `show --host` and `clean`",
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
        "named; never called released before it is; no handoff is stopped, and the tree is used no more",
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
        "the agent leaves an unreadable directory and file, a pipe, a nested repository, names and contents that git refuses",
        "the work is here; each is named with its size at the end of the attempt, in `show`, in `handoff.md` and in `--json`",
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
        "pipes as HEAD, index, configuration and refs, a ref of 1 TiB, a loop of links, a long log, pipes as `.gitignore` and `.gitattributes`",
        "nothing hangs; the files are here, the rest is named",
    ),
    row(
        69,
        "git_directory_moved",
        "the agent moves its git directory next to the checkout or inside it, or deletes it",
        "it is found where it was moved to; the files are here in any case",
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
    row(
        72,
        "settings_of_a_disk",
        "the laptop's configuration says that its disk folds case and has no modes; the agent renames a file in its letters only and makes a twin",
        "each side uses what its own disk can do; every file arrives, and comes back, under its own name",
    ),
    row(
        73,
        "defaults_of_another_git",
        "the account on the host, and the laptop's shell, export GIT_ variables: defaults of git 3, literal pathspecs, another git directory",
        "our git sees none of them, the agent sees the host's; branches and commits come back",
    ),
    row(
        74,
        "cache_of_another_format",
        "the cache on the host was made with another object format",
        "replaced, and the run succeeds; what it had captured is kept under another name",
    ),
    row(
        75,
        "modes_of_the_checkout",
        "the account's umask is 027",
        "the checkout has the modes of a clone under umask 022, in a directory that nobody else enters; the agent has the account's umask",
    ),
    row(
        76,
        "odd_cursor",
        ".cursor is a link, a file or a submodule, a link is below it, the agent makes it a link",
        "shipped and captured like any file; the record is in the git directory alone, and run, show and takeover say where; nothing is written through a link",
    ),
    row(
        77,
        "content_that_git_does_not_hold",
        "a filter with a key in the git directory, git-crypt, git-annex",
        "each file is listed before the agent starts; a takeover succeeds, and names what it has as git stores it",
    ),
    row(
        78,
        "places_for_a_takeover",
        "the place of a takeover exists, has no directory, cannot be written, is on a full disk",
        "refused with the option that names another place, before the agent is stopped; nothing is half-made; the next takeover succeeds",
    ),
    row(
        79,
        "bad_side_branch",
        "an object that git's check refuses, on a side branch of the agent's",
        "the branch is named with the setting that accepts it and kept on its host; work, pull, takeover and clean are as always",
    ),
    row(
        80,
        "refused_work",
        "the work itself has an object that could harm who checks it out, by git's protocol and in a pack of 32 MiB",
        "refused each time, and nothing of it stays; the command that is printed accepts it",
    ),
    row(81, "odd_history", "a commit with an impossible time zone, as in old public histories", "the work comes back"),
    row(
        82,
        "silent_ssh_agent",
        "an ssh-agent takes the connection and never answers",
        "given up after ten seconds with a word; the key file is tried",
    ),
    row(
        83,
        "known_hosts_of_all_kinds",
        "a known_hosts file with a space in its path, `/dev/null`, a missing one and one that cannot be written, with StrictHostKeyChecking",
        "let in as by `ssh`",
    ),
    row(
        84,
        "name_without_address",
        "a mistyped host at `run` and at `resume`",
        "an end with what was meant, and nothing recorded",
    ),
    row(
        85,
        "forged_sections",
        "the agent's last message has headings with a tab, setext headings, an HTML comment, fences, lists with headings",
        "the record has the program's sections and no others; what a person wrote in one stays",
    ),
    row(
        86,
        "captured_record_path",
        "a forged capture holds the record's path, as links to files of the laptop's",
        "nothing is read or written through a link; the record of the takeover is the program's",
    ),
    row(
        87,
        "repository_moved",
        "the repository is moved while the agent works, and another directory is at its old path",
        "the record is written where the repository is now, nothing at the old path",
    ),
    row(
        88,
        "output_of_setup_and_check",
        "a setup fails, a check fails",
        "its last lines are on the terminal, in `show`, *Errors Or Blockers* and both prompts; its log outlives `clean`",
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
    row(
        91,
        "continues_after_its_result",
        "an agent continues in the background after its first terminal event, for longer than the grace time",
        "not ended by the grace time, and judged by its last terminal event",
    ),
    row(
        92,
        "number_that_looks_like_a_signal",
        "an agent returns 137 itself, or is killed",
        "an exit code, or a signal: as the wrapper saw it",
    ),
    row(
        93,
        "log_that_quotes_an_end",
        "tool arguments hold a terminal event, an event is torn by stderr, and its rest has the words of an error",
        "no evidence for the host or the laptop: both say `truncated`",
    ),
];
