use std::path::PathBuf;

use super::*;
use crate::git::snapshot;
use crate::git::testing::{Repo, contents, git_in, raw};

/// A cache as on a host, next to a repository.
struct Cache {
    directory: PathBuf,
}

fn cache(repo: &Repo) -> Cache {
    let directory = repo.sibling("cache.git");
    repo.git(["init", "-q", "--bare", directory.to_str().unwrap()]);
    Cache { directory }
}

/// Fetches as from a host: the refs of attempt `n`, and a pack of what the repository lacks.
async fn pull(repo: &Repo, cache: &Cache, n: u32, work: &Oid) -> Result<TakenIn> {
    let (git, (id, name)) = (repo.open(), names());
    let below = format!("refs/capture/{}/{n}/", name.as_str());
    let listed = git_in(&cache.directory, ["for-each-ref", "--format=%(objectname) %(refname)", &below]);
    let refs: Vec<(Oid, String)> = listed
        .lines()
        .map(|line| line.split_once(' ').map(|(oid, name)| (oid.parse().unwrap(), name.to_owned())).unwrap())
        .collect();
    let held = git.held_of(&id, false).unwrap().into_iter().chain([git.head_commit()]);
    let ends: Vec<String> = held
        .filter(|oid| raw(&cache.directory, ["cat-file", "-e", oid.as_str()]).status.success())
        .map(|oid| format!("^{oid}"))
        .chain(refs.iter().map(|(oid, _)| oid.to_string()))
        .collect();
    std::fs::write(repo.sibling("ends"), ends.join("\n") + "\n").unwrap();
    let (ends, file) = (repo.sibling("ends"), repo.sibling("came.pack"));
    let pack = format!("git pack-objects -q --revs --stdout --thin <'{}' >'{}'", ends.display(), file.display());
    let made = std::process::Command::new("sh").arg("-ec").arg(pack).current_dir(&cache.directory).status().unwrap();
    assert!(made.success());
    take_in(&git, n, &refs, &file, work).await
}

async fn take_in(
    git: &Repository,
    n: u32,
    refs: &[(Oid, String)],
    file: &std::path::Path,
    work: &Oid,
) -> Result<TakenIn> {
    let (id, name) = names();
    let pack = PackFile { path: file.to_owned(), hash: work.clone(), length: file.metadata().unwrap().len() };
    let arrival = Arrival::of(git, (&id, &name), n, refs, &pack).await?;
    arrival.expect("the pack is whole").take_in(work).await
}

/// Attempt 1's capture, made on the host.
fn capture(repo: &Repo, cache: &Cache, name: &RemoteName) -> Oid {
    let agent = repo.sibling("agent");
    repo.git(["clone", "-q", repo.top().to_str().unwrap(), agent.to_str().unwrap()]);
    let identity = ["-c", "user.name=agent", "-c", "user.email=agent@host"];
    let run = |words: &[&str]| git_in(&agent, identity.iter().chain(words));
    run(&["commit", "-q", "--allow-empty", "-m", "work"]);
    std::fs::write(agent.join("made"), "by the agent").unwrap();
    let taken = snapshot::take(&Repository::discover(&agent).unwrap(), &[]).unwrap();
    let below = format!("refs/capture/{}/1", name.as_str());
    let (work, branch) = (format!("{}:{below}/work", taken.commit), format!("HEAD:{below}/heads/main"));
    run(&["push", "-q", cache.directory.to_str().unwrap(), &work, &branch]);
    run(&["push", "-q", cache.directory.to_str().unwrap(), "HEAD:refs/tags/theirs"]);
    taken.commit
}

fn names() -> (HandoffId, RemoteName) {
    let id: HandoffId = "20260407-x".parse().unwrap();
    let name = RemoteName::new(&id, &crate::model::id::Uid::from_random([7; 10]));
    (id, name)
}

#[tokio::test]
async fn a_pull_changes_only_our_refs() {
    let repo = Repo::with_commit();
    let (git, cache, (_, name)) = (repo.open(), cache(&repo), names());
    let expected = capture(&repo, &cache, &name);
    for (key, value) in [
        ("url.https://example.invalid/.insteadOf", "ssh://"),
        ("fetch.prune", "true"),
        ("core.logAllRefUpdates", "always"),
        ("fetch.writeCommitGraph", "true"),
        ("fetch.fsckObjects", "false"),
        ("core.hooksPath", repo.sibling("hooks").to_str().unwrap()),
    ] {
        repo.git(["config", key, value]);
    }
    let before = contents(repo.top());
    let found = pull(&repo, &cache, 1, &expected).await.unwrap();
    assert_eq!(found.refused, []);
    let names: Vec<_> = found.refs.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["refs/handoff/20260407-x/1/heads/main", "refs/handoff/20260407-x/1/work"]);
    let changes = before.changes_but_new_objects(&contents(repo.top()));
    assert!(changes.iter().all(|path| path.contains("/.git/refs/handoff/")), "{changes:?}");
    assert_eq!(git.read_capture(&expected).unwrap().commit, expected);
    pull(&repo, &cache, 1, &expected).await.unwrap();
}

