//! The files that let systemd and launchd run `handoff watch --all`.

use std::path::{Path, PathBuf};

use sha2::{Digest, Sha256};

/// Name of the systemd unit.
pub const UNIT: &str = "handoff-watch.service";
/// Label of the launchd agent.
pub const LABEL: &str = "org.handoff.watch";
/// The beginning of the line with the hash of all other lines.
const MARK: &str = "written by handoff, sha256 ";

/// The variables that decide which files the program reads, and which programs it finds.
pub const KEPT: [&str; 4] = ["PATH", "XDG_CONFIG_HOME", "XDG_STATE_HOME", "HANDOFF_SSH_CONFIG"];

/// Which service manager starts the watcher.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manager {
    Systemd,
    Launchd,
}

impl Manager {
    /// That of this operating system.
    pub fn here() -> Manager {
        if cfg!(target_os = "macos") { Manager::Launchd } else { Manager::Systemd }
    }

    /// Where its file belongs.
    pub fn file(self, home: &Path, config_home: &Path) -> PathBuf {
        match self {
            Manager::Systemd => config_home.join("systemd/user").join(UNIT),
            Manager::Launchd => home.join("Library/LaunchAgents").join(format!("{LABEL}.plist")),
        }
    }

    /// The file's text. `environment` has the variables to set.
    pub fn text(self, program: &Path, arguments: &[String], environment: &[(String, String)]) -> String {
        match self {
            Manager::Systemd => signed(&systemd(program, arguments, environment), "# ", ""),
            Manager::Launchd => signed(&launchd(program, arguments, environment), "<!-- ", " -->"),
        }
    }
}

/// Whether some version of handoff wrote the text and it is unchanged.
pub fn is_ours(text: &str) -> bool {
    let Some(at) = text.rfind(MARK) else { return false };
    let start = text[..at].rfind('\n').map_or(0, |newline| newline + 1);
    let (before, rest) = (&text[..start], &text[start..]);
    let (line, after) = rest.split_once('\n').unwrap_or((rest, ""));
    let hash = line.split_once(MARK).map_or("", |(_, hash)| hash.trim_end_matches(" -->"));
    after.is_empty() && hash == sha256(before)
}

/// The text, with a last line that has its hash.
fn signed(text: &str, open: &str, close: &str) -> String {
    format!("{text}{open}{MARK}{}{close}\n", sha256(text))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// systemd.service(5). A failure is repeated after a pause, because the configuration may be wrong for a moment.
fn systemd(program: &Path, arguments: &[String], environment: &[(String, String)]) -> String {
    // In arguments, systemd replaces `$NAME`, and not in the program's path.
    let arguments = arguments.iter().map(|word| unit_word(word).replace('$', "$$"));
    let program = unit_word(&program.to_string_lossy());
    let command = std::iter::once(program).chain(arguments).collect::<Vec<_>>().join(" ");
    let variables: String = environment
        .iter()
        .map(|(name, value)| format!("Environment={}\n", unit_word(&format!("{name}={value}"))))
        .collect();
    format!(
        "# `handoff watch --daemon remove` removes this file.\n\n[Unit]\nDescription=Follow the handoffs of this user\n\n\
         [Service]\nExecStart={command}\n{variables}Restart=on-failure\nRestartSec=30\n\n[Install]\nWantedBy=default.target\n"
    )
}

/// A quoted word of a unit: systemd.syntax(7) and, for `%`, systemd.unit(5).
fn unit_word(word: &str) -> String {
    let mut quoted = String::from("\"");
    for c in word.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            c => quoted.push(c),
        }
    }
    quoted + "\""
}

/// launchd.plist(5).
fn launchd(program: &Path, arguments: &[String], environment: &[(String, String)]) -> String {
    let words = std::iter::once(program.to_string_lossy().into_owned()).chain(arguments.iter().cloned());
    let words: String = words.map(|word| format!("    <string>{}</string>\n", xml(&word))).collect();
    let entry = |(name, value): &(String, String)| {
        format!("    <key>{}</key>\n    <string>{}</string>\n", xml(name), xml(value))
    };
    let variables: String = environment.iter().map(entry).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n\
         <!DOCTYPE plist PUBLIC \"-//Apple//DTD PLIST 1.0//EN\" \"http://www.apple.com/DTDs/PropertyList-1.0.dtd\">\n\
         <!-- `handoff watch --daemon remove` removes this file. -->\n<plist version=\"1.0\">\n<dict>\n  \
         <key>Label</key>\n  <string>{LABEL}</string>\n  <key>ProgramArguments</key>\n  <array>\n{words}  </array>\n  \
         <key>EnvironmentVariables</key>\n  <dict>\n{variables}  </dict>\n  <key>RunAtLoad</key>\n  <true/>\n  \
         <key>KeepAlive</key>\n  <dict>\n    <key>SuccessfulExit</key>\n    <false/>\n  </dict>\n  \
         <key>ThrottleInterval</key>\n  <integer>30</integer>\n</dict>\n</plist>\n"
    )
}

fn xml(text: &str) -> String {
    text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::testing::match_file;

    fn text(manager: Manager) -> String {
        let environment = [("PATH", "/opt/a b:/usr/bin"), ("XDG_CONFIG_HOME", "/home/u/100%/\"x\" & <y>")];
        let environment = environment.map(|(name, value)| (name.to_owned(), value.to_owned()));
        let arguments = ["watch", "--all", "--hosts", "/home/$USER/h.toml"].map(str::to_owned);
        manager.text(Path::new("/opt/a $b/handoff"), &arguments, &environment)
    }

    #[test]
    fn the_files_of_both_managers() {
        let both = [Manager::Systemd, Manager::Launchd].map(text).join("--------\n");
        match_file("watch_daemon_files", &both);
    }

    #[test]
    fn a_file_is_ours_until_someone_changes_it() {
        for manager in [Manager::Systemd, Manager::Launchd] {
            let text = text(manager);
            assert!(is_ours(&text), "{text}");
            assert!(!is_ours(&text.replace("30", "5")) && !is_ours(&format!("{text}# mine\n")) && !is_ours(&text[1..]));
        }
        assert!(!is_ours("") && !is_ours("[Service]\nExecStart=/usr/bin/handoff watch --all\n"));
    }
}
