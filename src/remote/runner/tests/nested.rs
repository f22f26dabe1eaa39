//! Repositories inside the checkout, whose git directories the agent has filled with pipes.

use super::host::{TestHost, grant, shells};
use super::release::{ended, release, tree};

/// Each has a pipe where git would read. The ignore file tries to make git look there.
const AGENT: &str = "cd ..; mkdir sub/kept\n\
    export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a\n\
    for it in HEAD index config refs/heads/main commondir 'odd [n]*'; do\n\
      d=nest-${it##*/}; git init -q -b main \"$d\"; echo n >\"$d/n\"; (cd \"$d\" && git add n && git commit -qm n)\n\
      case $it in odd*) it=HEAD ;; esac; rm -f \"$d/.git/$it\"; mkfifo \"$d/.git/$it\"\n\
    done; git init -q module; rm module/.git/HEAD; mkfifo module/.git/HEAD; echo m >module/m\n\
    git init -q sub; rm sub/.git/HEAD; mkfifo sub/.git/HEAD; echo w >sub/kept/w; echo w >>sub/deep\n\
    echo '!/nest*' >>.gitignore; git worktree add -q --detach wt-in; echo dirty >wt-in/dirty\n\
    rm -f .git/packed-refs; mkfifo .git/packed-refs";

#[test]
fn git_never_enters_a_nested_repository() {
    for shell in shells() {
        let mut host = TestHost::shipped(shell, AGENT);
        std::fs::create_dir(host.laptop().join("module")).unwrap();
        let link = format!("160000,{},module", host.oids[1]);
        host.git(&host.laptop(), &["update-index", "--add", "--cacheinfo", &link]);
        host.ship_again();
        for attempt in 1..=2 {
            host.ensure(attempt, &[]);
            let result = host.result(attempt);
            let show = |path: &str| {
                host.git(&host.cache(), &["ls-tree", "-r", "--name-only", result.get("capture").unwrap(), "--", path])
            };
            assert_eq!(show("module"), "module", "{}", result.0);
            assert_eq!(show("sub"), "sub/deep\nsub/kept/w", "{}", result.0);
            assert_eq!(show("nest-HEAD"), "");
            let text = std::fs::read_to_string(host.at(attempt).join("uncaptured")).unwrap();
            let lacking: Vec<&str> = text.lines().skip(1).map(|line| line.split_once(' ').unwrap().1).collect();
            for name in ["module", "nest-HEAD", "nest-index", "nest-odd [n]*", "nest-main", "sub/.git"] {
                assert!(lacking.contains(&format!("nested {name}").as_str()), "{name}: {text}");
            }
            assert!(!lacking.contains(&"nested wt-in"), "the worktree is captured: {text}");
            host.agent("exit 0");
        }
    }
}

#[test]
fn a_tree_with_nested_repositories_is_compared_and_filled() {
    for shell in shells() {
        let agent = "cd ..; for d in warm.o cold; do git init -q $d; rm $d/.git/HEAD; mkfifo $d/.git/HEAD; done";
        let (host, ack) = ended(&shell, agent);
        let reply = release(&host, &format!("cache warm.o\n{ack}"));
        assert!(reply.contains(" cold/\n") && !reply.contains("warm.o/"), "{reply}");
        let reply = release(&host, &format!("cache warm.o\ncache cold\ndiscard yes\n{ack}"));
        assert!(reply.ends_with("end 0\n"), "{reply}");
        host.push();
        host.agent("true");
        let reply = host.ensure(2, &[("caches", "warm.o\ncold\n"), ("grant", &grant(&[("first", "2")]))]);
        assert!(reply.ends_with("end 0\n"), "{reply}");
        host.result(2);
        assert!(tree(&host).join("warm.o/.git/HEAD").exists(), "what is ignored stays");
        assert!(!tree(&host).join("cold").exists());
    }
}
