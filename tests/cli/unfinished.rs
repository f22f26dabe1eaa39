//! Operations of git that the user has not finished: the host gets them as they are, and the agent finishes them.

use crate::support::laptop::Laptop;
use crate::support::{ID, TASK};

/// What both sides say about the state of the repository.
///
/// Where a detached HEAD comes from is only in its log.
const STATE: &str = "git status | grep -v -e '^HEAD detached' -e '^Not currently on'; git ls-files -s; git rev-parse HEAD; git for-each-ref refs/bisect refs/rewritten; \
                     for file in MERGE_HEAD MERGE_MSG MERGE_MODE AUTO_MERGE CHERRY_PICK_HEAD REVERT_HEAD REBASE_HEAD \
                     ORIG_HEAD BISECT_LOG BISECT_START BISECT_TERMS BISECT_NAMES BISECT_EXPECTED_REV; do git rev-parse -q --verify $file; \
                     cat \"$(git rev-parse --git-path $file)\" 2>/dev/null; done; \
                     cd \"$(git rev-parse --git-dir)\"; \
                     find rebase-merge rebase-apply sequencer -type f 2>/dev/null | sort | xargs cksum /dev/null; true";

/// Resolves every conflict.
const RESOLVE: &str = "for file in $(git diff --name-only --diff-filter=U); do echo resolved >$file; done; git add -A";