#[tokio::test]
async fn a_capture_with_another_commit_than_reported_is_refused() {
    let repo = Repo::with_commit();
    let (git, cache) = (repo.open(), cache(&repo));
    capture(&repo, &cache, &names().1);
    let here = git.head_commit();
    let error = pull(&repo, &cache, 1, &here).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error}");
    let absent: Oid = "1".repeat(40).parse().unwrap();
    pull(&repo, &cache, 1, &absent).await.unwrap_err();
    let error = pull(&repo, &cache, 2, &here).await.unwrap_err();
    assert!(error.to_string().contains("no capture of attempt 2"), "{error}");
}

/// A repository on the host with objects that an agent made by hand.
struct Hostile<'a> {
    repo: &'a Repo,
    cache: &'a Cache,
    top: PathBuf,
}

impl<'a> Hostile<'a> {
    fn new(repo: &'a Repo, cache: &'a Cache) -> Self {
        let top = repo.sibling("hostile");
        repo.git(["clone", "-q", repo.top().to_str().unwrap(), top.to_str().unwrap()]);
        Hostile { repo, cache, top }
    }

    fn shell(&self, text: &str) -> Oid {
        let mut command = std::process::Command::new("sh");
        crate::git::command::inherit(&mut command);
        for role in ["AUTHOR", "COMMITTER"] {
            command.env(format!("GIT_{role}_NAME"), "agent").env(format!("GIT_{role}_EMAIL"), "agent@host");
        }
        let made = command.arg("-ec").arg(text).current_dir(&self.top).output().unwrap();
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        String::from_utf8(made.stdout).unwrap().trim().parse().unwrap()
    }

    /// A commit on HEAD whose tree has one more entry, made with `git mktree`.
    fn with_entry(&self, mode: &str, content: &str, name: &str) -> Oid {
        self.shell(&format!(
            "b=$(printf '%s' '{content}' | git hash-object -w --stdin)
             t=$({{ git ls-tree HEAD; printf '{mode} blob %s\\t%s\\n' $b '{name}'; }} | git mktree)
             git commit-tree $t -p HEAD -m x"
        ))
    }

    /// The work of an honest agent.
    fn work(&self) -> Oid {
        std::fs::write(self.top.join("made"), "by the agent").unwrap();
        snapshot::take(&Repository::discover(&self.top).unwrap(), &[]).unwrap().commit
    }

    /// The work with another HEAD.
    fn work_on(&self, head: &Oid) -> Oid {
        self.shell(&format!(
            "i=$(git commit-tree {head}^{{tree}} -p {head} -m i); git commit-tree {head}^{{tree}} -p {head} -p $i -m w"
        ))
    }

    fn push(&self, refs: &[(&Oid, &str)]) {
        let name = names().1;
        let to = |(oid, below): &(&Oid, &str)| format!("{oid}:refs/capture/{}/1/{below}", name.as_str());
        let refs: Vec<String> = refs.iter().map(to).collect();
        let words = ["push", "-q", self.cache.directory.to_str().unwrap()];
        git_in(&self.top, words.into_iter().chain(refs.iter().map(String::as_str)));
    }

    async fn pull(&self, work: &Oid) -> TakenIn {
        pull(self.repo, self.cache, 1, work).await.unwrap()
    }

    fn has(&self, object: &Oid) -> bool {
        raw(self.repo.top(), ["cat-file", "-e", object.as_str()]).status.success()
    }
}

/// Names and reasons of the refused refs.
fn refused(taken: &TakenIn) -> Vec<(&str, Vec<&str>)> {
    let mut all = Vec::new();
    for refused in &taken.refused {
        all.push((refused.name.as_str(), refused.faults.iter().map(|fault| fault.reason.as_str()).collect()));
    }
    all
}

