//! dropbear, the SSH server of small machines, for tests that need it instead of OpenSSH's.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::user::{self, User};

/// Its log message for each login with a key.
pub const ACCEPTED: &str = "Pubkey auth succeeded";

/// Whether dropbear can be started here. It takes the home only from the password database, so the user must be one
/// that the tests made.
pub fn can_run() -> bool {
    user::can_be_made() && binary().is_some() && key_tool().is_some()
}

/// The reason for a skip if dropbear cannot run.
pub const NEEDED: &str = "dropbear with dropbearkey, and root to make a user";

pub fn binary() -> Option<PathBuf> {
    installed("dropbear")
}

fn key_tool() -> Option<PathBuf> {
    installed("dropbearkey")
}

fn installed(name: &str) -> Option<PathBuf> {
    ["/usr/sbin", "/usr/bin", "/usr/local/sbin", "/usr/local/bin"]
        .map(|dir| Path::new(dir).join(name))
        .into_iter()
        .find(|path| path.exists())
}

/// Makes a host key in dropbear's own format. Its public half is in OpenSSH's format in `<path>.pub`.
pub fn keygen(path: &Path) {
    let tool = key_tool().expect("ask can_run first");
    let made = Command::new(&tool).args(["-t", "ed25519", "-f"]).arg(path).stdin(Stdio::null()).output().unwrap();
    assert!(made.status.success(), "dropbearkey: {}", String::from_utf8_lossy(&made.stderr));
    let shown = Command::new(&tool).arg("-y").arg("-f").arg(path).stdin(Stdio::null()).output().unwrap();
    let text = String::from_utf8(shown.stdout).unwrap();
    let public = text.lines().find(|line| line.starts_with("ssh-ed25519 ")).expect("dropbearkey -y shows no key");
    std::fs::write(path.with_extension("pub"), format!("{public}\n")).unwrap();
}

/// Authorizes a key. dropbear looks only in the home. No other user may be able to write to the home, the folder or the
/// file.
pub fn authorize(user: &User, public_key: &Path) {
    user.install(".ssh/authorized_keys", std::fs::read(public_key).unwrap(), 0o600);
}

/// Runs in the foreground, with its log on stderr, without passwords.
pub fn arguments(address: SocketAddr, host_key: &Path, pid_file: &Path) -> Vec<String> {
    let [host_key, pid_file] = [host_key, pid_file].map(|path| path.display().to_string());
    ["-F", "-E", "-s", "-r", &host_key, "-P", &pid_file, "-p", &address.to_string()].map(str::to_owned).into()
}
