//! Parses a framed reply into noise, lines and data.

use bytes::{Buf, Bytes};

/// The longest line that a runner writes, in bytes; a longer one is not from a runner.
const MAX_LINE: usize = 8192;
/// Maximum bytes outside the frame that are kept for error messages.
const MAX_NOISE: usize = 2048;

/// A piece of a reply.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Piece {
    /// The host does not have the runner, so the verb did not run.
    NeedRunner,
    /// A line inside the frame, without its newline.
    Line(String),
    /// Bytes of the data frame whose header line is `header`, `at` bytes after its start.
    Data { header: String, at: u64, bytes: Bytes },
    /// The end of the frame.
    End(u32),
}

/// The bytes are not a reply.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum NotAReply {
    #[error("a line of more than {MAX_LINE} bytes")]
    LongLine,
    #[error("a line that is not text")]
    NotText,
    #[error("a data frame without a length: {0:?}")]
    NoLength(String),
    #[error("a data frame without its last newline: {0:?}")]
    NoNewline(String),
    #[error("an end without a status: {0:?}")]
    NoStatus(String),
}

/// Takes bytes in pieces of any size and returns the pieces of the reply.
pub struct Frames {
    begin: Vec<u8>,
    need: Vec<u8>,
    end: String,
    held: Bytes,
    noise: Vec<u8>,
    place: Place,
}

enum Place {
    Outside,
    Inside,
    /// Inside a data frame: header, bytes read, bytes left.
    Data(String, u64, u64),
    Ended,
}

impl Frames {
    /// A reader for the reply to a call with this nonce.
    pub fn new(nonce: &str) -> Self {
        Frames {
            begin: format!("@handoff {nonce} begin\n").into_bytes(),
            need: format!("@handoff {nonce} need-runner\n").into_bytes(),
            end: format!("@handoff {nonce} end "),
            held: Bytes::new(),
            noise: Vec::new(),
            place: Place::Outside,
        }
    }

    /// Adds bytes of the reply.
    pub fn push(&mut self, bytes: Bytes) {
        // Bytes after the end of the frame are ignored.
        if matches!(self.place, Place::Ended) {
            return;
        }
        // Inside a data frame nothing is buffered; the bytes are passed on as they came.
        self.held = if self.held.is_empty() { bytes } else { [&self.held[..], &bytes[..]].concat().into() };
    }

    /// The host's output outside the frame, for an error message.
    pub fn noise(&self) -> String {
        let held = if matches!(self.place, Place::Outside) { &self.held[..] } else { &[] };
        let all = [&self.noise, held].concat();
        let tail = &all[all.len().saturating_sub(MAX_NOISE)..];
        String::from_utf8_lossy(tail).trim().to_owned()
    }

    /// The next piece, or `None` until more bytes come.
    pub fn piece(&mut self) -> Result<Option<Piece>, NotAReply> {
        loop {
            match &mut self.place {
                Place::Outside => match self.leave_noise() {
                    Some(Some(piece)) => return Ok(Some(piece)),
                    Some(None) => {}
                    None => return Ok(None),
                },
                Place::Inside => {
                    let Some(line) = self.line()? else { return Ok(None) };
                    if let Some(piece) = self.read_line(line)? {
                        return Ok(Some(piece));
                    }
                }
                Place::Data(..) => return self.data(),
                Place::Ended => return Ok(None),
            }
        }
    }

    /// Looks for the first mark. `None`: more bytes are needed; `Some(None)`: the frame has begun.
    fn leave_noise(&mut self) -> Option<Option<Piece>> {
        let (begin, need) = (find(&self.held, &self.begin), find(&self.held, &self.need));
        if let Some(at) = begin.filter(|at| need.is_none_or(|need| *at < need)) {
            self.keep_noise(at);
            self.held.advance(self.begin.len());
            self.place = Place::Inside;
            return Some(None);
        }
        if let Some(at) = need {
            self.keep_noise(at);
            self.place = Place::Ended;
            return Some(Some(Piece::NeedRunner));
        }
        // A mark may be incomplete, so bytes that could be its beginning stay.
        let surely_noise = self.held.len().saturating_sub(self.need.len());
        self.keep_noise(surely_noise);
        None
    }

    fn keep_noise(&mut self, length: usize) {
        let noise = self.held.split_to(length);
        self.noise.extend_from_slice(&noise);
        let excess = self.noise.len().saturating_sub(MAX_NOISE);
        self.noise.drain(..excess);
    }

    fn line(&mut self) -> Result<Option<String>, NotAReply> {
        let Some(end) = self.held.iter().take(MAX_LINE + 1).position(|byte| *byte == b'\n') else {
            return if self.held.len() > MAX_LINE { Err(NotAReply::LongLine) } else { Ok(None) };
        };
        let line = self.held.split_to(end + 1);
        let line = &line[..end];
        // An agent chooses the names of its refs, and git takes any bytes.
        if line.starts_with(b"ref ") {
            return Ok(Some(String::from_utf8_lossy(line).into_owned()));
        }
        String::from_utf8(line.to_vec()).map(Some).map_err(|_| NotAReply::NotText)
    }

