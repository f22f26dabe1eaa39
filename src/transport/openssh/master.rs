//! The connection that all commands share, so that only the first one logs in.

use std::ffi::OsString;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::{Duration, Instant};

use tokio::process::Command;

use super::error::Place;
use crate::model::host::Host;
use crate::transport::ssh::resolve::{Target, config_file};
use crate::transport::{Counters, Options, TransportError};

/// Time limit of a login without prompts. With prompts, only the server limits the time.
const LOGIN: Duration = Duration::from_secs(60);

/// Seconds that a master of ours stays after this program was killed.
const PERSIST: u32 = 600;

/// Time limit of a local query to the master.
const ASK: Duration = Duration::from_secs(5);

/// Longest socket path that works everywhere: macOS allows 103 bytes, and `ssh` appends 17 while binding.
const SOCKET: usize = 85;

/// Options of every call. They override settings that a user may have for interactive sessions.
const OPTIONS: [&str; 14] = [
    "-T",
    "-a",
    "-x",
    // A forwarding in the configuration would fail if its port is already in use.
    "-oClearAllForwardings=yes",
    "-oForwardAgent=no",
    "-oPermitLocalCommand=no",
    "-oRemoteCommand=none",
    "-oRequestTTY=no",
    "-oEscapeChar=none",
    "-oServerAliveInterval=15",
    "-oServerAliveCountMax=4",
    "-oConnectTimeout=30",
    "-oTunnel=no",
    // QUIET would hide the reason of a failure, and INFO prints too much.
    "-oLogLevel=ERROR",
];

/// A master connection.
pub struct Master {
    binary: PathBuf,
    /// All arguments before the command line of a session.
    arguments: Vec<OsString>,
    /// The directory of our own master's socket; `None` if the master is the user's.
    own: Option<tempfile::TempDir>,
}

impl Master {
    /// Uses the master of the user's configuration if it is running, else starts one in a private directory.
    pub async fn connect(host: &Host, options: &Options, counters: &Counters) -> Result<Self, TransportError> {
        let target = Target::of(host);
        target.check()?;
        let place = Place::of(host);
        let mut arguments: Vec<OsString> = OPTIONS.iter().map(Into::into).collect();
        if let Some(file) = config_file(options) {
            arguments.push("-F".into());
            arguments.push(file.into());
        }
        if let Some(file) = &options.known_hosts {
            arguments.push(setting("UserKnownHostsFile", file));
            arguments.push("-oGlobalKnownHostsFile=none".into());
        }
        if options.no_agent {
            arguments.push("-oIdentityAgent=none".into());
        }
        if !options.interactive {
            // A prompt counts as a failure.
            arguments.push("-oBatchMode=yes".into());
        }
        let binary = options.ssh_binary.clone().unwrap_or_else(|| "ssh".into());
        let mut master = Master { binary, arguments, own: None };
        if master.is_up(&target).await {
            master.arguments.push("-oControlMaster=no".into());
            // The whole target, because the path of the user's socket may depend on any part of it.
            master.arguments.extend(target.arguments());
            return Ok(master);
        }
        let directory =
            private().map_err(|e| place.config(format!("cannot create a directory for ssh's socket: {e}")))?;
        master.arguments.push(setting("ControlPath", &directory.path().join("s")));
        master.own = Some(directory);
        master.start(&target, &place, options.interactive).await?;
        counters.connection();
        master.arguments.push("-oControlMaster=no".into());
        // Without its master a session must fail instead of logging in by itself. `-J` contradicts this option.
        master.arguments.push("-oProxyCommand=false".into());
        master.arguments.extend(Target { jump: None, ..target }.arguments());
        Ok(master)
    }

    /// An `ssh` that takes one more argument, the command line.
    pub fn session(&self) -> Command {
        let mut command = Command::new(&self.binary);
        command.args(&self.arguments);
        command
    }

    async fn is_up(&self, target: &Target) -> bool {
        let mut check = Command::new(&self.binary);
        check.args(&self.arguments).args(["-O", "check"]).args(target.arguments());
        check.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).kill_on_drop(true);
        let status = tokio::time::timeout(ASK, check.status()).await;
        matches!(status, Ok(Ok(status)) if status.success())
    }

    /// Logs in and leaves the master in the background, in its own session.
    async fn start(&self, target: &Target, place: &Place, interactive: bool) -> Result<(), TransportError> {
        let mut ssh = Command::new(&self.binary);
        ssh.args(&self.arguments).args(["-M", "-N", "-f"]).arg(format!("-oControlPersist={PERSIST}"));
        ssh.args(target.arguments())
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        if !interactive {
            // An `ssh` that may prompt must stay in the terminal's foreground group, or it is stopped when it reads.
            ssh.process_group(0);
        }
        let child = ssh.spawn().map_err(|e| place.config(format!("cannot run {}: {e}", self.binary.display())))?;
        let output = match interactive {
            true => child.wait_with_output().await,
            false => match tokio::time::timeout(LOGIN, child.wait_with_output()).await {
                Ok(output) => output,
                Err(_) => return Err(place.unreachable(&format!("no login within {} s", LOGIN.as_secs()))),
            },
        };
        let output = output.map_err(|e| place.config(format!("cannot wait for ssh: {e}")))?;
        match output {
            output if output.status.success() => Ok(()),
            // At this log level `ssh` prints nothing about a connection that the server closed.
            output if output.stderr.trim_ascii().is_empty() => {
                Err(place.turned_away("the connection was closed early"))
            }
            output => Err(place.read(&output.stderr)),
        }
    }
}

impl Drop for Master {
    /// Ends a master of ours. Commands on the host keep running.
    fn drop(&mut self) {
        if self.own.is_none() {
            return;
        }
        let mut exit = std::process::Command::new(&self.binary);
        exit.args(["-O", "exit"]).args(&self.arguments);
        exit.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let Ok(mut child) = exit.spawn() else { return };
        let until = Instant::now() + Duration::from_millis(500);
        while let Ok(None) = child.try_wait() {
            if Instant::now() > until {
                // A hung master ends by ControlPersist or with its connection.
                let _ = child.kill();
                let _ = child.wait();
                return;
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// `-oKey="path"`, quoted as in ssh_config.
fn setting(key: &str, path: &std::path::Path) -> OsString {
    let mut option = OsString::from(format!("-o{key}=\""));
    option.push(path);
    option.push("\"");
    option
}

/// A private directory whose path is short enough for a socket.
fn private() -> std::io::Result<tempfile::TempDir> {
    let make = |parent: PathBuf| tempfile::Builder::new().prefix("handoff-").tempdir_in(parent);
    let directory = make(std::env::temp_dir())?;
    if directory.path().as_os_str().len() + 2 > SOCKET {
        return make("/tmp".into());
    }
    Ok(directory)
}
