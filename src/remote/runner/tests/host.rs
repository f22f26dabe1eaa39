//! A host in a temporary directory, and a laptop's repository next to it.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use super::super::*;
use super::processes;
use super::wait::is_over;

/// Removes root's right to ignore permissions.
const UNPRIVILEGED: &str = "--bounding-set=-dac_override,-dac_read_search";

pub const NONCE: &str = "00000000000000aa";

/// The shells of this machine, as command lines. `HANDOFF_TEST_SHELL` replaces them by one, such as a bash 3.2; tools
/// of another system then come first on `PATH`.
pub fn shells() -> Vec<String> {
    if let Ok(shell) = std::env::var("HANDOFF_TEST_SHELL") {
        return vec![shell];
    }
    let there = |words: &str| {
        let mut words = words.split(' ');
        let status = Command::new(words.next().unwrap()).args(words).args(["-c", ":"]).stderr(Stdio::null()).status();
        status.is_ok_and(|s| s.success())
    };
    ["dash", "bash", "busybox ash", "sh"].into_iter().filter(|s| there(s)).map(str::to_owned).take(3).collect()
}

pub fn script(path: &Path, body: &str) {
    use std::os::unix::fs::PermissionsExt;
    std::fs::write(path, format!("#!/bin/sh\n{body}\n")).unwrap();
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o755)).unwrap();
}

/// A grant's `grant` file with changed values.
pub fn grant(changes: &[(&str, &str)]) -> String {
    let mut lines = vec![
        ("epoch", "1"),
        ("first", "1"),
        ("last", "3"),
        ("active", "100"),
        ("first_output", "0"),
        ("no_progress", "0"),
        ("grace", "0"),
        ("delays", "1 1"),
        ("session_mode", "none"),
        ("start", "fresh"),
    ];
    for &(key, value) in changes {
        lines.retain(|(k, _)| *k != key);
        lines.push((key, value));
    }
    lines.iter().map(|(key, value)| format!("{key} {value}\n")).collect()
}

pub struct TestHost {
    dir: tempfile::TempDir,
    shell: String,
    /// Whether file permissions apply, which they do not for root.
    ordinary: bool,
    /// Unique for each test, because a sweep ends every process with its mark.
    pub name: String,
    /// commit, head, index tree and files tree of the snapshot
    pub oids: [String; 4],
    /// Variables that the account's profile exports.
    pub variables: Vec<(&'static str, &'static str)>,
    /// The account's umask.
    pub umask: &'static str,
}

impl TestHost {
    pub fn without_runner(shell: String) -> Self {
        static COUNT: AtomicU32 = AtomicU32::new(0);
        let unique = u64::from(std::process::id()) << 32 | u64::from(COUNT.fetch_add(1, Ordering::Relaxed));
        let name = format!("20260407-x-{unique:016x}");
        let (oids, variables, umask) = Default::default();
        let dir = tempfile::tempdir().unwrap();
        let host = TestHost { dir, shell, ordinary: false, name, oids, variables, umask };
        std::fs::create_dir_all(host.home().join("bin")).unwrap();
        host
    }

    pub fn new(shell: String) -> Self {
        let host = Self::without_runner(shell);
        host.exec(&install_loader(false), text().as_bytes());
        host
    }

    /// A host that already has the snapshot of a laptop's repository with uncommitted changes.
    pub fn shipped(shell: String, agent: &str) -> Self {
        let mut host = Self::new(shell);
        host.make_laptop();
        host.push();
        host.agent(agent);
        host
    }

    /// Ends a step of the runner that makes no progress for so many seconds.
    pub fn limit_stalls(&self, seconds: u32) {
        let file = self.root().join(format!("lib/runner-{}.sh", sha256()));
        let text = std::fs::read_to_string(&file).unwrap();
        let shorter = text.replace("stall_limit=120 ", &format!("stall_limit={seconds} "));
        assert_ne!(text, shorter);
        std::fs::write(file, shorter).unwrap();
    }

    /// Puts a script in front of git that does `body` where the arguments match a pattern of `case`, and then is git.
    pub fn shadow_git(&self, pattern: &str, body: &str) {
        let git = std::env::split_paths(&self.path()).map(|dir| dir.join("git")).find(|file| file.exists()).unwrap();
        self.shadow("git", &format!("case $* in {pattern}) {body} ;; esac\nexec {} \"$@\"", git.display()));
    }

