//! Real agent CLIs from npm, downloaded once and kept.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;

/// An agent CLI on npm: a package for one platform, with a native binary.
pub struct Package {
    /// Name in the test's own `node_modules`, and the argument of `npm install`.
    pub name: &'static str,
    pub spec: &'static str,
    /// The file name of the binary in the package.
    pub binary: &'static str,
}

pub const CLAUDE: Package = Package {
    name: "@anthropic-ai/claude-code-linux-x64",
    spec: "@anthropic-ai/claude-code-linux-x64@2.1.329",
    binary: "claude",
};

pub const CODEX: Package =
    Package { name: "codex", spec: "codex@npm:@openai/codex@0.169.0-linux-x64", binary: "codex" };

/// Allows one installation at a time, in this process and in others that use the same folder for tools. A partly
/// written package is not a usable agent.
static NPM: Mutex<()> = Mutex::new(());

/// The binary of a package, installed if necessary, or the reason why it is not available.
pub fn install(package: &Package) -> Result<PathBuf, String> {
    if !cfg!(all(target_os = "linux", target_arch = "x86_64")) {
        return Err(format!("{} is pinned for linux-x64 only", package.binary));
    }
    let _lock = NPM.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
    let folder = tools().join("npm").join(package.binary);
    std::fs::create_dir_all(&folder).unwrap();
    let lock = std::fs::File::create(folder.join("lock")).unwrap();
    rustix::fs::flock(&lock, rustix::fs::FlockOperation::LockExclusive).unwrap();
    let module = folder.join("node_modules").join(package.name);
    if let Some(binary) = find(&module, package.binary) {
        return Ok(binary);
    }
    let ran = Command::new("npm")
        .args(["install", "--no-audit", "--no-fund", "--ignore-scripts", "--loglevel=error", "--fetch-retries=1"])
        .args(["--prefix".as_ref(), folder.as_os_str(), package.spec.as_ref()])
        .stdin(Stdio::null())
        .output();
    match ran {
        Err(error) => Err(format!("npm cannot be run: {error}")),
        Ok(out) if !out.status.success() => {
            let said = String::from_utf8_lossy(&out.stderr).lines().next().unwrap_or_default().to_owned();
            Err(format!("npm could not install {}: {said}", package.spec))
        }
        Ok(_) => find(&module, package.binary).ok_or_else(|| format!("{} holds no {}", package.spec, package.binary)),
    }
}

/// The folder for tools: `target/tools`, or the one that `integration/run` sets.
pub(super) fn tools() -> PathBuf {
    let default = || Path::new(env!("CARGO_MANIFEST_DIR")).join("target/tools");
    std::env::var_os("HANDOFF_TEST_TOOLS").map_or_else(default, PathBuf::from)
}

/// A file of that name, in any folder of the package.
fn find(folder: &Path, name: &str) -> Option<PathBuf> {
    let entries = std::fs::read_dir(folder).ok()?;
    let (mut folders, mut found) = (Vec::new(), None);
    for entry in entries.flatten() {
        let kind = entry.file_type().ok()?;
        if kind.is_dir() {
            folders.push(entry.path());
        } else if entry.file_name() == name {
            found = Some(entry.path());
        }
    }
    found.or_else(|| folders.iter().find_map(|folder| find(folder, name)))
}
