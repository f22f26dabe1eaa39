//! The demo's scripted agent, installed in the folder that Cursor's installer uses. That folder is not in the PATH of
//! SSH commands.

use std::path::{Path, PathBuf};

use super::user::User;

/// Installs the scripted agent for a user of a host. Its plan is `~/plan` if that exists, else the demo's.
pub fn install(user: &User) {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/agent");
    user.install(".local/lib/scripted-agent", std::fs::read(script).unwrap(), 0o755);
    let wrapper = "#!/bin/sh\n\
        export SCRIPTED_AGENT_PAUSE=0\n\
        [ ! -e ~/plan ] || export SCRIPTED_AGENT_PLAN=\"$HOME/plan\"\n\
        exec ~/.local/lib/scripted-agent \"$@\"\n";
    user.install(".local/bin/agent", wrapper, 0o755);
}

/// Sets what the agent does, in the language that `config/demo/agent` describes.
pub fn plan(user: &User, plan: &str) {
    user.install("plan", plan, 0o644);
}

/// The prompts that each session of the scripted agent was given, by session and turn.
pub fn prompts(user: &User) -> Vec<(String, Vec<String>)> {
    let mut sessions = Vec::new();
    for session in folders(&user.home.join(".scripted-agent")) {
        let turns = (1..).map_while(|turn| std::fs::read_to_string(session.join(format!("prompt.{turn}"))).ok());
        sessions.push((session.file_name().unwrap().to_string_lossy().into_owned(), turns.collect()));
    }
    sessions
}

/// The folders in a folder, which may be missing.
pub fn folders(parent: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(parent) else { return Vec::new() };
    let mut found: Vec<_> = entries.flatten().map(|entry| entry.path()).filter(|path| path.is_dir()).collect();
    found.sort();
    found
}
