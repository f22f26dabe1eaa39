//! The scripted agent of the demo, installed where Cursor's installer puts the real one: off the PATH of SSH commands.

use std::path::{Path, PathBuf};

use super::user::User;

/// The agent's place in a home.
const PLACE: &str = ".local/bin/agent";

/// Installs the scripted agent for a user of a host.
pub fn install(user: &User) -> PathBuf {
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/demo/agent");
    user.install(PLACE, std::fs::read(script).unwrap(), 0o755)
}

/// Installs a wrapper under the agent's name that does `before` and becomes another program.
pub fn install_wrapper(user: &User, name: &str, before: &str, program: &Path) -> PathBuf {
    let script = format!("#!/bin/sh\n{before}\nexec '{}' \"$@\"\n", program.display());
    user.install(&format!(".local/bin/{name}"), script, 0o755)
}
