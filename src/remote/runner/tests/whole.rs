//! A capture is complete, or lists what it lacks, whatever the agent did to its checkout and its git directory.

use super::host::{Facts, TestHost, grant, shells};

/// The identity that git uses for the agent's commits.
const IDENTITY: (&str, &str) =
    ("env", "export GIT_AUTHOR_NAME=a GIT_AUTHOR_EMAIL=a GIT_COMMITTER_NAME=a GIT_COMMITTER_EMAIL=a\n");

/// A host on which an agent has run in the top directory of the checkout.
fn captured(shell: String, agent: &str) -> (TestHost, Facts) {
    let host = TestHost::shipped(shell, &format!("cd ..\n{agent}"));
    host.ensure(1, &[IDENTITY, ("grant", &grant(&[("last", "1")]))]);
    let result = host.result(1);
    (host, result)
}

impl TestHost {
    fn capture_refs(&self) -> Vec<String> {
        let below = format!("refs/capture/{}/1", self.name);
        let refs = self.git(&self.cache(), &["for-each-ref", "--format=%(refname)", &below]);
        refs.lines().map(|name| name[below.len() + 1..].to_owned()).collect()
    }

    /// The contents of every file that a ref of the capture reaches.
    fn everything(&self) -> String {
        let below = format!("--glob=refs/capture/{}/1", self.name);
        let objects = self.git(&self.cache(), &["rev-list", "--objects", "--no-object-names", &below]);
        let mut all = String::new();
        for oid in objects.lines() {
            if self.git(&self.cache(), &["cat-file", "-t", oid]) == "blob" {
                all += &self.git(&self.cache(), &["cat-file", "-p", oid]);
                all.push('\n');
            }
        }
        all
    }

    fn git_version() -> (u32, u32) {
        let said = std::process::Command::new("git").arg("--version").output().unwrap().stdout;
        let said = String::from_utf8(said).unwrap();
        let mut numbers = said.split([' ', '.']).filter_map(|word| word.trim().parse().ok());
        (numbers.next().unwrap(), numbers.next().unwrap())
    }

    /// The lines `<reason> <path>` of what the capture lacks.
    fn lacking(&self) -> Vec<String> {
        let text = std::fs::read_to_string(self.at(1).join("uncaptured")).unwrap_or_default();
        text.lines().skip(1).map(|line| line.split_once(' ').unwrap().1.to_owned()).collect()
    }
}

#[test]
fn commits_of_an_unfinished_operation_are_captured() {
    for shell in shells() {
        let (host, result) = captured(
            shell,
            "git commit -qam start; echo one >c; git add c; git commit -qm c; git checkout -qb topic\n\
             echo topic >c; git commit -qam t; git checkout -q main; echo main >c; git commit -qam m; git checkout -q topic\n\
             echo 'only in the autostash' >link2; git add link2; git rebase --autostash main; echo resolving >c\n\
             git update-index --index-info <<END\n100644 $(echo 'their side, staged by hand' | git hash-object -w --stdin) 3\tby-hand\nEND",
        );
        let all = host.everything();
        for line in ["only in the autostash", "topic", "main", "resolving", "their side, staged by hand"] {
            assert!(all.lines().any(|it| it == line), "{line}: {:?}\n{}", host.capture_refs(), result.0);
        }
        assert!(host.capture_refs().contains(&"index/3".to_owned()), "{:?}", host.capture_refs());
        assert_eq!(result.get("uncaptured"), None, "{:?}", host.lacking());
    }
}

