//! What a ship contains, what it leaves behind and why, and what it excludes: ten lines at most.

use super::text::{first_line, neutral};
use crate::config::diagnostic::nearest;
use crate::config::settings::human_bytes;
use crate::git::record::RECORD;
use crate::model::attached::AttachedFile;
use crate::model::snapshot::{Changes, Companion, History, LeftBehind, Snapshot};

/// Lines for reasons below `left behind:`.
const REASONS: usize = 6;
/// Names on a line before "and N more".
const NAMES: usize = 3;
/// Maximum characters of a name, or of a reason among others.
const WIDTH: usize = 60;
/// Maximum characters of the reason of a line.
const REASON: usize = 120;
/// The reason of paths that are excluded by the user's own rules.
const IGNORED: &str = "ignored";

/// What is sent, after a label: two lines at most, and a line for each pattern that matches nothing.
pub fn sent(label: &str, snapshot: &Snapshot, attached: &[AttachedFile]) -> Vec<String> {
    let branch = snapshot.branch.as_deref().unwrap_or("a detached HEAD");
    let ignored = snapshot.extra.as_ref().map_or(0, |extra| extra.files);
    let operation = snapshot.operation.iter().map(|operation| neutral(&operation.what).into_owned());
    let with = files(snapshot.changes.unwrap_or_default(), ignored).into_iter().chain(operation);
    let with = with.collect::<Vec<_>>().join(", and ");
    let with = if with.is_empty() { with } else { format!(", with {with}") };
    let at = snapshot.head.commit().map_or("without a commit".to_owned(), |head| format!("at {}", head.short()));
    let mut lines = vec![format!("{label}: {} {at}{with}", short(branch))];
    let ignored = snapshot.extra.iter().map(|extra| match extra.files {
        _ if extra.first.is_empty() => format!("ignored, and sent: {}", human_bytes(extra.bytes)),
        files => {
            let first = extra.first.iter().map(|file| sized(&file.path, file.bytes));
            format!("ignored, and sent: {}", named_and_sized(first, files, extra.bytes))
        }
    });
    let lfs = snapshot.lfs.iter().map(|lfs| {
        let first = lfs.first.iter().map(|file| sized(&file.path, file.bytes));
        format!("LFS content: {}", named_and_sized(first, lfs.files, lfs.bytes))
    });
    let attached = (!attached.is_empty()).then(|| format!("attached: {}", attachments(attached)));
    let history = snapshot.history.iter().map(history);
    let unmatched = snapshot.unmatched.iter().map(|pattern| unmatched(pattern, &snapshot.left_behind));
    let companions = (!snapshot.companions.is_empty()).then(|| companions(&snapshot.companions));
    let more = history.chain(companions).chain(ignored).chain(lfs).chain(attached).collect::<Vec<_>>().join("; ");
    if !more.is_empty() {
        lines.push(format!("  {more}"));
    }
    lines.extend(unmatched);
    lines
}

/// A pattern of `--include` that matches nothing, and an ignored file that may have been meant.
fn unmatched(pattern: &str, items: &[LeftBehind]) -> String {
    let ignored = items.iter().filter(|item| item.reason == IGNORED).map(|item| item.path.trim_end_matches('/'));
    let names = ignored.flat_map(|path| [Some(path), path.rsplit_once('/').map(|(_, name)| name)]).flatten();
    let near = nearest(pattern.trim_matches('/'), names);
    let near = near.map_or(String::new(), |near| format!("; did you mean {}?", short(near)));
    format!("warning: --include {} matches nothing that is sent{near}", short(pattern))
}

/// The other repositories with their commits and numbers of changed files.
fn companions(companions: &[Companion]) -> String {
    let each = companions.iter().map(|Companion { path, work }| {
        let changed = files(work.changes.unwrap_or_default(), work.extra.as_ref().map_or(0, |extra| extra.files));
        let with = changed.map_or_else(String::new, |changed| format!(" with {changed}"));
        format!("{} at {}{with}", short(path), work.head.short())
    });
    let what = if companions.len() == 1 { "repository" } else { "repositories" };
    format!("{what}: {}", names(each, companions.len() as u64))
}

/// The part of the history that is sent from a partial clone, and what that needs first.
fn history(history: &History) -> String {
    let without = match history.left_refs {
        0 => String::new(),
        refs => format!(", without {}", number(refs, "ref")),
    };
    let first = match history.fetched {
        0 => String::new(),
        objects => {
            let least = if history.at_least { " or more" } else { "" };
            format!("; {}{least} fetched from there first", number(objects, "object"))
        }
    };
    let (commits, remote) = (number(history.commits, "commit"), short(&history.remote));
    format!("history: {commits}{without}, because the rest is only on {remote}{first}")
}

/// The names of attached files with their sizes.
pub fn attachments(files: &[AttachedFile]) -> String {
    let all = files.iter().map(|file| file.bytes).sum();
    named_and_sized(files.iter().map(|file| sized(&file.name, file.bytes)), files.len() as u64, all)
}

