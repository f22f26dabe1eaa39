//! The line, the SSH server and the login.

use super::{Fault, row};

pub const FAULTS: &[Fault] = &[
    row(
        1,
        "reset_while_connecting",
        "the first two connections are reset at byte 0; then no server listens",
        "retries with jitter, one start; gives up within seconds where no server listens",
    ),
    row(
        2,
        "cut_on_the_way_up",
        "a run is cut at byte N, from the banner to the fetch, laptop to host, by reset and by close; in every second \
         run the program is killed too",
        "the run continues by itself, or by the same command again; exactly one start",
    ),
    row(
        3,
        "cut_on_the_way_down",
        "the same, host to laptop",
        "the run continues by itself, or by the same command again; exactly one start",
    ),
    row(
        7,
        "laptop_sleeps",
        "the program is stopped (SIGSTOP), its connection dies silently, the task ends meanwhile; the program \
         continues",
        "a new connection within seconds; the log is complete; no verdict is invented",
    ),
    row(
        8,
        "black_hole_for_a_day",
        "no packet passes: for some seconds in real time, for 24 h of a clock that the test moves",
        "`unreachable since`, never failed; few tries, one event; continues within seconds of the return",
    ),
    row(
        9,
        "address_changes",
        "the host answers at another port, which the ssh configuration names in the middle of a run",
        "reconnects there; the log is complete",
    ),
    row(10, "session_killed", "SIGKILL of the sshd session", "the task is not affected; the stream continues"),
    row(
        11,
        "sshd_restarted",
        "the server is stopped and started again",
        "the task is not affected; the stream continues",
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
        "the server refuses connections before the banner (MaxStartups 1:100:1, with the one slot taken)",
        "one login; retries with growing delays",
    ),
    row(14, "max_sessions", "MaxSessions 1", "commands take turns; one login"),
    row(
        15,
        "address_penalised",
        "connections are closed before the banner, as by PerSourcePenalties, at the start and during a run",
        "one clear message, growing delays, no hammering",
    ),
    row(
        16,
        "key_removed",
        "authorized_keys is emptied while the task runs, then the connection is cut",
        "the program ends with a message (exit 5) and no second login; the task continues, and `watch` finds it",
    ),
    row(
        17,
        "host_key_swapped",
        "the server comes back with another host key",
        "a hard failure (exit 5: the task continues); nothing is sent",
    ),
    row(
        18,
        "idle_channels_closed",
        "the server closes idle channels and connections (ChannelTimeout, UnusedConnectionTimeout)",
        "channels are opened again over the same connection; the user sees nothing",
    ),
    row(
        82,
        "silent_ssh_agent",
        "an ssh-agent accepts the connection and never answers",
        "given up after ten seconds with a message; the key file is tried",
    ),
    row(
        83,
        "known_hosts_of_all_kinds",
        "a known_hosts file with a space in its path, `/dev/null`, a missing one and one that cannot be written, with \
         StrictHostKeyChecking",
        "accepts and refuses the same keys as `ssh`",
    ),
    row(
        84,
        "name_without_address",
        "a mistyped host at `run` and at `resume`",
        "an error with the host that was probably meant; nothing is recorded",
    ),
];
