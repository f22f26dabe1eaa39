//! A mirror of a log that is cut, replaced or restarted, and of one whose writer ends at any write.

use proptest::prelude::*;

use super::*;

#[test]
fn a_gap_is_refused_and_nothing_written() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempt-1.log");
    let mut mirror = LogMirror::open(&path).unwrap();
    mirror.append(5, 0, b"abc").unwrap();
    assert!(matches!(mirror.append(5, 4, b"x"), Err(Error::Gap { .. })));
    assert_eq!(std::fs::read(&path).unwrap(), b"abc");
}

#[test]
fn a_replaced_log_keeps_the_old_bytes_and_starts_a_new_part() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempt-1.log");
    let mut mirror = LogMirror::open(&path).unwrap();
    mirror.append(5, 0, b"old").unwrap();
    mirror.append(6, 0, b"new").unwrap();
    mirror.append(7, 0, b"newer").unwrap();
    drop(mirror);
    let read = |name: &str| std::fs::read(directory.path().join(name)).unwrap();
    assert_eq!((read("attempt-1.log"), read("attempt-1.2.log")), (b"old".to_vec(), b"new".to_vec()));
    let mirror = LogMirror::open(&path).unwrap();
    assert_eq!((mirror.len(), mirror.inode(), mirror.part()), (5, 7, 3), "the newest goes on");
    let names = parts(&path).into_iter().map(|part| part.file_name().unwrap().to_owned());
    assert!(names.eq(["attempt-1.log", "attempt-1.2.log", "attempt-1.3.log"]));
}

#[test]
fn a_log_that_restarts_in_the_same_file_starts_a_new_part() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempt-1.log");
    let mut mirror = LogMirror::open(&path).unwrap();
    assert!(!mirror.starts_again(5, 0), "nothing was mirrored");
    mirror.append(5, 0, b"old").unwrap();
    assert!(!mirror.starts_again(5, 3));
    assert!(mirror.starts_again(5, 0) && mirror.starts_again(6, 3));
    mirror.begin_part().unwrap();
    mirror.append(5, 0, b"new").unwrap();
    assert_eq!(std::fs::read(directory.path().join("attempt-1.2.log")).unwrap(), b"new");
}

#[test]
fn a_mirror_without_a_recorded_inode_continues() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempt-1.log");
    LogMirror::open(&path).unwrap().append(5, 0, b"abc").unwrap();
    std::fs::write(source_of(&path), "").unwrap();
    let mut mirror = LogMirror::open(&path).unwrap();
    mirror.append(5, 3, b"def").unwrap();
    assert_eq!((std::fs::read(&path).unwrap(), mirror.inode()), (b"abcdef".to_vec(), 5));
}

proptest! {
    #[test]
    fn the_mirror_is_always_a_prefix_and_equal_at_the_end(
        log in proptest::collection::vec(any::<u8>(), 1..3000),
        steps in proptest::collection::vec((0usize..3000, 1usize..900, any::<bool>()), 0..40),
    ) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("attempt-1.log");
        let mut mirror = LogMirror::open(&path).unwrap();
        for (offset, length, crash) in steps {
            let (from, to) = (offset.min(log.len()), (offset + length).min(log.len()));
            let before = mirror.len();
            let result = mirror.append(9, from as u64, &log[from..to]);
            prop_assert_eq!(result.is_err(), from as u64 > before);
            if crash {
                mirror = LogMirror::open(&path).unwrap();
            }
            prop_assert_eq!(&std::fs::read(&path).unwrap()[..], &log[..mirror.len() as usize]);
        }
        mirror.append(9, 0, &log).unwrap();
        prop_assert_eq!(std::fs::read(&path).unwrap(), log);
    }
}

/// The host's log, and every file that was ever in its place.
struct Host {
    /// Inode and content of each file; the last is the current one.
    files: Vec<(u64, Vec<u8>)>,
}

impl Host {
    fn now(&self) -> &(u64, Vec<u8>) {
        self.files.last().unwrap()
    }

    /// What a poll returns for a mirror: bytes from its end, or all of them if the file was replaced or cut.
    fn answer(&self, mirror: &LogMirror) -> (u64, u64, &[u8]) {
        let (inode, content) = self.now();
        let known = mirror.inode() == *inode || mirror.inode() == 0;
        let from = usize::try_from(mirror.len()).unwrap();
        let from = if known && from <= content.len() { from } else { 0 };
        (*inode, from as u64, &content[from..])
    }
}

#[derive(Clone, Debug)]
enum Step {
    Grow(Vec<u8>),
    /// The log's file is replaced.
    Replace,
    /// The same file is emptied. What is written to it at once is shorter than what was read.
    Truncate(u8),
    /// Bytes arrive in pieces of this length.
    Poll(usize),
    /// Bytes arrive, and the process ends in the middle of a write: of the log at this byte, or of the inode file if
    /// that is written first.
    Killed(usize),
    /// The process ends between two writes.
    Restart,
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => proptest::collection::vec(any::<u8>(), 1..200).prop_map(Step::Grow),
        1 => Just(Step::Replace),
        1 => any::<u8>().prop_map(Step::Truncate),
        4 => (1usize..80).prop_map(Step::Poll),
        3 => (0usize..120).prop_map(Step::Killed),
        1 => Just(Step::Restart),
    ]
}

