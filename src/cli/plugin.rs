//! `handoff plugin`: installs a skill that teaches agents to use handoff. Cursor's plugin also registers the MCP server.
//! For Claude Code and Codex the command that adds it is printed, because their configuration is not edited here.

use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use clap::Subcommand;
use sha2::{Digest, Sha256};

use super::Global;
use super::context;
use super::error::Error;
use super::exit;

/// The text of the skill.
const SKILL: &str = include_str!("../../config/skill/SKILL.md");
/// The beginning of the last line of an installed skill.
const MARK: &str = "<!-- installed by handoff, sha256 ";
/// The name of the skill, which is that of its directory.
const NAME: &str = "background-agent-handoff";

/// Teach an agent in your editor or terminal to use handoff
#[derive(Debug, clap::Args)]
pub struct Plugin {
    #[command(subcommand)]
    command: PluginCommand,
}

#[derive(Debug, Subcommand)]
enum PluginCommand {
    /// Install the skill for the agents that are named (default: those whose directories exist, or else ~/.agents); for Cursor also the MCP server, for Claude Code and Codex print the command that adds it
    Install(Agents),
    /// Remove what `install` wrote
    Remove(Agents),
    /// Print the text of the skill
    Print,
}

/// Whose directories are meant.
#[derive(Debug, clap::Args)]
struct Agents {
    /// Cursor: a plugin with skill and tools in ~/.cursor/plugins/local (with --project: .cursor/skills)
    #[arg(long)]
    cursor: bool,
    /// Claude Code: a skill in ~/.claude/skills
    #[arg(long)]
    claude: bool,
    /// Codex: a skill in ~/.codex/skills
    #[arg(long)]
    codex: bool,
    /// Any agent that reads ~/.agents/skills
    #[arg(long)]
    agents: bool,
    /// Use the directories of this repository instead, so that it can be committed
    #[arg(long)]
    project: bool,
    /// Replace or remove files that someone changed
    #[arg(long)]
    force: bool,
}

impl Plugin {
    pub fn run(self, global: &Global) -> Result<u8, Error> {
        match self.command {
            PluginCommand::Install(agents) => agents.each(global, install, "add"),
            PluginCommand::Remove(agents) => agents.each(global, remove, "remove"),
            PluginCommand::Print => {
                context::print(SKILL);
                Ok(exit::OK)
            }
        }
    }
}

impl Agents {
    fn each(&self, global: &Global, act: fn(&File) -> Result<&'static str, Error>, verb: &str) -> Result<u8, Error> {
        let top = match self.project {
            true => context::repository(global)?.top().to_owned(),
            false => context::paths()?.home,
        };
        // Every file is checked before the first one changes.
        let (directories, program) = (self.directories(&top), context::program()?);
        let files: Vec<File> = directories.iter().flat_map(|(agent, below)| files(*agent, below, &program)).collect();
        files.iter().try_for_each(|file| file.check(self.force))?;
        for file in &files {
            outln!("{} {}", act(file)?, file.path.display());
        }
        // The commands change the user's own configuration, not the repository's.
        for command in directories.iter().filter_map(|(agent, _)| agent.mcp_command(verb, &program)) {
            if !self.project {
                outln!("for the MCP server: {command}");
            }
        }
        Ok(exit::OK)
    }

    /// The directories of the agents that are named; without a name, of those that are used here.
    fn directories(&self, top: &Path) -> Vec<(Agent, PathBuf)> {
        let all = [
            (Agent::Cursor, self.cursor, ".cursor"),
            (Agent::Claude, self.claude, ".claude"),
            (Agent::Codex, self.codex, ".codex"),
            (Agent::Other, self.agents, ".agents"),
        ];
        let is_named = all.iter().any(|(_, named, _)| *named);
        let is_meant = |named: bool, directory: &str| if is_named { named } else { top.join(directory).is_dir() };
        let mut meant: Vec<_> = all.iter().filter(|(_, named, directory)| is_meant(*named, directory)).collect();
        if meant.is_empty() {
            meant.push(&all[3]);
        }
        // A repository's `.cursor/skills` is read without a plugin.
        let place = |agent: &Agent| if self.project && *agent == Agent::Cursor { Agent::Other } else { *agent };
        meant.into_iter().map(|(agent, _, directory)| (place(agent), top.join(directory))).collect()
    }
}

