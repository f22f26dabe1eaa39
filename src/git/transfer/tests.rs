use std::path::PathBuf;

use super::*;
use crate::git::snapshot;
use crate::git::testing::{Repo, contents, git_in, raw};

/// A cache as a host keeps it, beside a repository, with bridges that count what goes through them.
struct Cache {
    directory: PathBuf,
    push: Bridge,
    fetch: Bridge,
    sent: PathBuf,
}

fn cache(repo: &Repo) -> Cache {
    let directory = repo.beside("cache.git");
    repo.git(["init", "-q", "--bare", directory.to_str().unwrap()]);
    // receive-pack refuses to update what it hides, so a bridge shows the refs of its own handoff.
    git_in(&directory, ["config", "transfer.hideRefs", "refs/handoff"]);
    let shown = "-c transfer.hideRefs='!refs/handoff/x-0000000000000000'";
    let sent = repo.beside("sent");
    let (quoted, counter) = (format!("'{}'", directory.display()), format!("'{}'", sent.display()));
    let push = repo.script("push", &format!("tee {counter} | git {shown} receive-pack {quoted}"));
    let fetch = repo.script("fetch", &format!("unset GIT_PROTOCOL; exec git upload-pack {quoted}"));
    Cache { directory, push: Bridge { command: push }, fetch: Bridge { command: fetch }, sent }
}

impl Cache {
    fn sent(&self) -> u64 {
        self.sent.metadata().unwrap().len()
    }
}

fn noise(length: usize) -> Vec<u8> {
    let mut state = 1u32;
    let step = |_| {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..length).map(step).collect()
}

#[tokio::test]
async fn a_snapshot_goes_over_and_what_is_known_costs_nothing() {
    let repo = Repo::with_commit();
    repo.write("big", noise(300_000));
    repo.commit("big");
    repo.git(["config", "push.gpgSign", "true"]);
    repo.write(".git/hooks/pre-push", "#!/bin/sh\nexit 1\n");
    repo.executable(".git/hooks/pre-push");
    repo.write("new", "x");
    let (git, cache) = (repo.open(), cache(&repo));
    let head = git.head().unwrap();
    let keep = (head.clone(), format!("refs/keep/{head}"));
    let known = |pushed: Vec<Pushed>| pushed.into_iter().map(|p| p.known).collect::<Vec<_>>();
    assert_eq!(known(push(&git, &cache.push, std::slice::from_ref(&keep)).await.unwrap()), [false]);
    assert!(cache.sent() > 300_000);
    let taken = snapshot::take(&git, &[]).unwrap();
    let ship = (taken.commit.clone(), "refs/handoff/x-0000000000000000/ship/1".to_owned());
    let refs = [keep, ship];
    assert_eq!(known(push(&git, &cache.push, &refs).await.unwrap()), [true, false]);
    assert!(cache.sent() < 2000, "{}", cache.sent());
    git_in(&cache.directory, ["fsck", "--strict", "--no-dangling"]);
    assert_eq!(git_in(&cache.directory, ["show", &format!("{}:new", refs[1].1)]), "x");
}

#[tokio::test]
async fn a_push_that_is_repeated_is_known_and_another_commit_is_refused() {
    let repo = Repo::with_commit();
    let (git, cache) = (repo.open(), cache(&repo));
    let first = git.head().unwrap();
    let name = "refs/keep/x".to_owned();
    push(&git, &cache.push, &[(first.clone(), name.clone())]).await.unwrap();
    assert!(push(&git, &cache.push, &[(first.clone(), name.clone())]).await.unwrap()[0].known);
    let other: Oid = repo.git(["commit-tree", "HEAD^{tree}", "-m", "other"]).trim().parse().unwrap();
    let both = [(other.clone(), "refs/keep/y".to_owned()), (other, name)];
    let error = push(&git, &cache.push, &both).await.unwrap_err();
    assert!(error.to_string().contains("refs/keep/x"), "{error}");
    assert_eq!(
        git_in(&cache.directory, ["for-each-ref", "--format=%(objectname) %(refname)"]),
        format!("{first} refs/keep/x\n")
    );
}

#[tokio::test]
async fn a_bridge_that_breaks_is_an_error_with_what_it_said() {
    let repo = Repo::with_commit();
    let git = repo.open();
    let broken = Bridge { command: repo.script("broken", "echo 'no such cache' >&2; exit 3") };
    let refs = [(git.head().unwrap(), "refs/keep/x".to_owned())];
    for error in [
        push(&git, &broken, &refs).await.unwrap_err(),
        fetch(&git, &broken, &["refs/a/*:refs/handoff/a/*".into()], &[]).await.unwrap_err(),
    ] {
        assert!(error.to_string().contains("no such cache"), "{error}");
    }
}

#[tokio::test]
async fn a_push_cut_short_leaves_no_ref() {
    let repo = Repo::with_commit();
    repo.write("big", noise(300_000));
    repo.commit("big");
    let (git, cache) = (repo.open(), cache(&repo));
    let command = format!("head -c 100000 | git receive-pack '{}'", cache.directory.display());
    let cut = Bridge { command: repo.script("cut", &command) };
    let refs = [(git.head().unwrap(), "refs/keep/x".to_owned())];
    push(&git, &cut, &refs).await.unwrap_err();
    assert_eq!(git_in(&cache.directory, ["for-each-ref"]), "");
    push(&git, &cache.push, &refs).await.unwrap();
}