/// Takes bytes as the reader of a poll does.
fn take(mirror: &mut LogMirror, inode: u64, offset: u64, bytes: &[u8]) {
    if mirror.starts_again(inode, offset) {
        mirror.begin_part().unwrap();
    }
    mirror.append(inode, offset, bytes).unwrap();
}

fn poll(host: &Host, mirror: &mut LogMirror, piece: usize) {
    let (inode, mut offset, bytes) = host.answer(mirror);
    // A host reports that a log was emptied before any new byte arrives.
    if bytes.is_empty() && offset == 0 && mirror.inode() == inode && !mirror.is_empty() {
        mirror.begin_part().unwrap();
    }
    for bytes in bytes.chunks(piece) {
        take(mirror, inode, offset, bytes);
        offset += bytes.len() as u64;
    }
}

/// Takes what a poll returns, and leaves the files as if the process had ended after `cut` bytes of its last write.
fn killed(host: &Host, mut mirror: LogMirror, path: &Path, cut: usize) {
    let (inode, offset, bytes) = host.answer(&mirror);
    if bytes.is_empty() {
        return;
    }
    if mirror.starts_again(inode, offset) {
        mirror.begin_part().unwrap();
    }
    let (part, before, first) = (mirror.path().to_owned(), mirror.len(), mirror.inode() == 0);
    mirror.append(inode, offset, bytes).unwrap();
    drop(mirror);
    let source = source_of(&part);
    let written = std::fs::metadata(&source).unwrap().len();
    if first && (cut as u64) < written {
        File::options().write(true).open(&source).unwrap().set_len(cut as u64).unwrap();
        File::options().write(true).open(&part).unwrap().set_len(before).unwrap();
    } else {
        let length = (before + cut as u64).min(std::fs::metadata(&part).unwrap().len());
        File::options().write(true).open(&part).unwrap().set_len(length).unwrap();
    }
    assert!(path.exists());
}

/// Checks that each part is a prefix of a file that was in the log's place, in order.
fn every_part_is_a_prefix(host: &Host, path: &Path) -> Result<(), TestCaseError> {
    let mut files = host.files.iter();
    for part in parts(path) {
        let bytes = std::fs::read(&part).unwrap();
        prop_assert!(
            files.any(|(_, content)| content.starts_with(&bytes)),
            "{} is of no file: {bytes:?}",
            part.display()
        );
    }
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn a_mirror_is_a_prefix_wherever_its_writer_ends(steps in proptest::collection::vec(step(), 1..30)) {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("attempt-1.log");
        let mut mirror = LogMirror::open(&path).unwrap();
        let mut host = Host { files: vec![(4711, Vec::new())] };
        for step in steps {
            match step {
                // Only its length distinguishes a truncated log from one that grows.
                Step::Grow(_) if mirror.inode() == host.now().0 && mirror.len() as usize > host.now().1.len() => {}
                Step::Grow(bytes) => host.files.last_mut().unwrap().1.extend(bytes),
                Step::Replace => host.files.push((host.now().0 + 1, Vec::new())),
                Step::Truncate(fill) if mirror.inode() == host.now().0 && !mirror.is_empty() => {
                    let length = usize::from(fill).min(mirror.len() as usize - 1);
                    host.files.push((host.now().0, vec![fill; length]));
                }
                Step::Truncate(_) => {}
                Step::Poll(piece) => poll(&host, &mut mirror, piece),
                Step::Killed(cut) => {
                    killed(&host, mirror, &path, cut);
                    mirror = LogMirror::open(&path).unwrap();
                }
                Step::Restart => mirror = LogMirror::open(&path).unwrap(),
            }
            every_part_is_a_prefix(&host, &path)?;
        }
        host.files.last_mut().unwrap().1.extend(b"the end");
        if mirror.inode() == host.now().0 && mirror.len() as usize > host.now().1.len() - 7 {
            return Ok(());
        }
        poll(&host, &mut mirror, 16);
        every_part_is_a_prefix(&host, &path)?;
        prop_assert_eq!(&std::fs::read(mirror.path()).unwrap(), &host.now().1);
    }
}

#[test]
fn an_incomplete_inode_file_is_ignored() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("attempt-1.log");
    LogMirror::open(&path).unwrap().append(1234, 0, b"abc").unwrap();
    for cut in 0.."1234\n".len() {
        std::fs::write(source_of(&path), &"1234\n"[..cut]).unwrap();
        assert_eq!(LogMirror::open(&path).unwrap().inode(), 0, "cut at {cut}");
    }
}