#[test]
fn linked_worktrees_notes_and_refs_of_any_name_are_captured() {
    for shell in shells() {
        let (host, result) = captured(
            shell,
            "git worktree add -q --detach ../beside; cd ../beside; echo 'committed beside' >b; git add b; git commit -qm b\n\
             echo 'staged beside' >s; git add s; echo 'loose beside' >s; cd '../my repo'\n\
             git worktree add -q -b inner in/side; echo 'loose inside' >in/side/l\n\
             git notes add -m 'a note'; git update-ref refs/custom/x $(git commit-tree -m 'a custom ref' HEAD^{tree})",
        );
        let all = host.everything();
        for line in ["committed beside", "staged beside", "loose beside", "loose inside", "a note"] {
            assert!(all.lines().any(|it| it == line), "{line}: {:?}\n{}", host.capture_refs(), result.0);
        }
        for name in ["notes/commits", "other/custom/x", "heads/inner", "worktrees/1/work"] {
            assert!(host.capture_refs().iter().any(|it| it == name), "{name}: {:?}", host.capture_refs());
        }
        assert_eq!(host.lacking(), [""; 0]);
    }
}

#[test]
fn special_files_in_the_git_directory_are_listed_and_do_not_block() {
    for shell in shells() {
        let (host, result) = captured(
            shell,
            "git commit -qam 'on a branch'; echo new >new; cd .git; rm HEAD config index; mkfifo HEAD config index\n\
             mkfifo objects/info/commit-graph refs/heads/pipe logs/pipe; rm -f packed-refs; mkfifo packed-refs\n\
             truncate -s 1T refs/heads/huge; truncate -s 200G ORIG_HEAD; ln -s loop loop; cd ..; mkfifo .gitattributes",
        );
        assert!(host.everything().contains("new\n"), "{}", result.0);
        assert_eq!(result.class(), "unchecked", "{}", result.0);
        let lacking = host.lacking().join("\n");
        for path in
            ["special .git/HEAD", "special .git/packed-refs", "other .git/refs/heads/huge", "other .git/ORIG_HEAD"]
        {
            assert!(lacking.contains(path), "{path}: {lacking}");
        }
        assert!(host.capture_refs().contains(&"heads/main".to_owned()), "{:?}", host.capture_refs());
    }
}

#[test]
fn a_git_directory_in_another_place_or_format_is_read() {
    let reftable = "git init -q --ref-format=reftable ../r && rm -rf .git && mv ../r/.git . && git add -A && git commit -qm away\n\
                    git commit -q --allow-empty -m dropped; git reset -q --hard HEAD~; git branch side";
    let commit = "echo away >away; git add away; git commit -qm away; git branch side;";
    let elsewhere = [
        format!("{commit} mv .git ../apart; echo 'gitdir: ../apart' >.git"),
        format!("{commit} mv .git hidden"),
        format!("{commit} mv .git ../aside.git; ln -s ../aside.git .git"),
        reftable.to_owned(),
    ];
    for agent in elsewhere {
        if agent == reftable && TestHost::git_version() < (2, 45) {
            continue;
        }
        let (host, result) = captured(shells().remove(0), &agent);
        let capture = result.get("capture").unwrap();
        assert_eq!(host.git(&host.cache(), &["log", "-1", "--format=%s", &format!("{capture}^1")]), "away", "{agent}");
        assert!(host.capture_refs().contains(&"heads/side".to_owned()), "{agent}: {:?}", host.capture_refs());
        assert_eq!(host.lacking(), [""; 0], "{agent}");
        if agent == reftable {
            assert!(host.capture_refs().iter().any(|name| name.starts_with("reflog/")), "{:?}", host.capture_refs());
        }
    }
}

#[test]
fn one_path_that_git_cannot_add_does_not_lose_the_others() {
    for shell in shells() {
        let (host, result) = captured(
            shell,
            "echo good >zzz; echo '*.u working-tree-encoding=UTF-16' >.gitattributes; printf a >x.u; mkfifo pipe\n\
             mkdir -p s/.GIT t/.git nest; echo r >s/.GIT/r; echo t >t/.git/t; git init -q nest; echo n >nest/n\n\
             mkdir -p .cursor/agent-handoffs; echo mine >.cursor/agent-handoffs/mine; echo e >'edited file'\n\
             d=$(printf 'd%.0s' 1 2 3 4 5 6 7 8 9 0); d=$d$d$d$d$d$d$d$d$d$d; d=$d$d\n\
             (for i in 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2; do mkdir $d; cd $d; done; echo deep >deep)",
        );
        let capture = result.get("capture").unwrap();
        let files = host.git(&host.cache(), &["diff", "--name-only", &host.oids[0], capture]);
        assert!(files.lines().any(|file| file == "zzz"), "{files}\n{}", result.0);
        assert!(!files.contains("agent-handoffs"), "{files}");
        let lacking = host.lacking();
        let expected = [
            "record .cursor/agent-handoffs",
            "nested nest",
            "special pipe",
            "refused s/.GIT/r",
            "nested t/.git",
            "refused x.u",
        ];
        for line in expected {
            assert!(lacking.iter().any(|it| it == line), "{line}: {lacking:?}");
        }
        assert!(lacking.iter().any(|line| line.starts_with("too-long ddd")), "{lacking:?}");
        assert_eq!(result.get("uncaptured"), Some("7"));
    }
}

