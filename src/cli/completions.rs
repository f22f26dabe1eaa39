//! `handoff completions`

use clap::CommandFactory;

use super::error::Error;
use super::exit;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct Completions {
    /// The shell
    shell: clap_complete::Shell,
}

impl Completions {
    pub fn run(self) -> Result<u8, Error> {
        let mut script = Vec::new();
        clap_complete::generate(self.shell, &mut super::Args::command(), "handoff", &mut script);
        super::context::print(&String::from_utf8_lossy(&script));
        Ok(exit::OK)
    }
}
