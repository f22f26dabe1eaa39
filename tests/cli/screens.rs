//! What a person sees: every screen whole, with stdout, stderr and the exit status, compared with a file.
//!
//! A file `tests/cli/snapshots/NAME.snap` has one scene: commands one after the other, as in a terminal. What differs
//! between two runs (paths, ports, times, object ids) has a name in brackets; `tests/cli/support/redact.rs` decides which.
//!
//! A change of wording fails here until the files have it:
//!
//! ```text
//! INSTA_UPDATE=always cargo test --features integration --lib --test cli -- cli::error screens man::
//! git diff tests/cli/snapshots docs/cli.md
//! ```
//!
//! That runs the scenes, the errors that no scene can bring about (`src/cli/error/tests.rs`) and `docs/cli.md`, in about
//! two minutes; a part of it has a longer name, such as `screens::run`. Read the difference as a reviewer would: it is what
//! users will see. Commit it with the change that causes it.
//!
//! Without `INSTA_UPDATE` a screen that differs fails and is written next to its file as `.snap.new`, which git ignores;
//! with `CI` set, nothing is written. A screen without a file fails, too. A difference that comes and goes is a fault of
//! the program, or a rule that `redact.rs` lacks: never accept it.

mod agents;
mod demo;
mod endings;
mod hosts;
mod refused_commands;
mod run;
