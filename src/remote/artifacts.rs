//! `artifacts`: makes a commit of build results in an attempt's checkout.

use super::client::Remote;
use super::error::RemoteError;
use super::request::Request;
use super::runner::Verb;
use crate::model::attempt::AttemptNo;
use crate::model::id::RemoteName;
use crate::model::snapshot::Oid;

/// Maximum paths that are kept of those that a host could not read.
const MOST_UNREAD: usize = 20;

/// The files that match, as the host found them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Matching {
    pub files: u64,
    pub bytes: u64,
    /// The commit that was made of them. `None`: they have more bytes than was allowed, or none could be read.
    pub commit: Option<Oid>,
    /// Whether the attempt has ended.
    pub is_ended: bool,
    /// Files and directories that could not be read, as git prints paths.
    pub unread: Vec<String>,
}

impl Remote {
    /// Lets the host store the regular files in the checkout of attempt `n` that match the patterns of an ignore file,
    /// unless they have more than `most` bytes.
    pub async fn artifacts(
        &self,
        name: &RemoteName,
        n: AttemptNo,
        globs: &[String],
        most: u64,
    ) -> Result<Matching, RemoteError> {
        let patterns: String = globs.iter().map(|glob| format!("{glob}\n")).collect();
        let request = || {
            let request = Request::new().line("name", name).line("attempt", n).line("max", most);
            request.part("globs", patterns.clone())
        };
        let lines = self.call(Verb::Artifacts, request).await?;
        read(&lines).ok_or_else(|| self.garbled(Verb::Artifacts, "the number of files is missing"))
    }
}

fn read(lines: &[String]) -> Option<Matching> {
    let (mut matching, mut files, mut bytes) = (Matching::default(), None, None);
    for (key, value) in lines.iter().filter_map(|line| line.split_once(' ')) {
        match key {
            "ended" => matching.is_ended = value == "1",
            "files" => files = value.parse().ok(),
            "bytes" => bytes = value.parse().ok(),
            "artifacts" => matching.commit = Some(value.parse().ok()?),
            "unread" if matching.unread.len() < MOST_UNREAD => matching.unread.push(value.to_owned()),
            _ => {}
        }
    }
    Some(Matching { files: files?, bytes: bytes?, ..matching })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_without_the_number_of_files_says_nothing() {
        let lines = |text: &str| text.lines().map(str::to_owned).collect::<Vec<_>>();
        let oid = "1".repeat(40);
        let all = format!("ended 1\nfiles 2\nbytes 30\nartifacts {oid}\nunread \"a\\n\"");
        let matching = read(&lines(&all)).unwrap();
        assert_eq!((matching.files, matching.bytes, matching.is_ended), (2, 30, true));
        assert_eq!(
            (matching.commit.unwrap().as_str(), &matching.unread[..]),
            (oid.as_str(), &["\"a\\n\"".to_owned()][..])
        );
        assert_eq!(read(&lines("files 0\nbytes 0\n")), Some(Matching::default()));
        for text in ["", "ended 1", "files x\nbytes 1", "files 1\nbytes -1", "files 1\nbytes 1\nartifacts HEAD"] {
            assert_eq!(read(&lines(text)), None, "{text}");
        }
    }
}