#[tokio::test]
async fn a_bad_object_on_a_side_branch_refuses_only_that_branch() {
    let repo = Repo::with_commit();
    repo.git(["config", "fetch.fsckObjects", "false"]);
    let cache = cache(&repo);
    let host = Hostile::new(&repo, &cache);
    let (work, side, other) =
        (host.work(), host.with_entry("100644", "x", ".git"), host.with_entry("100644", "y", "y"));
    host.push(&[(&work, "work"), (&side, "heads/side"), (&other, "heads/other")]);
    for _ in 0..2 {
        let taken = host.pull(&work).await;
        assert_eq!(refused(&taken), [("heads/side", vec!["hasDotgit"])]);
        let fault = &taken.refused[0].faults[0];
        assert_eq!((fault.kind.as_str(), taken.refused[0].tip == side), ("tree", true));
        let stored: Vec<_> = taken.refs.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(stored, ["refs/handoff/20260407-x/1/heads/other", "refs/handoff/20260407-x/1/work"]);
        assert!(host.has(&work) && host.has(&other) && !host.has(&side), "nothing of it stays");
        assert!(!host.has(fault.object.as_ref().unwrap()));
    }
    // The command in the refusal works as printed.
    let accept = host.pull(&work).await.refused[0].faults[0].accept().unwrap();
    repo.git(accept.split(' ').skip(1));
    assert_eq!(refused(&host.pull(&work).await), []);
    assert!(host.has(&side));
}

#[tokio::test]
async fn objects_that_could_write_outside_a_checkout_are_refused() {
    let url = "[submodule \"a\"]\n\tpath = a\n\turl = -u./payload\n";
    let name = "[submodule \"../../hooks\"]\n\tpath = a\n\turl = https://example.com/a\n";
    for (mode, content, entry, reason) in [
        ("100644", "x", ".GIT", "hasDotgit"),
        ("100644", "x", "git~1", "hasDotgit"),
        ("100644", "x", "..", "hasDotdot"),
        ("120000", "elsewhere", ".gitmodules", "gitmodulesSymlink"),
        ("120000", "elsewhere", ".GITMODULES", "gitmodulesSymlink"),
        ("100644", url, ".gitmodules", "gitmodulesUrl"),
        ("100644", name, ".gitmodules", "gitmodulesName"),
        ("100644", name, "gitmod~1", "gitmodulesName"),
    ] {
        let repo = Repo::with_commit();
        // With enough entries, the tree is sent as a delta of one that is here.
        (0..40).for_each(|n| repo.write(format!("file-{n}"), "x"));
        repo.commit("many");
        let cache = cache(&repo);
        let host = Hostile::new(&repo, &cache);
        let work = host.work_on(&host.with_entry(mode, content, entry));
        host.push(&[(&work, "work")]);
        for _ in 0..2 {
            let taken = host.pull(&work).await;
            assert_eq!(refused(&taken), [("work", vec![reason])], "{entry}");
            assert_eq!((taken.refs.len(), host.has(&work)), (0, false), "{entry}");
        }
    }
}

#[tokio::test]
async fn content_that_exists_under_another_name_is_checked_again() {
    let repo = Repo::with_commit();
    let evil = "[submodule \"../../hooks\"]\n\tpath = a\n\turl = https://example.com/a\n";
    repo.write("notes", evil);
    repo.write("doc/.gitattributes", "* text\n");
    repo.commit("notes");
    let cache = cache(&repo);
    let host = Hostile::new(&repo, &cache);
    let (good, bad) = (host.with_entry("100644", "y", "y"), host.with_entry("100644", evil, ".gitmodules"));
    let work = host.work_on(&good);
    host.push(&[(&work, "work"), (&bad, "heads/bad")]);
    assert_eq!(refused(&host.pull(&work).await), [("heads/bad", vec!["gitmodulesName"])]);
}

#[tokio::test]
async fn faulty_objects_that_the_user_already_has_are_accepted() {
    let repo = Repo::with_commit();
    repo.write(".gitmodules", "[submodule \"../../hooks\"]\n\tpath = a\n\turl = https://example.com/a\n");
    repo.write(".gitattributes", "* text=auto\n");
    repo.commit("old sins");
    // A tree of the history that fsck refuses, and that the tip no longer has.
    let cache = cache(&repo);
    let host = Hostile::new(&repo, &cache);
    let sin = host.with_entry("100644", "x", ".git");
    let undone = host.shell(&format!("git commit-tree HEAD^{{tree}} -p {sin} -m undone"));
    repo.git(["-c", "protocol.file.allow=always", "fetch", "-q", host.top.to_str().unwrap(), undone.as_str()]);
    repo.git(["merge", "-q", "--ff-only", undone.as_str()]);
    let git = repo.open();
    let base = snapshot::take(&git, &[]).unwrap();
    git.keep_ref(&refs::base(&names().0), &base.commit).unwrap();
    let again = host.shell(&format!("git commit-tree {sin}^{{tree}} -p {undone} -m again"));
    let (work, side) = (host.work_on(&undone), host.work_on(&again));
    host.push(&[(&work, "work"), (&side, "heads/side")]);
    assert_eq!(refused(&host.pull(&work).await), []);
}

