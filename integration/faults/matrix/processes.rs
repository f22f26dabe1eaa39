//! Processes and machines that die, stop, or come back.

use super::{Fault, row};

pub const FAULTS: &[Fault] = &[
    row(
        4,
        "two_controllers",
        "the same command twice at once, 0 to 500 ms apart",
        "one start; both commands follow it to its end",
    ),
    row(
        5,
        "controller_killed_after_dispatching",
        "SIGKILL of the program 0 to 200 ms after the dispatch is journaled",
        "`watch` finds the same attempt; one start",
    ),
    row(
        6,
        "controller_killed_while_mirroring",
        "SIGKILL of the program, eight times at random moments, while a burst of log bytes is written; `watch` each \
         time",
        "the mirror is a prefix of the host's log after each kill, and equal to it at the end",
    ),
    row(
        21,
        "reboot",
        "every process dies and the boot id changes",
        "`lost`, with the reboot as the reason; no signal is sent; the policy decides about a retry",
    ),
    row(22, "reboot_after_the_result", "the same, after the result was written", "the result counts"),
    row(
        23,
        "pid_recycled",
        "the kernel gives the pids of watcher, wrapper and agent to other processes of the user",
        "those are recognised as other processes and not killed",
    ),
    row(
        24,
        "watcher_killed",
        "SIGKILL of the watcher",
        "the exit status is recorded; a new watcher supervises the attempt; nothing starts twice",
    ),
    row(
        25,
        "watcher_and_wrapper_killed",
        "SIGKILL of watcher and wrapper; the agent lives on",
        "still running; stop works; its end is `lost`",
    ),
    row(26, "agent_killed", "SIGKILL of the agent", "the signal is recorded: `crashed`"),
    row(27, "agent_stopped", "SIGSTOP of the agent", "`show` says that it is stopped; the no-progress limit ends it"),
    row(
        28,
        "agent_out_of_memory",
        "the host has a memory cgroup with a limit, and the agent outgrows it",
        "`oom`, proven by the counter of the cgroup; the watcher lives",
    ),
    row(
        29,
        "everything_out_of_memory",
        "the cgroup's limit kills watcher, wrapper and agent",
        "`oom` at the next contact, proven by the counter noted before the agent; no exit code is invented",
    ),
    row(
        46,
        "old_attempt_returns",
        "a host continues behind a black hole, the handoff is moved to another host, and the hole heals",
        "the host receives the new epoch and is stopped; its work is kept as superseded and never applied",
    ),
    row(
        47,
        "claim_of_another_node",
        "another machine with the same home answers in the middle of a run; the first one dies",
        "unknown, not dead: nothing starts, new log bytes are mirrored, and a message says what to do",
    ),
    row(
        49,
        "batch_queue",
        "an agent CLI with one allowed attempt submits a job to a queue and then fails",
        "one run with its own exit status, never a false `lost`; the job is not touched",
    ),
    row(
        50,
        "user_manager_dies",
        "systemd's user manager is stopped while the agent works",
        "the task does not depend on it",
    ),
    row(
        52,
        "runner_upgraded",
        "the program is upgraded while an attempt lives whose watcher runs an older script (each released one, and \
         another)",
        "the new program follows it to its end and can stop it, with its own script next to the old one",
    ),
    row(
        57,
        "root_lost",
        "the agent deletes `~/.handoff`, or only the handoff's part; an older state of it comes back; another machine \
         answers under its name",
        "one start of each attempt; it waits while the directory is missing, otherwise it ends as `lost`; nothing is \
         left running, and only an allowed number follows",
    ),
    row(
        58,
        "root_away",
        "the file system of `~/.handoff` is moved or unmounted while the agent works, and while it ends",
        "the attempt waits and says so; nothing is created there; one start, and the agent's own exit status",
    ),
    row(
        59,
        "own_processes_stopped",
        "SIGSTOP of the watcher, the wrapper, or both; a frozen cgroup",
        "`stop` and `takeover` end within a minute with the work; one watcher at a time; the exit status is recorded",
    ),
];
