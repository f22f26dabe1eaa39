//! The objects of a push. A small pack is sent with `ensure`; `receive-pack` sends a larger one as a file before that,
//! and continues where the last connection was cut.

use std::io::SeekFrom;

use bytes::{Bytes, BytesMut};
use tokio::io::{AsyncReadExt, AsyncSeekExt};
use tokio::sync::mpsc;

use super::client::{Remote, Reply};
use super::error::RemoteError;
use super::frames::Piece;
use super::refusal::RefusalClass;
use super::request::Request;
use super::runner::Verb;
use crate::git::pack_file::PackFile;
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;

/// A pack of at most this many bytes is sent with `ensure`.
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

/// A pack, and the refs that the host makes when it has every object.
#[derive(Clone, Copy)]
pub struct Push<'a> {
    pub cache: Cache<'a>,
    pub pack: &'a PackFile,
    /// Each an object and a name. The ref of the ship is last.
    pub refs: &'a [(Oid, String)],
    /// Commits at which the history of a shallow clone ends.
    pub shallow: &'a [Oid],
}

impl Push<'_> {
    pub(super) fn describe(&self, request: Request) -> Request {
        let request = request.line("pack", &self.pack.hash).line("length", self.pack.length);
        if self.pack.is_thin() { request.line("thin", "yes") } else { request }
    }

    pub(super) fn list(&self) -> String {
        let ends = self.shallow.iter().map(|oid| format!("{oid} shallow\n"));
        ends.chain(self.refs.iter().map(|(oid, name)| format!("{oid} {name}\n"))).collect()
    }
}

impl Remote {
    /// The commits and tags in a cache that a push can build on.
    pub async fn tips(&self, cache: Cache<'_>) -> Result<Vec<Oid>, RemoteError> {
        let reply = self.open(Verb::ReceivePack, || cache.request()).await?;
        let mut answer = Answer::default();
        match self.read_answer(reply, &mut answer).await? {
            true => Ok(answer.tips),
            false => Err(self.refusal(&answer.lines)),
        }
    }

    /// Sends the part of a pack that the host does not have, and makes the refs there. It may be called again at any
    /// time. `arrived` is called with the number of bytes sent or already there.
    ///
    /// # Errors
    /// [`RemoteError::PackRefused`]: this pack is of no use there.
    pub async fn send_pack(&self, push: &Push<'_>, arrived: impl FnMut(u64)) -> Result<(), RemoteError> {
        let (pack, list) = (push.pack, push.list());
        let request = || push.describe(push.cache.request()).part("refs", list.clone());
        let mut reply = self.begin(Verb::ReceivePack, request, false).await?;
        let have = match reply.next().await? {
            Some(Piece::Line(line)) => match line.strip_prefix("have ").map(str::parse) {
                Some(Ok(have)) if have <= pack.length => have,
                _ => return self.pushed(reply, vec![line]).await.map(drop),
            },
            _ => return self.pushed(reply, Vec::new()).await.map(drop),
        };
        let stdin = reply.stdin.take();
        let feed = async {
            match stdin {
                Some(stdin) => feed(pack, have, &stdin, arrived).await.map_err(RemoteError::Pack),
                None => Ok(()),
            }
        };
        // A host that refuses stops reading, so its answer is read while the rest is being sent.
        let ended = async { self.pushed(reply, Vec::new()).await.map(drop) };
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

    /// Reads the rest of the reply to a push, after `lines`, and returns its lines.
    pub(super) async fn pushed(&self, reply: Reply, lines: Vec<String>) -> Result<Vec<String>, RemoteError> {
        let mut answer = Answer { lines, tips: Vec::new() };
        if self.read_answer(reply, &mut answer).await? {
            return Ok(answer.lines);
        }
        let Answer { lines, tips } = answer;
        match self.refusal(&lines) {
            RemoteError::Refused { host, class: RefusalClass::Lacking | RefusalClass::Damaged, text } => {
                Err(RemoteError::PackRefused { host, text, tips })
            }
            refusal => Err(refusal),
        }
    }

    /// Reads a reply to its end. Returns whether the host accepted the request.
    async fn read_answer(&self, mut reply: Reply, answer: &mut Answer) -> Result<bool, RemoteError> {
        while let Some(piece) = reply.next().await? {
            match piece {
                Piece::Line(line) => match line.strip_prefix("tip ").map(str::parse) {
                    Some(Ok(oid)) if answer.tips.len() < MAX_TIPS => answer.tips.push(oid),
                    Some(_) => {}
                    None if answer.lines.len() < 16 => answer.lines.push(line),
                    None => return Err(reply.garbled("unexpected lines")),
                },
                Piece::End(status) => return Ok(status == 0),
                _ => return Err(reply.garbled("unexpected data")),
            }
        }
        Err(reply.cut())
    }
}

/// The answer to a push.
#[derive(Default)]
struct Answer {
    lines: Vec<String>,
    /// What a push can build on.
    tips: Vec<Oid>,
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
