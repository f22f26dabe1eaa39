//! Captures, whatever the agent did to its repository, and git's own transfer.

use super::host::{TestHost, shells};
use super::*;

#[test]
fn files_of_the_agents_repository_are_only_read_as_data() {
    for shell in shells() {
        let host = TestHost::shipped(
            shell,
            "cd ..; git commit -qam mine; git config core.fsmonitor \"touch $HOME/ran; false\"\n\
             git config filter.x.clean \"touch $HOME/ran; cat\"; echo '* filter=x' >.gitattributes\n\
             mkdir -p .git/hooks; echo \"touch $HOME/ran\" >.git/hooks/pre-commit; chmod +x .git/hooks/pre-commit\n\
             echo new >new; printf garbage >.git/index",
        );
        host.ensure(1, &[]);
        let result = host.result(1);
        assert!(!host.home().join("ran").exists());
        let capture = result.get("capture").unwrap();
        let changed = host.git(&host.cache(), &["diff", "--name-only", &host.oids[0], capture]);
        assert_eq!(changed, ".gitattributes\nnew");
        assert_eq!(host.git(&host.cache(), &["log", "-1", "--format=%s", &format!("{capture}^1")]), "mine");
    }
}

#[test]
fn a_repaired_cache_keeps_whole_objects_and_deletes_the_shared_tips() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "true");
        let (cache, commit) = (host.cache(), host.oids[0].clone());
        for name in [format!("refs/keep/{commit}"), "refs/capture/other/1/work".to_owned()] {
            host.git(&cache, &["update-ref", &name, &commit]);
        }
        let request = format!("name {}\nkey {}\nformat sha1\n\n", host.name, "a".repeat(40));
        let repair = || host.call(Verb::RepairCache, request.as_bytes());
        assert!(repair().contains("\nrepaired 0\n"));
        assert!(cache.join("refs/keep").join(&commit).exists(), "a sound cache is left alone");

        host.git(&cache, &["repack", "-adq"]);
        let find = |end: &str| {
            let all = std::fs::read_dir(cache.join("objects/pack")).unwrap().flatten().map(|entry| entry.path());
            all.filter(|path| path.extension().is_some_and(|it| it == end)).collect::<Vec<_>>()
        };
        let pack = find("pack").remove(0);
        let bytes = std::fs::read(&pack).unwrap();
        std::fs::remove_file(&pack).unwrap();
        std::fs::write(&pack, &bytes[..bytes.len() - 40]).unwrap();
        let reply = repair();
        assert!(reply.contains("\nrepaired 2\n"), "{reply}");
        assert!(!cache.join("refs/keep").join(&commit).exists());
        assert!(cache.join("refs/capture/other/1/work").exists(), "captures stay");
        let [saved] = &find("pack")[..] else { panic!("{:?}", find("pack")) };
        assert_ne!(saved, &pack);
        host.git(&cache, &["verify-pack", saved.to_str().unwrap()]);
        host.git(&cache, &["cat-file", "-e", &commit]);
        assert!(cache.join("damaged/1").join(pack.file_name().unwrap()).exists());
    }
}

#[test]
fn files_are_captured_when_the_repository_is_gone() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "cd ..; git commit -qam lost; rm -rf .git; echo new >new");
        host.ensure(1, &[]);
        let result = host.result(1);
        let capture = result.get("capture").unwrap();
        assert_eq!(host.git(&host.cache(), &["diff", "--name-only", &host.oids[0], capture]), "new");
        assert_eq!(host.git(&host.cache(), &["rev-parse", &format!("{capture}^1")]), host.oids[1]);
        assert!(result.get("detail").unwrap().contains("git directory is gone"), "{}", result.0);
    }
}

#[test]
fn the_stash_is_captured_and_nested_repositories_are_listed() {
    let host = TestHost::shipped(
        shells().remove(0),
        "cd ..; echo s >stashed; git stash -qu; git init -q nest; cd nest; echo n >n; git add n; git commit -qm n",
    );
    host.ensure(
        1,
        &[("env", "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a\n")],
    );
    let result = host.result(1);
    let stash = format!("refs/capture/{}/1/stash", host.name);
    assert_eq!(host.git(&host.cache(), &["show", &format!("{stash}^3:stashed")]), "s");
    let lacking = std::fs::read_to_string(host.at(1).join("uncaptured")).unwrap();
    assert_eq!(lacking.lines().nth(1).unwrap().split_once(' ').unwrap().1, "nested nest");
    assert_eq!(result.get("uncaptured"), Some("1"), "{}", result.0);
}

#[test]
fn commits_in_reflogs_and_tags_are_captured() {
    for shell in shells() {
        let host = TestHost::shipped(
            shell,
            "cd ..; git stash -q; echo d >dropped; git add dropped; git commit -qm dropped; git tag marked\n\
             echo e >dropped; git commit -qam 'dropped too'; git reset -q --hard HEAD~2\n\
             for s in one two; do echo $s >stashed; git stash -qu; done; echo new >new",
        );
        let identity = "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a\n";
        host.ensure(1, &[("env", identity)]);
        let result = host.result(1);
        let below = format!("refs/capture/{}/1", host.name);
        let refs = host.git(&host.cache(), &["for-each-ref", "--format=%(refname)", &below]);
        let show = |file: &str| {
            let found = refs.lines().filter_map(|name| {
                let tree = host.git(&host.cache(), &["ls-tree", name, file]);
                let oid = tree.split_whitespace().nth(2)?.to_owned();
                Some(host.git(&host.cache(), &["cat-file", "-p", &oid]))
            });
            found.collect::<Vec<_>>()
        };
        let mut dropped = show("dropped");
        dropped.sort();
        assert_eq!(dropped, ["d", "e"], "the tag, and what the log of HEAD names:\n{refs}\n{}", result.0);
        let stashes: Vec<&str> = refs.lines().filter(|name| name.contains("/reflog/")).collect();
        assert_eq!(stashes.len(), 3, "two older stashes and a dropped commit:\n{refs}");
        assert_eq!(result.get("detail"), None, "{}", result.0);
    }
}
