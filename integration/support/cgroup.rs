//! A memory cgroup of a test's own, of version 1 or 2.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use super::{processes, wait};

static NEXT: AtomicU32 = AtomicU32::new(0);

/// Everything in it may use so much memory and no more. Removed when dropped.
pub struct Cgroup {
    dir: PathBuf,
    counter: &'static str,
}

impl Cgroup {
    /// Makes one; `None` where this machine lets us make none.
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
            // Where the group has no memory controller these fail, and it is removed again.
            std::fs::write(cgroup.dir.join(limit), bytes.to_string()).ok()?;
            std::fs::read(cgroup.dir.join(counter)).ok()?;
            Some(cgroup)
        })
    }

    /// Moves a process into it; what that starts from now on is in it too.
    pub fn add(&self, pid: i32) {
        std::fs::write(self.dir.join("cgroup.procs"), pid.to_string()).unwrap();
    }

    /// How many processes in it the kernel has killed for want of memory.
    pub fn kills(&self) -> u64 {
        let text = std::fs::read_to_string(self.dir.join(self.counter)).unwrap();
        let count = text.lines().find_map(|line| line.strip_prefix("oom_kill ")?.trim().parse().ok());
        count.expect("the kernel counts what it kills")
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
