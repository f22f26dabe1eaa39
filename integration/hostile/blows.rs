//! Faults in handoff's own processes after the agent has acted and before it may exit.

use std::time::Duration;

use rustix::process::Signal;

use crate::story::Story;
use crate::support::laptop::Running;
use crate::support::processes;
use crate::support::site::ID;

/// A fault in handoff's own processes after the agent has acted and before it may exit.
#[derive(Clone, Copy, Debug)]
pub enum Blow {
    None,
    KillWatcher,
    KillWrapper,
    KillAgent,
    KillAllOfOurs,
    FreezeWatcher,
    FreezeWatcherForAWhile,
    KillLaptop,
    DropConnections,
}

/// The blows to choose from.
pub const BLOWS: &[Blow] = &[
    Blow::None,
    Blow::None,
    Blow::None,
    Blow::None,
    Blow::KillWatcher,
    Blow::KillWrapper,
    Blow::KillAgent,
    Blow::KillAllOfOurs,
    Blow::FreezeWatcher,
    Blow::FreezeWatcherForAWhile,
    Blow::KillLaptop,
    Blow::DropConnections,
];

impl Story {
    /// Executes a blow. Returns the command that still runs, or the next one that the user types.
    pub fn strike(&mut self, running: Running, k: usize) -> Running {
        let blow = self.blows.get(k - 1).copied().unwrap_or(Blow::None);
        self.note(format!("start {k}: {blow:?}"));
        let leave = format!("leave.{k}");
        let kill = |pids: Vec<i32>| pids.into_iter().for_each(|pid| processes::signal(pid, Signal::KILL));
        match blow {
            Blow::None => {}
            Blow::KillWatcher => kill(self.with_words(&["runner-", " watch "])),
            Blow::KillWrapper => kill(self.wrappers()),
            Blow::KillAgent => kill(self.agents()),
            Blow::KillAllOfOurs => kill(self.with_words(&["runner-"])),
            Blow::DropConnections => kill(self.site.host.sessions()),
            Blow::KillLaptop => {
                running.kill();
                self.touch(&leave);
                return self.site.laptop.handoff(&["watch", ID]).start();
            }
            Blow::FreezeWatcher => {
                self.freeze();
                self.touch(&leave);
                running.kill();
                return self.site.laptop.handoff(&["stop", ID]).start();
            }
            Blow::FreezeWatcherForAWhile => {
                let frozen = self.freeze();
                self.touch(&leave);
                std::thread::sleep(Duration::from_secs(2));
                frozen.into_iter().for_each(|pid| processes::signal(pid, Signal::CONT));
            }
        }
        self.touch(&leave);
        running
    }

    fn freeze(&self) -> Vec<i32> {
        let watchers = self.with_words(&["runner-", " watch "]);
        watchers.iter().for_each(|pid| processes::signal(*pid, Signal::STOP));
        watchers
    }

    /// Processes of the host's user whose command line has all of these words.
    fn with_words(&self, words: &[&str]) -> Vec<i32> {
        let has = |pid: &i32| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            let line: String = line.iter().map(|byte| if *byte == 0 { ' ' } else { char::from(*byte) }).collect();
            words.iter().all(|word| line.contains(word))
        };
        processes::of_user(self.site.host.user.uid).into_iter().filter(has).collect()
    }

    pub fn agents(&self) -> Vec<i32> {
        self.with_words(&["/.local/bin/agent", "--print"])
    }

    /// The parents of the agent: the shells that record its exit status.
    fn wrappers(&self) -> Vec<i32> {
        let agents = self.agents();
        let all = processes::all();
        let parents = all.iter().filter(|p| agents.contains(&p.pid) && !agents.contains(&p.parent)).map(|p| p.parent);
        parents.filter(|pid| *pid > 1).collect()
    }
}
