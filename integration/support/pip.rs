//! Python packages, downloaded once and kept.

use std::path::PathBuf;
use std::process::{Command, Stdio};

use super::npm::tools;

/// The official Python SDK of the Model Context Protocol.
pub const MCP: &str = "mcp==2.3.0";

/// A directory for PYTHONPATH with a package and what it needs, or the reason why there is none. One process installs it
/// at a time, and it appears complete or not at all.
pub fn install(package: &str) -> Result<PathBuf, String> {
    let folder = tools().join("python");
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let whole = folder.join(package);
    if whole.exists() {
        return Ok(whole);
    }
    let part = folder.join("part");
    _ = std::fs::remove_dir_all(&part);
    // `--target` works on systems that do not allow other installations with pip.
    let ran = Command::new("python3")
        .args(["-m", "pip", "install", "--quiet", "--disable-pip-version-check", "--target"])
        .args([part.as_os_str(), package.as_ref()])
        .stdin(Stdio::null())
        .output();
    match ran {
        Err(error) => Err(format!("python3 cannot be run: {error}")),
        Ok(out) if !out.status.success() => {
            let said = String::from_utf8_lossy(&out.stderr).lines().next_back().unwrap_or_default().to_owned();
            Err(format!("pip could not install {package}: {said}"))
        }
        Ok(_) => {
            std::fs::rename(&part, &whole).unwrap();
            Ok(whole)
        }
    }
}
