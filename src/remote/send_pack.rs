//! `send-pack`: fetches a capture as a pack of what is missing here, and continues where the last connection was cut.

use std::fs::File;
use std::io::Write;
use std::path::{Path, PathBuf};

use bytes::Bytes;

use super::client::Remote;
use super::error::RemoteError;
use super::frames::Piece;
use super::receive_pack::Cache;
use super::request::Request;
use super::runner::Verb;
use crate::git::pack_file::PackFile;
use crate::model::attempt::AttemptNo;
use crate::model::snapshot::Oid;

/// Bytes requested at once. They stay in memory until they are written.
const AT_A_TIME: u64 = 32 << 20;
/// Maximum refs of a capture that are read, to bound memory. A runner makes about 1,200. The limit leaves room for other
/// versions, because it would keep the work on the host for ever.
const MAX_REFS: usize = 65_536;
/// How often a host may replace the pack that it had begun to send. It makes a new one only if it has lost the old one.
const MAX_CHANGES: u32 = 3;

/// What is fetched of an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Content {
    /// Its capture.
    Work,
    /// The build results that the verb `artifacts` stored.
    Artifacts,
}

/// The refs of a capture, named as on the host, and the pack of their objects.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FetchedPack {
    pub refs: Vec<(Oid, String)>,
    pub pack: PackFile,
}

/// One reply: the refs, and the pack's length.
struct Answer {
    refs: Vec<(Oid, String)>,
    length: u64,
}

impl Remote {
    /// Fetches content of attempt `n` into the directory `inbox`, continuing a partial file there. `held` are tips of what
    /// is here. `received` is called with the number of bytes here and the total.
    ///
    /// # Errors
    /// The bytes that arrived before an error stay.
    pub async fn fetch_pack(
        &self,
        cache: Cache<'_>,
        (n, content): (AttemptNo, Content),
        held: &[Oid],
        inbox: &Path,
        mut received: impl FnMut(u64, u64),
    ) -> Result<FetchedPack, RemoteError> {
        let held: Bytes = held.iter().map(|oid| format!("{oid}\n")).collect::<String>().into();
        let mut part = Part::find(inbox, n);
        let mut changes = 0;
        loop {
            let before = part.as_ref().map(|part| (part.hash.clone(), part.have));
            let wanted = || of(cache, n, content);
            let Answer { refs, length } = self.fetch_more((n, wanted), &held, inbox, &mut part, &mut received).await?;
            match &part {
                Some(Part { hash, have, path, .. }) if *have == length => {
                    return Ok(FetchedPack { refs, pack: PackFile { path: path.clone(), hash: hash.clone(), length } });
                }
                Some(part) if before.as_ref().is_none_or(|(hash, have)| *hash == part.hash && *have < part.have) => {}
                Some(part) if before != Some((part.hash.clone(), part.have)) && changes < MAX_CHANGES => changes += 1,
                _ => return Err(self.garbled(Verb::SendPack, "the pack is incomplete")),
            }
        }
    }

    /// Fetches one more piece.
    async fn fetch_more(
        &self,
        (n, wanted): (AttemptNo, impl Fn() -> Request),
        held: &Bytes,
        inbox: &Path,
        part: &mut Option<Part>,
        received: &mut impl FnMut(u64, u64),
    ) -> Result<Answer, RemoteError> {
        let request = || {
            let request = wanted().line("max", AT_A_TIME).part("held", held.clone());
            match &part {
                Some(part) => request.line("pack", &part.hash).line("have", part.have),
                None => request,
            }
        };
        let mut reply = self.open(Verb::SendPack, request).await?;
        let (mut refs, mut lines, mut length) = (Vec::new(), Vec::new(), None);
        while let Some(piece) = reply.next().await? {
            match (piece, length) {
                (Piece::Line(line), None) => match (read_pack(&line), read_ref(&line)) {
                    (Some((hash, whole)), _) => {
                        if part.as_ref().is_none_or(|part| part.hash != hash || part.have > whole) {
                            *part = Some(Part::new(inbox, n, hash).map_err(RemoteError::Pack)?);
                        }
                        length = Some(whole);
                    }
                    (None, Some(found)) if refs.len() < MAX_REFS => refs.push(found),
                    (None, None) if lines.len() < 16 => lines.push(line),
                    _ => return Err(reply.garbled("unexpected lines")),
                },
                (Piece::Data { header, at, bytes }, Some(length)) => {
                    let Some(part) = part
                        .as_mut()
                        .filter(|part| offset(&header).and_then(|from| from.checked_add(at)) == Some(part.have))
                    else {
                        return Err(reply.garbled("bytes from the wrong offset in the pack"));
                    };
                    if !part.add(&bytes, length).map_err(RemoteError::Pack)? {
                        return Err(reply.garbled("more bytes than the pack has"));
                    }
                    received(part.have, length);
                }
                (Piece::End(0), Some(length)) => return Ok(Answer { refs, length }),
                _ => return Err(reply.refused(&lines)),
            }
        }
        Err(reply.cut())
    }

