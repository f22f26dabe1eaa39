//! Every error as it is shown, compared with `tests/cli/snapshots/errors.snap`; how to review and update that is said in
//! `tests/cli/screens.rs`. A variant without a sample does not compile.

use super::*;
use crate::agent::command::CommandError;
use crate::config::diagnostic::Diagnostic;
use crate::config::hosts::NotAHostName;
use crate::config::secrets::{SecretError, Why};
use crate::config::templates::TemplateError;
use crate::git::merge_here::Conflict;
use crate::model::id::HandoffId;
use crate::model::not_applied::Refused;
use crate::model::refusal::{Fault, RefusedRef};
use crate::model::snapshot::Oid;
use crate::model::testing::match_file;

/// Samples of an enum, at least one for each variant, as text.
macro_rules! samples {
    ($kind:ident { $($variant:ident: $($sample:expr),+;)+ }) => {{
        // Does not compile when a variant is missing.
        let name = |error: &$kind| match error {
            $($kind::$variant { .. } => stringify!($variant),)+
        };
        let mut text = String::new();
        $($(
            let error: $kind = $sample;
            assert_eq!(name(&error), stringify!($variant), "the sample is of another variant");
            let variant = format!("{}::{}", stringify!($kind), stringify!($variant));
            let error = Error::from(error);
            text += &format!("# {variant}\n{}\n[exit {}]\n\n", error.text(), error.code);
        )+)+
        text
    }};
}

type GitError = git::Error;
type StateError = state::Error;
type MirrorError = crate::mirror::Error;

const HOST: &str = "unheard-of-host";

fn host() -> String {
    HOST.to_owned()
}

fn id() -> HandoffId {
    "20260407-fix-the-till".parse().unwrap()
}

fn io() -> std::io::Error {
    std::io::ErrorKind::PermissionDenied.into()
}

fn lost() -> TransportError {
    TransportError::lost(HOST, "the connection was cut")
}

fn unreachable(kind: UnreachableKind, reason: &str) -> TransportError {
    TransportError::Unreachable { host: host(), reason: reason.into(), kind }
}

fn unknown_key(why: WhyUnknown) -> TransportError {
    TransportError::UnknownHostKey {
        host: host(),
        algorithm: "ssh-ed25519".into(),
        fingerprint: "SHA256:0123".into(),
        why,
    }
}

fn changed_key(listed: Option<Listed>) -> TransportError {
    TransportError::ChangedHostKey { host: host(), reason: "/home/me/.ssh/known_hosts:3 has another".into(), listed }
}

fn unfit() -> GitError {
    GitError::unfit("a merge is not finished", "git merge --continue, or git merge --abort")
}

fn refused() -> Vec<RefusedRef> {
    let tip: Oid = "2".repeat(40).parse().unwrap();
    let fault = Fault {
        kind: "tree".into(),
        object: Some("1".repeat(40).parse().unwrap()),
        reason: "hasDotgit".into(),
        text: "contains '.git'".into(),
        is_fatal: false,
    };
    vec![RefusedRef { name: "work".into(), tip, faults: vec![fault] }]
}

fn wrong_template() -> Diagnostic {
    let text = "{{ tusk }}\n";
    Diagnostic::at(std::path::Path::new("/home/me/prompt.fresh.j2"), text, 3..7, "undefined value")
}

fn transport() -> String {
    samples!(TransportError {
        Unreachable:
            unreachable(UnreachableKind::Nameless, "could not resolve hostname"),
            unreachable(UnreachableKind::Refused, "connection refused"),
            unreachable(UnreachableKind::TurnedAway, crate::transport::TURNED_AWAY),
            unreachable(UnreachableKind::Lost, "the connection was cut");
        Auth: TransportError::Auth { host: host(), user: "dev".into(), reason: "publickey".into() };
        UnknownHostKey:
            unknown_key(WhyUnknown::Unanswered),
            unknown_key(WhyUnknown::Strict),
            unknown_key(WhyUnknown::NotKept);
        ChangedHostKey:
            changed_key(Some(Listed { file: "/home/me/.ssh/known hosts".into(), name: "[10.0.0.9]:2222".into() })),
            changed_key(None);
        Config: TransportError::Config { host: host(), reason: "ProxyCommand is not supported".into() };
        Busy: TransportError::Busy { host: host(), reason: "open failed".into() };
        Closed: TransportError::Closed { host: host() };
    })
}

