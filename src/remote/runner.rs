//! The runner's text and the constant command lines that call it.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// The requests that a runner answers; see `docs/host.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// Report what the machine is and which agents are installed.
    Probe,
    /// Make sure that an attempt runs, at most once.
    Ensure,
    /// Send state and log bytes as they appear.
    Poll,
    /// Write `next` unless it exists.
    SetNext,
    /// Record an epoch.
    SetEpoch,
    /// Stop an attempt.
    Cancel,
    /// Capture the work of an attempt whose watcher died.
    Capture,
    /// Make the tree available again and delete the handoff.
    Release,
    /// Prepare a damaged cache to take its objects again.
    RepairCache,
    /// Receive the objects of a push as a file, continuing where the last connection was cut.
    ReceivePack,
    /// Send a capture as a pack of what the laptop lacks, in the same way.
    SendPack,
    /// Make a commit of build results that match patterns.
    Artifacts,
    /// List the trees.
    Trees,
    /// Identify the root directory; a new one gets an id.
    Instance,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Verb; 14] = [
        Verb::Probe,
        Verb::Ensure,
        Verb::Poll,
        Verb::SetNext,
        Verb::SetEpoch,
        Verb::Cancel,
        Verb::Capture,
        Verb::Release,
        Verb::RepairCache,
        Verb::ReceivePack,
        Verb::SendPack,
        Verb::Artifacts,
        Verb::Trees,
        Verb::Instance,
    ];

    /// The verb's name in a command line.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Probe => "probe",
            Verb::Ensure => "ensure",
            Verb::Poll => "poll",
            Verb::SetNext => "set-next",
            Verb::SetEpoch => "set-epoch",
            Verb::Cancel => "cancel",
            Verb::Capture => "capture",
            Verb::Release => "release",
            Verb::RepairCache => "repair-cache",
            Verb::ReceivePack => "receive-pack",
            Verb::SendPack => "send-pack",
            Verb::Artifacts => "artifacts",
            Verb::Trees => "trees",
            Verb::Instance => "instance",
        }
    }
}

/// The whole runner, a POSIX sh script. A shell reads a script command by command, so this order decides which part stays
/// in the memory of the processes that live long.
pub fn text() -> &'static str {
    concat!(
        // The resident part: what a watcher and the wrapper of an agent need.
        include_str!("runner/lib.sh"),
        include_str!("runner/instance.sh"),
        include_str!("runner/claim.sh"),
        include_str!("runner/descendants.sh"),
        include_str!("runner/kill.sh"),
        include_str!("runner/new_session.sh"),
        include_str!("runner/limit.sh"),
        include_str!("runner/git.sh"),
        include_str!("runner/modes.sh"),
        include_str!("runner/compare.sh"),
        include_str!("runner/handover.sh"),
        include_str!("runner/refill.sh"),
        include_str!("runner/trees.sh"),
        include_str!("runner/tree.sh"),
        include_str!("runner/repair_cache.sh"),
        include_str!("runner/agent.sh"),
        include_str!("runner/task.sh"),
        include_str!("runner/limits.sh"),
        include_str!("runner/files.sh"),
        include_str!("runner/nested.sh"),
        include_str!("runner/lfs.sh"),
        include_str!("runner/agent_git.sh"),
        include_str!("runner/tips.sh"),
        include_str!("runner/worktrees.sh"),
        include_str!("runner/companions.sh"),
        include_str!("runner/companion_work.sh"),
        include_str!("runner/capture.sh"),
        include_str!("runner/oom_evidence.sh"),
        include_str!("runner/json_reader.sh"),
        include_str!("runner/log_facts.sh"),
        include_str!("runner/verdict.sh"),
        include_str!("runner/next.sh"),
        include_str!("runner/attached.sh"),
        include_str!("runner/prepare.sh"),
        include_str!("runner/watch.sh"),
        include_str!("runner/main.sh"),
        // What a poll needs in addition.
        include_str!("runner/request.sh"),
        include_str!("runner/state_line.sh"),
        include_str!("runner/poll.sh"),
        include_str!("runner/poll_wait.sh"),
        // The other verbs.
        include_str!("runner/ensure.sh"),
        include_str!("runner/acks.sh"),
        include_str!("runner/release.sh"),
        include_str!("runner/list.sh"),
        include_str!("runner/probe.sh"),
        include_str!("runner/open_cache.sh"),
        include_str!("runner/boundary.sh"),
        include_str!("runner/receive_pack.sh"),
        include_str!("runner/send_pack.sh"),
        include_str!("runner/artifacts.sh"),
        include_str!("runner/start.sh"),
    )
}

/// SHA-256 of [`text`] in hexadecimal, which names the runner on a host.
pub fn sha256() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| Sha256::digest(text().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// The beginning of every loader: reads nonce and root from stdin. An empty root is `~/.handoff`, and a relative one is
/// below `~`. The account's umask is kept for everything that runs for the user.
const PRELUDE: &str = "u=$(umask); umask 077; IFS= read -r n; IFS= read -r r; \
    case $r in \"\") r=$HOME/.handoff;; \"~/\"*) r=$HOME/${r#??};; /*) ;; *) r=$HOME/$r;; esac; ";

/// The command line that calls a verb; the request follows on stdin. Only the runner's hash and the verb vary.
///
/// The text is in single quotes and contains no `'`, `!`, backslash or newline, so that every login shell (also csh and
/// fish) passes it on unchanged.
pub fn loader(verb: Verb) -> String {
    format!(
        "exec /bin/sh -c 'h=/bin/sh; {PRELUDE}s=$r/lib/runner-{hash}.sh; if [ -f \"$s\" ]; then \
         exec $h \"$s\" {verb} \"$n\" \"$r\" \"$h\" \"$u\"; fi; echo \"@handoff $n need-runner\"'",
        hash = sha256(),
        verb = verb.word(),
    )
}

/// The command line that installs the runner; nonce, root and [`text`] follow on stdin. The file gets its name after
/// its length was checked, so an interrupted transfer leaves nothing that could run. With `known`, the root must exist
/// already: if its file system is not mounted, only the mount point exists.
pub fn install_loader(known: bool) -> String {
    let must_be_there = match known {
        true => {
            "m=; [ -f \"$r/instance\" ] || [ -d \"$r/work\" ] || m=1; \
             if [ -n \"$m\" ]; then echo \"error unmounted $r\"; \
             for p in \"$r\"/trees/*/*; do [ -d \"$p\" ] && echo \"left $p\"; done | head -n 20; el"
        }
        false => "",
    };
    format!(
        "exec /bin/sh -c '{PRELUDE}f=$r/lib/.runner-{hash}.$$; echo \"@handoff $n begin\"; e=1; \
         {must_be_there}if mkdir -p \"$r/lib\" && head -c {length} >\"$f\" && [ $(($(wc -c <\"$f\"))) -eq {length} ] && \
         mv -f \"$f\" \"$r/lib/runner-{hash}.sh\"; then e=0; \
         else w=$({{ mkdir -p \"$r/lib\" && echo | tee \"$f\" >/dev/null; }} 2>&1); rm -f \"$f\"; \
         echo \"error install $r/lib could not be written: ${{w##*: }}\"; fi; \
         echo \"@handoff $n end $e\"; exit $e'",
        hash = sha256(),
        length = text().len(),
    )
}
