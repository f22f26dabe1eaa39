//! The output that a person sees: every screen whole, with stdout, stderr and the exit status, compared with a file.
//!
//! A file `tests/cli/snapshots/NAME.snap` has one scene: commands one after the other, as in a terminal. Text that
//! differs between two runs (paths, ports, times, object ids) is replaced by a name in brackets.
//! `tests/cli/support/redact.rs` has the rules.
//!
//! A change of wording fails here until the files have the new wording:
//!
//! ```text
//! INSTA_UPDATE=always cargo test --features integration --lib --test cli -- cli::error screens man::
//! git diff tests/cli/snapshots docs/cli.md
//! ```
//!
//! This runs the scenes, the errors that no scene can cause (`src/cli/error/tests.rs`) and `docs/cli.md`, in about two
//! minutes. A longer name, such as `screens::run`, runs a part of them. Review the difference: users will see this
//! text. Commit it with the change that causes it.
//!
//! Without `INSTA_UPDATE` a screen that differs fails and is written next to its file as `.snap.new`, which git
//! ignores. With `CI` set, no file is written. A screen without a file fails, too. A difference that appears in some
//! runs only is a bug of the program, or a missing rule in `redact.rs`. Never accept it.

mod adopt;
mod agents;
mod demo;
mod endings;
mod hosts;
mod refused_commands;
mod run;
