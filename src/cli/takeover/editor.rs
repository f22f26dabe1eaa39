//! Opens the work of a takeover: in an editor, with the user's own command, or with the agent's CLI.

use std::ffi::{OsStr, OsString};
use std::io::IsTerminal;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::clipboard;
use crate::ui::ask::Terminal;

/// How long an editor's launcher is waited for. The link with the prompt goes to the newest window.
const LAUNCH: Duration = Duration::from_secs(5);
/// How often a launcher is asked whether it has ended.
const TICK: Duration = Duration::from_millis(20);

/// The link that fills Cursor's chat with a prompt. Cursor sends nothing until the user does.
/// Source: <https://cursor.com/docs/reference/deeplinks>.
const CURSOR_PROMPT: &str = "cursor://anysphere.cursor-deeplink/prompt?text=";

/// The values of `--editor`.
pub(super) const NAMES: [&str; 5] = ["cursor", "code", "zed", "visual", "none"];

/// The work of a takeover, for a program that opens it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Work<'a> {
    pub(super) worktree: &'a Path,
    /// Its `handoff.md`.
    pub(super) record: &'a Path,
    /// One sentence that points to the record.
    pub(super) prompt: &'a str,
}

/// What opens the work.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Opener {
    /// An editor with windows of its own.
    Window(Window),
    /// A program that takes the terminal, or ends at once. It replaces this process.
    Foreground(Foreground),
}

/// An editor with windows of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Window {
    Cursor,
    Code,
    Zed,
}

/// A program that replaces this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Foreground {
    /// `[takeover] command` of hosts.toml, for `sh -c`.
    Command(String),
    /// `$VISUAL`, for `sh -c`, as git reads it.
    Visual(OsString),
    /// An agent's CLI with its arguments.
    Agent { binary: PathBuf, arguments: Vec<String> },
}

impl Window {
    /// The windows that are looked for, in this order.
    const ALL: [Window; 3] = [Window::Cursor, Window::Code, Window::Zed];

    /// The program's name, which is the value of `--editor`, too.
    fn name(self) -> &'static str {
        match self {
            Window::Cursor => "cursor",
            Window::Code => "code",
            Window::Zed => "zed",
        }
    }

    fn arguments(self, work: Work<'_>) -> Vec<&OsStr> {
        let (worktree, record) = (work.worktree.as_os_str(), work.record.as_os_str());
        match self {
            Window::Cursor | Window::Code => vec!["-n".as_ref(), worktree, "--goto".as_ref(), record],
            Window::Zed => vec!["-n".as_ref(), worktree, record],
        }
    }

    /// Opens the window, and puts the prompt where one key sends it. Returns a line for the user: what was done, or as
    /// the error, why nothing was.
    pub(super) fn open(self, work: Work<'_>) -> Result<String, String> {
        let name = self.name();
        launch(detached(Command::new(name).args(self.arguments(work))))
            .map_err(|why| format!("{name} failed: {why}"))?;
        let place = match self {
            Window::Cursor if open_link(&cursor_link(work.prompt)) => Some("the chat; send it there"),
            _ => clipboard::copy(work.prompt),
        };
        Ok(format!("opened in {name}{}", place.map_or(String::new(), |place| format!("; the prompt is in {place}"))))
    }
}

impl Foreground {
    /// Replaces this process. Returns only if that fails.
    pub(super) fn replace(&self, work: Work<'_>) -> std::io::Error {
        self.command(work).current_dir(work.worktree).exec()
    }

    fn command(&self, work: Work<'_>) -> Command {
        let mut command = match self {
            Foreground::Agent { binary, .. } => Command::new(binary),
            Foreground::Command(_) | Foreground::Visual(_) => Command::new("sh"),
        };
        match self {
            Foreground::Agent { arguments, .. } => {
                command.args(arguments);
            }
            Foreground::Command(text) => {
                command.arg("-c").arg(text);
                command.env("HANDOFF_WORKTREE", work.worktree).env("HANDOFF_RECORD", work.record);
                command.env("HANDOFF_PROMPT", work.prompt);
            }
            Foreground::Visual(editor) => {
                let mut script = editor.clone();
                script.push(" \"$@\"");
                command.arg("-c").arg(script).arg(editor).arg(work.record);
            }
        }
        command
    }
}

