//! `handoff mcp`: the commands as tools of the Model Context Protocol, for an agent in an editor.
//!
//! A tool calls the same function as the command of its name and returns JSON; `docs/json.md` has the fields. Nothing
//! that is left running belongs to this process: a run is always detached, and its host works on alone.

mod calls;
mod input;
mod resources;
mod server;
pub mod tools;

use std::pin::Pin;
use std::task::{Context, Poll};
use std::time::Duration;

use rmcp::ServiceExt;
use tokio::io::{AsyncRead, ReadBuf};
use tokio::sync::watch;

use super::Global;
use super::error::Error;
use super::exit;
use super::interrupt::interrupted;
use crate::ui::screen;

/// How long calls may still be answered after the client has closed the server's input.
const LAST_ANSWERS: Duration = Duration::from_millis(500);

/// Serve the Model Context Protocol on standard input and output, for an agent in an editor
#[derive(Debug, clap::Args)]
pub struct Mcp {}

impl Mcp {
    pub async fn run(self, global: &Global) -> Result<u8, Error> {
        screen::reserve();
        let (ended, has_ended) = watch::channel(false);
        let (input, output) = rmcp::transport::io::stdio();
        let server = server::Server { global: global.clone(), has_ended: has_ended.clone() };
        let serve = async {
            match server.serve((Input { input, ended }, output)).await {
                Ok(running) => running.waiting().await.map(drop).map_err(|error| Error::failed(error.to_string())),
                // The client left before it said anything.
                Err(_) if *has_ended.borrow() => Ok(()),
                Err(error) => Err(Error::failed(format!("the client does not speak the protocol: {error}"))),
            }
        };
        tokio::select! {
            served = serve => served.map(|()| exit::OK),
            () = interrupted() => Ok(exit::DETACHED),
        }
    }
}

/// Standard input, which reports its end. The SDK itself would wait five seconds for calls that have no reader any more.
struct Input<R> {
    input: R,
    ended: watch::Sender<bool>,
}

impl<R: AsyncRead + Unpin> AsyncRead for Input<R> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        let before = buffer.filled().len();
        let polled = Pin::new(&mut self.input).poll_read(cx, buffer);
        let is_end = match &polled {
            Poll::Ready(Ok(())) => buffer.filled().len() == before && buffer.capacity() > before,
            Poll::Ready(Err(_)) => true,
            Poll::Pending => false,
        };
        if is_end {
            self.ended.send_replace(true);
        }
        polled
    }
}

/// Completes a moment after the input has ended.
async fn given_up(mut has_ended: watch::Receiver<bool>) {
    _ = has_ended.wait_for(|ended| *ended).await;
    tokio::time::sleep(LAST_ANSWERS).await;
}
