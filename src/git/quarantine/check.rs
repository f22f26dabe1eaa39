//! Checks objects in quarantine with `git fsck`, with the severities that the user set for `git fetch`.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use super::Quarantine;
use crate::git::{Error, Repository, Result, refs};
use crate::model::refusal::Fault;
use crate::model::snapshot::Oid;

/// Accepted unless the user's configuration says otherwise. Faults of names, times and modes do no harm at checkout,
/// are common in public histories, and pass `git clone`.
const HARMLESS: [&str; 13] = [
    "badDate",
    "badDateOverflow",
    "badEmail",
    "badName",
    "badTimezone",
    "missingEmail",
    "missingNameBeforeEmail",
    "missingSpaceBeforeDate",
    "missingSpaceBeforeEmail",
    "multipleAuthors",
    "nulInCommit",
    "zeroPaddedDate",
    "zeroPaddedFilemode",
];
/// Their severity cannot be lowered, says git-fsck(1).
const FATAL: [&str; 2] = ["nulInHeader", "unterminatedHeader"];
/// The values that `fetch.fsck.<msg-id>` may have.
const SEVERITIES: [&str; 3] = ["error", "warn", "ignore"];
/// Copy of the user's list of accepted objects, below the quarantine's directory, in which git runs.
const SKIP_LIST: &str = "skip";
/// Maximum faults that are kept of one ref: one for each reason.
const MOST: usize = 10;

/// One fault that the check found.
#[derive(Clone, Debug)]
pub(super) struct Finding {
    pub(super) fault: Fault,
    /// A ref that reaches one of these is refused.
    pub(super) carriers: HashSet<Oid>,
}

impl Finding {
    /// A finding for refs that git cannot walk.
    pub(super) fn unreadable(error: &Error) -> Self {
        let text = match error {
            Error::Failed { stderr, .. } => stderr.lines().next().unwrap_or_default().to_owned(),
            other => other.to_string(),
        };
        let fault = Fault { kind: String::new(), object: None, reason: String::new(), text, is_fatal: true };
        Finding { fault, carriers: HashSet::new() }
    }

    /// Whether it names no object, so that each ref must be checked alone.
    pub(super) fn is_of_all(&self) -> bool {
        self.fault.object.is_none()
    }
}

/// The faults of findings with a carrier in `hit`, one for each reason.
pub(super) fn faults(findings: &[Finding], hit: &HashSet<Oid>) -> Vec<Fault> {
    let mut by_reason: BTreeMap<&str, &Fault> = BTreeMap::new();
    for finding in findings.iter().filter(|finding| !finding.carriers.is_disjoint(hit)) {
        by_reason.entry(&finding.fault.reason).or_insert(&finding.fault);
    }
    by_reason.into_values().take(MOST).cloned().collect()
}

/// Checks the pack that was made of the new objects.
pub(super) fn check(quarantine: &Quarantine) -> Result<Vec<Finding>> {
    let mut settings = Settings::of(quarantine)?;
    let mut faults = fsck(quarantine, &mut settings)?;
    let is_of_content = |fault: &Fault| content_of(&fault.reason).is_some();
    if faults.iter().any(is_of_content) {
        let known = shipped(quarantine)?;
        let is_known = |fault: &Fault| match (content_of(&fault.reason), &fault.object) {
            (Some(name), Some(object)) => known.contains(&(name, object.clone())),
            _ => false,
        };
        faults.retain(|fault| !is_known(fault));
        // Content that the user has under another name was not checked yet.
        let unread = faults.iter().filter(|fault| fault.reason.ends_with("Missing"));
        let unread: Vec<Oid> = unread.filter_map(|fault| fault.object.clone()).collect();
        let present = quarantine.repo.present(&unread)?;
        if !present.is_empty() {
            let wanted: String = present.iter().map(|oid| format!("{oid}\n")).collect();
            let to = quarantine.path("checked/objects/pack/pack");
            quarantine.repo.git("pack-objects").arg("-q").arg(to).stdin(wanted).run()?;
            faults = fsck(quarantine, &mut settings)?;
            faults.retain(|fault| !is_known(fault));
        }
    }
    let contents: HashSet<Oid> =
        faults.iter().filter(|fault| is_of_content(fault)).filter_map(|fault| fault.object.clone()).collect();
    let mut holders = if contents.is_empty() { BTreeMap::new() } else { trees_with(quarantine, &contents)? };
    let findings = faults.into_iter().map(|fault| {
        let object = fault.object.iter().cloned();
        let carriers = match fault.object.as_ref().filter(|_| is_of_content(&fault)).and_then(|o| holders.remove(o)) {
            Some(trees) => trees,
            None => object.collect(),
        };
        Finding { fault, carriers }
    });
    Ok(findings.collect())
}

/// The file that a fault of content is about. fsck reports the content, which becomes dangerous by the name that a tree
/// gives it.
fn content_of(reason: &str) -> Option<&'static str> {
    let is_of_tree = reason.ends_with("Symlink");
    match reason {
        _ if is_of_tree => None,
        _ if reason.starts_with("gitmodules") => Some(".gitmodules"),
        _ if reason.starts_with("gitattributes") => Some(".gitattributes"),
        _ => None,
    }
}

