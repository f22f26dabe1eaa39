//! A laptop, a host behind a proxy, and an agent that records its start time.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use crate::support::laptop::Laptop;
use crate::support::proxy::Proxy;
use crate::support::sshd::{Setup, Sshd};
use crate::support::{agent, wait};

/// The round trips at which everything is measured.
pub const ROUND_TRIPS: [Duration; 2] = [Duration::ZERO, Duration::from_millis(100)];
const HOST: &str = "buildbox";
const LONG: Duration = Duration::from_secs(600);

pub struct Scene {
    pub laptop: Laptop,
    pub host: Sshd,
    pub proxy: Proxy,
    number: u32,
}

impl Scene {
    /// A host that has never seen the repository. Its agent writes a file and a log of `log` bytes, and ends.
    pub fn new(log: usize) -> Scene {
        let host = Setup::default().start();
        let proxy = Proxy::to(host.address);
        let laptop = Laptop::new();
        laptop.knows(&host.route_by(HOST, proxy.address));
        install_agent(&host, log);
        Scene { laptop, host, proxy, number: 0 }
    }

    /// Dispatches a task and leaves it running. Returns the id after the command has ended.
    pub fn hand_off(&mut self) -> String {
        self.number += 1;
        self.hand_off_as(self.number)
    }

    fn hand_off_as(&self, number: u32) -> String {
        let id = format!("bench-{number}");
        // The text differs each time, because handoff does not start the same task twice.
        let task = format!("task {number} of the benchmark");
        let args = ["run", "--host", HOST, "--id", &id, "--detach", &task];
        self.laptop.handoff(&args).run().success();
        id
    }

    /// Time from Enter until the agent's exec on the host, and the number of round trips.
    pub fn time_to_exec(&mut self) -> (Duration, u64) {
        let mark = self.home("started");
        let _ = std::fs::remove_file(&mark);
        self.proxy.count_anew();
        let enter = SystemTime::now();
        self.number += 1;
        let (exec, trips) = std::thread::scope(|scope| {
            let proxy = &self.proxy;
            let started = scope.spawn(move || {
                let file = wait::until("the agent's start", LONG, || std::fs::metadata(&mark).ok());
                (file.modified().unwrap(), proxy.round_trips())
            });
            self.hand_off_as(self.number);
            started.join().unwrap()
        });
        wait::until("the agent's end", LONG, || self.home("ended").exists().then_some(()));
        let _ = std::fs::remove_file(self.home("ended"));
        (exec.duration_since(enter).unwrap_or_default(), trips)
    }

    /// Time of `handoff watch` of the newest handoff, whose agent has ended: until the laptop has its work.
    pub fn time_of_watch(&self) -> Duration {
        self.wait_for_result();
        self.laptop.handoff(&["watch", "--raw", &self.newest()]).time()
    }

    /// The id of the newest handoff.
    pub fn newest(&self) -> String {
        format!("bench-{}", self.number)
    }

    /// Waits until the host has the result of the newest handoff.
    pub fn wait_for_result(&self) {
        wait::until("the attempt's result", LONG, || self.has_result(&self.newest()).then_some(()));
    }

    /// Time from Enter until `ssh HOST COMMAND` has ended. Its output is discarded.
    pub fn time_of_ssh(&self, command: &str) -> Duration {
        let began = Instant::now();
        let mut ssh = self.laptop.program("ssh");
        ssh.arg("-F").arg(self.ssh_config()).args([HOST, command]);
        let status = ssh.stdin(std::process::Stdio::null()).stdout(std::process::Stdio::null()).status().unwrap();
        assert!(status.success(), "ssh {command}");
        began.elapsed()
    }

    /// Whether the host has recorded the result of the first attempt.
    pub fn has_result(&self, id: &str) -> bool {
        let jobs = std::fs::read_dir(self.home(".handoff/work")).unwrap().flatten();
        let mut ours = jobs.filter(|job| job.file_name().to_string_lossy().starts_with(&format!("{id}-")));
        ours.any(|job| job.path().join("1/result").exists())
    }

    pub fn ssh_config(&self) -> PathBuf {
        self.laptop.path("home/.ssh/config")
    }

    /// A file in the home of the host's user.
    pub fn home(&self, name: &str) -> PathBuf {
        self.host.user.home.join(name)
    }
}

/// Changes one tracked file, as a user does between two tasks.
pub fn change_a_file(repo: &Path, round: usize) {
    let file = repo.join("README.md");
    std::fs::write(&file, format!("Round {round} at {:?}\n", SystemTime::now())).unwrap();
}

fn install_agent(host: &Sshd, log: usize) {
    agent::install(&host.user);
    let line = "{\"type\":\"assistant\",\"message\":{\"role\":\"assistant\",\"content\":[{\"type\":\"text\",\"text\":\
                \"A line of the length that agents often write, with a path such as src/supervise/dispatcher.rs and \
                a number or two: 4096, 65536.\"}]},\"session_id\":\"bench\"}\n";
    host.user.install("big.log", line.repeat(log / line.len() + 1), 0o644);
    // The shell itself makes `started`, without another process. The file's time is the time of the exec.
    let script = "#!/bin/sh\n\
        case $* in\n\
        *--print*) ;;\n\
        *) exec ~/.local/lib/scripted-agent \"$@\" ;;\n\
        esac\n\
        : >~/started\n\
        cat >/dev/null\n\
        session=bench\n\
        while [ $# -gt 0 ]; do [ \"$1\" != --resume ] || session=$2; shift; done\n\
        echo '{\"type\":\"system\",\"subtype\":\"init\",\"cwd\":\".\",\"session_id\":\"'$session'\"}'\n\
        cat ~/big.log\n\
        date >>worked.txt\n\
        echo '{\"type\":\"result\",\"subtype\":\"success\",\"is_error\":false,\"result\":\"Done.\",\"session_id\":\"'$session'\"}'\n\
        : >~/ended\n";
    host.user.install(".local/bin/agent", script, 0o755);
}