/// What opens the work if the user does not choose: the command of hosts.toml, a window, `$VISUAL` on a terminal.
/// `None`: nothing can.
pub(super) fn choose(wanted: Option<&str>, command: Option<&str>) -> Option<Opener> {
    let visual = || {
        let editor = std::env::var_os("VISUAL").filter(|text| !text.is_empty() && is_on_terminal())?;
        Some(Opener::Foreground(Foreground::Visual(editor)))
    };
    let mut windows = Window::ALL.into_iter().filter(|window| installed(window.name()).is_some());
    match (wanted, command) {
        (Some("visual"), _) => visual(),
        (Some(name), _) => windows.find(|window| window.name() == name).map(Opener::Window),
        (None, Some(command)) => Some(Opener::Foreground(Foreground::Command(command.to_owned()))),
        (None, None) if has_screen() => windows.next().map(Opener::Window).or_else(visual),
        (None, None) => visual(),
    }
}

/// Whether a program could use this terminal.
pub(super) fn is_on_terminal() -> bool {
    Terminal::is_there() && std::io::stdout().is_terminal()
}

/// Whether windows can be opened: here, or on the machine that this session came from.
fn has_screen() -> bool {
    has_desktop() || std::env::var_os("SSH_CONNECTION").is_some()
}

/// Whether this machine has a desktop that this process may use.
fn has_desktop() -> bool {
    cfg!(target_os = "macos") || ["DISPLAY", "WAYLAND_DISPLAY"].iter().any(|name| std::env::var_os(name).is_some())
}

/// The path of a program.
pub(super) fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|directory| directory.join(name)).find(|file| {
        use std::os::unix::fs::PermissionsExt;
        file.metadata().is_ok_and(|it| it.is_file() && it.permissions().mode() & 0o111 != 0)
    })
}

/// Waits until a launcher has reached its window. One that runs longer is the editor itself.
fn launch(command: &mut Command) -> Result<(), String> {
    let mut launcher = command.spawn().map_err(|error| error.to_string())?;
    let until = Instant::now() + LAUNCH;
    while Instant::now() < until {
        match launcher.try_wait() {
            Ok(None) => std::thread::sleep(TICK),
            Ok(Some(status)) if !status.success() => return Err(status.to_string()),
            _ => break,
        }
    }
    Ok(())
}

fn cursor_link(prompt: &str) -> String {
    format!("{CURSOR_PROMPT}{}", utf8_percent_encode(prompt, NON_ALPHANUMERIC))
}

/// Hands a link to the desktop, and says whether it took it.
fn open_link(link: &str) -> bool {
    let opener = if cfg!(target_os = "macos") { "open" } else { "xdg-open" };
    has_desktop() && detached(Command::new(opener).arg(link)).status().is_ok_and(|status| status.success())
}

/// A program that uses neither this terminal nor our output.
fn detached(command: &mut Command) -> &mut Command {
    command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work() -> Work<'static> {
        Work { worktree: Path::new("/w t"), record: Path::new("/w t/handoff.md"), prompt: "Read a/b.md & go." }
    }

    fn words(command: &Command) -> Vec<String> {
        let all = std::iter::once(command.get_program()).chain(command.get_args());
        all.map(|word| word.to_string_lossy().into_owned()).collect()
    }

    #[test]
    fn a_link_has_no_character_with_a_meaning_in_links() {
        let link = cursor_link(work().prompt);
        let text = link.strip_prefix(CURSOR_PROMPT).unwrap();
        assert_eq!(text, "Read%20a%2Fb%2Emd%20%26%20go%2E");
    }

    #[test]
    fn the_users_command_gets_the_work_in_variables_and_is_not_changed() {
        let command = Foreground::Command("ed \"$HANDOFF_RECORD\"".to_owned()).command(work());
        assert_eq!(words(&command), ["sh", "-c", "ed \"$HANDOFF_RECORD\""]);
        let variables: Vec<_> = command.get_envs().map(|(name, value)| (name, value.unwrap())).collect();
        let wanted = [
            ("HANDOFF_PROMPT", "Read a/b.md & go."),
            ("HANDOFF_RECORD", "/w t/handoff.md"),
            ("HANDOFF_WORKTREE", "/w t"),
        ];
        assert_eq!(variables, wanted.map(|(name, value)| (OsStr::new(name), OsStr::new(value))));
    }

    #[test]
    fn visual_may_have_arguments_of_its_own() {
        let output = Foreground::Visual("printf %s, -w".into()).command(work()).output().unwrap();
        assert_eq!(String::from_utf8(output.stdout).unwrap(), "-w,/w t/handoff.md,");
    }
}
