//! The speed of handoff compared with common tools: ssh, `ssh HOST cat`, rsync. Prints a table of ratios.
//!
//!     cargo bench --features integration --bench dispatch                  everything, some minutes
//!     cargo bench --features integration --bench dispatch -- dispatch      one part: dispatch, logs, ship, stale or takeover
//!     cargo bench --features integration --bench dispatch -- logs 0        and at one delay only, in ms: 0 or 100
//!     cargo bench --features integration --bench dispatch -- --quick       fewer rounds, smaller data: does it work?
//!
//! The host is a private sshd on this machine. A proxy in front of it adds 0 or 100 ms to every round trip. Both sides
//! of a ratio use the same proxy and take turns. The benchmark needs OpenSSH's sshd and, for `ship`, rsync. As root, it
//! makes a separate user for the host. Times are medians. A difference of less than a fifth is noise.

mod dispatch;
mod logs;
mod scene;
mod ship;
mod table;
mod takeover;

#[allow(dead_code, reason = "shared with the tests; each uses its part")]
#[path = "../support"]
mod support {
    pub mod agent;
    pub mod dropbear;
    pub mod evidence;
    pub mod laptop;
    pub mod processes;
    pub mod proxy;
    pub mod ssh_config;
    pub mod sshd;
    pub mod transcript;
    pub mod user;
    pub mod wait;
}

use std::time::Duration;

use scene::ROUND_TRIPS;
use table::Table;

/// How much is measured.
#[derive(Clone, Copy)]
pub struct Size {
    pub rounds: usize,
    /// Bytes of the log.
    pub log: usize,
    /// Files of the large repository.
    pub files: usize,
    /// The only round trip to measure at. `None` means all of them.
    pub only: Option<Duration>,
}

impl Size {
    pub fn round_trips(self) -> impl Iterator<Item = Duration> {
        ROUND_TRIPS.into_iter().filter(move |trip| self.only.is_none_or(|only| only == *trip))
    }
}

const FULL: Size = Size { rounds: 9, log: 256 << 20, files: 60_000, only: None };
const QUICK: Size = Size { rounds: 3, log: 16 << 20, files: 2_000, only: None };
/// Measures a part into the table.
type Part = fn(Size, &mut Table);
const PARTS: [(&str, Part); 5] = [
    ("dispatch", dispatch::measure),
    ("logs", logs::measure),
    ("ship", ship::measure),
    ("stale", ship::measure_stale),
    ("takeover", takeover::measure),
];

fn main() {
    // cargo adds --bench.
    let args: Vec<String> = std::env::args().skip(1).filter(|arg| arg != "--bench").collect();
    let mut size = if args.iter().any(|arg| arg == "--quick") { QUICK } else { FULL };
    let mut wanted = Vec::new();
    for arg in args.iter().filter(|arg| *arg != "--quick") {
        let part = PARTS.iter().find(|(name, _)| name == arg);
        let trip = ROUND_TRIPS.into_iter().find(|trip| trip.as_millis().to_string() == *arg);
        match (part, trip) {
            (Some((_, measure)), _) => wanted.push(measure),
            (None, Some(trip)) => size.only = Some(trip),
            (None, None) => {
                eprintln!(
                    "no part {arg}; the parts are dispatch, logs, ship, stale and takeover, the round trips 0 and 100"
                );
                std::process::exit(2);
            }
        }
    }
    if wanted.is_empty() {
        wanted.extend(PARTS.iter().map(|(_, measure)| measure));
    }
    let mut table = Table::default();
    wanted.into_iter().for_each(|measure| measure(size, &mut table));
    print!("{table}");
}
