//! `release`: a host makes a handoff's tree available again, once the laptop has everything.

use super::client::Remote;
use super::error::RemoteError;
use super::frames::Piece;
use super::refusal::RefusalClass;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;

/// Maximum bytes of a listing: twenty names of at most 400 bytes.
const LONGEST_LISTING: usize = 16 << 10;
/// Maximum lines of an answer.
const MOST_LINES: usize = 64;

/// What the laptop has of one attempt. The host deletes nothing else.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Receipt {
    pub attempt: AttemptNo,
    pub capture: Option<Oid>,
    /// Length of the mirrored log in bytes.
    pub log: u64,
}

/// Options of a release.
#[derive(Clone, Debug, Default)]
pub struct ReleaseOptions {
    /// Dry run: the answer says what would be deleted.
    pub dry: bool,
    /// Also delete files that exist only on the host.
    pub discard: bool,
    /// Patterns of declared caches, which are deleted without asking.
    pub caches: Vec<String>,
    /// Ids of what the laptop has: lines `tree <id>` and `commit <id>`.
    pub held: String,
}

/// What a host deleted, or would delete.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// The host has nothing of the handoff.
    pub gone: bool,
    pub tree: Option<String>,
    /// Trees of earlier attempts.
    pub more_trees: Vec<String>,
    /// Those trees that no handoff can use again.
    pub aside: Vec<String>,
    /// Number of refs in the cache.
    pub refs: u64,
    /// Files that exist only on the host.
    pub files: Files,
    /// Why it keeps everything: a class and words.
    pub kept: Option<(RefusalClass, String)>,
}

/// Files of a tree, with the names of the first ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize, schemars::JsonSchema)]
pub struct Files {
    pub count: u64,
    pub bytes: u64,
    /// Sizes and names. Bytes of a name that are not UTF-8 are replaced.
    pub first: Vec<(u64, String)>,
}

impl Remote {
    /// Releases the handoff, or checks whether it can be released. The host deletes nothing unless every attempt has
    /// ended and its receipt matches exactly.
    pub async fn release(
        &self,
        name: &RemoteName,
        receipts: &[Receipt],
        options: &ReleaseOptions,
    ) -> Result<Answer, RemoteError> {
        let request = || {
            let mut request = Request::new().line("name", name);
            for receipt in receipts {
                let capture = receipt.capture.as_ref().map_or("-", Oid::as_str);
                request = request.line("ack", format!("{} {capture} {}", receipt.attempt, receipt.log));
            }
            request = options.caches.iter().fold(request, |request, cache| request.line("cache", cache));
            let flags = [("dry", options.dry), ("discard", options.discard)];
            let request =
                flags.iter().filter(|flag| flag.1).fold(request, |request, (flag, _)| request.line(flag, "yes"));
            request.part("held", options.held.clone())
        };
        let mut reply = self.open(Verb::Release, request).await?;
        let (mut lines, mut listing, mut head) = (Vec::new(), Vec::new(), String::new());
        while let Some(piece) = reply.next().await? {
            match piece {
                Piece::Line(line) if lines.len() < MOST_LINES => lines.push(line),
                Piece::Data { header, bytes, .. } if listing.len() + bytes.len() <= LONGEST_LISTING => {
                    head = header;
                    listing.extend_from_slice(&bytes);
                }
                Piece::End(status) => {
                    let mut answer = read(&lines, &head, &String::from_utf8_lossy(&listing));
                    if status != 0 {
                        let RemoteError::Refused { class, text, .. } = self.refusal(&lines) else {
                            return Err(self.refusal(&lines));
                        };
                        answer.kept = Some((class, text));
                    }
                    return Ok(answer);
                }
                _ => return Err(self.garbled(Verb::Release, "unexpected lines")),
            }
        }
        Err(reply.cut())
    }
}

fn read(lines: &[String], head: &str, listing: &str) -> Answer {
    let values = |key: &'static str| {
        let line = move |line: &String| Some(line.strip_prefix(key)?.strip_prefix(' ')?.to_owned());
        lines.iter().filter_map(line)
    };
    let number = |text: Option<&str>| text.and_then(|text| text.parse().ok()).unwrap_or(0);
    let mut words = head.split(' ').skip(3);
    let first = listing.lines().filter_map(|line| line.split_once(' '));
    Answer {
        gone: lines.iter().any(|line| line == "gone"),
        tree: values("tree").next(),
        more_trees: values("tree").skip(1).collect(),
        aside: values("aside").collect(),
        refs: number(values("refs").next().as_deref()),
        files: Files {
            count: number(words.next()),
            bytes: number(words.next()),
            first: first.map(|(size, name)| (number(Some(size)), name.to_owned())).collect(),
        },
        kept: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_and_its_listing_are_read() {
        let lines = ["tree /home/dev/.handoff/trees/x y-1/x y".to_owned(), "refs 3".to_owned()];
        let answer = read(&lines, "d 20261121-x-0123456789abcdef kept 2 1300 40", "1200 a b.o\n100 c\n");
        assert_eq!((answer.gone, answer.refs), (false, 3));
        assert_eq!(answer.tree.as_deref(), Some("/home/dev/.handoff/trees/x y-1/x y"));
        let first = vec![(1200, "a b.o".to_owned()), (100, "c".to_owned())];
        assert_eq!(answer.files, Files { count: 2, bytes: 1300, first });
        assert!(read(&["gone".to_owned()], "", "").gone);
        let answer = read(&["tree /t/1", "tree /t/2", "aside /t/1"].map(str::to_owned), "", "");
        assert_eq!((answer.tree.as_deref(), &answer.more_trees[..]), (Some("/t/1"), &["/t/2".to_owned()][..]));
        assert_eq!(answer.aside, ["/t/1"]);
    }
}