/// The first names of `count`, and the size of all of them if there are several.
fn named_and_sized(first: impl Iterator<Item = String>, count: u64, bytes: u64) -> String {
    let all = if count > 1 { format!(", {} in total", human_bytes(bytes)) } else { String::new() };
    names(first, count) + &all
}

/// What is left behind, with the reasons, and what is excluded: eight lines at most.
pub fn left_behind(items: &[LeftBehind]) -> Vec<String> {
    let (ignored, left): (Vec<_>, Vec<_>) = reasons(items).into_iter().partition(|group| group.reason == IGNORED);
    let mut lines = Vec::new();
    if !left.is_empty() {
        lines.push("left behind:".to_owned());
        // The last line is for all other reasons, if one line each is not enough.
        let shown = if left.len() > REASONS { REASONS - 1 } else { REASONS };
        lines.extend(left.iter().take(shown).map(|group| format!("  {}", group.line())));
        let rest = &left[left.len().min(shown)..];
        if !rest.is_empty() {
            let (count, reasons) = (rest.iter().map(|group| group.count).sum(), rest.iter().map(|group| group.reason));
            let why = names(reasons.map(|reason| first_line(reason, WIDTH)), rest.len() as u64);
            lines.push(format!("  {} ({why})", number(count, "more path")));
        }
    }
    lines.extend(ignored.first().map(|group| format!("excluded: {}", group.line())));
    lines
}

/// The whole summary of a ship that is not made.
pub fn whole(snapshot: &Snapshot) -> Vec<String> {
    let mut lines = sent("would be sent", snapshot, &[]);
    lines.extend(left_behind(&snapshot.left_behind));
    let record = format!("{RECORD}/ (the record)");
    match lines.last_mut().filter(|line| line.starts_with("excluded: ")) {
        Some(line) => line.push_str(&format!(", {record}")),
        None => lines.push(format!("excluded: {record}")),
    }
    lines
}

/// The numbers of files that HEAD does not have as they are.
fn files(changes: Changes, ignored: u64) -> Option<String> {
    let counts = [
        (changes.staged, "staged"),
        (changes.unstaged, "unstaged"),
        (changes.untracked, "untracked"),
        (ignored, "ignored"),
    ];
    let counts: Vec<_> = counts.into_iter().filter(|(count, _)| *count > 0).collect();
    let (last, before) = counts.split_last()?;
    let before: Vec<String> = before.iter().map(|(count, kind)| format!("{count} {kind}")).collect();
    let and = if before.is_empty() { "" } else { " and " };
    Some(format!("{}{and}{}", before.join(", "), number(last.0, &format!("{} file", last.1))))
}

/// The paths with one reason.
struct Group<'a> {
    reason: &'a str,
    count: u64,
    first: Vec<&'a str>,
}

impl Group<'_> {
    fn line(&self) -> String {
        format!(
            "{} ({})",
            names(self.first.iter().map(|path| short(path)), self.count),
            first_line(self.reason, REASON)
        )
    }
}

/// The paths by reason, in the order of the list.
fn reasons(items: &[LeftBehind]) -> Vec<Group<'_>> {
    let mut groups: Vec<Group<'_>> = Vec::new();
    for item in items {
        let at = groups.iter().position(|group| group.reason == item.reason).unwrap_or_else(|| {
            groups.push(Group { reason: &item.reason, count: 0, first: vec![] });
            groups.len() - 1
        });
        groups[at].count += item.more.max(1);
        if item.more == 0 {
            groups[at].first.push(&item.path);
        }
    }
    groups
}

/// The first names of `count`: `a, b and 3 more`.
fn names(all: impl Iterator<Item = String>, count: u64) -> String {
    let shown: Vec<String> = all.take(NAMES).collect();
    let more = match count.saturating_sub(shown.len() as u64) {
        0 => String::new(),
        more => format!(" and {more} more"),
    };
    shown.join(", ") + &more
}

