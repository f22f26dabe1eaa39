//! `receive-pack`: sends the objects of a push as a file, and continues where the last connection was cut.

use std::io::SeekFrom;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use super::client::{Remote, Reply};
use super::error::RemoteError;
use super::frames::Piece;
use super::request::Request;
use super::runner::Verb;
use crate::git::pack_file::PackFile;
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;

/// A pack of at most this many bytes is sent whole, without waiting for how much of it the host has.
pub const AT_ONCE: u64 = 1 << 20;
/// Bytes that are read from the file at once.
const CHUNK: usize = 256 << 10;
/// Maximum tips of a cache that are read. Ignored tips only make the pack larger.
const MAX_TIPS: usize = 1 << 16;

/// The cache that a handoff pushes to.
#[derive(Clone, Copy)]
pub struct Cache<'a> {
    pub name: &'a RemoteName,
    /// 40 hex digits.
    pub key: &'a str,
    /// `sha1` or `sha256`.
    pub format: &'a str,
}

impl Cache<'_> {
    pub(super) fn request(self) -> Request {
        Request::new().line("name", self.name).line("key", self.key).line("format", self.format)
    }
}

impl Remote {
    /// The commits and tags in a cache that a push can build on.
    pub async fn tips(&self, cache: Cache<'_>) -> Result<Vec<Oid>, RemoteError> {
        let mut reply = self.open(Verb::ReceivePack, || cache.request()).await?;
        let (mut tips, mut lines) = (Vec::new(), Vec::new());
        while let Some(piece) = reply.next().await? {
            match piece {
                Piece::Line(line) => match line.strip_prefix("tip ").map(str::parse) {
                    Some(Ok(oid)) if tips.len() < MAX_TIPS => tips.push(oid),
                    Some(_) => {}
                    None if lines.len() < 16 => lines.push(line),
                    None => return Err(reply.garbled("unexpected lines")),
                },
                Piece::End(0) => return Ok(tips),
                _ => return Err(reply.refused(&lines)),
            }
        }
        Err(reply.cut())
    }

    /// Sends the part of a pack that the host does not have, and makes `refs` there, each an object and a name. It may
    /// be called again at any time. `arrived` is called with the number of bytes sent or already there.
    ///
    /// # Errors
    /// [`RemoteError::Refused`] with [`RefusalClass::Lacking`](super::refusal::RefusalClass::Lacking) or `Damaged`: this pack is of no use there.
    pub async fn send_pack(
        &self,
        cache: Cache<'_>,
        pack: &PackFile,
        refs: &[(Oid, String)],
        arrived: impl FnMut(u64),
    ) -> Result<(), RemoteError> {
        let lines: String = refs.iter().map(|(oid, name)| format!("{oid} {name}\n")).collect();
        let whole = match pack.length {
            ..=AT_ONCE => Some(Bytes::from(tokio::fs::read(&pack.path).await.map_err(RemoteError::Pack)?)),
            _ => None,
        };
        let request = || {
            let request = cache.request().line("pack", &pack.hash).line("length", pack.length);
            let request = if pack.is_thin() { request.line("thin", "yes") } else { request };
            match &whole {
                Some(bytes) => request.line("whole", "yes").part("refs", lines.clone()).part("pack", bytes.clone()),
                None => request.part("refs", lines.clone()),
            }
        };
        let mut reply = self.begin(Verb::ReceivePack, request, whole.is_some()).await?;
        let have = match reply.next().await? {
            Some(Piece::Line(line)) => match line.strip_prefix("have ").map(str::parse) {
                Some(Ok(have)) if have <= pack.length => have,
                _ => return self.ended(reply, vec![line]).await,
            },
            _ => return self.ended(reply, Vec::new()).await,
        };
        let stdin = reply.stdin.take();
        let feed = async {
            match stdin {
                Some(stdin) => feed(pack, have, &stdin, arrived).await.map_err(RemoteError::Pack),
                None => Ok(()),
            }
        };
        // A host that refuses stops reading, so its answer is read while the rest is being sent.
        let ended = self.ended(reply, Vec::new());
        tokio::pin!(feed, ended);
        tokio::select! {
            biased;
            ended = &mut ended => ended,
            fed = &mut feed => {
                fed?;
                ended.await
            }
        }
    }

    /// Reads a reply to its end and checks it.
    async fn ended(&self, mut reply: Reply, mut lines: Vec<String>) -> Result<(), RemoteError> {
        while let Some(piece) = reply.next().await? {
            match piece {
                Piece::Line(line) if lines.len() < 16 => lines.push(line),
                Piece::End(0) => return Ok(()),
                _ => return Err(reply.refused(&lines)),
            }
        }
        Err(reply.cut())
    }
}

/// Sends a pack's bytes from an offset on, and then closes the input. Stops when the host closes it.
async fn feed(
    pack: &PackFile,
    from: u64,
    stdin: &mpsc::Sender<Bytes>,
    mut arrived: impl FnMut(u64),
) -> std::io::Result<()> {
    let mut file = tokio::fs::File::open(&pack.path).await?;
    file.set_max_buf_size(CHUNK);
    file.seek(SeekFrom::Start(from)).await?;
    let mut sent = from;
    while sent < pack.length {
        arrived(sent);
        let mut chunk = BytesMut::with_capacity(CHUNK);
        let read = file.read_buf(&mut chunk).await?;
        if read == 0 {
            return Err(std::io::ErrorKind::UnexpectedEof.into());
        }
        if stdin.send(chunk.freeze()).await.is_err() {
            return Ok(());
        }
        sent += read as u64;
    }
    arrived(sent);
    Ok(())
}
