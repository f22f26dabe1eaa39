//! Sends a coding task to one of your machines, and brings the work back.

use std::process::ExitCode;

fn main() -> ExitCode {
    handoff::cli::main()
}