/// A repository with commits that fit each other and commits that do not.
const HISTORY: &str = "set -e
    commit() { echo $2 >$1; git add -A; git commit -qm \"$1 $2\"; }
    commit shared 1; commit other 1
    git checkout -q -b side; commit shared side; commit new side; commit other side
    git checkout -q -b fits HEAD~3; commit alone fits; commit second fits
    git checkout -q main; commit shared main; commit third main; commit shared later";

struct Case {
    name: &'static str,
    /// Leaves the operation unfinished.
    begin: &'static str,
    /// Finishes it.
    finish: &'static str,
}

const fn case(name: &'static str, begin: &'static str, finish: &'static str) -> Case {
    Case { name, begin, finish }
}

const CASES: [Case; 14] = [
    case("a merge", "git merge side", "git merge --continue"),
    case("a merge without conflicts", "git merge --no-ff --no-commit fits", "git merge --continue"),
    case(
        "an octopus merge",
        "git merge --no-commit fits side~2 HEAD~1; echo x >x; git add x",
        "git commit -qm octopus",
    ),
    case("a squashed merge", "git merge --squash side", "git commit -qm squashed"),
    case("a rebase", "git checkout -q side; git rebase main", "git rebase --continue"),
    case(
        "a rebase that stops to edit",
        "GIT_SEQUENCE_EDITOR='sed -i 1s/pick/edit/' git rebase -i HEAD~2",
        "git rebase --continue",
    ),
    case("a rebase with the other backend", "git checkout -q side; git rebase --apply main", "git rebase --continue"),
    case(
        "a rebase that keeps merges and moves branches",
        "git checkout -q -b top side; git branch below side~1; git merge -q --no-ff --no-edit fits; echo dirty >>alone; \
         git rebase -q --rebase-merges --update-refs --autostash main",
        "git rebase --continue",
    ),
    case("git am", "git format-patch -q -1 --stdout side~2 | git am -q -3", "git am --continue"),
    case("a cherry-pick", "git cherry-pick side~2", "git cherry-pick --continue"),
    case("several cherry-picks", "git cherry-pick side~2 fits~1 fits", "git cherry-pick --continue"),
    case("several reverts", "git revert --no-edit HEAD~2 HEAD~1", "git revert --continue"),
    case("reftable", "git refs migrate --ref-format=reftable; git cherry-pick side~2", "git cherry-pick --continue"),
    case("a bisect", "git bisect start; git bisect bad; git bisect good HEAD~3", "git bisect good && git bisect reset"),
];

fn shell(laptop: &Laptop, script: &str) -> String {
    laptop.shell(&format!("export GIT_EDITOR=true\n{script}"))
}

/// Ships the state of the repository. The agent finishes the operation, and so does the user, to the same result.
fn ship(case: &Case, prepare: &str) {
    let mut laptop = Laptop::new();
    shell(&laptop, HISTORY);
    shell(&laptop, &format!("{{ {}; }} >/dev/null 2>&1; true", case.begin));
    shell(&laptop, prepare);
    laptop.plan(&format!(
        "turn 1\nrun {{ {STATE}; }} >\"$HOME/state\" 2>&1; cd - >/dev/null; export GIT_EDITOR=true; {RESOLVE}; \
         {} >\"$HOME/said\" 2>&1; git fsck --no-dangling >\"$HOME/fsck\" 2>&1\nfinish Done.\n",
        case.finish
    ));
    let before = shell(&laptop, &format!("{{ {STATE}; }} 2>&1"));
    laptop.run([TASK]).run().exits(0).done();
    assert_eq!(shell(&laptop, &format!("{{ {STATE}; }} 2>&1")), before, "{}: the laptop's has changed", case.name);
    let read = |name: &str| std::fs::read_to_string(laptop.hosts[0].home.join(name)).unwrap();
    assert_eq!(read("state"), before, "{}", case.name);
    assert_eq!(read("fsck"), "", "{}", case.name);

    shell(&laptop, &format!("{RESOLVE}; {{ {}; }} >/dev/null 2>&1", case.finish));
    let log = |tip: &str| laptop.git(&["log", "--format=%T %s", tip]);
    let work = format!("refs/handoff/{ID}/1/work^1");
    assert_eq!(log(&work), log("HEAD"), "{}: {}", case.name, read("said"));
    laptop.takeover().exits(0).done();
}

#[test]
fn an_unfinished_operation_is_finished_on_the_host() {
    for case in CASES {
        ship(&case, "");
    }
}

#[test]
fn an_operation_whose_conflicts_are_resolved_is_finished_on_the_host() {
    for case in CASES {
        ship(&case, RESOLVE);
    }
}

#[test]
fn a_merge_in_the_worktree_of_a_takeover_is_given_and_a_rebase_is_refused() {
    let laptop = Laptop::with_plan(
        "turn 1\nedit total.sh <<END\nby the agent\nEND\nrun git commit -qam 'By the agent'\nfinish First.\n\
         turn 2\nrun git status >\"$HOME/status\"; echo both >total.sh; git add -A; GIT_EDITOR=true git merge --continue\n\
         finish Second.\n",
    );
    laptop.run([TASK]).run().exits(0).done();
    shell(&laptop, "echo mine >total.sh; git commit -qam 'By me'");
    laptop.takeover().exits(0).done();
    let worktree = laptop.worktree();
    let in_worktree =
        |script: &str| shell(&laptop, &format!("cd '{}'; {script} >/dev/null 2>&1; true", worktree.display()));
    in_worktree("git rebase main");
    let refused = laptop.handoff(["give", ID]).run().exits(2).complains("a rebase is not finished in ");
    refused
        .complains(&format!("try: git -C {0} rebase --continue, or git -C {0} rebase --abort", worktree.display()))
        .done();
    laptop.status_is("interactive");

    in_worktree("git rebase --abort; git merge main");
    laptop.handoff(["give", ID]).run().exits(0).done();
    let status = std::fs::read_to_string(laptop.hosts[0].home.join("status")).unwrap();
    assert!(status.contains("You have unmerged paths") && status.contains("both modified:   total.sh"), "{status}");
    laptop.takeover().exits(0).done();
    let parents = laptop.git(&["log", "-1", "--format=%s|%p", &format!("handoff/{ID}.2")]);
    assert_eq!(parents.trim().split('|').nth(1).unwrap().split(' ').count(), 2, "{parents}");
}

#[test]
fn a_checkout_that_is_made_again_says_that_the_operation_is_not_in_it() {
    let plan = "turn 1\nedit notes.txt <<END\nby the agent\nEND\nfail 1 Error: Authentication required\n\
                turn 2\nfinish Done.\n";
    let mut laptop = Laptop::with_plan(plan);
    laptop.add_host("other");
    shell(&laptop, HISTORY);
    shell(&laptop, "git merge side >/dev/null 2>&1; true");
    laptop.run([TASK]).run().exits(3).done();
    let told = "the checkout is new and has the files, but not the state of a merge in progress";
    laptop.handoff(["resume", ID, "--host", "other"]).run().exits(0).says(told).done();
}
