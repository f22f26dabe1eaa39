//! `handoff completions`

use clap::CommandFactory;

use super::error::Error;
use super::exit;

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
pub struct Completions {
    shell: clap_complete::Shell,
}

impl Completions {
    pub fn run(self) -> Result<u8, Error> {
        clap_complete::generate(self.shell, &mut super::Args::command(), "handoff", &mut std::io::stdout());
        Ok(exit::OK)
    }
}
