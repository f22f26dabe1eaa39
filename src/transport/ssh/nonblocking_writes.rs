//! A stream whose writes never block, so that its reader never stops reading.
//!
//! russh does not read while it writes. If both ends of a connection wait for their writes, neither reads, and both
//! wait for ever. This was seen between two russh ends with 16 MiB windows, and can happen with any server over a jump
//! host, where the outer connection waits for the inner one. A write that would block is therefore kept here and sent
//! during the following reads. The windows of SSH's channels limit how much is kept.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};

use bytes::{Buf, BytesMut};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

/// See the module.
pub struct NonblockingWrites<S> {
    inner: S,
    /// Accepted bytes that `inner` has not taken yet.
    kept: BytesMut,
}

impl<S: AsyncRead + AsyncWrite + Unpin> NonblockingWrites<S> {
    /// Wraps a stream.
    pub fn new(inner: S) -> Self {
        NonblockingWrites { inner, kept: BytesMut::new() }
    }

    /// Writes as much as possible; ready when nothing is left.
    fn poll_drain(&mut self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        while !self.kept.is_empty() {
            let written = ready!(Pin::new(&mut self.inner).poll_write(cx, &self.kept))?;
            if written == 0 {
                return Poll::Ready(Err(io::ErrorKind::WriteZero.into()));
            }
            self.kept.advance(written);
        }
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncRead for NonblockingWrites<S> {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        // A failed write also fails the next read or write; data that arrived before is still returned.
        let _ = self.poll_drain(cx);
        Pin::new(&mut self.inner).poll_read(cx, buffer)
    }
}

impl<S: AsyncRead + AsyncWrite + Unpin> AsyncWrite for NonblockingWrites<S> {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bytes: &[u8]) -> Poll<io::Result<usize>> {
        if let Poll::Ready(drained) = self.poll_drain(cx) {
            drained?;
            if let Poll::Ready(written) = Pin::new(&mut self.inner).poll_write(cx, bytes) {
                return Poll::Ready(written);
            }
        }
        self.kept.extend_from_slice(bytes);
        Poll::Ready(Ok(bytes.len()))
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        match self.poll_drain(cx) {
            Poll::Ready(drained) => {
                drained?;
                // The stream below has no buffer that only a flush would send, so its readiness is not awaited.
                let _ = Pin::new(&mut self.inner).poll_flush(cx)?;
            }
            Poll::Pending => {}
        }
        Poll::Ready(Ok(()))
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        ready!(self.poll_drain(cx))?;
        Pin::new(&mut self.inner).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    #[tokio::test]
    async fn a_write_that_would_block_is_sent_while_reading() {
        let (near, mut far) = tokio::io::duplex(4);
        let mut near = NonblockingWrites::new(near);
        near.write_all(b"more than the pipe holds").await.unwrap();
        near.flush().await.unwrap();
        far.write_all(b"back").await.unwrap();
        let reader = tokio::spawn(async move {
            let mut back = Vec::new();
            near.read_to_end(&mut back).await.unwrap();
            back
        });
        let mut all = vec![0; 24];
        far.read_exact(&mut all).await.unwrap();
        assert_eq!(all, b"more than the pipe holds");
        drop(far);
        assert_eq!(reader.await.unwrap(), b"back");
    }

    #[tokio::test]
    async fn a_shutdown_waits_for_kept_writes() {
        let (near, mut far) = tokio::io::duplex(3);
        let mut near = NonblockingWrites::new(near);
        near.write_all(b"0123456789").await.unwrap();
        let writer = tokio::spawn(async move { near.shutdown().await });
        let mut all = Vec::new();
        far.read_to_end(&mut all).await.unwrap();
        assert_eq!(all, b"0123456789");
        writer.await.unwrap().unwrap();
    }
}