    /// Applies file permissions to everything that runs on the host, even if the tests run as root. `false`: not
    /// possible on this machine.
    pub fn ordinary(&mut self) -> bool {
        let works = Command::new("setpriv").args([UNPRIVILEGED, "true"]).status().is_ok_and(|it| it.success());
        self.ordinary = works;
        let own = Command::new("id").arg("-u").output().unwrap().stdout;
        works || own != b"0\n"
    }

    /// The command line of its shell.
    pub fn shell(&self) -> &str {
        &self.shell
    }

    pub fn home(&self) -> PathBuf {
        self.dir.path().canonicalize().unwrap()
    }

    pub fn root(&self) -> PathBuf {
        self.home().join(".handoff")
    }

    pub fn work(&self) -> PathBuf {
        self.root().join("work").join(&self.name)
    }

    pub fn at(&self, attempt: u32) -> PathBuf {
        self.work().join(attempt.to_string())
    }

    pub fn cache(&self) -> PathBuf {
        self.root().join("cache").join(format!("{}.git", "a".repeat(40)))
    }

    pub fn laptop(&self) -> PathBuf {
        self.home().join("laptop/my repo")
    }

    /// The directories of the host's tools: its own if it has some, else this machine's.
    fn path(&self) -> std::ffi::OsString {
        let (own, shadow) = (self.home().join("tools"), self.home().join("shadow"));
        if own.exists() {
            return own.into();
        }
        let all = std::env::var_os("PATH").unwrap();
        std::env::join_paths([shadow].into_iter().chain(std::env::split_paths(&all))).unwrap()
    }

    /// Puts a script in front of one of the host's tools.
    pub fn shadow(&self, tool: &str, body: &str) {
        let directory = self.home().join("shadow");
        std::fs::create_dir_all(&directory).unwrap();
        script(&directory.join(tool), body);
    }

    /// Gives the host git, and busybox for everything else.
    pub fn only_busybox(&self) {
        let find =
            |name: &str| std::env::split_paths(&self.path()).map(|dir| dir.join(name)).find(|file| file.exists());
        let (git, busybox) = (find("git").unwrap(), find("busybox").unwrap());
        let listed = Command::new(&busybox).arg("--list").output().unwrap().stdout;
        let tools = self.home().join("tools");
        std::fs::create_dir(&tools).unwrap();
        for name in String::from_utf8(listed).unwrap().lines().filter(|name| *name != "busybox") {
            std::os::unix::fs::symlink(&busybox, tools.join(name)).unwrap();
        }
        std::os::unix::fs::symlink(&busybox, tools.join("busybox")).unwrap();
        std::os::unix::fs::symlink(git, tools.join("git")).unwrap();
    }

    pub fn start(&self, line: &str, input: &[u8]) -> Child {
        self.open(line, input).0
    }

    /// Starts a command whose input stays open.
    pub fn open(&self, line: &str, input: &[u8]) -> (Child, ChildStdin) {
        let mut line = line.replace("h=/bin/sh;", &format!("h=\"{}\";", self.shell));
        if !self.umask.is_empty() {
            line = format!("umask {}; {line}", self.umask);
        }
        let mut command = if self.ordinary { Command::new("setpriv") } else { Command::new("sh") };
        if self.ordinary {
            command.args([UNPRIVILEGED, "sh"]);
        }
        let mut child = command
            .args(["-c", &line])
            .env_clear()
            .env("PATH", self.path())
            .env("HOME", self.home())
            .env("SHELL", "/bin/sh")
            .envs(self.variables.iter().copied())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut stdin = child.stdin.take().unwrap();
        // The runner may refuse a request before it has read all of it.
        let _ = stdin.write_all(format!("{NONCE}\n\n").as_bytes()).and_then(|()| stdin.write_all(input));
        (child, stdin)
    }

    /// The output of a command. The test fails if the command, or a process that holds its output, does not end.
    #[track_caller]
    pub fn finish(&self, child: Child) -> Output {
        self.try_finish(child).unwrap_or_else(|| {
            let running: Vec<String> = processes::of_home(&self.home()).into_iter().map(|(_, line)| line).collect();
            panic!("{}: a command does not end; these run:\n{}", self.shell, running.join("\n"))
        })
    }