fn git() -> String {
    samples!(GitError {
        Unfit: unfit();
        OnlyOnRemote: GitError::OnlyOnRemote {
            objects: 3,
            remote: "origin".into(),
            why: "fatal: Could not read from remote repository.".into(),
            hint: "git fetch --refetch --no-filter origin".into(),
        };
        NoGit: GitError::NoGit { what: "git is not on PATH".into() };
        Failed: GitError::Failed {
            command: "rev-parse".into(),
            status: "exit status: 128".into(),
            stderr: "fatal: bad object\n".into(),
        };
        Untrusted: GitError::untrusted("the host sent a commit that it did not announce");
        Tool: GitError::Tool { tool: "gh", status: "exit status: 4".into(), said: "please log in".into() };
        Io: GitError::io("read", std::path::Path::new("/repo/file"))(io());
    })
}

fn state() -> String {
    let refused = |refused| StateError::Refused { id: id().to_string(), refused };
    samples!(StateError {
        Io: StateError::io("write", std::path::Path::new("/repo/.git/handoff/x/journal.jsonl"))(io());
        Refused:
            refused(Refused::NotCreated),
            refused(Refused::CreatedTwice),
            refused(Refused::ReadOnly),
            refused(Refused::Stale("the attempt has ended already"));
        Broken: StateError::Broken { path: "/repo/.git/handoff/x/journal.jsonl".into(), line: 3, reason: "EOF".into() };
        Exists: StateError::Exists(id());
        Unknown:
            StateError::Unknown { name: "20260407-fx".into(), nearest: Some(id().to_string()) },
            StateError::Unknown { name: "nothing".into(), nearest: None };
        Ambiguous: StateError::Ambiguous { name: "2026".into(), candidates: vec!["2026-a".into(), "2026-b".into()] };
        Gap: StateError::Gap { path: "/repo/.git/handoff/x/attempt-1.log".into(), offset: 20, length: 10 };
    })
}

fn remote() -> String {
    let answer =
        |class: &str, text: &str| RemoteError::Refused { host: host(), class: class.into(), text: text.into() };
    samples!(RemoteError {
        Transport: RemoteError::Transport(lost());
        Cut:
            RemoteError::Cut { host: host(), verb: "poll", noise: String::new() },
            RemoteError::Cut { host: host(), verb: "poll", noise: "sh: out of memory".into() };
        Garbled: RemoteError::Garbled { host: host(), verb: "poll", what: "a frame of no kind".into() };
        Refused: answer("disk", "no space left on device"), answer("other-node", "another machine began the attempt");
        PackRefused: RemoteError::PackRefused { host: host(), text: "the pack is damaged".into(), tips: vec![] };
        Rootless: RemoteError::Rootless { host: host(), root: "/home/dev/.handoff".into(), left: vec![] };
        NotInstalled: RemoteError::NotInstalled { host: host(), reason: "its checksum differs".into() };
        Pack: RemoteError::Pack(io());
    })
}