fn number(count: u64, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

fn sized(name: &str, bytes: u64) -> String {
    format!("{} ({})", short(name), human_bytes(bytes))
}

/// A text that is harmless for a terminal and not too long. Of a path, the end says more than the beginning.
fn short(text: &str) -> String {
    let text = neutral(text);
    match text.char_indices().rev().nth(WIDTH - 1) {
        Some((at, _)) if at > 0 => format!("…{}", &text[at..]),
        _ => text.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::snapshot::{Extra, LfsContents, Operation, SentFile};
    use crate::model::testing::{created, match_file};

    fn clean() -> Snapshot {
        created("x").base
    }

    fn left(path: impl Into<String>, reason: &str) -> LeftBehind {
        LeftBehind { path: path.into(), reason: reason.into(), more: 0, kind: Default::default() }
    }

    fn dirty() -> Snapshot {
        let clean = clean();
        let oid = clean.commit.clone();
        let first = ["a.conf", "deep/b.conf", "c.conf", "d.conf"];
        let first = first.map(|path| SentFile { path: path.into(), bytes: 1500 }).to_vec();
        Snapshot {
            changes: Some(Changes { staged: 2, unstaged: 1, untracked: 13 }),
            extra: Some(Extra { commit: oid.clone(), tree: oid.clone(), files: 40, bytes: 3 << 20, first }),
            operation: Some(Operation {
                commit: oid,
                what: "a merge in progress".into(),
                listing: None,
                branches: vec![],
            }),
            ..clean
        }
    }

    fn history(commits: u64, left_refs: u64, fetched: u64) -> History {
        History { ends: vec![], commits, left_refs, remote: "origin".into(), fetched, at_least: false }
    }

    /// One path for each of many reasons, and a thousand ignored ones.
    fn many() -> Vec<LeftBehind> {
        let reasons =
            ["device", "empty directory", "LFS content", "named pipe", "nested repository", "socket", "submodule", "x"];
        let mut all: Vec<_> = reasons.iter().map(|reason| left(format!("the/{reason}"), reason)).collect();
        all.extend((0..200).map(|n| left(format!("target/{n}"), IGNORED)));
        all.push(LeftBehind { more: 800, ..left("(800 more)", IGNORED) });
        all.extend((0..5).map(|n| left(format!("secret-{n}"), "unreadable")));
        all
    }

    #[test]
    fn screens() {
        let hostile = [
            left("a\u{1b}[2J\nb\u{202e}c", "nested repository"),
            left(format!("{}/end", "deep/".repeat(40)), "unreadable"),
            left("(5 more)", "socket"),
        ];
        let first = ["a.psd", "b.psd"].map(|path| SentFile { path: path.into(), bytes: 40 << 20 }).to_vec();
        let lfs = LfsContents { commit: None, files: 2, bytes: 80 << 20, first };
        let scenes = [
            ("nothing but commits", clean()),
            (
                "one untracked file",
                Snapshot { changes: Some(Changes { untracked: 1, ..Changes::default() }), ..clean() },
            ),
            (
                "ignored files alone",
                Snapshot { left_behind: vec![left(".env", IGNORED), left("target/", IGNORED)], ..clean() },
            ),
            (
                "patterns without a match",
                Snapshot {
                    left_behind: vec![left(".env", IGNORED), left("deep/local.toml", IGNORED), left("x", "socket")],
                    unmatched: vec![".enw".into(), "/locl.toml".into(), "*.rpm".into(), "\u{1b}[2J".into()],
                    ..clean()
                },
            ),
            ("everything", Snapshot { left_behind: many(), ..dirty() }),
            ("hostile names", Snapshot { branch: Some("\u{1b}]0;x".into()), left_behind: hostile.to_vec(), ..clean() }),
            ("a partial clone", Snapshot { history: Some(History { at_least: true, ..history(1, 0, 7) }), ..clean() }),
            (
                "a partial clone with ignored files",
                Snapshot { history: Some(history(3, 2, 0)), changes: None, operation: None, ..dirty() },
            ),
            (
                "files of Git LFS",
                Snapshot {
                    lfs: Some(lfs),
                    left_behind: vec![left("big.psd", "LFS content is not here; run: git lfs pull")],
                    ..clean()
                },
            ),
            (
                "an older record",
                Snapshot {
                    branch: None,
                    extra: dirty().extra.map(|extra| Extra { first: vec![], ..extra }),
                    ..clean()
                },
            ),
        ];
        let mut text = String::new();
        for (scene, snapshot) in &scenes {
            let lines = whole(snapshot);
            assert!(lines.len() <= 10, "{scene}: {lines:#?}");
            let screen: String = lines.iter().map(|line| format!("{line}\n")).collect();
            text += &format!("# {scene}\n{screen}\n");
        }
        match_file("ship_summary", &text);
    }

    #[test]
    fn attached_files_are_named_with_their_sizes_and_add_no_line_to_ignored_ones() {
        let file = |name: &str, bytes| {
            let object = clean().commit;
            AttachedFile { name: name.into(), path: "/x".into(), bytes, object }
        };
        let one = [file("shot.png", 2048)];
        assert_eq!(sent("fix", &clean(), &one)[1..], ["  attached: shot.png (2KiB)"]);
        let four = ["a", "b", "c", "d"].map(|name| file(name, 512));
        let lines = sent("fix", &dirty(), &four);
        assert!(
            lines.len() == 2
                && lines[1].ends_with("; attached: a (512B), b (512B), c (512B) and 1 more, 2KiB in total")
        );
    }

    #[test]
    fn a_run_with_nothing_to_say_prints_one_line() {
        assert_eq!(sent("fix", &clean(), &[]), ["fix: main at 2222222222"]);
        assert_eq!(left_behind(&[]), [""; 0]);
    }
}