#[tokio::test]
async fn an_unreachable_object_of_the_user_is_checked() {
    let repo = Repo::with_commit();
    let cache = cache(&repo);
    let host = Hostile::new(&repo, &cache);
    let bad = host.with_entry("100644", "x", ".git");
    let work = host.work_on(&bad);
    // As if an earlier program had left it there.
    repo.git(["-c", "protocol.file.allow=always", "fetch", "-q", host.top.to_str().unwrap(), work.as_str()]);
    repo.git(["update-ref", "refs/handoff/20260407-other/1/work", bad.as_str()]);
    host.push(&[(&work, "work")]);
    assert_eq!(refused(&host.pull(&work).await), [("work", vec!["hasDotgit"])]);
}

/// A commit with an invalid time zone, as in psf/requests.
fn odd_zone(host: &Hostile) -> Oid {
    host.shell(
        "printf 'tree %s\nparent %s\nauthor T <t@example.org> 1 +051800\ncommitter T <t@example.org> 1 +051800\n\nx\n' \
           $(git rev-parse 'HEAD^{tree}') $(git rev-parse HEAD) | git hash-object -t commit -w --literally --stdin",
    )
}

#[tokio::test]
async fn the_users_severities_count() {
    let repo = Repo::with_commit();
    let cache = cache(&repo);
    let host = Hostile::new(&repo, &cache);
    let odd = odd_zone(&host);
    let work = host.work_on(&odd);
    host.push(&[(&work, "work")]);
    // Settings for other commands of git, and of another git version.
    for (key, value) in
        [("fsck.badTimezone", "error"), ("receive.fsck.badTimezone", "error"), ("fetch.fsck.notYetKnown", "warn")]
    {
        repo.git(["config", key, value]);
    }
    repo.git(["config", "fetch.fsck.badTimezone", "error"]);
    let taken = host.pull(&work).await;
    assert_eq!(refused(&taken), [("work", vec!["badTimezone"])]);
    assert_eq!(taken.refused[0].faults[0].object.as_ref(), Some(&odd));
    repo.write("list", format!("# accepted\n{odd}\n"));
    repo.git(["config", "fetch.fsck.skipList", "list"]);
    assert_eq!(refused(&host.pull(&work).await), []);
    repo.git(["config", "fetch.fsck.skipList", "absent"]);
    let error = pull(&repo, &cache, 1, &work).await.unwrap_err();
    assert!(error.hint().is_some_and(|hint| hint.contains("--unset")), "{error}");
}

#[tokio::test]
async fn histories_with_odd_names_and_times_are_accepted() {
    let repo = Repo::with_commit();
    let cache = cache(&repo);
    let host = Hostile::new(&repo, &cache);
    let work = host.work_on(&odd_zone(&host));
    host.push(&[(&work, "work")]);
    assert_eq!(refused(&host.pull(&work).await), []);
    assert!(host.has(&work));
}

#[tokio::test]
async fn faults_that_no_setting_accepts_are_refused_and_say_so() {
    let repo = Repo::with_commit();
    repo.git(["config", "fetch.fsck.nulInHeader", "warn"]);
    let cache = cache(&repo);
    let host = Hostile::new(&repo, &cache);
    let bad = host.shell(
        "printf 'tree %s\nparent %s\nauthor T <t@x> 1 +0000\ncommitter T <t@x> 1 +0000\nx \\0y\n\nx\n' \
           $(git rev-parse 'HEAD^{tree}') $(git rev-parse HEAD) | git hash-object -t commit -w --literally --stdin",
    );
    let work = host.work();
    host.push(&[(&work, "work"), (&bad, "heads/side")]);
    let taken = host.pull(&work).await;
    assert_eq!(refused(&taken), [("heads/side", vec!["nulInHeader"])]);
    assert_eq!(taken.refused[0].faults[0].accept(), None);
}

#[test]
fn a_missing_object_is_found() {
    let repo = Repo::with_commit();
    repo.write("new", "content that goes missing");
    let git = repo.open();
    let taken = snapshot::take(&git, &[]).unwrap();
    git.verify_connected(std::slice::from_ref(&taken.commit)).unwrap();
    // A ref of ours at the object itself must not make the check empty.
    git.keep_ref("refs/handoff/x/base", &taken.commit).unwrap();
    let blob = repo.git(["rev-parse", &format!("{}:new", taken.commit)]);
    let (first, rest) = blob.trim().split_at(2);
    std::fs::remove_file(repo.path(format!(".git/objects/{first}/{rest}"))).unwrap();
    git.verify_connected(&[taken.commit]).unwrap_err();
    assert!(!raw(repo.top(), ["cat-file", "-e", blob.trim()]).status.success());
}

