//! The laptop: its home, its repository, its hosts file.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use handoff::transport::ssh::server::key;

use super::host::Host;
use super::program::{Program, Ran};
use super::{ID, evidence, processes};

pub struct Laptop {
    pub hosts: Vec<Host>,
    public: String,
    runs: AtomicU32,
    // These fields are dropped in this order: first the running programs, then their directories.
    runtime: tokio::runtime::Runtime,
    top: tempfile::TempDir,
}

impl Laptop {
    /// A laptop with the demo's repository and one host, `box`.
    pub fn new() -> Self {
        let top = tempfile::Builder::new().prefix("handoff-test-").tempdir().unwrap();
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let mut laptop = Laptop { hosts: vec![], public: String::new(), runs: AtomicU32::new(0), runtime, top };
        for directory in [".ssh", ".config/handoff", "tmp"] {
            std::fs::create_dir_all(laptop.home().join(directory)).unwrap();
        }
        laptop.public = key::generate(&laptop.identity()).unwrap();
        let identity = "[user]\n\tname = Laptop\n\temail = laptop@example.org\n[init]\n\tdefaultBranch = main\n";
        std::fs::write(laptop.home().join(".gitconfig"), identity).unwrap();
        let ssh = format!(
            "UserKnownHostsFile {}\nGlobalKnownHostsFile /dev/null\nIdentityAgent none\nIdentitiesOnly yes\n",
            laptop.home().join(".ssh/known_hosts").display()
        );
        std::fs::write(laptop.ssh_config(), ssh).unwrap();
        laptop.make_repository();
        laptop.add_host("box");
        laptop
    }

    /// A laptop whose host's agent follows `plan`.
    pub fn with_plan(plan: &str) -> Self {
        let mut laptop = Self::new();
        laptop.plan(plan);
        laptop
    }

    pub fn plan(&mut self, plan: &str) {
        self.hosts[0].write_plan(plan);
        self.write_hosts();
    }

    /// Starts another host.
    pub fn add_host(&mut self, name: &'static str) -> &mut Host {
        self.add_host_with(name, vec![])
    }

    /// Starts another host, whose search path lacks the programs whose names begin like this.
    pub fn add_host_without(&mut self, name: &'static str, program: &str) -> &mut Host {
        let bin = self.top().join(format!("{name}-bin"));
        std::fs::create_dir(&bin).unwrap();
        for directory in std::env::split_paths(&std::env::var_os("PATH").unwrap()) {
            for entry in directory.read_dir().into_iter().flatten().flatten() {
                let is_wanted = !entry.file_name().to_string_lossy().starts_with(program);
                if is_wanted && bin.join(entry.file_name()).symlink_metadata().is_err() {
                    std::os::unix::fs::symlink(entry.path(), bin.join(entry.file_name())).unwrap();
                }
            }
        }
        self.add_host_with(name, vec![("PATH".into(), bin.into())])
    }

    fn add_host_with(&mut self, name: &'static str, env: Vec<(OsString, OsString)>) -> &mut Host {
        let host = Host::start(&self.runtime, name, self.top().join(name), &self.public, env);
        self.hosts.push(host);
        self.write_hosts();
        self.hosts.last_mut().unwrap()
    }

    /// Writes hosts.toml and known_hosts for the present hosts.
    pub fn write_hosts(&self) {
        let tables: Vec<String> = self.hosts.iter().map(|host| host.table(&self.identity())).collect();
        std::fs::write(self.hosts_file(), tables.join("\n")).unwrap();
        let known: Vec<&str> = self.hosts.iter().map(|host| host.known_hosts.as_str()).collect();
        std::fs::write(self.home().join(".ssh/known_hosts"), known.join("\n") + "\n").unwrap();
    }

    pub fn hosts_file(&self) -> PathBuf {
        self.home().join(".config/handoff/hosts.toml")
    }

    /// Appends to hosts.toml. The next write of the file removes the text.
    pub fn append_hosts(&self, text: &str) {
        let file = self.hosts_file();
        std::fs::write(&file, std::fs::read_to_string(&file).unwrap() + text).unwrap();
    }

    fn make_repository(&self) {
        std::fs::create_dir_all(self.repository()).unwrap();
        self.write("README.md", include_str!("../../../config/demo/repo/README.md"));
        self.write("total.sh", include_str!("../../../config/demo/repo/total.sh"));
        self.write("test.sh", include_str!("../../../config/demo/repo/test.sh"));
        for words in [&["init", "--quiet"][..], &["add", "."], &["commit", "--quiet", "--message=Add up a cart"]] {
            self.git(words);
        }
    }

    pub fn top(&self) -> &Path {
        self.top.path()
    }

    pub fn home(&self) -> PathBuf {
        self.top().join("home")
    }

    pub fn repository(&self) -> PathBuf {
        self.top().join("work/till")
    }

    fn identity(&self) -> PathBuf {
        self.home().join(".ssh/id_test")
    }

    pub fn ssh_config(&self) -> PathBuf {
        self.home().join(".ssh/config")
    }

    /// Writes a file of the repository.
    pub fn write(&self, path: &str, text: impl AsRef<[u8]>) {
        std::fs::write(self.repository().join(path), text).unwrap();
    }

