//! Finds out whether a server has sent its banner. A server that hangs up before that rejects connections, and may say
//! why in plain text.
//!
//! A reset by the server can arrive before, between or after its text, while our own banner is being sent. Until the
//! server's banner has arrived, only the reader ends the connection: a failed write must not stop the reading, and
//! every end of the connection in this time is reported as the same refusal.

use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use super::duplex::BoxStream;
use crate::transport::{TURNED_AWAY, UnreachableKind};

/// Bytes that are kept of what comes first. A banner is at most as long, and any text before it is short.
const KEPT: usize = 512;
/// The beginning of every SSH server's banner (RFC 4253 section 4.2).
const MARK: &[u8] = b"SSH-";

/// The first bytes that a server sent.
#[derive(Clone, Debug, Default)]
pub struct Banner(Arc<Mutex<Vec<u8>>>);

/// A stream that keeps its first bytes, and whose writes cannot fail before the banner has arrived.
pub struct Heard {
    inner: BoxStream,
    banner: Banner,
    full: bool,
}

impl Banner {
    /// Records a stream from its beginning.
    pub fn of(inner: BoxStream) -> (Heard, Banner) {
        let banner = Banner::default();
        (Heard { inner, banner: banner.clone(), full: false }, banner)
    }

    fn bytes(&self) -> Vec<u8> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Whether the server's banner has arrived.
    pub fn came(&self) -> bool {
        self.bytes().split(|byte| *byte == b'\n').any(|line| line.starts_with(MARK))
    }

    /// What the server sent instead of a banner, made safe for a terminal; may be empty.
    pub fn words(&self) -> String {
        String::from_utf8_lossy(&self.bytes()).trim().replace(|c: char| c.is_control(), " ")
    }

    /// The error of a connection that ended before the banner, with the server's text if there was any.
    pub fn turned_away(&self) -> (UnreachableKind, String) {
        let text = self.words();
        let words = if text.is_empty() { String::new() } else { format!(" saying {text:?}") };
        (
            UnreachableKind::TurnedAway,
            format!("the connection was closed before the server's greeting{words}: {TURNED_AWAY}"),
        )
    }
}

/// Whether this error of a new socket means that the server accepted the connection and closed it at once. A server
/// that accepts none refuses it or does not answer.
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
    async fn a_banner_is_found_after_other_lines() {
        assert!(after(b"SSH-2.0-OpenSSH_9.2\r\nand then much more").await.came());
        assert!(after(b"welcome\r\nSSH-2.0-x\r\n").await.came());
        assert!(after(&[b"SSH-2.0-x\r\n".to_vec(), vec![7; 4096]].concat()).await.came());
        assert!(!after(b"").await.came());
        assert!(!after(b"Exceeded MaxStartups\r\n").await.came());
    }

    #[tokio::test]
    async fn the_text_of_a_server_that_hangs_up_is_quoted_safely() {
        let (kind, reason) = after(b"Exceeded\x1b[2J MaxStartups\r\n").await.turned_away();
        assert_eq!(kind, UnreachableKind::TurnedAway);
        assert!(reason.contains("MaxStartups\"") && !reason.contains('\x1b'), "{reason}");
    }
}
