//! A command of the server: a process connected to a channel.

use std::os::unix::ffi::OsStrExt;
use std::process::ExitStatus;

use bytes::BytesMut;
use russh::server::{Handle, Msg};
use russh::{Channel, ChannelMsg, ChannelReadHalf, ChannelWriteHalf, Sig};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStdin, Command};
use tokio::sync::mpsc;

use crate::transport::Exit;
use crate::transport::process::{exit_of, spawn};
use crate::transport::ssh::server::Setup;

/// Search path of commands whose `env` has none.
const PATH: &str = "/usr/local/bin:/usr/bin:/bin";

/// The SSH extended data type of stderr.
const STDERR: u32 = 1;

/// Starts `/bin/sh -c` in its own process group.
pub fn start(setup: &Setup, line: &[u8]) -> std::io::Result<Child> {
    let mut shell = Command::new("/bin/sh");
    shell.arg("-c").arg(std::ffi::OsStr::from_bytes(line));
    shell.env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_else(|| PATH.into()));
    shell.env("HOME", &setup.home).env("SHELL", "/bin/sh").envs(setup.env.iter().cloned());
    shell.current_dir(&setup.home).process_group(0);
    spawn(&mut shell)
}

/// Moves the streams until the command has ended and its output is sent, then reports how it ended.
pub async fn serve(channel: Channel<Msg>, handle: Handle, mut child: Child) {
    let (read, write) = channel.split();
    let (sender, input) = mpsc::unbounded_channel();
    let reader = tokio::spawn(receive(read, sender));
    let feeder = child.stdin.take().map(|pipe| tokio::spawn(feed(pipe, input)));
    let out = send(child.stdout.take(), &write, None);
    let err = send(child.stderr.take(), &write, Some(STDERR));
    tokio::join!(out, err);
    let status = child.wait().await;
    // If the client is gone, these sends fail, and that does not matter.
    let _ = write.eof().await;
    if let Ok(status) = status {
        say(&write, &handle, status).await;
    }
    let _ = write.close().await;
    reader.abort();
    if let Some(feeder) = feeder {
        feeder.abort();
    }
}

async fn say(write: &ChannelWriteHalf<Msg>, handle: &Handle, status: ExitStatus) {
    match exit_of(status) {
        Exit::Code(code) => drop(write.exit_status(code).await),
        Exit::Signal(name) => {
            let (none, signal) = (String::new(), Sig::Custom(name));
            let _ = handle.exit_signal_request(write.id(), signal, false, none.clone(), none).await;
        }
    }
}

/// Reads input from the channel at once, because an unread channel blocks its whole connection. The memory is not
/// limited, which is fine for a demo's uploads.
async fn receive(mut read: ChannelReadHalf, sender: mpsc::UnboundedSender<bytes::Bytes>) {
    while let Some(message) = read.wait().await {
        match message {
            ChannelMsg::Data { data } => {
                // If the command stops reading, the rest of its input is dropped.
                let _ = sender.send(data);
            }
            ChannelMsg::Eof | ChannelMsg::Close => return,
            _ => {}
        }
    }
}

async fn feed(mut pipe: ChildStdin, mut input: mpsc::UnboundedReceiver<bytes::Bytes>) {
    while let Some(bytes) = input.recv().await {
        if pipe.write_all(&bytes).await.is_err() {
            return;
        }
    }
}

/// Sends an output stream of the command. If the client closes the channel, the command gets a broken pipe.
async fn send(pipe: Option<impl AsyncRead + Unpin>, write: &ChannelWriteHalf<Msg>, ext: Option<u32>) {
    let Some(mut pipe) = pipe else { return };
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(64 * 1024);
        match pipe.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
        let bytes = buffer.split().freeze();
        let sent = match ext {
            None => write.data_bytes(bytes).await,
            Some(ext) => write.extended_data_bytes(ext, bytes).await,
        };
        if sent.is_err() {
            return;
        }
    }
}
