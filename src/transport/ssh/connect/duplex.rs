//! The type of a byte stream to a server.

use tokio::io::{AsyncRead, AsyncWrite};

/// A stream that can be read and written.
pub trait Duplex: AsyncRead + AsyncWrite + Unpin + Send {}
impl<T: AsyncRead + AsyncWrite + Unpin + Send> Duplex for T {}

/// A stream of any kind.
pub type BoxStream = Box<dyn Duplex>;
