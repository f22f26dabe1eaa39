//! A private SSH server for one test, OpenSSH's or dropbear, with its own port, keys, configuration and user. It is
//! removed when dropped.

use std::fs::File;
use std::net::{SocketAddr, TcpListener};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::Signal;
use tempfile::TempDir;

use super::dropbear;
use super::evidence;
use super::processes;
use super::ssh_config::Route;
use super::user::{self, User};
use super::wait;

const BOOT_ID: &str = "/proc/sys/kernel/random/boot_id";

/// The special settings of a server. The default is the setup of a distribution.
#[derive(Clone, Debug, Default)]
pub struct Setup {
    login_shell: Option<String>,
    /// Files that replace others for every process on this host: source, target.
    mounts: Vec<(PathBuf, PathBuf)>,
    boots: bool,
    jailed: bool,
    node: Option<String>,
    settings: Vec<String>,
    passphrase: String,
    dropbear: bool,
}

impl Setup {
    /// The user's shell in /etc/passwd. Needs [`user::can_be_made`].
    pub fn login_shell(mut self, path: &str) -> Self {
        self.login_shell = Some(path.to_owned());
        self
    }

    /// The file that `/bin/sh` is for every process on this host. Needs [`can_replace_sh`].
    pub fn sh(mut self, path: &Path) -> Self {
        self.mounts.push((path.to_owned(), PathBuf::from("/bin/sh")));
        self
    }

    /// Gives the host its own boot id, so that [`Sshd::reboot`] can change it. Needs [`can_replace_sh`].
    pub fn boots(mut self) -> Self {
        self.boots = true;
        self
    }

    /// The host finds only the commands in [`Sshd::bin`].
    pub fn jailed(mut self) -> Self {
        self.jailed = true;
        self
    }

    /// The machine's name for every process of this host. Needs [`can_name_nodes`].
    pub fn node(mut self, name: &str) -> Self {
        self.node = Some(name.to_owned());
        self
    }

    /// A line for sshd_config, such as `MaxSessions 1`. sshd uses the first line for a keyword.
    pub fn setting(mut self, line: &str) -> Self {
        self.settings.push(line.to_owned());
        self
    }

    /// dropbear instead of OpenSSH. Settings are command line arguments. Needs [`dropbear::can_run`].
    pub fn dropbear(mut self) -> Self {
        self.dropbear = true;
        self
    }

    /// Encrypts the login key.
    pub fn passphrase(mut self, passphrase: &str) -> Self {
        self.passphrase = passphrase.to_owned();
        self
    }

    /// Whether this machine's sshd knows a setting.
    pub fn understood(line: &str) -> bool {
        let dir = tempfile::tempdir().unwrap();
        keygen(&dir.path().join("key"), "");
        let config = format!("HostKey {}\n{line}\n", dir.path().join("key").display());
        std::fs::write(dir.path().join("config"), config).unwrap();
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let mut test = Command::new(binary());
        test.arg("-t").arg("-f").arg(dir.path().join("config")).stdin(Stdio::null()).stderr(Stdio::null());
        test.status().is_ok_and(|status| status.success())
    }

    /// Starts the server and waits until it listens.
    pub fn start(self) -> Sshd {
        Sshd::start(self)
    }
}

