//! The runner's text and the constant command lines that call it.

use std::sync::OnceLock;

use sha2::{Digest, Sha256};

#[cfg(test)]
mod tests;

/// What a host can be asked to do; see `docs/host.md`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// What the machine is and which agents are on it.
    Probe,
    /// `git receive-pack` on the cache: everything after `serving` is git's protocol.
    Receive,
    /// `git upload-pack` on the cache, likewise.
    Upload,
    /// Have an attempt run, at most once.
    Ensure,
    /// State and log bytes, as they come.
    Poll,
    /// Write `next`, where none is there.
    SetNext,
    /// Write an epoch.
    SetEpoch,
    /// Stop an attempt.
    Cancel,
    /// Capture the work of an attempt whose watcher died.
    Capture,
    /// Give the tree back and forget the handoff.
    Release,
    /// Make a damaged cache fit to take its objects again.
    RepairCache,
    /// Take the objects of a large push as a file, from where the last connection was cut.
    ReceivePack,
    /// Give a large capture as a file, likewise.
    SendPack,
    /// List the trees.
    Trees,
    /// Which root directory this is; it is made where nothing is known of it.
    Instance,
}

impl Verb {
    /// Every verb.
    pub const ALL: [Verb; 15] = [
        Verb::Probe,
        Verb::Receive,
        Verb::Upload,
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
        Verb::Trees,
        Verb::Instance,
    ];

    /// The word the runner knows it by.
    pub fn word(self) -> &'static str {
        match self {
            Verb::Probe => "probe",
            Verb::Receive => "receive",
            Verb::Upload => "upload",
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
            Verb::Trees => "trees",
            Verb::Instance => "instance",
        }
    }
}

/// The whole runner: one readable POSIX sh script.
pub fn text() -> &'static str {
    concat!(
        include_str!("runner/lib.sh"),
        include_str!("runner/request.sh"),
        include_str!("runner/instance.sh"),
        include_str!("runner/claim.sh"),
        include_str!("runner/descendants.sh"),
        include_str!("runner/kill.sh"),
        include_str!("runner/new_session.sh"),
        include_str!("runner/limit.sh"),
        include_str!("runner/git.sh"),
        include_str!("runner/modes.sh"),
        include_str!("runner/compare.sh"),
        include_str!("runner/trees.sh"),
        include_str!("runner/tree.sh"),
        include_str!("runner/agent.sh"),
        include_str!("runner/task.sh"),
        include_str!("runner/limits.sh"),
        include_str!("runner/files.sh"),
        include_str!("runner/nested.sh"),
        include_str!("runner/agent_git.sh"),
        include_str!("runner/tips.sh"),
        include_str!("runner/worktrees.sh"),
        include_str!("runner/capture.sh"),
        include_str!("runner/oom_evidence.sh"),
        include_str!("runner/json_reader.sh"),
        include_str!("runner/log_facts.sh"),
        include_str!("runner/verdict.sh"),
        include_str!("runner/next.sh"),
        include_str!("runner/prepare.sh"),
        include_str!("runner/watch.sh"),
        include_str!("runner/state_line.sh"),
        include_str!("runner/poll.sh"),
        include_str!("runner/poll_wait.sh"),
        include_str!("runner/ensure.sh"),
        include_str!("runner/acks.sh"),
        include_str!("runner/release.sh"),
        include_str!("runner/list.sh"),
        include_str!("runner/probe.sh"),
        include_str!("runner/serve.sh"),
        include_str!("runner/repair_cache.sh"),
        include_str!("runner/receive_pack.sh"),
        include_str!("runner/send_pack.sh"),
        include_str!("runner/main.sh"),
    )
}

/// SHA-256 of [`text`] in hexadecimal: the runner's name on a host.
pub fn sha256() -> &'static str {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| Sha256::digest(text().as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect())
}

/// Reads nonce and root from stdin, as every loader begins. An empty root is `~/.handoff`, a relative one is under `~`.
/// The account's umask is kept for what runs for the user.
const PRELUDE: &str = "u=$(umask); umask 077; IFS= read -r n; IFS= read -r r; \
    case $r in \"\") r=$HOME/.handoff;; \"~/\"*) r=$HOME/${r#??};; /*) ;; *) r=$HOME/$r;; esac; ";

/// The command line that calls a verb; the request follows on stdin. Constant but for the runner's hash and the verb.
///
/// The text stands in single quotes and holds no `'`, `!`, backslash or newline, so that every login shell (csh and
/// fish too) passes it on unchanged.
pub fn loader(verb: Verb) -> String {
    format!(
        "exec /bin/sh -c 'h=/bin/sh; {PRELUDE}s=$r/lib/runner-{hash}.sh; if [ -f \"$s\" ]; then \
         exec $h \"$s\" {verb} \"$n\" \"$r\" \"$h\" \"$u\"; fi; echo \"@handoff $n need-runner\"'",
        hash = sha256(),
        verb = verb.word(),
    )
}

/// The command line that installs the runner; nonce, root and [`text`] follow on stdin. It is used by its name only
/// after its length was checked, so a cut transfer leaves nothing that could run. With `known`, the root must be there already:
/// of a file system that is not mounted, only the mount point is.
pub fn install_loader(known: bool) -> String {
    let must_be_there = match known {
        true => {
            "m=; [ -f \"$r/instance\" ] || [ -d \"$r/work\" ] || m=1; \
             if [ -n \"$m\" ]; then echo \"error unmounted $r\"; el"
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
