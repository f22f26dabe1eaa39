//! Tests of the fault matrix: one test for each row, named `r<number>_<name>`. They use a private sshd, a faulty proxy,
//! kills by recorded pid, file systems on loop devices, and cgroups.
//!
//! `integration/run faults` installs what the rows need, runs them, and compares `docs/faults.md` with the results. One
//! row runs with `cargo test --features integration --test faults r08`. HANDOFF_SWEEP=1 cuts a run at every byte
//! instead of some (hours), HANDOFF_SWEEP=50 at every 50th. HANDOFF_SEED repeats the random moments that a run printed.

mod captures;
mod checkout;
mod deaths;
mod disk;
mod dispatch;
mod endings;
mod entry;
mod escapees;
mod foreign;
mod judging;
mod launchers;
mod line;
mod logs;
mod logs_kept;
mod matrix;
mod memory;
mod names;
mod nodes;
mod objects;
mod odd_hosts;
mod ownership;
mod races;
mod record;
mod report;
mod repository;
mod rivals;
mod roots;
mod row;
mod server;
mod starts;
mod trees;
mod upgrades;
#[allow(dead_code, reason = "shared with the other tests; each uses its part")]
#[path = "../support"]
mod support {
    pub mod agent;
    pub mod cgroup;
    pub mod disk;
    pub mod dropbear;
    pub mod evidence;
    pub mod laptop;
    pub mod processes;
    pub mod proxy;
    pub mod site;
    pub mod skip;
    pub mod ssh_config;
    pub mod sshd;
    pub mod terminal;
    pub mod transcript;
    pub mod user;
    pub mod wait;
}
