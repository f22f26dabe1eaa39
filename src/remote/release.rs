//! `release`: gives a host's tree back once the laptop holds everything.

use super::client::Remote;
use super::error::RemoteError;
use super::frames::Piece;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;

/// Most bytes of a listing: twenty names of at most 400 bytes.
const LONGEST_LISTING: usize = 16 << 10;
/// Most lines of an answer.
const MOST_LINES: usize = 64;

/// What the laptop holds of one attempt; the host lets go of nothing else.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize)]
pub struct Receipt {
    pub attempt: AttemptNo,
    pub capture: Option<Oid>,
    /// Bytes of the mirrored log.
    pub log: u64,
}

/// How to let go.
#[derive(Clone, Debug, Default)]
pub struct ReleaseOptions {
    /// Only look: the answer says what would be done.
    pub dry: bool,
    /// Files that are nowhere else go too.
    pub discard: bool,
    /// Patterns of files that nobody needs to be asked about.
    pub caches: Vec<String>,
    /// Ids of what the laptop holds: lines `tree <id>` and `commit <id>`.
    pub held: String,
}

/// What a host let go of, or would.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Answer {
    /// There was nothing of the handoff.
    pub gone: bool,
    pub tree: Option<String>,
    /// Trees that earlier attempts worked in.
    pub more_trees: Vec<String>,
    /// Those trees that no handoff can use again.
    pub aside: Vec<String>,
    /// Refs of the cache.
    pub refs: u64,
    /// Files that are nowhere else.
    pub files: Files,
    /// Why it keeps everything: a class and words.
    pub kept: Option<(String, String)>,
}

/// Files of a tree, the first of them by name.
#[derive(Clone, Debug, Default, PartialEq, Eq, serde::Serialize)]
pub struct Files {
    pub count: u64,
    pub bytes: u64,
    /// Sizes and names; a name is what the host says, lossy where it is no text.
    pub first: Vec<(u64, String)>,
}

impl Remote {
    /// Releases the handoff, or looks whether it can be; kept whole unless every attempt has ended and is acknowledged
    /// exactly.
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
                _ => return Err(self.garbled(Verb::Release, "more than it was asked for")),
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
    fn an_answer_is_read_with_its_listing() {
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