#[tokio::test]
async fn a_damaged_pack_and_refs_of_others_change_nothing() {
    let repo = Repo::with_commit();
    let (git, cache, (id, name)) = (repo.open(), cache(&repo), names());
    let work = capture(&repo, &cache, &name);
    let ours = |rest: &str| (work.clone(), format!("refs/capture/{}/1/{rest}", name.as_str()));
    let pack = |bytes: &[u8]| {
        let path = repo.sibling("came.pack");
        std::fs::write(&path, bytes).unwrap();
        PackFile { path, hash: work.clone(), length: bytes.len() as u64 }
    };
    let before = contents(repo.top());
    for bytes in [&b""[..], b"PACK", b"PACK\0\0\0\x02\0\0\0\x01damaged"] {
        let arrived = Arrival::of(&git, (&id, &name), 1, &[ours("work")], &pack(bytes)).await.unwrap();
        assert!(arrived.is_none(), "{bytes:?}");
    }
    for bad in [
        "refs/heads/main",
        "refs/capture/another-0000000000000000/1/work",
        &ours("../../heads/main").1,
        &ours("a..b").1,
        &ours("").1,
    ] {
        let refs = [ours("work"), (work.clone(), bad.to_owned())];
        let error = Arrival::of(&git, (&id, &name), 1, &refs, &pack(b"")).await.err();
        assert!(matches!(error, Some(Error::Untrusted { .. })), "{bad}: {error:?}");
    }
    let changes = before.changes(&contents(repo.top()));
    assert!(changes.iter().all(|path| path.contains("/.git/handoff")), "{changes:?}");
}

#[tokio::test]
async fn a_ref_with_a_name_that_cannot_be_kept_is_named_by_its_object() {
    let repo = Repo::with_commit();
    let (cache, (_, name)) = (cache(&repo), names());
    let work = capture(&repo, &cache, &name);
    let mut refs = vec![(work.clone(), format!("refs/capture/{}/1/work", name.as_str()))];
    let head = repo.open().head_commit();
    for odd in ["heads/f\u{fffd}te", "heads/a\u{a0}b", "heads/a\u{3000}b", "a b", "a:b"] {
        refs.push((head.clone(), format!("refs/capture/{}/1/{odd}", name.as_str())));
    }
    let file = repo.sibling("came.pack");
    let script = format!("echo {work} | git pack-objects -q --revs --stdout >'{}'", file.display());
    let made = std::process::Command::new("sh").arg("-ec").arg(script).current_dir(&cache.directory).status().unwrap();
    assert!(made.success());
    let taken = take_in(&repo.open(), 1, &refs, &file, &work).await.unwrap();
    let stored: Vec<_> = taken.refs.iter().map(|(name, _)| name.as_str()).collect();
    let reflog = format!("refs/handoff/20260407-x/1/reflog/{head}");
    assert_eq!((stored, taken.refused), (vec![reflog.as_str(), "refs/handoff/20260407-x/1/work"], vec![]));
    assert!(!file.exists(), "the pack is here twice");
}

/// A transfer that was cut may continue a pack that builds on what has since been deleted here.
#[tokio::test]
async fn a_pack_that_builds_on_missing_objects_is_noticed() {
    let repo = Repo::with_commit();
    let (git, cache, (id, name)) = (repo.open(), cache(&repo), names());
    let work = capture(&repo, &cache, &name);
    let file = repo.sibling("came.pack");
    let script = format!("printf '%s\n' {work} ^{work}^ | git pack-objects -q --revs --stdout >'{}'", file.display());
    let made = std::process::Command::new("sh").arg("-ec").arg(script).current_dir(&cache.directory).status().unwrap();
    assert!(made.success());
    let refs = [(work.clone(), format!("refs/capture/{}/1/work", name.as_str()))];
    let pack = PackFile { length: file.metadata().unwrap().len(), path: file, hash: work.clone() };
    let arrival = Arrival::of(&git, (&id, &name), 1, &refs, &pack).await.unwrap().unwrap();
    assert!(!arrival.is_connected());
    let taken = arrival.take_in(&work).await.unwrap();
    assert_eq!((taken.refs.len(), taken.refused.len()), (0, 1));
}
