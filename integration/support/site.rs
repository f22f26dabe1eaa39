//! The usual scene: a laptop, and a host with an agent. The laptop's ssh knows the host as `buildbox`.

use std::path::PathBuf;
use std::time::Duration;

use super::laptop::Laptop;
use super::sshd::{Setup, Sshd};
use super::{agent, wait};

/// The host name that the user types.
pub const HOST: &str = "buildbox";
/// The id of the handoff, for a test that has only one.
pub const ID: &str = "fix";
/// Passes once the demo repository's bugs are fixed.
pub const CHECK: &str = "sh test.sh";
/// The task that the user types.
pub const TASK: &str = "make the failing tests pass";
/// Longest wait for something that the host does by itself, a first backoff included.
pub const PATIENCE: Duration = Duration::from_secs(120);

pub struct Site {
    pub laptop: Laptop,
    pub host: Sshd,
}

impl Site {
    /// A host as a distribution sets it up.
    pub fn new() -> Site {
        Site::with(Setup::default())
    }

    pub fn with(setup: Setup) -> Site {
        let site = Site::unknown(setup);
        site.laptop.knows(&site.host.route(HOST));
        site
    }

    /// A host that the laptop does not know yet.
    pub fn unknown(setup: Setup) -> Site {
        let host = setup.start();
        agent::install(&host.user);
        Site { laptop: Laptop::new(), host }
    }

    /// Sets what the agent does.
    pub fn plan(&self, plan: &str) {
        agent::plan(&self.host.user, plan);
    }

    /// `handoff run` with the usual task and check, and a short first backoff.
    pub fn run(&self, more: &[&str]) -> super::laptop::Call {
        self.run_checked(CHECK, more)
    }

    /// `handoff run` with another check, for agents that do not fix the demo's bugs.
    pub fn run_checked(&self, check: &str, more: &[&str]) -> super::laptop::Call {
        let usual = ["run", "--host", HOST, "--id", ID, "--backoff", "1s", "--check", check];
        self.laptop.handoff(&[&usual, more, &[TASK]].concat())
    }

    /// `handoff ARGS… ID`
    pub fn handoff(&self, args: &[&str]) -> super::laptop::Call {
        self.laptop.handoff(&[args, &[ID]].concat())
    }

    /// The output of `show` once the host has answered. `show` waits two seconds for the host.
    #[track_caller]
    pub fn answered_show(&self) -> String {
        wait::until("a `show` that the host answers", PATIENCE, || {
            let shown = self.handoff(&["show"]).run().success().stdout;
            (!shown.contains("host now  no answer")).then_some(shown)
        })
    }

    /// The handoff's directory on the host, described in `docs/host.md`. `None` if it does not exist yet.
    pub fn work(&self) -> Option<PathBuf> {
        let all = agent::folders(&self.host.user.home.join(".handoff/work"));
        all.into_iter().find(|path| path.file_name().unwrap().to_string_lossy().starts_with(&format!("{ID}-")))
    }

    /// A file of an attempt on the host. `None` if it does not exist.
    pub fn on_host(&self, attempt: u32, file: &str) -> Option<String> {
        let path = self.work()?.join(attempt.to_string()).join(file);
        std::fs::read(path).ok().map(|bytes| String::from_utf8_lossy(&bytes).into_owned())
    }

    /// The target of a link of an attempt on the host, such as a claim. `None` if it does not exist.
    pub fn link_on_host(&self, attempt: u32, name: &str) -> Option<String> {
        let target = std::fs::read_link(self.work()?.join(attempt.to_string()).join(name)).ok()?;
        Some(target.to_string_lossy().into_owned())
    }

    /// The pid in the target of a link of an attempt on the host: `watch.1`, `task`.
    #[track_caller]
    pub fn pid_on_host(&self, attempt: u32, name: &str) -> i32 {
        let target = wait::until(name, PATIENCE, || self.link_on_host(attempt, name));
        target.split(':').next().and_then(|pid| pid.parse().ok()).unwrap_or_else(|| panic!("no pid: {target}"))
    }

    /// The process of the agent itself, which is the scripted agent.
    #[track_caller]
    pub fn agent_pid(&self) -> i32 {
        let runs = super::processes::with_argument(self.host.user.uid, "--print");
        // Its subshells have the same name. The agent is the one whose parent has another name.
        let agent = super::processes::all().into_iter().find(|p| runs.contains(&p.pid) && !runs.contains(&p.parent));
        agent.expect("no agent runs").pid
    }

    /// The verdict of each attempt as the laptop reports it: class and evidence.
    pub fn verdicts(&self) -> Vec<(String, String)> {
        let shown = self.handoff(&["show", "--offline", "--json"]).run().success().json();
        let attempts = shown["handoff"]["attempts"].as_object().cloned().unwrap_or_default();
        let word = |value: &serde_json::Value| value.as_str().unwrap_or_default().to_owned();
        attempts.values().map(|a| (word(&a["verdict"]["class"]), word(&a["verdict"]["evidence"]))).collect()
    }

    /// Waits until the host itself has recorded how an attempt ended. No process on the laptop is necessary.
    #[track_caller]
    pub fn wait_for_result(&self, attempt: u32) -> String {
        wait::until(&format!("the result of attempt {attempt} on the host"), PATIENCE, || {
            self.on_host(attempt, "result").filter(|result| result.ends_with("end 1\n"))
        })
    }

    /// Waits until the agent's own output contains a text.
    #[track_caller]
    pub fn wait_for_log(&self, attempt: u32, text: &str) {
        wait::until(&format!("{text:?} in the log of attempt {attempt}"), PATIENCE, || {
            self.on_host(attempt, "log").filter(|log| log.contains(text))
        });
    }

    /// Attempts that have a directory on the host.
    pub fn attempts(&self) -> Vec<u32> {
        let all = self.work().map(|work| agent::folders(&work)).unwrap_or_default();
        let mut numbers: Vec<u32> = all.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        numbers
    }

    /// Checks that the mirrored log of every attempt equals the host's, byte for byte, in the record and in the pages
    /// for people.
    #[track_caller]
    pub fn logs_are_mirrored(&self) {
        let attempts = self.attempts();
        assert_ne!(attempts, [] as [u32; 0], "no attempt on the host");
        for attempt in attempts {
            let log = self.on_host(attempt, "log").expect("an attempt without a log");
            let name = format!("attempt-{attempt}.log");
            for place in [self.laptop.record(ID), self.laptop.mirror(ID)] {
                let mirrored = std::fs::read(place.join(&name)).unwrap_or_else(|e| panic!("{place:?}/{name}: {e}"));
                assert_eq!(String::from_utf8_lossy(&mirrored), log, "{}", place.join(&name).display());
            }
        }
    }

    /// Checks that the fetched work fixes the demo's bugs, without any file of the laptop.
    #[track_caller]
    pub fn work_is_back(&self) {
        let refs = self.laptop.git(&["for-each-ref", "--format=%(refname)", &format!("refs/handoff/{ID}/")]);
        let fixed = refs.lines().any(|name| {
            let file = self.laptop.git(&["show", &format!("{name}:total.sh")]);
            file.contains("|| [ -n \"$quantity\" ]") && file.contains("+ 50) / 100")
        });
        assert!(fixed, "none of these has the fixed file:\n{refs}");
    }
}
