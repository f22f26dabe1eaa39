//! `handoff bridge`: the command that git runs in place of ssh. It is not for people.

use std::path::PathBuf;

use super::error::Error;
use super::exit;

/// Join standard input and output to a socket
#[derive(Debug, clap::Args)]
pub struct Bridge {
    socket: PathBuf,
    /// The arguments that git passes to an ssh command. The other end knows them already.
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _git: Vec<String>,
}

impl Bridge {
    pub fn run(self) -> Result<u8, Error> {
        crate::remote::bridge::connect(&self.socket)
            .map_err(|error| Error::failed(format!("the connection to the host is gone: {error}")))?;
        Ok(exit::OK)
    }
}
