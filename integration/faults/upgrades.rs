//! A program that is newer than the one that runs on the host.

use std::path::{Path, PathBuf};

use handoff::remote::runner;
use sha2::{Digest, Sha256};

use crate::repository::add_incompressible;
use crate::row::Row;
use crate::support::laptop::Ran;
use crate::support::site::{ID, PATIENCE, Site};
use crate::support::{processes, wait};

/// A host on which a call of the present runner reaches an older one, until the upgrade.
struct Old {
    site: Site,
    /// Name of the older script. Its watchers run under this name.
    name: String,
    shim: PathBuf,
    /// Whether the older runner knows instances of a root. Release 0.1.0 does not.
    knows_instances: bool,
}

/// A script that calls the older runner to start an attempt, so that an older watcher runs. For everything else it
/// calls the present runner. The arguments of a runner are verb, nonce, root and shell. Release 0.1.0 knows no instance
/// of a root, but the present program expects one.
fn call(older: &str, present: &Path, knows_instances: bool) -> String {
    let call_older = format!("\"$4\" \"$3/lib/{older}\" \"$@\"");
    if knows_instances {
        return format!("exec {call_older}\n");
    }
    format!(
        "[ \"$1\" = ensure ] || exec \"$4\" {} \"$@\"\nread -r id <\"$3/instance\"\n{call_older} | awk -v id=\"$id\" \
         '/^@handoff .* end 0$/ {{ print \"instance \" id \" 1\" }} {{ print }}'\n",
        present.display()
    )
}

impl Old {
    fn new(text: &str) -> Old {
        let site = Site::new();
        // Release 0.1.0 takes no pack with `ensure`. A large one comes before it.
        add_incompressible(&site.laptop.repo, "large.bin", 2 << 20);
        let hash: String = Sha256::digest(text).iter().map(|byte| format!("{byte:02x}")).collect();
        let (name, now) = (format!("runner-{hash}.sh"), format!("runner-{}.sh", runner::sha256()));
        assert_ne!(name, now);
        let lib = Path::new(".handoff/lib");
        site.host.user.install(lib.join(&name).to_str().unwrap(), text, 0o600);
        let present = site.host.user.install(lib.join("present").to_str().unwrap(), runner::text(), 0o600);
        let call = call(&name, &present, text.contains("run_instance"));
        let shim = site.host.user.install(lib.join(now).to_str().unwrap(), call, 0o600);
        Old { site, name, shim, knows_instances: text.contains("run_instance") }
    }

    /// Starts an attempt under the older runner and stops following it. Then the laptop's program is upgraded.
    fn dispatch(self, plan: &str) -> Site {
        self.site.plan(plan);
        self.site.run_checked("true", &["--detach"]).run().success();
        self.site.wait_for_log(1, "Working.");
        let watcher = self.site.pid_on_host(1, "watch.1");
        let command = std::fs::read(format!("/proc/{watcher}/cmdline")).unwrap_or_default();
        assert!(String::from_utf8_lossy(&command).contains(&self.name), "an older runner watches");
        std::fs::remove_file(&self.shim).unwrap();
        if !self.knows_instances {
            self.forget_instance();
        }
        self.site
    }
}

impl Old {
    /// Release 0.1.0 had no instance of a root, neither on the host nor in the journal.
    fn forget_instance(&self) {
        std::fs::remove_file(self.site.host.user.home.join(".handoff/instance")).unwrap();
        let journal = self.site.laptop.record(ID).join("journal.jsonl");
        let text = std::fs::read_to_string(&journal).unwrap();
        let lines = text.lines().filter(|line| !line.contains(r#""event":"root""#));
        std::fs::write(&journal, lines.map(|line| format!("{line}\n")).collect::<String>()).unwrap();
    }
}

/// The released runners, and the present one with changed text, each under a name of its own.
fn older_runners() -> Vec<String> {
    let golden = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden");
    let folders = std::fs::read_dir(golden).unwrap().map(|entry| entry.unwrap().path().join("runner.sh"));
    let mut texts: Vec<String> = folders.filter_map(|path| std::fs::read_to_string(path).ok()).collect();
    assert!(!texts.is_empty());
    texts.push(runner::text().to_owned());
    texts.into_iter().map(|text| text + "# As it was.\n").collect()
}

fn present_runner_is_there(site: &Site) {
    let path = site.host.user.home.join(format!(".handoff/lib/runner-{}.sh", runner::sha256()));
    assert_eq!(std::fs::read_to_string(path).unwrap(), runner::text(), "the upgrade was put on the host");
}

fn classes(site: &Site) -> Vec<String> {
    site.verdicts().into_iter().map(|(class, _)| class).collect()
}

#[test]
fn r52_runner_upgraded() {
    let row = Row::begin(52);
    if !Path::new("/proc/self/cmdline").exists() {
        return row.skip("no /proc to read a watcher's command line from");
    }
    std::thread::scope(|scope| {
        for text in older_runners() {
            let other = text.clone();
            scope.spawn(move || is_followed(&text));
            scope.spawn(move || is_stopped(&other));
        }
    });
}

/// Follows the handoff to its end. The older watcher itself begins an attempt in between.
fn is_followed(text: &str) {
    let site = Old::new(text).dispatch(
        "turn 1\nedit new.txt <<END\nnew\nEND\nsay Working.\nrun until [ -e ~/go ]; do sleep 0.05; done\nratelimit\n\
         turn 2\nedit more.txt <<END\nmore\nEND\nfinish Done.\n",
    );
    let running = site.handoff(&["watch"]).start();
    wait::until("the text in the mirror", PATIENCE, || {
        let log = std::fs::read_to_string(site.laptop.record(ID).join("attempt-1.log")).unwrap_or_default();
        log.contains("Working.").then_some(())
    });
    site.host.user.install("go", "", 0o644);
    let ran: Ran = running.end().success();
    assert_eq!(classes(&site), ["throttled", "done"], "{}", ran.stdout);
    present_runner_is_there(&site);
    site.logs_are_mirrored();
    assert_eq!(site.laptop.git(&["show", &format!("refs/handoff/{ID}/2/work:more.txt")]), "more");
}

fn is_stopped(text: &str) {
    let site = Old::new(text).dispatch("turn 1\nedit new.txt <<END\nnew\nEND\nsay Working.\nhang\n");
    let (watcher, agent) = (site.pid_on_host(1, "watch.1"), site.pid_on_host(1, "task"));
    site.handoff(&["stop"]).run().success();
    assert_eq!(classes(&site), ["stopped"]);
    present_runner_is_there(&site);
    wait::until("the end of what the older runner started", PATIENCE, || {
        let left = processes::of_user(site.host.user.uid);
        (!left.contains(&watcher) && !left.contains(&agent)).then_some(())
    });
    site.logs_are_mirrored();
    assert_eq!(site.laptop.git(&["show", &format!("refs/handoff/{ID}/1/work:new.txt")]), "new");
}