/// Attempt 1's capture on the host, made there.
fn capture(repo: &Repo, cache: &Cache, name: &HostName) -> Oid {
    let agent = repo.beside("agent");
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

fn names() -> (HandoffId, HostName) {
    let id: HandoffId = "20260407-x".parse().unwrap();
    let name = HostName::new(&id, &crate::model::id::Uid::from_random([7; 10]));
    (id, name)
}

#[tokio::test]
async fn a_pull_changes_refs_of_ours_and_nothing_else() {
    let repo = Repo::with_commit();
    let (git, cache, (id, name)) = (repo.open(), cache(&repo), names());
    let expected = capture(&repo, &cache, &name);
    for (key, value) in [
        ("url.https://example.invalid/.insteadOf", "ssh://"),
        ("fetch.prune", "true"),
        ("core.logAllRefUpdates", "always"),
        ("fetch.writeCommitGraph", "true"),
        ("fetch.fsckObjects", "false"),
        ("core.hooksPath", repo.beside("hooks").to_str().unwrap()),
    ] {
        repo.git(["config", key, value]);
    }
    let before = contents(repo.top());
    let found = pull(&git, &cache.fetch, (&id, &name), 1, &expected).await.unwrap();
    let names: Vec<_> = found.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["refs/handoff/20260407-x/1/heads/main", "refs/handoff/20260407-x/1/work"]);
    let changes = before.changes_but_new_objects(&contents(repo.top()));
    assert!(changes.iter().all(|path| path.contains("/.git/refs/handoff/")), "{changes:?}");
    assert_eq!(git.read_capture(&expected).unwrap().commit, expected);
    pull(&git, &cache.fetch, (&id, &name), 1, &expected).await.unwrap();
}

#[tokio::test]
async fn a_capture_that_is_not_what_was_told_is_refused() {
    let repo = Repo::with_commit();
    let (git, cache, (id, name)) = (repo.open(), cache(&repo), names());
    capture(&repo, &cache, &name);
    let here = git.head().unwrap();
    let error = pull(&git, &cache.fetch, (&id, &name), 1, &here).await.unwrap_err();
    assert!(matches!(error, Error::Untrusted { .. }), "{error}");
    let absent: Oid = "1".repeat(40).parse().unwrap();
    pull(&git, &cache.fetch, (&id, &name), 1, &absent).await.unwrap_err();
    let error = pull(&git, &cache.fetch, (&id, &name), 2, &here).await.unwrap_err();
    assert!(error.to_string().contains("no capture of attempt 2"), "{error}");
}

#[tokio::test]
async fn a_tree_that_would_write_into_the_git_directory_does_not_come_in() {
    let repo = Repo::with_commit();
    repo.git(["config", "fetch.fsckObjects", "false"]);
    let (git, cache, (id, name)) = (repo.open(), cache(&repo), names());
    let evil = repo.beside("evil");
    repo.git(["init", "-q", evil.to_str().unwrap()]);
    std::fs::write(evil.join("hook"), "x").unwrap();
    let blob = git_in(&evil, ["hash-object", "-w", "hook"]);
    let entry = repo.script("mktree", &format!("printf '100644 blob %s\\t.git\\n' {} | git mktree", blob.trim()));
    let made = std::process::Command::new("sh").arg("-c").arg(entry).current_dir(&evil).output().unwrap();
    let tree = String::from_utf8(made.stdout).unwrap();
    let identity = ["-c", "user.name=x", "-c", "user.email=x"];
    let commit = git_in(&evil, identity.iter().copied().chain(["commit-tree", tree.trim(), "-m", "x"]));
    let target = format!("{}:refs/capture/{}/1/work", commit.trim(), name.as_str());
    git_in(&evil, ["push", "-q", cache.directory.to_str().unwrap(), &target]);
    let error = pull(&git, &cache.fetch, (&id, &name), 1, &commit.trim().parse().unwrap()).await.unwrap_err();
    assert!(error.to_string().contains("hasDotgit"), "{error}");
    assert_eq!(git.list_refs(refs::ROOT).unwrap(), []);
}

#[test]
fn a_hole_in_what_should_be_here_is_found() {
    let repo = Repo::with_commit();
    repo.write("new", "content that goes missing");
    let git = repo.open();
    let taken = snapshot::take(&git, &[]).unwrap();
    git.verify_connected(std::slice::from_ref(&taken.commit)).unwrap();
    // A ref of ours at the object itself must not make the proof empty.
    git.keep_ref("refs/handoff/x/base", &taken.commit).unwrap();
    let blob = repo.git(["rev-parse", &format!("{}:new", taken.commit)]);
    let (first, rest) = blob.trim().split_at(2);
    std::fs::remove_file(repo.path(format!(".git/objects/{first}/{rest}"))).unwrap();
    git.verify_connected(&[taken.commit]).unwrap_err();
    assert!(!raw(repo.top(), ["cat-file", "-e", blob.trim()]).status.success());
}

#[test]
fn only_refs_of_ours_can_be_written() {
    for bad in [
        "refs/a:refs/heads/main",
        "refs/a/*:refs/handoff/x",
        "refs/a:refs/handoff/x/*",
        "+refs/a:refs/handoff/x",
        "HEAD:refs/handoff/x",
        "refs/a",
        "refs/a:refs/handoff/../heads/x",
        "refs/a*b/*:refs/handoff/x/*",
        "refs/a:refs/handoff/x:y",
    ] {
        assert!(checked(bad).is_err(), "{bad:?}");
    }
    checked("refs/capture/x/1/*:refs/handoff/x/1/*").unwrap();
}
