//! Objects that git refuses during the fetch are named and stay on their host. Everything else is fetched.

use crate::row::Row;
use crate::support::laptop::Ran;
use crate::support::site::{ID, Site};

/// Looks for texts in the output that a person reads.
fn shows(ran: &Ran, texts: &[&str]) {
    texts.iter().for_each(|text| assert!(ran.stdout.contains(text), "{text:?} in {}", ran.stdout));
}

/// A plan step that makes a branch whose tree has one more entry, made by hand.
fn branch(name: &str, entry: &str) -> String {
    format!(
        "run b=$(echo x | git hash-object -w --stdin); t=$(printf '100644 blob %s\\t{entry}\\n' $b | git mktree); \
         git branch {name} $(git -c user.name=a -c user.email=a@b commit-tree $t -p HEAD -m x)\n"
    )
}

#[test]
fn r79_bad_side_branch() {
    let _row = Row::begin(79);
    let site = Site::new();
    let plan = format!(
        "turn 1\nedit made.txt <<END\nby the agent\nEND\n{}{}finish Done.\n",
        branch("bad", ".git"),
        branch("good", "fine.txt")
    );
    site.plan(&plan);
    let accept = format!("git config fetch.fsck.hasDotgit warn && handoff pull {ID}");
    shows(&site.run_checked("true", &[]).run().success(), &["refused:   heads/bad (tree ", "hasDotgit", &accept]);
    let refs = site.laptop.git(&["for-each-ref", "--format=%(refname)", &format!("refs/handoff/{ID}/1")]);
    assert!(refs.contains("/heads/good") && !refs.contains("/heads/bad"), "{refs}");
    site.handoff(&["pull"]).run().success();
    let kept = site.handoff(&["clean"]).run().fails_with(1);
    shows(&kept, &["heads/bad", "keeps what it had", "--discard-ignored"]);
    let taken = site.laptop.path("taken");
    site.handoff(&["takeover", "--editor", "none", "--worktree", taken.to_str().unwrap()]).run().success();
    assert_eq!(std::fs::read_to_string(taken.join("made.txt")).unwrap(), "by the agent\n");
    let gone = site.handoff(&["clean", "--discard-ignored"]).run().success();
    shows(&gone, &["deleted: 1 ref that git refused here"]);
}

#[test]
fn r80_refused_work() {
    let _row = Row::begin(80);
    let evil =
        "run printf '[submodule \"../../hooks\"]\\n\\tpath = s\\n\\turl = https://example.com/s\\n' >.gitmodules\n";
    // The objects come over git's own protocol, and as a pack in a file.
    for large in ["", "run head -c 36000000 /dev/urandom >large.bin\n"] {
        let site = Site::new();
        site.plan(&format!("turn 1\n{evil}{large}finish Done.\n"));
        shows(&site.run_checked("true", &[]).run().fails_with(1), &["refused:   work (blob ", "gitmodulesName"]);
        let pack_files = || site.laptop.git(&["count-objects", "-v"]);
        let before = pack_files();
        for _ in 0..2 {
            let refused = site.handoff(&["pull"]).run().fails_with(1);
            assert!(refused.stderr.contains("try: git config fetch.fsck.gitmodulesName warn"), "{}", refused.stderr);
            assert_eq!(pack_files(), before, "no refused object stays");
        }
        assert_eq!(site.laptop.git(&["for-each-ref", &format!("refs/handoff/{ID}/1")]), "");
        site.handoff(&["takeover", "--editor", "none"]).run().fails_with(1);
        site.laptop.git(&["config", "fetch.fsck.gitmodulesName", "warn"]);
        site.handoff(&["pull"]).run().success();
        assert!(site.laptop.git(&["show", &format!("refs/handoff/{ID}/1/work:.gitmodules")]).contains("hooks"));
    }
}

#[test]
fn r81_odd_history() {
    let _row = Row::begin(81);
    let site = Site::new();
    site.plan(
        "turn 1\nrun t=$(git rev-parse 'HEAD^{tree}') p=$(git rev-parse HEAD) w='T <t@example.org> 1313584730 +051800'; \
         c=$(printf 'tree %s\\nparent %s\\nauthor %s\\ncommitter %s\\n\\nimported\\n' \"$t\" \"$p\" \"$w\" \"$w\" | \
         git hash-object -t commit -w --literally --stdin); git update-ref HEAD $c; echo more >more.txt\nfinish Done.\n",
    );
    site.run_checked("true", &[]).run().success();
    assert!(site.laptop.git(&["cat-file", "commit", &format!("refs/handoff/{ID}/1/work^1")]).contains("+051800"));
    site.handoff(&["clean"]).run().success();
}
