//! A memory cgroup for one test, of version 1 or 2.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{processes, wait};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Limits the memory of all processes in it. It is removed when dropped.
pub struct Cgroup {
    dir: PathBuf,
    counter: &'static str,
}

impl Cgroup {
    /// Makes a cgroup. `None` if this machine does not allow that.
    pub fn new(bytes: u64) -> Option<Cgroup> {
        let name = format!("handoff-t-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let kinds = [
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes", "memory.oom_control"),
            ("/sys/fs/cgroup", "memory.max", "memory.events"),
        ];
        kinds.into_iter().find_map(|(mount, limit, counter)| {
            if !Path::new(mount).join("cgroup.procs").exists() {
                return None;
            }
            let cgroup = Cgroup { dir: Path::new(mount).join(&name), counter };
            std::fs::create_dir(&cgroup.dir).ok()?;
            // Without a memory controller these writes fail, and the group is removed again.
            std::fs::write(cgroup.dir.join(limit), bytes.to_string()).ok()?;
            std::fs::read(cgroup.dir.join(counter)).ok()?;
            Some(cgroup)
        })
    }

    /// Moves a process into it. Later children of the process are in it too.
    pub fn add(&self, pid: i32) {
        std::fs::write(self.dir.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// Number of processes in it that the kernel has killed for lack of memory.
    pub fn kills(&self) -> u64 {
        let text = std::fs::read_to_string(self.dir.join(self.counter)).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.expect("the kernel counts its kills")
    }

    fn members(&self) -> Vec<i32> {
        let text = std::fs::read_to_string(self.dir.join("cgroup.procs")).unwrap_or_default();
        text.lines().filter_map(|line| line.parse().ok()).collect()
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        if std::thread::panicking() {
            let _ = std::fs::remove_dir(&self.dir);
            return;
        }
        wait::until("an empty cgroup", Duration::from_secs(10), || {
            self.members().into_iter().for_each(|pid| processes::signal(pid, rustix::process::Signal::KILL));
            std::fs::remove_dir(&self.dir).ok()
        });
    }
}