/// Whether this machine allows a mount namespace in which `/bin/sh` is another file.
pub fn can_replace_sh() -> bool {
    let tried = Command::new("unshare").args(["--mount", "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// Whether this machine allows a namespace in which it has another name.
pub fn can_name_nodes() -> bool {
    let tried = Command::new("unshare").args(["--uts", "true"]).stderr(Stdio::null()).status();
    tried.is_ok_and(|status| status.success())
}

/// A running server.
pub struct Sshd {
    pub user: User,
    pub address: SocketAddr,
    dir: TempDir,
    setup: Setup,
    child: Option<Child>,
}

impl Sshd {
    fn start(setup: Setup) -> Sshd {
        // Not below the laptop's directory: the host's user must be able to traverse the path, but must not see the
        // laptop's files.
        let dir = tempfile::Builder::new().prefix("handoff-host-").tempdir().unwrap();
        std::fs::set_permissions(dir.path(), PermissionsExt::from_mode(0o711)).unwrap();
        let user = User::new(dir.path().join("home"), setup.login_shell.as_deref());
        if setup.dropbear {
            dropbear::keygen(&dir.path().join("host_key"));
        } else {
            keygen(&dir.path().join("host_key"), "");
        }
        keygen(&dir.path().join("login_key"), &setup.passphrase);
        std::fs::copy(dir.path().join("login_key.pub"), dir.path().join("authorized_keys")).unwrap();
        if setup.dropbear {
            dropbear::authorize(&user, &dir.path().join("login_key.pub"));
        }
        let mut server = Sshd { user, address: free_address(), dir, setup, child: None };
        wait::until("a server at a free address", Duration::from_secs(30), || {
            let up = server.try_up();
            if !up {
                // Another program took the port in between.
                server.address = free_address();
            }
            up.then_some(())
        });
        server
    }

    /// Starts the server again, at the same address with the same keys.
    pub fn up(&mut self) {
        // An outgoing connection of another program may use the port for a moment.
        wait::until("a server at the same address", Duration::from_secs(30), || self.try_up().then_some(()));
    }

    /// Starts the server. False if it ends at once.
    #[must_use]
    fn try_up(&mut self) -> bool {
        assert!(self.child.is_none(), "this server is up");
        let _ = std::fs::remove_file(self.file("sshd.pid"));
        if self.setup.boots {
            let random = std::fs::read_to_string("/proc/sys/kernel/random/uuid").unwrap();
            std::fs::write(self.file("boot_id"), random).unwrap();
            std::fs::set_permissions(self.file("boot_id"), PermissionsExt::from_mode(0o644)).unwrap();
        }
        if rustix::process::geteuid().is_root() {
            std::fs::create_dir_all("/run/sshd").unwrap();
        }
        let log = File::options().create(true).append(true).open(self.file("sshd.log")).unwrap();
        let mut command = self.command();
        if self.setup.dropbear {
            command.args(dropbear::arguments(self.address, &self.file("host_key"), &self.file("sshd.pid")));
            command.args(&self.setup.settings);
        } else {
            std::fs::write(self.file("sshd_config"), self.config()).unwrap();
            command.args(["-D", "-e", "-f"]).arg(self.file("sshd_config"));
        }
        self.child = Some(command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap());
        let pid = format!("{}\n", self.pid());
        // sshd writes this message once it listens. A connection would prove less, because another server may have
        // taken the port.
        wait::until("the server to listen", Duration::from_secs(30), || {
            if self.child.as_mut().unwrap().try_wait().unwrap().is_some() {
                self.child = None;
                return Some(false);
            }
            std::fs::read_to_string(self.file("sshd.pid")).is_ok_and(|written| written == pid).then_some(true)
        })
    }

    /// The process that listens.
    pub fn pid(&self) -> i32 {
        self.child.as_ref().expect("this server is down").id() as i32
    }

    fn command(&self) -> Command {
        let mut mounts = self.setup.mounts.clone();
        if self.setup.boots {
            mounts.push((self.file("boot_id"), PathBuf::from(BOOT_ID)));
        }
        let server = if self.setup.dropbear { dropbear::binary().expect("ask can_run first") } else { binary() };
        if mounts.is_empty() && self.setup.node.is_none() {
            return Command::new(server);
        }
        let script = r#"[ -z "$1" ] || echo "$1" >/proc/sys/kernel/hostname || exit 1; shift
            while [ "$1" != -- ]; do mount --bind "$1" "$(readlink -f "$2")" || exit 1; shift 2; done
            shift && exec "$@""#;
        let mut command = Command::new("unshare");
        command.args(["--mount", "--uts", "sh", "-c", script, "sh", self.setup.node.as_deref().unwrap_or_default()]);
        command.args(mounts.iter().flat_map(|(source, target)| [source, target]));
        command.arg("--").arg(server);
        command
    }

    /// Ends every process of the user, and gives the host another boot id. Needs [`Setup::boots`].
    pub fn reboot(&mut self) {
        assert!(self.setup.boots, "only a host that boots can be rebooted");
        self.down();
        self.user.end_processes();
        self.up();
    }

    /// The same directories and users on another machine. Processes on the old machine keep running there.
    pub fn becomes(&mut self, node: &str) {
        self.down();
        self.setup.node = Some(node.to_owned());
        self.up();
    }

    fn config(&self) -> String {
        let mut lines = self.setup.settings.clone();
        lines.extend([
            format!("ListenAddress {}", self.address),
            format!("HostKey {}", self.file("host_key").display()),
            format!("AuthorizedKeysFile {}", self.file("authorized_keys").display()),
            format!("PidFile {}", self.file("sshd.pid").display()),
            // No test may change the current user's home.
            format!("SetEnv HOME={}{}", self.user.home.display(), self.path()),
            "StrictModes no".into(),
            "UsePAM no".into(),
            "PasswordAuthentication no".into(),
            "PermitRootLogin no".into(),
        ]);
        // The default of 10:30:100 drops logins at random when tests run side by side. sshd uses the last line for this
        // keyword.
        if !lines.iter().any(|line| line.starts_with("MaxStartups ")) {
            lines.push("MaxStartups 100".into());
        }
        lines.join("\n") + "\n"
    }

    fn path(&self) -> String {
        if self.setup.jailed { format!(" PATH={}", self.bin().display()) } else { String::new() }
    }

    /// The only directory in which a jailed host finds its commands.
    pub fn bin(&self) -> PathBuf {
        let bin = self.file("bin");
        if !bin.exists() {
            std::fs::create_dir(&bin).unwrap();
            std::fs::set_permissions(&bin, PermissionsExt::from_mode(0o755)).unwrap();
        }
        bin
    }

    /// Gives a jailed host every command of this machine except these.
    pub fn all_but(&self, missing: &[&str]) {
        for entry in ["/usr/bin", "/bin", "/usr/sbin"].iter().flat_map(|dir| std::fs::read_dir(dir).unwrap().flatten())
        {
            let name = entry.file_name();
            if !missing
                .iter()
                .any(|missing| name == *missing || name.to_string_lossy().starts_with(&format!("{missing}3.")))
            {
                let _ = std::os::unix::fs::symlink(entry.path(), self.bin().join(name));
            }
        }
    }

    /// Replaces a command of a jailed host by a script.
    pub fn shim(&self, name: &str, script: &str) {
        let path = self.bin().join(name);
        let _ = std::fs::remove_file(&path);
        std::fs::write(&path, script).unwrap();
        std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
    }

    /// Adds a line to sshd_config, from the next start on.
    pub fn set(&mut self, line: &str) {
        self.setup.settings.push(line.to_owned());
    }

    /// Stops listening and cuts every connection. The user's processes keep running.
    pub fn down(&mut self) {
        let Some(child) = &self.child else { return };
        let (pid, sessions) = (child.id() as i32, self.sessions());
        processes::signal(pid, Signal::TERM);
        if let Some(mut child) = self.child.take() {
            child.wait().unwrap();
        }
        sessions.into_iter().for_each(|pid| processes::signal(pid, Signal::TERM));
    }

    /// The server's own processes for its connections.
    pub fn sessions(&self) -> Vec<i32> {
        let Some(child) = &self.child else { return Vec::new() };
        let sessions = processes::children_of(child.id() as i32);
        // Their children are sessions too (privilege separation). Other descendants belong to the user and stay.
        let inner: Vec<_> = sessions.iter().flat_map(|session| processes::children_of(*session)).collect();
        sessions.into_iter().chain(inner.into_iter().filter(|pid| is_sshd(*pid))).collect()
    }

    /// The way in which a laptop reaches this server, with the right key known.
    pub fn route(&self, alias: &str) -> Route {
        let known_hosts = self.file(&format!("known_hosts-{alias}"));
        std::fs::write(&known_hosts, super::ssh_config::known_host(self.address, &self.host_key())).unwrap();
        Route {
            alias: alias.to_owned(),
            address: self.address,
            user: self.user.name.clone(),
            identity: self.file("login_key"),
            known_hosts,
            extra: Vec::new(),
        }
    }

    /// The same through `address`. The key is known under that address.
    pub fn route_by(&self, alias: &str, address: SocketAddr) -> Route {
        let route = self.route(alias).by_way_of(address);
        std::fs::write(&route.known_hosts, super::ssh_config::known_host(address, &self.host_key())).unwrap();
        route
    }

    /// The server's public key file.
    pub fn host_key(&self) -> PathBuf {
        self.file("host_key.pub")
    }

    /// A directory on the host's side that is removed with it, for keys and similar files.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// The log of sshd so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.file("sshd.log")).unwrap_or_default()
    }

    /// Number of accepted logins, one for each connection.
    pub fn logins(&self) -> usize {
        let accepted = if self.setup.dropbear { dropbear::ACCEPTED } else { "Accepted publickey" };
        self.log().matches(accepted).count()
    }
}

impl Drop for Sshd {
    fn drop(&mut self) {
        let failed = std::thread::panicking();
        if failed {
            eprintln!("--- its processes\n{}", processes::shown(self.user.uid));
        }
        self.down();
        if failed {
            eprintln!("--- the server of {} said\n{}", self.user.name, evidence::end_of(&self.file("sshd.log")));
            eprintln!("{}", evidence::of_home(&self.user.home));
        }
    }
}

/// An address of the loopback interface that is free now.
fn free_address() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
}

/// OpenSSH's server. sshd must be called by its absolute path.
fn binary() -> PathBuf {
    let known = ["/usr/sbin/sshd", "/usr/local/sbin/sshd", "/opt/homebrew/sbin/sshd"].map(PathBuf::from);
    known.into_iter().find(|path| path.exists()).expect("OpenSSH's sshd is not installed; integration/run installs it")
}

/// Makes an Ed25519 key pair.
pub fn keygen(path: &Path, passphrase: &str) {
    let made = Command::new("ssh-keygen")
        .args(["-q", "-t", "ed25519", "-C", "handoff-test", "-N", passphrase, "-f"])
        .arg(path)
        .stdin(Stdio::null())
        .status()
        .unwrap();
    assert!(made.success(), "ssh-keygen failed");
}

fn is_sshd(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.starts_with("sshd"))
}

/// Whether tests may choose the login user's shell on this machine.
pub fn can_choose_shell() -> bool {
    user::can_be_made()
}
