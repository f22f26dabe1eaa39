//! The mock model for real agent CLIs: `integration/mock_model_api.py` on a loopback port.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};

use serde_json::Value;
use tempfile::TempDir;

/// A model server, ended by its pid when dropped.
pub struct Mock {
    pub port: u16,
    dir: TempDir,
    child: Child,
}

impl Mock {
    /// Starts the server in a mode of the script (`ok`, `429once`, …). `None` if there is no python3.
    pub fn start(mode: &str) -> Option<Mock> {
        let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("integration/mock_model_api.py");
        let dir = tempfile::tempdir().unwrap();
        let mut child = Command::new("python3")
            .arg(script)
            .arg(dir.path().join("requests.jsonl"))
            .arg(mode)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .ok()?;
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut line).unwrap();
        let port = line.trim().parse().unwrap_or_else(|_| panic!("the mock model did not start: {line:?}"));
        Some(Mock { port, dir, child })
    }

    /// Requests so far, each with its path and body.
    pub fn requests(&self) -> Vec<Value> {
        let text = std::fs::read_to_string(self.dir.path().join("requests.jsonl")).unwrap_or_default();
        text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }
}

impl Drop for Mock {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