    fn read_line(&mut self, line: String) -> Result<Option<Piece>, NotAReply> {
        if let Some(status) = line.strip_prefix(&self.end) {
            let status = status.trim().parse().map_err(|_| NotAReply::NoStatus(line.clone()))?;
            self.place = Place::Ended;
            return Ok(Some(Piece::End(status)));
        }
        if line.starts_with("d ") || line.starts_with("r ") {
            let length = line.rsplit(' ').next().and_then(|n| n.parse::<u64>().ok());
            let length = length.ok_or_else(|| NotAReply::NoLength(line.clone()))?;
            self.place = Place::Data(line, 0, length);
            return Ok(None);
        }
        Ok(Some(Piece::Line(line)))
    }

    fn data(&mut self) -> Result<Option<Piece>, NotAReply> {
        let Place::Data(header, read, left) = &mut self.place else { return Ok(None) };
        if *left == 0 {
            // An empty frame is still returned as a piece.
            let Some(newline) = self.held.first() else { return Ok(None) };
            if *newline != b'\n' {
                return Err(NotAReply::NoNewline(header.clone()));
            }
            self.held.advance(1);
            let (header, at) = (std::mem::take(header), *read);
            self.place = Place::Inside;
            return Ok(Some(Piece::Data { header, at, bytes: Bytes::new() }));
        }
        if self.held.is_empty() {
            return Ok(None);
        }
        let take = usize::try_from(*left).unwrap_or(usize::MAX).min(self.held.len());
        let bytes = self.held.split_to(take);
        let at = *read;
        *read += take as u64;
        *left -= take as u64;
        Ok(Some(Piece::Data { header: header.clone(), at, bytes }))
    }
}

fn find(hay: &[u8], needle: &[u8]) -> Option<usize> {
    hay.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn all(cuts: &[&[u8]]) -> Result<Vec<Piece>, NotAReply> {
        let mut frames = Frames::new("aa");
        let mut pieces = Vec::new();
        for cut in cuts {
            frames.push(Bytes::copy_from_slice(cut));
            while let Some(piece) = frames.piece()? {
                match (pieces.last_mut(), piece) {
                    // Data may arrive in any number of pieces, which together are what the host sent.
                    (Some(Piece::Data { header: h, bytes: b, .. }), Piece::Data { header, bytes, .. })
                        if *h == header =>
                    {
                        *b = [&b[..], &bytes[..]].concat().into();
                    }
                    (_, piece) => pieces.push(piece),
                }
            }
        }
        Ok(pieces)
    }

    const REPLY: &[u8] =
        b"Welcome!\n@handoff bb begin\nx@handoff aa begin\ns one\nd n 1 log 7 0 5\na\nb\xff\n\nline\n@handoff aa end 0\nlogout\n";

    fn expected() -> Vec<Piece> {
        vec![
            Piece::Line("s one".into()),
            Piece::Data { header: "d n 1 log 7 0 5".into(), at: 0, bytes: Bytes::from_static(b"a\nb\xff\n") },
            Piece::Line("line".into()),
            Piece::End(0),
        ]
    }

    #[test]
    fn noise_lines_and_data_are_separated_at_every_cut() {
        for at in 0..REPLY.len() {
            assert_eq!(all(&[&REPLY[..at], &REPLY[at..]]).unwrap(), expected(), "cut at {at}");
        }
        let bytes: Vec<&[u8]> = REPLY.chunks(1).collect();
        assert_eq!(all(&bytes).unwrap(), expected());
    }

    #[test]
    fn only_the_name_of_a_ref_may_be_no_text() {
        let read = all(&[b"@handoff aa begin\nref 12 refs/heads/f\xe9te\n"]).unwrap();
        assert_eq!(read, [Piece::Line("ref 12 refs/heads/f\u{fffd}te".into())]);
        assert_eq!(all(&[b"@handoff aa begin\nline \xe9\n"]), Err(NotAReply::NotText));
    }

    #[test]
    fn a_missing_runner_is_reported_despite_noise() {
        assert_eq!(all(&[b"motd\n@handoff aa need-runner\n"]).unwrap(), [Piece::NeedRunner]);
    }

    #[test]
    fn of_two_marks_the_first_counts_at_every_cut() {
        let reply = b"@handoff aa need-runner\n@handoff aa begin\nline\n@handoff aa end 0\n";
        for at in 0..=reply.len() {
            assert_eq!(all(&[&reply[..at], &reply[at..]]).unwrap(), [Piece::NeedRunner], "cut at {at}");
        }
    }

    #[test]
    fn bytes_that_are_no_reply_are_an_error_and_use_bounded_memory() {
        let long = vec![b'x'; MAX_LINE + 2];
        assert_eq!(all(&[b"@handoff aa begin\n", &long]), Err(NotAReply::LongLine));
        assert!(all(&[b"@handoff aa begin\nd x y\n"]).is_err());
        assert!(all(&[b"@handoff aa begin\nd x 1\nabc"]).is_err());
        let mut frames = Frames::new("aa");
        for _ in 0..1000 {
            frames.push(long.clone().into());
            assert_eq!(frames.piece(), Ok(None));
        }
        assert!(frames.held.len() + frames.noise.len() < 100_000);
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400), inside in any::<bool>()) {
            let head: &[u8] = if inside { b"@handoff aa begin\n" } else { b"" };
            let _ = all(&[head, &bytes]);
        }
    }
}