#[test]
fn a_capture_that_lacks_something_is_never_no_work() {
    let (host, result) = captured(shells().remove(0), "mkfifo pipe");
    assert_eq!((host.lacking(), result.class()), (vec!["special pipe".to_owned()], "unchecked"), "{}", result.0);
    let (_, result) = captured(shells().remove(0), "true");
    assert_eq!(result.class(), "no-work", "{}", result.0);
}

#[test]
fn the_record_directory_may_be_anything() {
    let cases = [
        "mkdir .agents; ln -s .agents .cursor; mkdir .agents/agent-handoffs; echo w >.agents/agent-handoffs/x",
        "echo w >.cursor",
        "git init -q .cursor; cd .cursor; echo w >agent-handoffs; git add -A; git commit -qm w; cd ..; git add .cursor; echo w >x",
        "mkdir .cursor; ln -s /etc .cursor/agent-handoffs; echo w >x",
    ];
    for agent in cases {
        let (host, result) = captured(shells().remove(0), agent);
        assert_eq!(result.class(), "unchecked", "{agent}: {}", result.0);
        assert!(host.everything().contains("w\n"), "{agent}: {}", result.0);
    }
}

#[test]
fn a_file_that_the_agent_tracks_is_captured_whatever_the_ignore_rules_say() {
    for shell in shells() {
        let (host, result) = captured(
            shell,
            "echo first >'for ced.o'; git add -f 'for ced.o'; echo second >'for ced.o'; echo later >intent.o; git add -Nf intent.o\n\
             mkdir out; echo report >out/report; git add out; git commit -qm out; echo out/ >>.gitignore; git commit -qam rule\n\
             git mv 'edited file' moved.o; echo built >built.o; echo gone >gone.o; git add -f gone.o; rm gone.o\n\
             git worktree add -q ../linked; echo there >../linked/t.o; git -C ../linked add -f t.o",
        );
        let capture = result.get("capture").unwrap();
        let show = |name: &str| host.git(&host.cache(), &["show", &format!("{capture}:{name}")]);
        assert_eq!(
            (show("for ced.o"), show("intent.o"), show("out/report")),
            ("second".into(), "later".into(), "report".into())
        );
        let names = host.git(&host.cache(), &["ls-tree", "-r", "--name-only", capture]);
        let has = |name: &str| names.lines().any(|line| line == name);
        assert!(has("moved.o") && !has("edited file"), "{names}");
        assert!(!has("built.o") && !has("gone.o"), "only what is tracked and there: {names}");
        assert_eq!(host.lacking(), [] as [String; 0]);
        assert!(host.everything().contains("there\n"), "{}", host.everything());
    }
}

#[test]
fn a_tracked_path_that_became_something_else_is_captured_as_that() {
    for shell in shells() {
        let (host, result) = captured(
            shell,
            "rm staged; mkdir staged; echo in >staged/in; mv sub away; ln -s away sub; rm script.sh; git rm -q --cached link; rm link",
        );
        let capture = result.get("capture").unwrap();
        let names = host.git(&host.cache(), &["ls-tree", "-r", "--name-only", capture]);
        let has = |name: &str| names.lines().any(|line| line == name);
        assert!(has("staged/in") && has("sub") && has("away/deep"), "{names}");
        assert!(!has("script.sh") && !has("link"), "{names}");
        assert_eq!((host.lacking(), result.get("uncaptured")), (vec![], None), "{names}");
    }
}

