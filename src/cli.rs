//! The commands, one file each: parse, call the engine, choose a reporter. Errors become text and exit codes here.

/// Prints a line on stdout. A reader that has closed the pipe is no reason to panic.
macro_rules! outln {
    ($($text:tt)*) => {{
        $crate::ui::screen::out(&format!($($text)*));
    }};
}

/// Prints a line on stderr.
macro_rules! errln {
    ($($text:tt)*) => {{
        $crate::ui::screen::err(&format!($($text)*));
    }};
}

pub mod adopt;
pub mod agents;
pub mod clean;
mod closing;
mod companions;
pub mod completions;
pub mod context;
pub mod demo;
pub mod diff;
pub mod error;
pub mod exit;
pub mod finish;
pub mod forget;
pub mod give;
mod hook;
pub mod host_trees;
pub mod hosts;
mod interrupt;
pub mod json;
pub mod list;
pub mod logs;
pub mod man;
pub mod mcp;
mod mistyped;
mod plugin;
pub mod pull;
pub mod resume;
pub mod run;
pub mod ship;
pub mod show;
pub mod stop;
pub mod summarize;
pub mod takeover;
pub mod undo;
pub mod watch;
mod ways;

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand};

use error::Error;

/// Run a coding agent on one of your own machines over SSH, unattended, and bring its work back.
#[derive(Debug, Parser)]
#[command(name = "handoff", version, max_term_width = 100)]
pub struct Args {
    #[command(flatten)]
    pub global: Global,
    #[command(subcommand)]
    pub command: Command,
}

/// Options of every command.
#[derive(Debug, Clone, clap::Args)]
pub struct Global {
    /// The hosts file (default: hosts.toml in the configuration directory)
    #[arg(long, global = true, value_name = "FILE", env = "HANDOFF_HOSTS")]
    pub hosts: Option<PathBuf>,
    /// Run as if started in this directory
    #[arg(short = 'C', long, global = true, value_name = "DIR")]
    pub directory: Option<PathBuf>,
    /// Whether the caller is an agent in Cursor, whose chat is told when a handoff comes to rest.
    #[arg(skip)]
    pub in_cursor: bool,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub enum Command {
    Run(run::Run),
    Ship(ship::Ship),
    List(list::List),
    Show(show::Show),
    Logs(logs::Logs),
    Summarize(summarize::Summarize),
    Watch(watch::Watch),
    Stop(stop::Stop),
    Resume(resume::Resume),
    Pull(pull::Pull),
    Diff(diff::Diff),
    Takeover(takeover::Takeover),
    Undo(undo::Undo),
    Give(give::Give),
    Finish(finish::Finish),
    Clean(clean::Clean),
    Adopt(adopt::Adopt),
    Forget(forget::Forget),
    Hosts(hosts::Hosts),
    Agents(agents::Agents),
    Demo(demo::Demo),
    Plugin(plugin::Plugin),
    Mcp(mcp::Mcp),
    Hook(hook::Hook),
    Completions(completions::Completions),
    #[command(hide = true)]
    Man(man::Man),
}

/// The program: parses, runs, and turns an error into text and an exit code.
pub fn main() -> ExitCode {
    let args = Args::try_parse().unwrap_or_else(|error| mistyped::explained(error).exit());
    let found = crate::ui::terminal::Found::now();
    let runtime = match tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build() {
        Ok(runtime) => runtime,
        Err(error) => {
            errln!("error: could not start: {error}");
            return ExitCode::from(exit::FAILED);
        }
    };
    let result = runtime.block_on(dispatch(args));
    // A thread that still reads stdin must not keep the process alive.
    runtime.shutdown_background();
    drop(found);
    match result {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            error.print();
            ExitCode::from(error.code)
        }
    }
}

async fn dispatch(args: Args) -> Result<u8, Error> {
    let global = args.global;
    match args.command {
        Command::Run(command) => command.run(&global).await,
        Command::Ship(command) => command.run(&global).await,
        Command::List(command) => command.run(&global),
        Command::Show(command) => command.run(&global).await,
        Command::Logs(command) => command.run(&global).await,
        Command::Summarize(command) => command.run(&global).await,
        Command::Watch(command) => command.run(&global).await,
        Command::Stop(command) => command.run(&global).await,
        Command::Resume(command) => command.run(&global).await,
        Command::Pull(command) => command.run(&global).await,
        Command::Diff(command) => command.run(&global),
        Command::Takeover(command) => command.run(&global).await,
        Command::Undo(command) => command.run(&global).await,
        Command::Give(command) => command.run(&global).await,
        Command::Finish(command) => command.run(&global).await,
        Command::Clean(command) => command.run(&global).await,
        Command::Adopt(command) => command.run(&global).await,
        Command::Forget(command) => command.run(&global).await,
        Command::Hosts(command) => command.run(&global).await,
        Command::Agents(command) => command.run(&global),
        Command::Demo(command) => command.run().await,
        Command::Plugin(command) => command.run(&global),
        Command::Mcp(command) => command.run(&global).await,
        Command::Hook(command) => command.run(&global).await,
        Command::Completions(command) => command.run(),
        Command::Man(command) => command.run(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    #[test]
    fn the_command_line_is_well_formed() {
        super::Args::command().debug_assert();
    }
}
