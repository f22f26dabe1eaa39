//! The byte stream under an SSH connection: a socket, a channel of a jump host, or a proxy command.

use std::process::Stdio;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::AsyncReadExt;
use tokio::net::TcpStream;
use tokio::process::{Child, Command};
use tokio::task::JoinHandle;

use super::Link;
use super::banner::{self, Banner};
use super::duplex::BoxStream;
use super::prompt::Prompt;
use crate::transport::UnreachableKind;
use crate::transport::ssh::resolve::{Proxy, Resolved};

/// Time before the next address of a name is tried.
const ADDRESS: Duration = Duration::from_secs(10);

/// Bytes of a proxy command's stderr that are kept.
const TAIL: usize = 1024;

/// How long to wait for the rest of a proxy command's stderr after its stdout has ended; its children may keep stderr
/// open.
const LAST_WORDS: Duration = Duration::from_millis(500);

/// A running proxy command, which ends when this is dropped.
pub struct Stop {
    // Dropping it kills the process.
    _child: Child,
    said: Arc<Mutex<Vec<u8>>>,
    /// Reads stderr to its end.
    listener: Option<JoinHandle<()>>,
}

impl Stop {
    /// The end of the command's stderr, without control characters. The command must be ending.
    pub async fn said(mut self) -> String {
        if let Some(listener) = self.listener.take() {
            // stderr is read concurrently, so the end of stdout does not mean that all of stderr was read.
            let _ = tokio::time::timeout(LAST_WORDS, listener).await;
        }
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&said).trim().replace(|c: char| c.is_control(), " ")
    }
}

/// Opens the stream that the configuration names.
///
/// # Errors
/// A fragment that says what did not answer.
pub async fn open(
    resolved: &Resolved,
    under: Option<&Link>,
) -> Result<(BoxStream, Option<Stop>), (UnreachableKind, String)> {
    match (&resolved.proxy, under) {
        (Proxy::Command(command), _) => proxy(command).map_err(|reason| (UnreachableKind::Lost, reason)),
        (_, Some(link)) => {
            let channel =
                link.handle.channel_open_direct_tcpip(&resolved.hostname, resolved.port.into(), "127.0.0.1", 0);
            let unreached = |e| (UnreachableKind::Lost, format!("the jump host cannot reach it: {}", super::lower(&e)));
            let channel = channel.await.map_err(unreached)?;
            Ok((Box::new(channel.into_stream()), None))
        }
        (_, None) => Ok((Box::new(Prompt::new(tcp(&resolved.hostname, resolved.port).await?)), None)),
    }
}

/// Tries the addresses of a name one after the other.
pub(super) async fn tcp(host: &str, port: u16) -> Result<TcpStream, (UnreachableKind, String)> {
    let nameless = |e| (UnreachableKind::Nameless, format!("{host} has no address: {e}"));
    let addresses = tokio::net::lookup_host((host, port)).await.map_err(nameless)?;
    let mut last = (UnreachableKind::Nameless, format!("{host} has no address"));
    for address in addresses {
        match tokio::time::timeout(ADDRESS, TcpStream::connect(address)).await {
            Ok(Ok(socket)) => {
                // Without TCP_NODELAY an exec over loopback takes 44 ms instead of 2.4 (measured). On macOS this fails
                // if the server has hung up already, which the first read reports better.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            // The server accepted the connection, and its reset arrived before we looked at the socket again.
            Ok(Err(e)) if banner::hung_up(&e) => return Err(Banner::default().turned_away()),
            Ok(Err(e)) => {
                let refused = e.kind() == std::io::ErrorKind::ConnectionRefused;
                last =
                    (if refused { UnreachableKind::Refused } else { UnreachableKind::Lost }, format!("{address}: {e}"));
            }
            Err(_) => last = (UnreachableKind::Lost, format!("{address} does not answer")),
        }
    }
    Err(last)
}

/// Runs a ProxyCommand with `exec` in the user's shell as `ssh` does, but in its own process group: Ctrl-C must not cut
/// the connection before we have closed it.
fn proxy(command: &str) -> Result<(BoxStream, Option<Stop>), String> {
    let shell = std::env::var_os("SHELL").filter(|shell| !shell.is_empty()).unwrap_or_else(|| "/bin/sh".into());
    let mut child = Command::new(shell)
        .arg("-c")
        .arg(format!("exec {command}"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .map_err(|e| format!("its ProxyCommand could not start: {e}"))?;
    let (Some(stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
        return Err("its ProxyCommand has no streams".to_owned());
    };
    let said = Arc::new(Mutex::new(Vec::new()));
    let listener = child.stderr.take().map(|mut stderr| {
        let said = said.clone();
        tokio::spawn(async move {
            let mut piece = [0; TAIL];
            while let Ok(n @ 1..) = stderr.read(&mut piece).await {
                let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
                said.extend_from_slice(&piece[..n]);
                let excess = said.len().saturating_sub(TAIL);
                said.drain(..excess);
            }
        })
    });
    Ok((Box::new(tokio::io::join(stdout, stdin)), Some(Stop { _child: child, said, listener })))
}