/// Runs `git fsck` on the checked pack alone, without the user's configuration except `settings`. Settings that this
/// git does not know are dropped.
fn fsck(quarantine: &Quarantine, settings: &mut Settings) -> Result<Vec<Fault>> {
    loop {
        let home = quarantine.directory.path();
        let mut git = quarantine.in_bare("checked", "fsck");
        for (name, value) in
            [("GIT_CONFIG_NOSYSTEM", "1"), ("GIT_CONFIG_GLOBAL", "/dev/null"), ("GIT_CONFIG_COUNT", "0")]
        {
            git = git.env(name, value);
        }
        // git before 2.32 does not know GIT_CONFIG_GLOBAL.
        git = git.env("HOME", home).env("XDG_CONFIG_HOME", home);
        for setting in settings.lines() {
            git = git.config(setting);
        }
        let (mut faults, mut last, mut fatal) = (BTreeMap::new(), String::new(), None);
        let status = git.args(["--strict", "--no-dangling", "--no-progress"]).error_lines(|line| {
            if let Some(fault) = parse(line) {
                faults.entry((fault.object.clone(), fault.reason.clone())).or_insert(fault);
            } else if let Some(why) = line.strip_prefix("fatal: ") {
                fatal = Some(why.to_owned());
            } else if line.starts_with("error") {
                last = line.to_owned();
            }
        })?;
        match fatal {
            Some(why) if settings.drop_named(&why) => continue,
            Some(why) => return Err(Error::untrusted(format!("git could not check the fetched objects: {why}"))),
            None => {}
        }
        // Status bits of fsck: 1 is bad objects, 2 is missing ones (which the user's repository has), 4 is packs.
        let unnamed = status.code().is_none_or(|code| code & 0b101 != 0) && faults.is_empty();
        if unnamed {
            return Err(Error::untrusted(format!("git could not check the fetched objects ({status}): {last}")));
        }
        return Ok(faults.into_values().collect());
    }
}

/// `error in <type> <oid>: [<reason>: ]<text>`.
fn parse(line: &str) -> Option<Fault> {
    let (kind, rest) = line.strip_prefix("error in ")?.split_once(' ')?;
    let (object, rest) = rest.split_once(": ")?;
    let object: Oid = object.split(' ').next()?.parse().ok()?;
    let is_reason = |word: &str| !word.is_empty() && word.bytes().all(|byte| byte.is_ascii_alphanumeric());
    let (reason, text) = match rest.split_once(": ").filter(|(word, _)| is_reason(word)) {
        Some((reason, text)) => (reason, text),
        None => ("", rest),
    };
    let is_fatal = FATAL.contains(&reason);
    let text = text.chars().take(300).collect();
    Some(Fault { kind: kind.to_owned(), object: Some(object), reason: reason.to_owned(), text, is_fatal })
}

/// Severities. Ours come first, because git uses the last of two.
struct Settings {
    severities: Vec<(String, String)>,
    /// Whether the quarantine has a list of objects that are accepted whatever they are.
    skips: bool,
}

impl Settings {
    /// What `git fetch` would read: `fetch.fsck.*` of the repository and the user. As in git, `fsck.*` and
    /// `receive.fsck.*` belong to other commands.
    fn of(quarantine: &Quarantine) -> Result<Settings> {
        let repo = &quarantine.repo;
        let mut severities: Vec<_> = HARMLESS.iter().map(|name| ((*name).to_owned(), "warn".to_owned())).collect();
        let mut skips = false;
        let asked = repo.git("config").args(["-z", "--get-regexp", r"^fetch\.fsck\."]).answer()?.unwrap_or_default();
        for entry in asked.split('\0') {
            let Some((name, value)) = entry.split_once('\n') else { continue };
            match name.strip_prefix("fetch.fsck.") {
                Some("skiplist") => skips = true,
                Some(name) if SEVERITIES.contains(&value) => severities.push((name.to_owned(), value.to_owned())),
                // git warns about other values and ignores them.
                _ => {}
            }
        }
        if skips {
            copy_skip_list(repo, &quarantine.path(SKIP_LIST))?;
        }
        Ok(Settings { severities, skips })
    }

    fn lines(&self) -> Vec<String> {
        let severities = self.severities.iter().map(|(name, value)| format!("fsck.{name}={value}"));
        severities.chain(self.skips.then(|| format!("fsck.skipList={SKIP_LIST}"))).collect()
    }

    /// Drops the severities that an error of git names: `Unhandled message id: x`, `Cannot demote x to warn`.
    fn drop_named(&mut self, why: &str) -> bool {
        let before = self.severities.len();
        let words: Vec<String> = why.split([' ', ':', '\'']).map(str::to_lowercase).collect();
        self.severities.retain(|(name, _)| !words.contains(&name.to_lowercase()));
        self.severities.len() < before
    }
}

