//! How fast handoff is beside what everybody has: ssh, `ssh HOST cat`, rsync. Prints a table of ratios.
//!
//!     cargo bench --features integration --bench dispatch                  everything, some minutes
//!     cargo bench --features integration --bench dispatch -- dispatch      one part: dispatch, logs or ship
//!     cargo bench --features integration --bench dispatch -- --quick       fewer rounds, smaller data: does it work?
//!
//! A private sshd on this machine is the host, reached through a proxy that adds 0 or 100 ms to every round trip; both
//! sides of a ratio go through the same proxy and take turns. Needs OpenSSH's sshd and, for `ship`, rsync; as root the
//! host's user is one of its own. Times are medians; differences under a fifth mean nothing.

mod dispatch;
mod logs;
mod scene;
mod ship;
mod table;

#[allow(dead_code, reason = "shared with the tests; each uses its part")]
#[path = "../support"]
mod support {
    pub mod agent;
    pub mod dropbear;
    pub mod laptop;
    pub mod processes;
    pub mod proxy;
    pub mod ssh_config;
    pub mod sshd;
    pub mod user;
    pub mod wait;
}

use table::Table;

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Size {
    pub rounds: usize,
    /// Bytes of the log.
    pub log: usize,
    /// Files of the large repository.
    pub files: usize,
}

const FULL: Size = Size { rounds: 9, log: 256 << 20, files: 60_000 };
const QUICK: Size = Size { rounds: 3, log: 16 << 20, files: 2_000 };

fn main() {
    // cargo adds --bench.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let size = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let parts: Vec<&str> = args.iter().map(String::as_str).filter(|arg| *arg != "--quick").collect();
    if let Some(unknown) = parts.iter().find(|part| !["dispatch", "logs", "ship"].contains(part)) {
        eprintln!("no part {unknown}; the parts are dispatch, logs and ship");
        std::process::exit(2);
    }
    let wanted = |part| parts.is_empty() || parts.contains(&part);
    let mut table = Table::default();
    if wanted("dispatch") {
        dispatch::measure(size, &mut table);
    }
    if wanted("logs") {
        logs::measure(size, &mut table);
    }
    if wanted("ship") {
        ship::measure(size, &mut table);
    }
    print!("{table}");
}
