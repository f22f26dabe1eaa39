//! Checks that the documents match the program: every file that they name exists, and the program prints every line of
//! the session in the README.

use std::collections::HashSet;
use std::path::{Path, PathBuf};

/// Directories of this repository. A word in a document that begins with one of them names a file or a directory.
const DIRECTORIES: &[&str] = &["config/", "docs/", "fuzz/", "integration/", "src/", "tests/"];

/// File extensions of this repository. A path with one of them may also be relative to `src/`.
const ENDINGS: &[&str] = &[".rs", ".sh"];

#[test]
fn every_file_that_a_document_names_exists() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut documents: Vec<PathBuf> =
        ["README.md", "CONTRIBUTING.md", "CHANGELOG.md"].map(|name| top.join(name)).into();
    let pages = std::fs::read_dir(top.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    documents.extend(pages.filter(|path| path.extension().is_some_and(|ending| ending == "md")));
    let mut missing = Vec::new();
    for document in documents {
        let text = std::fs::read_to_string(&document).unwrap();
        let name = document.strip_prefix(top).unwrap().display();
        let here = document.parent().unwrap();
        missing.extend(missing_paths(&text, top).into_iter().map(|path| format!("{name}: {path}")));
        missing.extend(missing_links(&text, here).into_iter().map(|link| format!("{name}: link to {link}")));
    }
    assert!(missing.is_empty(), "\n{}\n", missing.join("\n"));
}

/// Paths in a text that do not exist below `top`.
fn missing_paths(text: &str, top: &Path) -> Vec<String> {
    let words = text.split(|c: char| !(c.is_alphanumeric() || "_-./*<>{}".contains(c)));
    let paths = words.map(|word| word.trim_matches(|c| ".-".contains(c))).filter(|word| {
        let of_ours = DIRECTORIES.iter().any(|directory| word.starts_with(directory));
        of_ours || word.contains('/') && ENDINGS.iter().any(|ending| word.ends_with(ending)) && !word.contains('~')
    });
    // A pattern for many files is checked up to the first special character.
    let fixed = paths.map(|path| match path.find(['*', '<', '{']) {
        Some(at) => &path[..path[..at].rfind('/').map_or(0, |slash| slash + 1)],
        None => path,
    });
    let is_missing = |path: &&str| !top.join(path).exists() && !top.join("src").join(path).exists();
    fixed.filter(is_missing).map(str::to_owned).collect()
}

/// Targets of Markdown links to files that do not exist relative to `here`, and links to headings that the text does
/// not have.
fn missing_links(text: &str, here: &Path) -> Vec<String> {
    let targets = text.split("](").skip(1).filter_map(|rest| rest.split_once(')')).map(|(target, _)| target);
    let is_missing = |target: &&str| match target.split_once('#') {
        _ if target.contains("://") => false,
        Some(("", heading)) => !anchors(text).iter().any(|anchor| anchor == heading),
        Some((file, _)) => !here.join(file).exists(),
        None => !here.join(target).exists(),
    };
    targets.filter(is_missing).map(str::to_owned).collect()
}

/// The anchors of a text's headings, as GitHub makes them.
fn anchors(text: &str) -> Vec<String> {
    let headings = text.lines().filter(|line| line.starts_with('#')).map(|line| line.trim_start_matches('#').trim());
    let anchor = |heading: &str| {
        let kept = heading.to_lowercase().replace(|c: char| !(c.is_alphanumeric() || " -_".contains(c)), "");
        kept.replace(' ', "-")
    };
    headings.map(anchor).collect()
}

#[test]
fn every_line_of_the_session_in_the_readme_is_one_that_the_program_prints() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let readme = std::fs::read_to_string(top.join("README.md")).unwrap();
    let session = readme.split_once("\n    $ handoff run").expect("the README has a session").1;
    let printed = screens(&top.join("tests/cli/snapshots"));
    assert!(!printed.contains(&fixed_words("attempt 1 was never printed by buildbox")));
    // The first line is the rest of the command.
    let lines = session.lines().skip(1).take_while(|line| line.starts_with("    "));
    let printed_by_us = lines.filter(|line| !line.starts_with("    $") && *line != "    ^C");
    let stale: Vec<&str> = printed_by_us.filter(|line| !printed.contains(&fixed_words(line))).collect();
    assert!(stale.is_empty(), "README.md: no screen in tests/cli/snapshots has these lines\n{}\n", stale.join("\n"));
}

/// The fixed words of each line of the screens.
fn screens(directory: &Path) -> HashSet<Vec<String>> {
    let files =
        std::fs::read_dir(directory).unwrap().map(|entry| std::fs::read_to_string(entry.unwrap().path()).unwrap());
    files.flat_map(|text| text.lines().map(fixed_words).collect::<Vec<_>>()).collect()
}

/// The words of a line that are the same in every run, without numbers, paths, object ids, times, hosts and handoffs.
fn fixed_words(line: &str) -> Vec<String> {
    let varies = |word: &str| {
        word.contains(|c: char| c.is_ascii_digit() || "/~[]".contains(c))
            || ["buildbox", "demobox", "box", "fix-total"].contains(&word.trim_end_matches(':'))
            // `after 4 s` is missing for a shorter attempt.
            || ["after", "s", "s:"].contains(&word)
    };
    let words = line.split_whitespace().filter(|word| !varies(word));
    words.map(|word| word.trim_end_matches(':').to_owned()).collect()
}

#[test]
fn a_path_or_link_to_nothing_is_found() {
    let top = Path::new(env!("CARGO_MANIFEST_DIR"));
    let missing = |text| missing_paths(text, top);
    assert_eq!(missing("`src/nothing.rs` and docs/host.md."), ["src/nothing.rs"]);
    assert_eq!(missing("`cli/nothing.rs`, `cli/run.rs`; integration/run"), ["cli/nothing.rs"]);
    assert_eq!(missing("`src/cli/<verb>.rs`, `src/nowhere/*.sh`, `src/remote/{poll,ensure}.rs`"), ["src/nowhere/"]);
    let links = |text| missing_links(text, top);
    assert_eq!(links("[a](docs/host.md) [b](docs/nothing.md) [c](https://example.org/x)"), ["docs/nothing.md"]);
    assert_eq!(links("# A `b.c` d\n[x](#a-bc-d) [y](#other)"), ["#other"]);
}