/// How an agent finds a skill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Agent {
    /// In a plugin.
    Cursor,
    /// In `skills/`, as the following ones.
    Claude,
    Codex,
    Other,
}

impl Agent {
    /// The command that registers the MCP server with the agent, or removes it.
    fn mcp_command(self, verb: &str, program: &Path) -> Option<String> {
        let server = if verb == "add" { format!(" -- {} mcp", context::quoted(program)) } else { String::new() };
        match self {
            Agent::Claude => Some(format!("claude mcp {verb} --scope user handoff{server}")),
            Agent::Codex => Some(format!("codex mcp {verb} handoff{server}")),
            Agent::Cursor | Agent::Other => None,
        }
    }
}

/// A file that handoff installs.
struct File {
    /// The topmost directory that exists only for it.
    own: PathBuf,
    path: PathBuf,
    text: String,
}

fn files(agent: Agent, below: &Path, program: &Path) -> Vec<File> {
    match agent {
        Agent::Claude | Agent::Codex | Agent::Other => {
            let own = below.join("skills").join(NAME);
            vec![File { path: own.join("SKILL.md"), own, text: signed(SKILL) }]
        }
        Agent::Cursor => {
            let own = below.join("plugins/local/handoff");
            let skill = own.join("skills").join(NAME).join("SKILL.md");
            let plugin = own.join(".cursor-plugin/plugin.json");
            vec![
                File { path: plugin, own: own.clone(), text: manifest() },
                File { path: own.join("mcp.json"), own: own.clone(), text: servers(program) },
                File { path: own.join("hooks/hooks.json"), own: own.clone(), text: hooks(program) },
                File { path: skill, own, text: signed(SKILL) },
            ]
        }
    }
}

/// The manifest of a Cursor plugin (cursor.com/docs/plugins/building).
fn manifest() -> String {
    let manifest = serde_json::json!({
        "name": "handoff",
        "version": env!("CARGO_PKG_VERSION"),
        "description": env!("CARGO_PKG_DESCRIPTION"),
        "skills": "./skills/",
        "mcpServers": "./mcp.json",
        "hooks": "./hooks/hooks.json",
    });
    format!("{manifest:#}\n")
}

/// The file of a Cursor plugin with its MCP servers.
fn servers(program: &Path) -> String {
    let server = serde_json::json!({ "command": program.to_string_lossy(), "args": ["mcp"] });
    format!("{:#}\n", serde_json::json!({ "mcpServers": { "handoff": server } }))
}

/// The file of a Cursor plugin with its hooks. Cursor runs the command with a shell (cursor.com/docs/agent/hooks).
fn hooks(program: &Path) -> String {
    let stop = serde_json::json!({ "command": format!("{} hook stop", context::quoted(program)), "timeout": 60 });
    format!("{:#}\n", serde_json::json!({ "version": 1, "hooks": { "stop": [stop] } }))
}

impl File {
    /// What is there now; `None` if nothing is.
    fn present(&self) -> Result<Option<String>, Error> {
        match std::fs::read_to_string(&self.path) {
            Ok(text) => Ok(Some(text)),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(self.failed("read", &error)),
        }
    }

    /// Fails if the file has words that are not ours.
    fn check(&self, force: bool) -> Result<(), Error> {
        match self.present()? {
            Some(text) if !force && !is_ours(&text) => {
                let message = format!("{} is not the file that handoff installs", self.path.display());
                Err(Error::failed(message).hint("the same command with --force  (replaces or removes it)"))
            }
            _ => Ok(()),
        }
    }

    fn failed(&self, verb: &str, error: &std::io::Error) -> Error {
        Error::failed(format!("could not {verb} {}: {}", self.path.display(), crate::ui::text::plain(error)))
    }
}

