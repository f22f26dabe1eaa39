//! Whether a server ever greeted us: one that hangs up before it turns connections away, and says why at most in words.
//!
//! A reset of the server's can arrive before, between or after its words, and our own greeting is under way at the same
//! time. Until the server has greeted us only the reader ends the connection: a write that fails is no reason to stop
//! reading, and whatever ends the connection in this time is the same refusal.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::stream::BoxStream;
use crate::transport::{TURNED_AWAY, UnreachableKind};

/// Bytes that are kept of what comes first; the greeting is at most as long, and words before it are few.
const KEPT: usize = 512;
/// How every SSH server begins its greeting (RFC 4253 section 4.2).
const MARK: &[u8] = b"SSH-";

/// What a server said first.
#[derive(Clone, Debug, Default)]
pub struct Banner(Arc<Mutex<Vec<u8>>>);

/// A stream that keeps the beginning of what it brings, and whose writes cannot fail before the greeting came.
pub struct Heard {
    inner: BoxStream,
    banner: Banner,
    full: bool,
}

impl Banner {
    /// Listens to a stream from its beginning.
    pub fn of(inner: BoxStream) -> (Heard, Banner) {
        let banner = Banner::default();
        (Heard { inner, banner: banner.clone(), full: false }, banner)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the server greeted us.
    pub fn came(&self) -> bool {
        self.bytes().split(|byte| *byte == b'\n').any(|line| line.starts_with(MARK))
    }

    /// What the server said instead of it, harmless to print; empty: nothing.
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).trim().replace(|c: char| c.is_control(), " ")
    }

    /// The error of a connection that ended without it, with the server's words where it had some.
    pub fn turned_away(&self) -> (UnreachableKind, String) {
        let text = self.words();
        let words = if text.is_empty() { String::new() } else { format!(" saying {text:?}") };
        (
            UnreachableKind::TurnedAway,
            format!("the connection was closed before the server's greeting{words}: {TURNED_AWAY}"),
        )
    }
}

/// Whether this error of a new socket means that the server took the connection and hung up at once: a server that
/// takes none refuses it, or is silent.
pub fn hung_up(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionReset | io::ErrorKind::ConnectionAborted | io::ErrorKind::BrokenPipe
    )
}

impl AsyncRead for Heard {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = Pin::new(&mut self.inner).poll_read(cx, buffer);
        if !self.full {
            let mut kept = self.banner.0.lock().unwrap_or_else(PoisonError::into_inner);
            let room = KEPT - kept.len();
            kept.extend(buffer.filled()[before..].iter().take(room));
            let full = kept.len() == KEPT;
            drop(kept);
            self.full = full;
        }
        read
    }
}

impl AsyncWrite for Heard {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        match Pin::new(&mut self.inner).poll_write(cx, bytes) {
            Poll::Ready(Err(_)) if !self.banner.came() => Poll::Ready(Ok(bytes.len())),
            written => written,
        }
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match Pin::new(&mut self.inner).poll_flush(cx) {
            Poll::Ready(Err(_)) if !self.banner.came() => Poll::Ready(Ok(())),
            flushed => flushed,
        }
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    async fn after(sent: &[u8]) -> Banner {
        let (near, mut far) = tokio::io::duplex(64 << 10);
        let (mut heard, banner) = Banner::of(Box::new(near));
        far.write_all(sent).await.unwrap();
        drop(far);
        let mut all = Vec::new();
        heard.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, sent, "nothing is taken away");
        banner
    }

    #[tokio::test]
    async fn a_greeting_is_known_behind_other_lines() {
        assert!(after(b"SSH-2.0-OpenSSH_9.2\r\nand then much more").await.came());
        assert!(after(b"welcome\r\nSSH-2.0-x\r\n").await.came());
        assert!(after(&[b"SSH-2.0-x\r\n".to_vec(), vec![7; 4096]].concat()).await.came());
        assert!(!after(b"").await.came());
        assert!(!after(b"Exceeded MaxStartups\r\n").await.came());
    }

    #[tokio::test]
    async fn a_server_that_hangs_up_is_quoted_harmlessly() {
        let (kind, reason) = after(b"Exceeded\x1b[2J MaxStartups\r\n").await.turned_away();
        assert_eq!(kind, UnreachableKind::TurnedAway);
        assert!(reason.contains("MaxStartups\"") && !reason.contains('\x1b'), "{reason}");
    }
}