    /// Lets the host delete the packs that it made of this content of the handoff's attempts.
    pub async fn forget_packs(&self, cache: Cache<'_>, n: AttemptNo, content: Content) -> Result<(), RemoteError> {
        self.call(Verb::SendPack, || of(cache, n, content).line("discard", "yes")).await.map(drop)
    }
}

fn of(cache: Cache<'_>, n: AttemptNo, content: Content) -> Request {
    let request = cache.request().line("attempt", n);
    match content {
        Content::Work => request,
        Content::Artifacts => request.line("artifacts", "yes"),
    }
}

/// The part of a pack that has arrived, in `<n>-<hash>.pack`. The hash identifies the pack.
struct Part {
    hash: Oid,
    path: PathBuf,
    file: File,
    have: u64,
}

impl Part {
    fn find(inbox: &Path, n: AttemptNo) -> Option<Part> {
        let names = std::fs::read_dir(inbox).ok()?.flatten().map(|entry| entry.file_name());
        let hash = |name: &str| name.strip_prefix(&format!("{n}-"))?.strip_suffix(".pack")?.parse().ok();
        let hash = names.filter_map(|name| hash(name.to_str()?)).next()?;
        Part::open(inbox, n, hash).ok()
    }

    /// Begins a pack, and deletes parts of others.
    fn new(inbox: &Path, n: AttemptNo, hash: Oid) -> std::io::Result<Part> {
        match std::fs::remove_dir_all(inbox) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(error),
            _ => std::fs::create_dir_all(inbox)?,
        }
        Part::open(inbox, n, hash)
    }

    fn open(inbox: &Path, n: AttemptNo, hash: Oid) -> std::io::Result<Part> {
        let path = inbox.join(format!("{n}-{hash}.pack"));
        let file = File::options().append(true).create(true).open(&path)?;
        let have = file.metadata()?.len();
        Ok(Part { hash, path, file, have })
    }

    /// Adds bytes of a pack of `length` bytes. `false`: these are too many, and the file was deleted.
    fn add(&mut self, bytes: &[u8], length: u64) -> std::io::Result<bool> {
        if bytes.len() as u64 > length.saturating_sub(self.have) {
            std::fs::remove_file(&self.path)?;
            return Ok(false);
        }
        self.file.write_all(bytes)?;
        self.have += bytes.len() as u64;
        Ok(true)
    }
}

/// `pack <hash> <length>`.
fn read_pack(line: &str) -> Option<(Oid, u64)> {
    let (hash, length) = line.strip_prefix("pack ")?.split_once(' ')?;
    Some((hash.parse().ok()?, length.parse().ok()?))
}

/// `ref <object> <name>`.
fn read_ref(line: &str) -> Option<(Oid, String)> {
    let (oid, name) = line.strip_prefix("ref ")?.split_once(' ')?;
    Some((oid.parse().ok()?, name.to_owned()))
}

/// The offset in `d <name> <n> pack <offset> <bytes>`.
fn offset(header: &str) -> Option<u64> {
    header.split(' ').nth(4)?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_after_the_end_of_a_pack_are_not_written() {
        let directory = tempfile::tempdir().unwrap();
        let inbox = directory.path().join("inbox");
        let mut part = Part::new(&inbox, 1, "1".repeat(40).parse().unwrap()).unwrap();
        assert!(part.add(b"abc", 5).unwrap() && part.add(b"de", 5).unwrap() && part.add(b"", 5).unwrap());
        assert_eq!(Part::find(&inbox, 1).map(|part| part.have), Some(5));
        assert!(!part.add(b"f", 5).unwrap());
        assert!(Part::find(&inbox, 1).is_none(), "a file of no use stays");
    }
}