/// The text, followed by a line with its hash. A later version compares the hash to see whether someone changed the file.
fn signed(text: &str) -> String {
    format!("{text}\n{MARK}{} -->\n", sha256(text))
}

fn sha256(text: &str) -> String {
    Sha256::digest(text.as_bytes()).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether some version of handoff wrote this file and nobody has changed it.
fn is_ours(there: &str) -> bool {
    if let Some((text, mark)) = there.rsplit_once(&format!("\n{MARK}")) {
        return mark.trim_end() == format!("{} -->", sha256(text));
    }
    // Only the version differs between manifests of ours, and the path of the program between the other files.
    let Ok(there) = serde_json::from_str::<serde_json::Value>(there) else { return false };
    let is_same = |ours: String, differs: &str| {
        let (mut there, ours) = (there.clone(), serde_json::from_str(&ours));
        let value = there.pointer_mut(differs).filter(|value| value.is_string()).map(serde_json::Value::take);
        ours.is_ok_and(|mut ours: serde_json::Value| {
            _ = ours.pointer_mut(differs).map(serde_json::Value::take);
            value.is_some() && ours == there
        })
    };
    is_same(manifest(), "/version")
        || is_same(servers(Path::new("")), "/mcpServers/handoff/command")
        || is_same(hooks(Path::new("")), "/hooks/stop/0/command")
}

fn install(file: &File) -> Result<&'static str, Error> {
    let before = file.present()?;
    if before.as_deref() == Some(&*file.text) {
        return Ok("unchanged:");
    }
    let directory = file.path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(|error| file.failed("make the directory of", &error))?;
    std::fs::write(&file.path, &file.text).map_err(|error| file.failed("write", &error))?;
    Ok(if before.is_some() { "updated:  " } else { "installed:" })
}

fn remove(file: &File) -> Result<&'static str, Error> {
    match std::fs::remove_file(&file.path) {
        Ok(()) => {}
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok("not there:"),
        Err(error) => return Err(file.failed("remove", &error)),
    }
    // A directory that is not empty stays.
    let above = file.path.ancestors().skip(1).take_while(|above| above.starts_with(&file.own));
    _ = above.map(std::fs::remove_dir).take_while(Result::is_ok).count();
    Ok("removed:  ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_installed_skill_is_known_until_someone_changes_it() {
        let text = signed("an older text\n");
        assert!(is_ours(&text) && is_ours(&signed(SKILL)) && is_ours(&manifest()));
        assert!(
            !is_ours(&text.replace("older", "better")) && !is_ours("my own skill\n") && !is_ours(r#"{"name": "x"}"#)
        );
        let older = manifest().replace(env!("CARGO_PKG_VERSION"), "0.0.1");
        assert!(is_ours(&older) && !is_ours(&older.replace("./skills/", "./mine/")));
        let elsewhere = servers(Path::new("/opt/a b/handoff"));
        assert!(is_ours(&elsewhere) && !is_ours(&elsewhere.replace("\"mcp\"", "\"mcp\", \"-C\"")));
        let elsewhere = hooks(Path::new("/opt/a b/handoff"));
        assert!(elsewhere.contains("'/opt/a b/handoff' hook stop") && is_ours(&elsewhere));
        assert!(!is_ours(&elsewhere.replace("60", "5")));
        let elsewhere = servers(Path::new("/opt/a b/handoff"));
        assert!(!is_ours(&elsewhere.replace("\"handoff\": {", "\"mine\": {}, \"handoff\": {")));
    }

    #[test]
    fn every_command_of_the_skill_exists() {
        use clap::Parser;
        let lines = SKILL.lines().flat_map(|line| match line.strip_prefix("    ") {
            Some(code) => vec![code.trim().to_owned()],
            None => line.split('`').skip(1).step_by(2).map(str::to_owned).collect(),
        });
        let commands: Vec<String> = lines.filter(|code| code.starts_with("handoff ")).collect();
        assert!(commands.len() > 10, "{commands:?}");
        for command in commands {
            let words = shlex::split(&command).unwrap();
            crate::cli::Args::try_parse_from(words).unwrap_or_else(|error| panic!("{command}: {error}"));
        }
    }
}
