//! The program as its users run it: the built binary on an isolated laptop, with SSH servers in this process as hosts.
//! There is one file for each command. The tests need git and a POSIX shell, no network and no account.

mod agents;
mod alone;
mod clean;
mod completions;
mod demo;
mod diff;
mod golden;
mod hosts;
mod list;
mod logs;
mod man;
mod odd_repository;
mod ownership;
mod pull;
mod record;
mod resume;
mod root;
mod run;
mod screens;
mod show;
mod stop;
mod support;
mod takeover;
mod watch;