    /// The complete environment of every program here.
    fn environment(&self) -> Vec<(&'static str, OsString)> {
        let home = self.home();
        vec![
            ("HOME", home.clone().into()),
            ("PATH", std::env::var_os("PATH").unwrap()),
            ("TMPDIR", home.join("tmp").into()),
            ("XDG_CONFIG_HOME", home.join(".config").into()),
            ("XDG_STATE_HOME", home.join(".local/state").into()),
            ("HANDOFF_SSH_CONFIG", self.ssh_config().into()),
            ("GIT_CONFIG_NOSYSTEM", "1".into()),
            ("GIT_CEILING_DIRECTORIES", self.top().into()),
            ("LC_ALL", "C".into()),
        ]
    }

    /// The program under test, in the repository.
    pub fn handoff<I: IntoIterator<Item = S>, S: AsRef<std::ffi::OsStr>>(&self, args: I) -> Program {
        self.program(Path::new(env!("CARGO_BIN_EXE_handoff"))).args(args)
    }

    /// A program in the repository.
    pub fn program(&self, binary: &Path) -> Program {
        let output = self.top().join("runs").join(self.runs.fetch_add(1, Ordering::Relaxed).to_string());
        let mut program = Program::new(binary, output);
        for (name, value) in self.environment() {
            program = program.env(name, value);
        }
        program.directory(&self.repository())
    }

    /// `handoff run` of the handoff [`ID`] on the first host, with more arguments.
    pub fn run<const N: usize>(&self, more: [&str; N]) -> Program {
        self.handoff(["run", "--host", self.hosts[0].name, "--id", ID]).args(more)
    }

    /// A search path with only these programs.
    pub fn path_of(&self, programs: &[&str]) -> PathBuf {
        let bin = self.home().join("bin");
        std::fs::create_dir_all(&bin).unwrap();
        let path = std::env::var_os("PATH").unwrap();
        for program in programs {
            let found =
                std::env::split_paths(&path).map(|directory| directory.join(program)).find(|file| file.exists());
            std::os::unix::fs::symlink(found.unwrap(), bin.join(program)).unwrap();
        }
        bin
    }

    /// `git` in the repository; panics when it fails.
    pub fn git<S: AsRef<std::ffi::OsStr>>(&self, args: &[S]) -> String {
        self.git_in(&self.repository(), args)
    }

    pub fn git_in<S: AsRef<std::ffi::OsStr>>(&self, directory: &Path, args: &[S]) -> String {
        let output = Command::new("git")
            .env_clear()
            .envs(self.environment())
            .current_dir(directory)
            .args(args)
            .output()
            .unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// The output of a shell script in the repository; panics when it fails.
    pub fn shell(&self, script: &str) -> String {
        let mut command = Command::new("sh");
        let output = command.env_clear().envs(self.environment()).current_dir(self.repository());
        let output = output.args(["-c", script]).output().unwrap();
        let stderr = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{script}\n{stderr}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// A file of the pages for people about the handoff [`ID`], in the repository.
    pub fn record(&self, name: &str) -> PathBuf {
        self.repository().join(".cursor/agent-handoffs").join(ID).join(name)
    }

    /// A file of the record of the handoff [`ID`], in the git directory.
    pub fn truth(&self, name: &str) -> PathBuf {
        self.repository().join(".git/handoff").join(ID).join(name)
    }

    /// The bytes of the user's index.
    pub fn index(&self) -> Vec<u8> {
        std::fs::read(self.repository().join(".git/index")).unwrap()
    }

    pub fn handoff_md(&self) -> String {
        std::fs::read_to_string(self.record("handoff.md")).unwrap()
    }

    /// Checks the status in `handoff.md` and in the record.
    #[track_caller]
    pub fn status_is(&self, status: &str) {
        assert!(self.handoff_md().contains(&format!("\n- Status: {status}\n")), "{}", self.handoff_md());
        assert_eq!(self.shown()["status"], status);
    }

    /// `handoff show --offline --json`.
    #[track_caller]
    pub fn shown(&self) -> serde_json::Value {
        self.handoff(["show", ID, "--offline", "--json"]).run().exits(0).json().remove(0)
    }

    /// Classes of the attempts' verdicts.
    pub fn verdicts(&self) -> Vec<String> {
        let shown = self.shown();
        let attempts = shown["handoff"]["attempts"].as_object().unwrap().values();
        attempts.map(|attempt| attempt["verdict"]["class"].as_str().unwrap_or("none").to_owned()).collect()
    }

    /// The worktree of a takeover of the handoff [`ID`].
    pub fn worktree(&self) -> PathBuf {
        self.top().join("work").join(format!("till-handoff-{ID}"))
    }

    /// Takes the handoff over, without an editor.
    pub fn takeover(&self) -> Ran {
        self.handoff(["takeover", ID, "--editor", "none"]).run()
    }
}

/// The last output of every program of a test, in the order of their starts.
fn transcript(runs: &Path) -> String {
    let mut text = String::new();
    for run in (0..).map(|number: u32| runs.join(number.to_string())).take_while(|run| run.exists()) {
        let [line, end, stdout, stderr] =
            ["line", "end", "stdout", "stderr"].map(|file| evidence::end_of(&run.join(file)));
        text += &format!("--- {line}: {end}\n{stdout}\n{stderr}\n");
    }
    text
}

impl Drop for Laptop {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", transcript(&self.top().join("runs")));
            for host in &self.hosts {
                eprintln!("--- on {}\n{}", host.name, evidence::of_home(&host.home));
            }
        }
        processes::end(&self.home());
    }
}
