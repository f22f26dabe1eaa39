//! `handoff man`: for packagers and for the installation line of the README. The help does not show it.

use std::path::PathBuf;

use clap::CommandFactory;

use super::error::Error;
use super::exit;

/// Write a manual page for each command into a directory
#[derive(Debug, clap::Args)]
pub struct Man {
    /// Directory for the pages; it is created if it is missing
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

impl Man {
    pub fn run(self) -> Result<u8, Error> {
        let at = self.directory.display();
        let fail = |error: std::io::Error| Error::failed(format!("could not write manual pages to {at}: {error}"));
        std::fs::create_dir_all(&self.directory).map_err(fail)?;
        clap_mangen::generate_to(super::Args::command(), &self.directory).map_err(fail)?;
        Ok(exit::OK)
    }
}