fn engine() -> String {
    let inner = || Box::new(SuperviseError::from(lost()));
    let elsewhere = |beat| SuperviseError::Elsewhere { id: id(), host: host(), attempt: 2, beat };
    samples!(SuperviseError {
        Git: unfit().into();
        State: StateError::Exists(id()).into();
        HostName: NotAHostName("-oProxyCommand=x".into()).into();
        Template:
            TemplateError::Unreadable { file: "/home/me/prompt.fresh.j2".into(), source: io() }.into(),
            TemplateError::Wrong(Box::new(wrong_template())).into();
        Secret: SecretError { name: "API_KEY".into(), why: Why::NotSet("API_KEY".into()) }.into();
        Agent:
            UnknownAgent { name: "curser".into(), nearest: Some("cursor".into()) }.into(),
            UnknownAgent { name: "nobody".into(), nearest: None }.into();
        Profile:
            SuperviseError::Profile { agent: "mine".into(), source: CommandError::Control("\u{1b}".into()) },
            SuperviseError::Profile { agent: "mine".into(), source: CommandError::Placeholder("{sesion}".into()) },
            SuperviseError::Profile { agent: "mine".into(), source: CommandError::NoSession("{session}".into()) };
        Mirror:
            MirrorError::Io { verb: "write", path: "/repo/.cursor/handoff.md".into(), source: io() }.into(),
            MirrorError::Symlink("/repo/.cursor".into()).into(),
            MirrorError::NoDirectory("/repo/.cursor".into()).into(),
            MirrorError::NotAFile("/repo/attempt-1.log".into()).into(),
            MirrorError::TooLarge { path: "/repo/attempt-1.log".into(), bytes: 9, most: 8 }.into(),
            MirrorError::Changed("/repo/attempt-1.log".into()).into();
        Transport: lost().into();
        Remote: RemoteError::Transport(lost()).into();
        Equivalent: SuperviseError::Equivalent { id: id(), status: "running" };
        Begun: SuperviseError::Begun { id: id(), host: host(), source: inner() };
        Unattended: SuperviseError::Unattended { id: id(), source: inner() };
        NotNow: SuperviseError::NotNow { id: id(), why: "is still running".into() };
        TakenOver: SuperviseError::TakenOver { id: id() };
        StillRunning: SuperviseError::StillRunning { id: id(), status: "running" };
        Finished: SuperviseError::Finished { id: id() };
        Uncommitted: SuperviseError::Uncommitted {
            id: id(),
            worktree: "/repo handoff".into(),
            branch: "fix".into()
        };
        Unfiltered: SuperviseError::Unfiltered {
            id: id(),
            files: (0..5).map(|n| format!("{n}.key")).collect(),
            worktree: Some("/repo handoff".into())
        };
        NoBranch: SuperviseError::NoBranch { id: id() };
        NothingToKeep: SuperviseError::NothingToKeep { id: id() };
        NotReturned: SuperviseError::NotReturned { id: id(), why: vec!["its work has changed".into()], is_changed: true };
        BranchMoved: SuperviseError::BranchMoved {
            id: id(), branch: "fix/till".into(), worktree: "/repo handoff".into(), is_gone: true
        };
        NotFinished: SuperviseError::NotFinished { id: id(), status: "needs you" };
        NotReleased: SuperviseError::NotReleased { id: id() };
        HasWorktree: SuperviseError::HasWorktree { id: id(), worktree: "/repo handoff".into() };
        WouldLose: SuperviseError::WouldLose { id: id(), lost: vec!["refs/handoff/x/1/work (1234567890)".into()] };
        NoHost: SuperviseError::NoHost { id: id(), command: "resume" };
        NotAdoptable:
            SuperviseError::NotAdoptable { directory: "/repo/a b".into(), why: "no task".into(), needs_task: true },
            SuperviseError::NotAdoptable { directory: "/repo/x".into(), why: "it has no log".into(), needs_task: false };
        MayRun:
            SuperviseError::MayRun { directory: "/repo/x".into(), why: "process 7 writes".into(), is_proved: true },
            SuperviseError::MayRun { directory: "/repo/a b".into(), why: "no end".into(), is_proved: false };
        IdTaken: SuperviseError::IdTaken {
            directory: "/repo/a b".into(), id: id(), why: "it is another's".into(), free: id().numbered(2)
        };
        NoWorktree: SuperviseError::NoWorktree { id: id() };
        Untold: SuperviseError::Untold { id: id(), host: host(), command: "resume" };
        Elsewhere: elsewhere(None), elsewhere(Some(75));
        Refused: SuperviseError::Refused { id: id(), host: host(), attempt: 1, refused: refused() };
        ArtifactsRefused: SuperviseError::ArtifactsRefused { id: id(), attempt: 1, refused: refused() };
        TooLarge: SuperviseError::TooLarge {
            id: id(), host: host(), files: 12, bytes: 5 << 30, limit: 1 << 30, globs: vec!["target/*.deb".into(), "a b".into()]
        };
        NotAGlob: SuperviseError::NotAGlob { glob: "../x".into(), why: "only files below the top" };
        Driven: SuperviseError::Driven { id: id(), holder: "process 4711".into() };
        Read: SuperviseError::Read { path: "/repo/.env".into(), source: io() };
        Conflicts: SuperviseError::Conflicts { id: id(), conflicts: vec![Conflict { path: "src/total.rs".into(), why: "is changed on both sides, in the same lines" }] };
        Inner: SuperviseError::Inner("task 7 panicked".into());
    })
}

#[test]
fn every_error_is_shown_with_its_hints() {
    let text = [transport(), git(), state(), remote(), engine()].concat();
    match_file("errors", &text);
}
