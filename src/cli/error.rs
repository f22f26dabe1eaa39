//! Errors as the user sees them: what happened, to what, and the command that helps. All hints are in this file.

#[cfg(test)]
mod tests;

use std::fmt::Display;

use super::context;
use super::exit;
use super::ways::{self, ssh};
use crate::agent::profiles::UnknownAgent;
use crate::git;
use crate::model::refusal::accept;
use crate::remote::error::RemoteError;
use crate::remote::refusal::RefusalClass;
use crate::state;
use crate::supervise::error::Error as SuperviseError;
use crate::transport::{Listed, TransportError, UnreachableKind, WhyUnknown};

/// An error that ends a command.
#[derive(Debug)]
pub struct Error {
    pub code: u8,
    message: String,
    hints: Vec<String>,
}

impl Error {
    /// What happened, without the hints.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The request itself is wrong.
    pub fn usage(message: impl Display) -> Self {
        Error { code: exit::USAGE, message: message.to_string(), hints: vec![] }
    }

    /// The request was right and failed.
    pub fn failed(message: impl Display) -> Self {
        Error { code: exit::FAILED, message: message.to_string(), hints: vec![] }
    }

    #[must_use]
    pub fn code(self, code: u8) -> Self {
        Error { code, ..self }
    }

    #[must_use]
    pub fn hint(mut self, hint: impl Display) -> Self {
        let hint = hint.to_string();
        if !self.hints.contains(&hint) {
            self.hints.push(hint);
        }
        self
    }

    /// The same error with another command as its hint.
    #[must_use]
    pub fn instead(self, hint: impl Display) -> Self {
        Error { hints: vec![hint.to_string()], ..self }
    }

    /// Prints the error and its hints on stderr.
    pub fn print(&self) {
        errln!("{}", self.text());
    }

    /// The error and its hints, as they are printed.
    pub fn text(&self) -> String {
        let hints: String = self.hints.iter().map(|hint| format!("\n  try: {hint}")).collect();
        format!("error: {}{hints}", self.message)
    }
}

/// The hint for an attempt that another machine started, not the one that answers.
pub(super) fn on_that_machine(host: &str, command: &str) -> String {
    format!("set `address` of {host} in hosts.toml to the machine that started it, then {command}")
}

impl From<UnknownAgent> for Error {
    fn from(error: UnknownAgent) -> Self {
        Error::usage(error).hint("handoff agents")
    }
}

impl From<TransportError> for Error {
    fn from(error: TransportError) -> Self {
        let message = error.to_string();
        match error {
            TransportError::Unreachable { host, kind: UnreachableKind::Nameless, .. } => {
                let error = Error::failed(message).code(exit::UNKNOWN_HOST);
                match ways::nearest(&host) {
                    Some(near) => error.hint(format!("did you mean {near}?")),
                    None => error.hint("handoff hosts list"),
                }
                .hint(format!("handoff hosts add {host} [USER@]ADDRESS  (if it is a new host)"))
            }
            TransportError::Unreachable { host, .. } => {
                Error { code: exit::UNREACHABLE, ..Error::failed(message) }.hint(format!("{} true", ssh(&[], &host)))
            }
            TransportError::Auth { host, .. } => {
                Error::failed(message).code(exit::LOGIN_REFUSED).hint(format!("{} true", ssh(&["-v"], &host)))
            }
            TransportError::UnknownHostKey { host, why, .. } => Error::failed(message).code(exit::HOST_KEY).hint(match why {
                WhyUnknown::Unanswered => {
                    format!(
                        "`{} true` in a terminal; compare the fingerprint with the one of the machine, and answer yes",
                        ssh(&[], &host)
                    )
                }
                WhyUnknown::Strict => format!(
                    "`{} true` in a terminal; compare the fingerprint with the one of the machine, and answer yes",
                    ssh(&["-o", "StrictHostKeyChecking=ask"], &host)
                ),
                WhyUnknown::NotKept => format!(
                    "set `StrictHostKeyChecking accept-new` for {host} in ~/.ssh/config, because its UserKnownHostsFile keeps no keys"
                ),
            }),
            TransportError::ChangedHostKey { listed: Some(Listed { file, name }), .. } => {
                let quoted = |word: &str| context::quoted(std::path::Path::new(word));
                Error::failed(message).code(exit::HOST_KEY).hint(format!(
                    "ssh-keygen -f {} -R {}  (removes the old key, if you know that the machine was reinstalled; nothing was sent)",
                    quoted(&file),
                    quoted(&name)
                ))
            }
            TransportError::ChangedHostKey { host, .. } => Error::failed(message)
                .code(exit::HOST_KEY)
                .hint(format!("{} true  (names the file and line of the old key; nothing was sent)", ssh(&[], &host))),
            TransportError::Config { .. } => Error { code: exit::USAGE, ..Error::failed(message) },
            TransportError::Busy { host, .. } => {
                Error { code: exit::UNREACHABLE, ..Error::failed(message) }.hint(format!("handoff hosts check {host}"))
            }
            TransportError::Closed { host } => {
                Error { code: exit::UNREACHABLE, ..Error::failed(message) }.hint(format!("handoff hosts check {host}"))
            }
        }
    }
}

