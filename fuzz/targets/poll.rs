//! The answer to a poll: the frame, its lines and its data frames. Any cut gives the same messages.
#![no_main]

use handoff::model::id::{HandoffId, RemoteName, Uid};
use handoff::remote::client::Remote;
use handoff::remote::poll::{Message, Stream, Want};
use handoff_fuzz::{canned, cut};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let whole = canned::told(&[data], poll);
    assert_eq!(canned::told(&cut(data), poll), whole);
});

/// The messages of a poll, one a line; consecutive bytes are joined.
async fn poll(host: Remote) -> String {
    let id: HandoffId = "x".parse().unwrap();
    let name = RemoteName::new(&id, &Uid::from_random([0; 10]));
    let want = Want { name, attempt: 1, stream: Stream::Log, inode: 7, offset: 0, end: None };
    let mut poll = match host.poll(&[want], 0).await {
        Ok(poll) => poll,
        Err(error) => return error.to_string(),
    };
    let mut told = String::new();
    // Attempt, stream, inode, and the offset at which the previous bytes ended.
    let mut end = None;
    loop {
        match poll.next().await {
            Ok(Some(Message::Bytes { attempt, stream, inode, offset, bytes })) => {
                assert!(!bytes.is_empty());
                let place = (attempt, stream.word(), inode, offset);
                if end != Some(place) {
                    told += &format!("\n{place:?} ");
                }
                end = Some((attempt, stream.word(), inode, offset.saturating_add(bytes.len() as u64)));
                told += &bytes.escape_ascii().to_string();
            }
            Ok(Some(message)) => {
                if let Message::Result { outcome, .. } = &message {
                    assert!(outcome.session.as_deref().is_none_or(is_session), "{outcome:?}");
                }
                end = None;
                told += &format!("\n{message:?}");
            }
            Ok(None) => return told + "\nend",
            Err(error) => return format!("{told}\n{error}"),
        }
    }
}

fn is_session(text: &str) -> bool {
    text.len() <= 128 && text.bytes().all(|c| c.is_ascii_alphanumeric() || c == b'_' || c == b'-')
}
