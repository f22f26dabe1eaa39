//! The build results that `pull --artifacts` fetched, as they are shown.

use serde::Serialize;

use crate::config::settings::human_bytes;
use crate::model::attempt::AttemptNo;
use crate::supervise::artifacts::Artifacts;
use crate::ui::text::neutral;

/// Build results of an attempt that are on this machine now.
#[derive(Serialize, schemars::JsonSchema)]
pub struct PulledArtifacts {
    /// The attempt whose checkout had them, the newest on its host.
    attempt: AttemptNo,
    host: String,
    /// Whether the agent was running. Then a file may have been half written.
    running: bool,
    /// The directory that they are in.
    directory: String,
    files: Vec<PulledArtifact>,
    /// Paths on the host that could not be read.
    unread: Vec<String>,
}

/// One build result.
#[derive(Serialize, schemars::JsonSchema)]
pub struct PulledArtifact {
    /// Relative to the directory, and to the top of the checkout.
    path: String,
    bytes: u64,
    /// Of the file on this machine, in hexadecimal.
    sha256: String,
    executable: bool,
    /// Whether the file was not here before, or was different.
    new: bool,
}

impl PulledArtifacts {
    pub fn of(artifacts: Artifacts) -> PulledArtifacts {
        let Artifacts { attempt, host, is_running, directory, files, unread } = artifacts;
        let files = files.into_iter().map(|(artifact, written)| PulledArtifact {
            path: artifact.path.display().to_string(),
            bytes: artifact.bytes,
            sha256: written.sha256,
            executable: artifact.is_executable,
            new: written.is_new,
        });
        let directory = directory.display().to_string();
        PulledArtifacts { attempt, host, running: is_running, directory, files: files.collect(), unread }
    }

    /// Whether nothing matched that could be read.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    pub fn print(&self) {
        let PulledArtifacts { attempt, host, .. } = self;
        let host = neutral(host);
        match &self.files[..] {
            [] if self.unread.is_empty() => outln!("no file in the checkout of attempt {attempt} on {host} matches"),
            [] => outln!("no file in the checkout of attempt {attempt} on {host} matches and can be read"),
            files => {
                let bytes = human_bytes(files.iter().map(|file| file.bytes).sum());
                let noun = if files.len() == 1 { "artifact" } else { "artifacts" };
                outln!(
                    "{} {noun} of attempt {attempt} on {host}, {bytes}, in {}",
                    files.len(),
                    neutral(&self.directory)
                );
            }
        }
        if self.running {
            outln!("the agent is still running: this is a snapshot, and a file may be half written");
        }
        let paths: Vec<_> = self.files.iter().map(|file| neutral(&file.path)).collect();
        let width = paths.iter().map(|path| path.chars().count()).max().unwrap_or(0);
        for (file, path) in self.files.iter().zip(&paths) {
            outln!("  {path:width$}  {:>9}  sha256 {}", human_bytes(file.bytes), file.sha256);
        }
        for path in &self.unread {
            outln!("  could not be read on {host}: {}", neutral(path));
        }
    }
}