/// Copies the user's list of objects that are always accepted, because git takes no path with a space.
fn copy_skip_list(repo: &Repository, to: &Path) -> Result<()> {
    let path = repo.git("config").args(["--type=path", "--get", "fetch.fsck.skipList"]).line()?;
    let path = repo.top().join(path);
    if let Err(error) = std::fs::copy(&path, to) {
        let what = format!("could not read {}, which fetch.fsck.skipList names: {error}", path.display());
        return Err(Error::unfit(what, "git config --unset fetch.fsck.skipList"));
    }
    Ok(())
}

/// The `.gitmodules` and `.gitattributes` on the user's side of this handoff, which the agent may keep.
fn shipped(quarantine: &Quarantine) -> Result<HashSet<(&'static str, Oid)>> {
    let (repo, mut known) = (&quarantine.repo, HashSet::new());
    let base = refs::base(&quarantine.id);
    let is_work = |name: &str| name == base || name.ends_with("/work");
    for (_, commit) in repo.list_refs(&refs::of(&quarantine.id))?.into_iter().filter(|(name, _)| is_work(name)) {
        for tree in ["", "^1", "^2"] {
            let tree = format!("{commit}{tree}^{{tree}}");
            let Ok(listed) = repo.git("ls-tree").args(["-r", "-z", &tree]).run() else { continue };
            for entry in listed.split(|byte| *byte == 0) {
                known.extend(special(entry));
            }
        }
    }
    Ok(known)
}

/// Parses `<mode> blob <oid>\t<path>` if it is a file that git itself reads.
fn special(entry: &[u8]) -> Option<(&'static str, Oid)> {
    let tab = entry.iter().position(|byte| *byte == b'\t')?;
    let name = entry[tab + 1..].rsplit(|byte| *byte == b'/').next()?;
    let name = [".gitmodules", ".gitattributes"].into_iter().find(|one| name.eq_ignore_ascii_case(one.as_bytes()))?;
    let oid = std::str::from_utf8(&entry[..tab]).ok()?.split(' ').nth(2)?.parse().ok()?;
    Some((name, oid))
}

/// The new trees that give one of `contents` a name that git may take for one of its own files, by content.
fn trees_with(quarantine: &Quarantine, contents: &HashSet<Oid>) -> Result<BTreeMap<Oid, HashSet<Oid>>> {
    let checked = |verb| quarantine.in_bare("checked", verb);
    let all = checked("cat-file").args(["--batch-all-objects", "--batch-check=%(objecttype) %(objectname)"]).run()?;
    let mut found: BTreeMap<Oid, HashSet<Oid>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&all).lines() {
        let Some(tree) = line.strip_prefix("tree ").and_then(|oid| oid.parse::<Oid>().ok()) else { continue };
        let Ok(listed) = checked("ls-tree").args(["-z", tree.as_str()]).run() else { continue };
        for entry in listed.split(|byte| *byte == 0) {
            if let Some(oid) = suspect(entry).filter(|oid| contents.contains(oid)) {
                found.entry(oid).or_default().insert(tree.clone());
            }
        }
    }
    Ok(found)
}

/// The object of an entry if some file system takes its name for `.gitmodules` or `.gitattributes`: case, short names
/// and ignored characters all count.
fn suspect(entry: &[u8]) -> Option<Oid> {
    let tab = entry.iter().position(|byte| *byte == b'\t')?;
    let name = entry[tab + 1..].to_ascii_lowercase();
    let odd = name.contains(&b'~') || !name.is_ascii() || name.windows(4).any(|part| part == b".git");
    odd.then(|| std::str::from_utf8(&entry[..tab]).ok()?.split(' ').nth(2)?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_fsck_prints_is_read() {
        let oid = "1".repeat(40);
        let fault = parse(&format!("error in tree {oid}: hasDotgit: contains '.git'")).unwrap();
        assert_eq!((fault.kind.as_str(), fault.reason.as_str(), fault.is_fatal), ("tree", "hasDotgit", false));
        assert_eq!(fault.text, "contains '.git'");
        let fatal =
            parse(&format!("error in commit {oid}: nulInHeader: unterminated header: NUL at offset 4")).unwrap();
        assert!(fatal.is_fatal && fatal.text == "unterminated header: NUL at offset 4");
        let bare = parse(&format!("error in commit {oid}: broken links")).unwrap();
        assert_eq!((bare.reason.as_str(), bare.text.as_str()), ("", "broken links"));
        for other in ["warning in tree 1: x: y", "error in tree nothing: x: y", "error: refs/x: bad", ""] {
            assert!(parse(other).is_none(), "{other}");
        }
    }

    #[test]
    fn a_severity_that_git_does_not_know_is_dropped() {
        let pair = |name: &str| (name.to_owned(), "warn".to_owned());
        let mut settings = Settings { severities: vec![pair("badDate"), pair("nonsense")], skips: false };
        assert!(settings.drop_named("Unhandled message id: nonsense"));
        assert!(settings.drop_named("Cannot demote baddate to warn"));
        assert!(!settings.drop_named("Unhandled message id: nonsense"));
        assert!(settings.lines().is_empty());
    }
}