    /// `None` if it does not end within two minutes on an idle machine.
    fn try_finish(&self, child: Child) -> Option<Output> {
        let (began, limit) = (Instant::now(), Duration::from_secs(120));
        let waiting = std::thread::spawn(move || child.wait_with_output());
        while !waiting.is_finished() {
            if is_over(began, limit) {
                return None;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
        Some(waiting.join().unwrap().unwrap())
    }

    pub fn exec_raw(&self, line: &str, input: &[u8]) -> Vec<u8> {
        let output = self.finish(self.start(line, input));
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{} wrote to stderr", self.shell);
        output.stdout
    }

    pub fn exec(&self, line: &str, input: &[u8]) -> String {
        String::from_utf8_lossy(&self.exec_raw(line, input)).into_owned()
    }

    pub fn call(&self, verb: Verb, request: &[u8]) -> String {
        self.exec(&loader(verb), request)
    }

    /// Sends `ensure` with the built-in spec and the changes of the test.
    pub fn ensure(&self, attempt: u32, changes: &[(&str, &str)]) -> String {
        self.call(Verb::Ensure, &self.ensure_request(attempt, changes, ""))
    }

    pub fn ensure_request(&self, attempt: u32, changes: &[(&str, &str)], extra: &str) -> Vec<u8> {
        let mut spec: Vec<(&str, String)> = self.spec();
        for &(file, content) in changes {
            spec.retain(|(name, _)| *name != file);
            spec.push((file, content.to_owned()));
        }
        let blob: String = spec.iter().map(|(_, content)| content.as_str()).collect();
        let mut request = format!("name {}\nattempt {attempt}\ngrant 1\n{extra}", self.name);
        for (name, content) in &spec {
            request += &format!("part spec/{name} {}\n", content.len());
        }
        request += &format!("blob {}\n\n{blob}", blob.len());
        request.into_bytes()
    }

    pub fn ship(&self) -> String {
        let [commit, head, index, files] = &self.oids;
        let key = "a".repeat(40);
        format!(
            "key {key}\nrepo my repo\nformat sha1\ncommit {commit}\nhead {head}\nindex_tree {index}\nfiles_tree {files}\n\
             branch main\nupstream origin refs/heads/main\nsubdir sub\nauthor Ann\nemail ann@example.org\n\
             ref {head} refs/remotes/origin/main\nadopt yes\n"
        )
    }

    fn spec(&self) -> Vec<(&'static str, String)> {
        let text = "binary = ['fakeagent']\nstart = []\nfailure = [{class = 'throttled', pattern = 'rate.?limit'}]";
        let files = crate::agent::host_rules::files(&toml::from_str(text).unwrap());
        let mut spec = vec![
            ("grant", grant(&[])),
            ("ship", self.ship()),
            ("remotes", "origin\thttps://example.org/x.git\n".into()),
            ("config", "[core]\n\tautocrlf = false\n".into()),
            ("exclude", String::new()),
            ("agent", "binary fakeagent\n".into()),
            ("run.fresh", "exec \"$HANDOFF_AGENT\" fresh \"$1\"\n".into()),
            ("run.resume", "exec \"$HANDOFF_AGENT\" resume \"$1\"\n".into()),
            ("env", "export FOO='bar  baz'\n".into()),
            ("unset", "NOT_WANTED\n".into()),
            ("prompt.fresh", "do it\n".into()),
            ("prompt.resume", "go on\n".into()),
            ("prompt.check-head", "HEAD\n".into()),
            ("prompt.check-foot", "FOOT\n".into()),
        ];
        spec.extend(files);
        spec
    }

    /// Installs the agent: a script at the front of the host's PATH.
    pub fn agent(&self, body: &str) {
        script(&self.home().join("bin/fakeagent"), body);
    }

    pub fn git(&self, dir: &Path, args: &[&str]) -> String {
        let output = Command::new("git")
            .args(["-c", "user.name=Ann", "-c", "user.email=ann@example.org"])
            .args(args)
            .current_dir(dir)
            .env("HOME", self.home())
            .env("GIT_CONFIG_NOSYSTEM", "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "git {args:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap().trim_end().to_owned()
    }

    fn make_laptop(&mut self) {
        let dir = self.laptop();
        std::fs::create_dir_all(dir.join("sub")).unwrap();
        let write = |name: &str, content: &str| std::fs::write(dir.join(name), content).unwrap();
        let git = |args: &[&str]| self.git(&dir, args);
        git(&["init", "-q", "-b", "main"]);
        for name in ["staged", "edited file", "sub/deep", "deleted", "script.sh"] {
            write(name, "one\n");
        }
        write(".gitignore", "*.o\n");
        git(&["add", "-A"]);
        git(&["commit", "-qm", "one"]);
        write("staged", "two\n");
        write("added", "new\n");
        git(&["add", "staged", "added"]);
        write("staged", "three\n");
        write("edited file", "two\n");
        write("untracked one", "u\n");
        write("made.o", "ignored\n");
        std::fs::remove_file(dir.join("deleted")).unwrap();
        std::os::unix::fs::symlink("staged", dir.join("link")).unwrap();
        Command::new("chmod").args(["+x", "script.sh"]).current_dir(&dir).status().unwrap();
        git(&["update-ref", "refs/remotes/origin/main", "HEAD"]);
        git(&["config", "remote.origin.url", "https://example.org/x.git"]);
        git(&["config", "remote.origin.fetch", "+refs/heads/*:refs/remotes/origin/*"]);
        git(&["config", "branch.main.remote", "origin"]);
        git(&["config", "branch.main.merge", "refs/heads/main"]);

        self.oids = self.snapshot();
    }

    /// Takes a new snapshot of the laptop's repository and sends it.
    pub fn ship_again(&mut self) {
        self.oids = self.snapshot();
        self.push();
    }

    pub fn snapshot(&self) -> [String; 4] {
        let dir = self.laptop();
        let git = |args: &[&str]| self.git(&dir, args);
        let head = git(&["rev-parse", "HEAD"]);
        let index = git(&["write-tree"]);
        let staged = git(&["commit-tree", &index, "-p", &head, "-m", "index"]);
        std::fs::copy(dir.join(".git/index"), dir.join(".git/saved")).unwrap();
        git(&["add", "-A"]);
        let files = git(&["write-tree"]);
        std::fs::rename(dir.join(".git/saved"), dir.join(".git/index")).unwrap();
        let commit = git(&["commit-tree", &files, "-p", &head, "-p", &staged, "-m", "files"]);
        [commit, head, index, files]
    }

    pub fn push(&self) {
        let cache = self.cache();
        if !cache.exists() {
            self.git(&self.home(), &["init", "-q", "--bare", cache.to_str().unwrap()]);
        }
        let target = format!("+{}:refs/handoff/{}/ship/1", self.oids[0], self.name);
        self.git(&self.laptop(), &["push", "-q", cache.to_str().unwrap(), &target]);
    }

    /// Waits for a condition, 20 seconds on an idle machine.
    #[track_caller]
    pub fn until<T>(&self, what: &str, mut look: impl FnMut() -> Option<T>) -> T {
        let (began, limit) = (Instant::now(), Duration::from_secs(20));
        loop {
            if let Some(found) = look() {
                return found;
            }
            if is_over(began, limit) {
                let log = std::fs::read_to_string(self.work().join("runner.log")).unwrap_or_default();
                panic!("{}: no {what}; {log}", self.shell);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn link(&self, attempt: u32, name: &str) -> Option<String> {
        Some(std::fs::read_link(self.at(attempt).join(name)).ok()?.to_string_lossy().into_owned())
    }

    /// The pid in a claim.
    pub fn pid(&self, attempt: u32, name: &str) -> i32 {
        self.until(name, || self.link(attempt, name)).split(':').next().unwrap().parse().unwrap()
    }

    pub fn result(&self, attempt: u32) -> Facts {
        let path = self.at(attempt).join("result");
        let text = self.until(&format!("result {attempt}"), || std::fs::read_to_string(&path).ok());
        assert!(text.ends_with("\nend 1\n"), "{text:?}");
        Facts(text)
    }

    pub fn log(&self, attempt: u32) -> String {
        String::from_utf8_lossy(&std::fs::read(self.at(attempt).join("log")).unwrap()).into_owned()
    }

    /// How many times the agent was started, for agents that write to `$HOME/starts`.
    pub fn starts(&self) -> usize {
        std::fs::read_to_string(self.home().join("starts")).unwrap_or_default().lines().count()
    }
}

impl Drop for TestHost {
    fn drop(&mut self) {
        for attempt in 1..4 {
            if self.at(attempt).exists() {
                let request = format!("name {}\nattempt {attempt}\nreason over\ngrace 0\n\n", self.name);
                let _ = self.try_finish(self.start(&loader(Verb::Cancel), request.as_bytes()));
            }
        }
        // A watcher that was just woken writes its result before it exits.
        std::thread::sleep(Duration::from_millis(100));
        processes::end(&self.home());
    }
}

/// The lines of a result.
pub struct Facts(pub String);

impl Facts {
    pub fn get(&self, key: &str) -> Option<&str> {
        self.0.lines().filter_map(|line| line.split_once(' ')).find(|(k, _)| *k == key).map(|(_, value)| value)
    }

    pub fn class(&self) -> &str {
        self.get("class").unwrap()
    }
}