impl From<git::Error> for Error {
    fn from(error: git::Error) -> Self {
        let hint = error.hint().map(str::to_owned);
        let code = match error {
            git::Error::Unfit { .. } | git::Error::OnlyOnRemote { .. } | git::Error::NoGit { .. } => exit::USAGE,
            _ => exit::FAILED,
        };
        let error = Error { code, ..Error::failed(error) };
        match hint {
            Some(hint) => error.hint(hint),
            None => error,
        }
    }
}

impl From<state::Error> for Error {
    fn from(error: state::Error) -> Self {
        let message = error.to_string();
        match error {
            state::Error::Exists(id) => Error::usage(message).hint(format!("handoff show {id}")),
            state::Error::Unknown { .. } | state::Error::Ambiguous { .. } => Error::usage(message).hint("handoff list"),
            _ => Error::failed(message),
        }
    }
}

impl From<SuperviseError> for Error {
    fn from(error: SuperviseError) -> Self {
        let message = error.to_string();
        match error {
            SuperviseError::Git(error) => error.into(),
            SuperviseError::State(error) => error.into(),
            SuperviseError::Transport(error) => error.into(),
            SuperviseError::Remote(error) => error.into(),
            SuperviseError::Begun { id, host, source } => Error::from(*source)
                .hint(format!("handoff hosts check {host}"))
                .hint(format!("handoff watch {id}  (sends it again)"))
                .hint(format!("handoff stop {id}  (gives it up)")),
            SuperviseError::Unattended { id, source } => Error::from(*source)
                .code(exit::UNREACHABLE)
                .hint(format!("handoff watch {id}  (after that is fixed; the task keeps running)")),
            SuperviseError::Equivalent { id, status } => Error::usage(message)
                .hint(match status {
                    "interactive" => format!("handoff show {id}  (its worktree)"),
                    _ => format!("handoff watch {id}"),
                })
                .hint("the same command with --again  (starts another one)"),
            SuperviseError::NotNow { id, .. } => Error::usage(message).hint(format!("handoff show {id}")),
            SuperviseError::TakenOver { id } => {
                let ways = "continue where you took it over, or give it back";
                Error::usage(format!("{message}; {ways}"))
                    .hint(format!("handoff give {id}"))
                    .hint(format!("handoff takeover {id} --return  (returns it unchanged)"))
            }
            SuperviseError::StillRunning { id, .. } => Error::usage(message)
                .hint(format!("handoff stop {id}"))
                .hint(format!("handoff takeover {id}  (stops it, and opens its work)")),
            SuperviseError::Finished { id } => Error::usage(message)
                .hint(format!("handoff show {id}"))
                .hint(format!("handoff finish {id}  (completes what was interrupted)")),
            SuperviseError::Uncommitted { id, worktree, branch } => {
                let (at, branch) = (context::quoted(&worktree), context::quoted(std::path::Path::new(&branch)));
                Error::usage(message)
                    .hint(format!("git -C {at} add -A && git -C {at} commit"))
                    .hint(format!("handoff finish {id} --branch {branch} --message TEXT  (commits them for you)"))
            }
            SuperviseError::Unfiltered { id, worktree: None, .. } => {
                Error::usage(message).hint(format!("handoff takeover {id}  (`git add` there runs the filter)"))
            }
            SuperviseError::Unfiltered { id, worktree: Some(worktree), .. } => {
                let at = context::quoted(&worktree);
                Error::usage(message)
                    .hint(format!(
                        "git -C {at} add --renormalize . && git -C {at} commit  (with the filter set up here)"
                    ))
                    .hint(format!("handoff finish {id}  (without --branch)"))
            }
            SuperviseError::NoBranch { id } => {
                Error::usage(message).hint(format!("handoff finish {id} --branch NAME --pr"))
            }
            SuperviseError::NothingToKeep { id } => {
                Error::usage(message).hint(format!("handoff finish {id}  (without --branch)"))
            }
            SuperviseError::NotFinished { id, .. } | SuperviseError::HasWorktree { id, .. } => {
                Error::usage(message).hint(format!("handoff finish {id}"))
            }
            SuperviseError::NotReturned { id, is_changed: true, .. } => {
                Error::usage(message).hint(format!("handoff give {id}  (sends what you changed)"))
            }
            SuperviseError::BranchMoved { id, branch, worktree, is_gone } => {
                let (branch, worktree) = (context::quoted(std::path::Path::new(&branch)), context::quoted(&worktree));
                let git = match is_gone {
                    true => format!("git worktree prune && git worktree add {worktree} {branch}"),
                    false => format!("git -C {worktree} switch {branch}"),
                };
                Error::usage(message)
                    .hint(format!("{git}  (then `handoff give {id}` sends them)"))
                    .hint(format!("git branch -m {branch} NAME  (then the same command keeps them out of the handoff)"))
            }
            SuperviseError::NotReturned { id, .. } => {
                Error::usage(message).hint(format!("handoff takeover {id} --return  (when that is solved)"))
            }
            SuperviseError::NotReleased { id } => Error::usage(message).hint(format!("handoff clean {id}")),
            SuperviseError::WouldLose { id, lost } => {
                let error = Error::usage(message).hint(format!("handoff forget {id} --discard"));
                match lost.iter().find_map(|line| line.split(' ').next().filter(|name| name.starts_with("refs/"))) {
                    Some(name) => error.hint(format!("git branch NAME {name}  (keeps one)")),
                    None => error,
                }
            }
            SuperviseError::NoHost { id, command } => Error::usage(message)
                .hint(format!("handoff {command} {id} --host HOST"))
                .hint("handoff hosts list  (prints the names)"),
            SuperviseError::NotAdoptable { directory, needs_task: true, .. } => {
                Error::usage(message).hint(format!("handoff adopt {} --task \"TASK\"", context::quoted(&directory)))
            }
            SuperviseError::NotAdoptable { .. } => {
                Error::usage(message).hint("handoff run --host HOST \"TASK\"  (starts a new one)")
            }
            SuperviseError::MayRun { directory, is_proved: true, .. } => Error::failed(message)
                .hint(format!("handoff adopt {}  (when that process has ended)", context::quoted(&directory))),
            SuperviseError::MayRun { directory, .. } => Error::failed(message).hint(format!(
                "handoff adopt --ended {}  (if you know that nothing of it runs any more)",
                context::quoted(&directory)
            )),
            SuperviseError::IdTaken { directory, free, .. } => Error::usage(message)
                .hint(format!("handoff adopt {} --id {free}", context::quoted(&directory)))
                .hint("handoff list"),
            SuperviseError::NoWorktree { id } => Error::failed(message).hint(format!("handoff takeover {id}")),
            SuperviseError::Untold { id, host, command } => Error::failed(message)
                .code(exit::UNREACHABLE)
                .hint(format!("handoff hosts check {host}"))
                .hint(format!("handoff {command} {id} --host {host}  (when the check passes)")),
            SuperviseError::Refused { id, refused, .. } => {
                let error =
                    accept(&refused).into_iter().fold(Error::failed(message), |error, command| error.hint(command));
                error.hint(format!("handoff pull {id}"))
            }
            SuperviseError::ArtifactsRefused { refused, .. } => {
                accept(&refused).into_iter().fold(Error::failed(message), |error, command| error.hint(command))
            }
            SuperviseError::TooLarge { id, bytes, globs, .. } => {
                let patterns: String =
                    globs.iter().map(|glob| format!(" --artifacts {}", context::quoted(glob.as_ref()))).collect();
                let more = bytes.div_ceil(1 << 30);
                Error::failed(message).hint(format!("handoff pull {id}{patterns} --max-size {more}GiB"))
            }
            SuperviseError::NotAGlob { .. } => Error::usage(message)
                .hint("handoff pull --artifacts 'target/release/*.deb'  (from the top of the repository)"),
            SuperviseError::Conflicts { id, .. } => {
                Error::failed(message).hint(format!("handoff takeover {id}  (puts it into a worktree of its own)"))
            }
            SuperviseError::Driven { id, .. } => Error::failed(message).hint(format!("handoff logs -f {id}")),
            SuperviseError::Elsewhere { id, host, .. } => Error::failed(message)
                .hint(on_that_machine(&host, &format!("handoff stop {id}")))
                .hint(format!("handoff takeover {id}  (continues without that machine)")),
            SuperviseError::Agent(_) => Error::usage(message).hint("handoff agents"),
            SuperviseError::HostName(_) => Error::usage(message).hint("handoff hosts list"),
            SuperviseError::Template(_) | SuperviseError::Secret(_) | SuperviseError::Profile { .. } => {
                Error::usage(message)
            }
            SuperviseError::Mirror(_) | SuperviseError::Read { .. } | SuperviseError::Inner(_) => {
                Error::failed(message)
            }
        }
    }
}

impl From<RemoteError> for Error {
    fn from(error: RemoteError) -> Self {
        match error {
            RemoteError::Transport(error) => error.into(),
            RemoteError::Refused { ref host, class: RefusalClass::OtherNode, .. } => {
                let hint = on_that_machine(host, "the same command");
                Error::failed(error).hint(hint).hint("handoff takeover  (continues without that machine)")
            }
            RemoteError::Refused { ref host, .. }
            | RemoteError::PackRefused { ref host, .. }
            | RemoteError::NotInstalled { ref host, .. } => {
                let hint = format!("handoff hosts check {host}");
                Error::failed(error).hint(hint)
            }
            RemoteError::Cut { ref host, .. } => {
                let hint = format!("handoff hosts check {host}");
                Error { code: exit::UNREACHABLE, ..Error::failed(error) }.hint(hint)
            }
            other => Error::failed(other),
        }
    }
}
