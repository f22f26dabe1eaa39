//! An ordinary user for one test. If the tests run as root, the user has its own name, home and login shell.

use std::fs::File;
use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use super::processes;

/// Locked by threads that add or remove users. [`Passwd`] also locks out other runs of the tests.
static PASSWD: Mutex<()> = Mutex::new(());
/// The path of the lock file. The file stays empty.
const LOCK: &str = "/run/handoff-tests.lock";
static NEXT: AtomicU32 = AtomicU32::new(0);
/// The prefix of the names that the tests make. The pid of the test program and a number follow.
const PREFIX: &str = "handoff-t";

/// useradd and userdel fail while another one runs. In addition, a user must not be removed twice: the second removal
/// could end the processes of a newer user with the same uid.
struct Passwd {
    _threads: std::sync::MutexGuard<'static, ()>,
    _runs: File,
}

impl Passwd {
    fn lock() -> Passwd {
        let threads = PASSWD.lock().unwrap_or_else(|poisoned| poisoned.into_inner());
        let file = File::options().create(true).append(true).open(LOCK).unwrap();
        rustix::fs::flock(&file, rustix::fs::FlockOperation::LockExclusive).unwrap();
        Passwd { _threads: threads, _runs: file }
    }
}

/// The user that the tests log in as.
pub struct User {
    pub name: String,
    pub home: PathBuf,
    pub uid: u32,
    /// Made for this test, and removed with it.
    ours: bool,
}

/// Whether tests can make users. If not, every test logs in as the current user, with that user's login shell.
pub fn can_be_made() -> bool {
    rustix::process::geteuid().is_root() && Path::new("/usr/sbin/useradd").exists()
}

impl User {
    /// A user whose home is the new directory `home`. `shell` needs [`can_be_made`].
    pub fn new(home: PathBuf, shell: Option<&str>) -> User {
        std::fs::create_dir(&home).unwrap();
        std::fs::set_permissions(&home, PermissionsExt::from_mode(0o700)).unwrap();
        if can_be_made() { Self::made(home, shell.unwrap_or("/bin/sh")) } else { Self::current(home, shell) }
    }

    fn made(home: PathBuf, shell: &str) -> User {
        let _lock = Passwd::lock();
        remove_stale();
        let name = format!("{PREFIX}-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        // The password `*` matches nothing. Unlike `!`, it does not make sshd treat the account as locked.
        let made = Command::new("/usr/sbin/useradd")
            .args(["--no-create-home", "--no-log-init", "--password", "*", "--shell", shell, "--home-dir"])
            .args([home.as_os_str(), name.as_ref()])
            .output()
            .unwrap();
        assert!(made.status.success(), "useradd: {}", String::from_utf8_lossy(&made.stderr));
        let uid = passwd().into_iter().find(|(known, _)| *known == name).expect("useradd made no entry").1;
        chown(&home, Some(uid), Some(uid)).unwrap();
        User { name, home, uid, ours: true }
    }

    fn current(home: PathBuf, shell: Option<&str>) -> User {
        assert!(shell.is_none(), "only root can give a user another shell; ask user::can_be_made first");
        let uid = rustix::process::geteuid().as_raw();
        let name = Command::new("id").arg("-un").output().unwrap().stdout;
        User { name: String::from_utf8(name).unwrap().trim().to_owned(), home, uid, ours: false }
    }

    /// Installs a file in the home, owned by the user.
    pub fn install(&self, path: &str, content: impl AsRef<[u8]>, mode: u32) -> PathBuf {
        let file = self.home.join(path);
        let mut folder = self.home.clone();
        for part in Path::new(path).parent().unwrap().components() {
            folder.push(part);
            if std::fs::create_dir(&folder).is_ok() {
                self.give(&folder);
            }
        }
        std::fs::write(&file, content).unwrap();
        std::fs::set_permissions(&file, PermissionsExt::from_mode(mode)).unwrap();
        self.give(&file);
        file
    }

    /// Gives a user made for this test a password.
    pub fn set_password(&self, password: &str) {
        assert!(self.ours, "only a user made for this test gets a password; ask can_be_made first");
        let _lock = Passwd::lock();
        let mut child = Command::new("/usr/sbin/chpasswd").stdin(std::process::Stdio::piped()).spawn().unwrap();
        writeln!(child.stdin.take().unwrap(), "{}:{password}", self.name).unwrap();
        assert!(child.wait().unwrap().success(), "chpasswd");
    }

    fn give(&self, path: &Path) {
        if self.ours {
            chown(path, Some(self.uid), None).unwrap();
        }
    }

    /// Ends every process of a user made for this test, as a reboot does. Processes of the current user are not
    /// touched.
    pub fn end_processes(&self) {
        if self.ours {
            processes::end_all_of(self.uid);
        }
    }
}

impl Drop for User {
    fn drop(&mut self) {
        if self.ours {
            self.end_processes();
            let _lock = Passwd::lock();
            remove(&self.name);
        }
    }
}

fn remove(name: &str) {
    let _ = Command::new("/usr/sbin/userdel").arg(name).output();
}

/// Names and uids of /etc/passwd.
fn passwd() -> Vec<(String, u32)> {
    let entry = |line: &str| {
        let mut fields = line.split(':');
        Some((fields.next()?.to_owned(), fields.nth(1)?.parse().ok()?))
    };
    std::fs::read_to_string("/etc/passwd").unwrap().lines().filter_map(entry).collect()
}

/// Removes users of test programs that were killed before they could remove them.
fn remove_stale() {
    for (name, uid) in passwd() {
        let maker: Option<i32> =
            name.strip_prefix(PREFIX).and_then(|rest| rest.split('-').nth(1)).and_then(|pid| pid.parse().ok());
        if let Some(maker) = maker
            && !processes::all().iter().any(|process| process.pid == maker)
        {
            processes::end_all_of(uid);
            remove(&name);
        }
    }
}
