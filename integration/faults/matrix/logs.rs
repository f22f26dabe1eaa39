//! Logs, ends and verdicts.

use super::{Fault, row};

pub const FAULTS: &[Fault] = &[
    row(
        34,
        "log_replaced",
        "the log is truncated, then replaced, then deleted on the host; in between, the program is killed, and the \
         log is cut and grows again while no program reads it",
        "old bytes stay; each change is journaled; new bytes go to `attempt-N.2.log` and so on; output that the agent \
         wrote into moved files is added at its end; verdict, `logs` and `handoff.md` read all parts",
    ),
    row(
        35,
        "huge_log_slow_line",
        "128 MiB at full speed to a slow terminal; then one line of 1 GiB (a sparse file) over 4 MiB/s: its first 48 \
         MiB are mirrored; 5 GiB, and all of it, with HANDOFF_SWEEP=1",
        "never more than 256 MiB resident; what arrived is mirrored byte for byte; the task ends long before its log \
         is here, and the host never reads such a line into memory",
    ),
    row(
        36,
        "binary_log",
        "random bytes, 0xFF, NUL, split UTF-8, no newline, bursts to 1 MiB; the reader is killed twice",
        "the mirror is a prefix of the log at each look, and equal at the end",
    ),
    row(
        37,
        "agent_does_not_exit",
        "the agent finishes its work and never exits; a child keeps its output open",
        "ended after the grace time; judged by its work",
    ),
    row(
        38,
        "stop_meets_exit",
        "`stop` in the moment the agent exits, six times at once",
        "one result, `done` or `stopped`, the same on both sides, which never changes",
    ),
    row(
        39,
        "limit_meets_exit",
        "the time limit is reached in the moment the agent exits",
        "one result, which never changes",
    ),
    row(
        40,
        "escapees",
        "children with sessions of their own, double forks, stopped processes, processes that ignore TERM, and \
         daemons that cleared their environment",
        "all are gone before the result is there, at an exit and at a stop; an unrelated process of the same name and \
         user lives",
    ),
    row(
        88,
        "output_of_setup_and_check",
        "a setup fails, a check fails",
        "its last lines are on the terminal, in `show`, in *Errors Or Blockers* and in both prompts; its log survives \
         `clean`",
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
        "none of it is evidence, for the host or the laptop: both say `truncated`",
    ),
];