#[test]
fn a_tracked_file_that_an_ignore_rule_matches_is_work() {
    let (_, result) = captured(shells().remove(0), "echo result >result.o; git add -f result.o");
    assert_eq!(result.class(), "unchecked", "{}", result.0);
    let (_, result) = captured(shells().remove(0), "echo built >built.o");
    assert_eq!(result.class(), "no-work", "{}", result.0);
}

#[test]
fn many_refs_are_captured_as_one_and_none_is_lost() {
    let (host, result) = captured(
        shells().remove(0),
        "git commit -qam base; h=$(git rev-parse HEAD); other=$(git commit-tree -m 'of the last' HEAD^{tree})\n\
         { for i in $(seq 3000); do echo \"$h refs/heads/b$i\"; done; echo \"$other refs/heads/zz/last\"; } >>.git/packed-refs",
    );
    assert!(host.capture_refs().len() < 600, "{}", host.capture_refs().len());
    let names = host.git(&host.cache(), &["show", &format!("refs/capture/{}/1/refs:refs", host.name)]);
    assert!(names.lines().any(|line| line.ends_with(" refs/heads/zz/last")), "{}", names.lines().count());
    let below = format!("--glob=refs/capture/{}/1", host.name);
    assert!(host.git(&host.cache(), &["log", "--format=%s", &below]).lines().any(|line| line == "of the last"));
    assert_eq!(result.get("uncaptured"), None);
}

#[test]
fn a_damaged_ref_does_not_lose_the_others() {
    let (host, result) = captured(
        shells().remove(0),
        "git checkout -qb whole; git commit -qam whole; git checkout -qb torn; echo t >t; git add t; git commit -qm torn\n\
         rm .git/objects/$(git rev-parse HEAD^{tree} | sed 's|^..|&/|'); git symbolic-ref HEAD refs/heads/whole; git read-tree whole; rm t\n\
         echo garbage >.git/refs/heads/garbage; echo 1111111111111111111111111111111111111111 >.git/refs/heads/none",
    );
    assert!(host.capture_refs().contains(&"heads/whole".to_owned()), "{:?}\n{}", host.capture_refs(), result.0);
    let lacking = host.lacking();
    for path in ["other .git/refs/heads/torn", "other .git/refs/heads/garbage", "other .git/refs/heads/none"] {
        assert!(lacking.iter().any(|it| it == path), "{path}: {lacking:?}");
    }
}

#[test]
fn lock_files_of_a_crash_do_not_block_a_capture() {
    for shell in shells() {
        let (host, result) = captured(
            shell,
            "echo w >w; touch ~/.handoff/work/*/capture.git/index.lock\n\
             for c in ~/.handoff/cache/*.git; do mkdir -p $c/refs/capture/${HANDOFF_MARK%.*}/1; touch $c/refs/capture/${HANDOFF_MARK%.*}/1/work.lock; done",
        );
        assert!(host.everything().contains("w\n"), "{}", result.0);
    }
}

#[test]
fn a_step_that_hangs_is_ended_and_the_files_are_captured() {
    for shell in shells() {
        let host = TestHost::shipped(shell, "cd ..; echo w >w");
        host.limit_stalls(3);
        let real = std::env::split_paths(&std::env::var_os("PATH").unwrap())
            .map(|dir| dir.join("find"))
            .find(|it| it.exists());
        host.shadow(
            "find",
            &format!(
                "[ ! -e ~/hang ] || case \"$*\" in *./modules*) exec sleep 100;; esac\nexec {} \"$@\"",
                real.unwrap().display()
            ),
        );
        host.agent("cd ..; echo w >w; touch ~/hang");
        host.ensure(1, &[("grant", &grant(&[("last", "1")]))]);
        let result = host.result(1);
        assert!(host.everything().contains("w\n"), "{}", result.0);
        assert_eq!(host.lacking(), ["other .git"], "{}", result.0);
    }
}
