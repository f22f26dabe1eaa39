//! The moves of an agent: shell commands that run in the checkout. `$N` is a number that no other move has.
//!
//! A move that makes a commit which must survive appends `<oid> <description>` to `~/commits`.

/// Appends the id of HEAD to the list of commits that must survive.
const COMMITTED: &str = "echo \"$(git rev-parse HEAD) commit $N\" >>~/commits";

/// Time limit of a move in seconds. Git hangs on some results of earlier moves.
const LIMIT: u32 = 10;

/// A move and its commands.
pub struct Move {
    pub name: &'static str,
    pub commands: &'static str,
    /// Whether HEAD must survive after this move.
    pub commits: bool,
}

impl Move {
    /// The commands, with their number.
    pub fn script(&self, number: usize) -> String {
        let kept = if self.commits { COMMITTED } else { ":" };
        let (commands, limit) = (self.commands, LIMIT);
        format!("N={number} timeout {limit} sh <<'END OF MOVE'\n( {commands} ) && {kept}\nEND OF MOVE\n")
    }
}

const fn plain(name: &'static str, commands: &'static str) -> Move {
    Move { name, commands, commits: false }
}

const fn commit(name: &'static str, commands: &'static str) -> Move {
    Move { name, commands, commits: true }
}

/// Every move.
pub const MOVES: &[Move] = &[
    // Files and their modes.
    plain("write", "echo \"work $N\" >file-$N.txt"),
    plain("write deep", "mkdir -p a/b/c-$N && echo \"deep $N\" >a/b/c-$N/file.txt"),
    plain("append", "echo \"more $N\" >>README.md"),
    plain("delete", "rm -f notes.txt"),
    plain("ignore it", "echo \"file-$N.log\" >>.gitignore; echo \"ignored $N\" >file-$N.log"),
    plain("exclude it", "mkdir -p .git/info; echo \"hidden-$N\" >>.git/info/exclude; echo \"hidden $N\" >hidden-$N"),
    plain("assume unchanged", "git update-index --assume-unchanged README.md; echo \"unseen $N\" >>README.md"),
    plain("skip worktree", "git update-index --skip-worktree total.sh; echo \"# unseen $N\" >>total.sh"),
    plain("attributes", "echo '*.txt filter=none text eol=crlf' >>.gitattributes; echo \"crlf $N\" >crlf-$N.txt"),
    plain("unreadable file", "echo \"locked $N\" >locked-$N; chmod 000 locked-$N"),
    plain("unreadable directory", "mkdir locked-$N.d && echo \"inside $N\" >locked-$N.d/file && chmod 000 locked-$N.d"),
    plain("read-only directory", "mkdir -p ro-$N/x && echo \"fixed $N\" >ro-$N/x/file && chmod 555 ro-$N/x ro-$N"),
    plain(
        "read-only ignored",
        "echo \"mod-$N/\" >>.gitignore; mkdir -p mod-$N/x && echo \"module $N\" >mod-$N/x/f && chmod -R a-w mod-$N",
    ),
    plain("fifo", "mkfifo pipe-$N"),
    plain(
        "odd names",
        "echo \"odd $N\" >\"new
line-$N\"; echo \"odd $N\" >\" lead-$N\"; echo \"odd $N\" >'-q'$N; echo \"odd $N\" >\"$(printf 'bad-\\377-%s' $N)\"",
    ),
    plain(
        "long path",
        "d=dddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddddd; i=0; \
        while [ $i -lt 45 ]; do mkdir -p $d && cd $d || exit; i=$((i + 1)); done; echo \"far $N\" >far-$N",
    ),
    plain(
        "old times",
        "find . -name .git -prune -o -type f -exec touch -d '1990-01-01' {} + 2>/dev/null; echo \"old $N\" >old-$N; touch -d '1980-01-01' old-$N",
    ),
    plain("future times", "echo \"new $N\" >new-$N; touch -d '2091-01-01' new-$N"),
    plain("hard link", "echo \"linked $N\" >hard-$N && ln hard-$N hard-$N.too"),
    plain("symbolic links", "ln -s /etc/passwd link-$N; ln -s link-$N.loop link-$N.loop; ln -s nowhere dangling-$N"),
    plain("directory becomes file", "rm -rf a && echo \"now a file $N\" >a"),
    plain("file becomes directory", "rm -f notes.txt && mkdir -p notes.txt && echo \"below $N\" >notes.txt/file-$N"),
    plain("git name", "mkdir -p sub-$N/.GIT && echo \"case $N\" >sub-$N/.GIT/config"),
    // The record and its path.
    plain(
        "record files",
        "mkdir -p .cursor/agent-handoffs/x && echo \"agent's own $N\" >.cursor/agent-handoffs/x/file-$N",
    ),
    plain(
        "cursor is a link",
        "mkdir -p .agents; [ ! -d .cursor ] || [ -h .cursor ] || mv .cursor/* .agents/ 2>/dev/null; rm -rf .cursor; ln -s .agents .cursor; echo \"rule $N\" >.agents/rule-$N",
    ),
    plain("cursor is a file", "rm -rf .cursor; echo \"a file $N\" >.cursor"),
    plain("cursor is a repository", "rm -rf .cursor; git init -q .cursor; echo \"nested rules $N\" >.cursor/rule"),
    // Nested repositories and worktrees.
    plain("nested repository", "git init -q nest-$N && echo \"nested $N\" >nest-$N/file"),
    plain(
        "nested with a commit",
        "git init -q nest-$N && cd nest-$N && echo \"nested $N\" >file && git add file && git commit -qm nested",
    ),
    plain(
        "worktree outside",
        "git worktree add -q --detach ../wt-$N HEAD && cd ../wt-$N && echo \"worktree $N\" >wt-$N.txt && git add -A && git commit -qm wt && echo \"$(git rev-parse HEAD) worktree $N\" >>~/commits && echo \"dirty $N\" >dirty-$N",
    ),
    plain(
        "worktree inside",
        "git worktree add -q -b inside-$N wt-in-$N HEAD && cd wt-in-$N && echo \"inside $N\" >in-$N.txt && git add -A && git commit -qm in && echo \"$(git rev-parse HEAD) worktree $N\" >>~/commits && echo \"dirty $N\" >dirty-$N",
    ),
    // Commits and refs.
    commit("commit", "echo \"committed $N\" >commit-$N.txt && git add commit-$N.txt && git commit -qm \"commit $N\""),
    commit(
        "commit on a branch",
        "git checkout -q -b branch-$N && echo \"branch $N\" >branch-$N.txt && git add -A . ; git commit -qm \"branch $N\"",
    ),
    commit(
        "detached commit",
        "git checkout -q --detach && echo \"detached $N\" >detached-$N.txt && git add -A . ; git commit -qm \"detached $N\"",
    ),
    plain(
        "commit, then reset",
        "echo \"reset $N\" >reset-$N.txt && git add reset-$N.txt && git commit -qm reset && echo \"$(git rev-parse HEAD) reset $N\" >>~/commits && git reset -q --hard HEAD~1",
    ),
    plain(
        "commit, then amend",
        "echo \"first $N\" >amend-$N.txt && git add amend-$N.txt && git commit -qm first && echo \"$(git rev-parse HEAD) amended $N\" >>~/commits && git commit -q --amend -m second",
    ),
    plain(
        "stash",
        "echo \"stashed $N\" >stash-$N.txt && git stash -q -u && echo \"$(git rev-parse stash@{0}) stash $N\" >>~/commits",
    ),
    plain(
        "notes",
        "git notes add -f -m \"note $N\" HEAD && echo \"$(git rev-parse refs/notes/commits) note $N\" >>~/commits",
    ),
    plain("tag and custom ref", "git tag -a -m \"tag $N\" tag-$N && git update-ref refs/custom/$N HEAD"),
    plain(
        "many branches",
        "o=$(git rev-parse HEAD); i=0; while [ $i -lt 3000 ]; do echo \"create refs/heads/many-$N/$i $o\"; i=$((i + 1)); done | git update-ref --stdin",
    ),
    plain("staged only", "echo \"staged $N\" >staged-$N && git add staged-$N && echo \"worktree $N\" >staged-$N"),
    plain(
        "merge conflict",
        "b=$(git rev-parse HEAD); git checkout -q -b left-$N && echo \"left $N\" >both && git add both && git commit -qm left && git checkout -q -b right-$N $b && echo \"right $N\" >both && git add both && git commit -qm right && echo \"$(git rev-parse HEAD) right $N\" >>~/commits; git merge -q left-$N; true",
    ),
    plain(
        "rebase conflict",
        "b=$(git rev-parse HEAD); git checkout -q -b base-$N && echo \"base $N\" >fight && git add fight && git commit -qm base && git checkout -q -b top-$N $b && echo \"top $N\" >fight && git add fight && git commit -qm top && echo \"$(git rev-parse HEAD) rebased $N\" >>~/commits; git rebase base-$N >/dev/null 2>&1; true",
    ),
    plain(
        "rebase with autostash",
        "git checkout -q -b auto-$N && echo \"dirty $N\" >>README.md && git -c rebase.autoStash=true -c sequence.editor='sed -i 1ibreak' rebase -q -i --root >/dev/null 2>&1; [ ! -f .git/rebase-merge/autostash ] || echo \"$(cat .git/rebase-merge/autostash) autostash $N\" >>~/commits; true",
    ),
    plain(
        "cherry-pick conflict",
        "b=$(git rev-parse HEAD); git checkout -q -b cherry-$N && echo \"cherry $N\" >pick && git add pick && git commit -qm cherry && c=$(git rev-parse HEAD) && git checkout -q --detach $b && echo \"other $N\" >pick && git add pick && git commit -qm other && echo \"$c cherry $N\" >>~/commits; git cherry-pick $c >/dev/null 2>&1; true",
    ),
    plain("bisect", "git bisect start -q HEAD >/dev/null 2>&1; true"),
    plain("gc", "git gc -q --prune=now"),
    plain("pack refs", "git pack-refs --all"),
    plain("orphan", "git checkout -q --orphan orphan-$N; echo \"orphan $N\" >orphan-$N.txt"),
    // Git's own files.
    plain(
        "git directory moved",
        "[ ! -d .git ] || { mv .git ../moved-$N.git && echo \"gitdir: $(cd .. && pwd)/moved-$N.git\" >.git; }",
    ),
    plain("git directory deleted", "rm -rf .git"),
    plain("HEAD is a pipe", "rm -f .git/HEAD && mkfifo .git/HEAD"),
    plain("index is a pipe", "rm -f .git/index && mkfifo .git/index"),
    plain("packed-refs is a pipe", "rm -f .git/packed-refs && mkfifo .git/packed-refs"),
    plain("a ref is a pipe", "mkfifo .git/refs/heads/pipe-$N"),
    plain(
        "the stash's log is a pipe",
        "mkdir -p .git/logs/refs && rm -f .git/logs/refs/stash && mkfifo .git/logs/refs/stash",
    ),
    plain("HEAD is rubbish", "head -c 3000 /dev/urandom >.git/HEAD"),
    plain("index is rubbish", "head -c 3000 /dev/urandom >.git/index"),
    plain("config is rubbish", "printf '[core\\nfsmonitor = touch /tmp/never\\n' >>.git/config"),
    plain(
        "hooks",
        "mkdir -p .git/hooks; printf '#!/bin/sh\\necho hooked >>~/hooked\\n' >.git/hooks/post-checkout; chmod +x .git/hooks/post-checkout; git config core.fsmonitor \"touch ~/hooked\"; git config filter.none.clean \"touch ~/hooked\"",
    ),
    plain("locks", "true >.git/index.lock; true >.git/HEAD.lock; true >.git/packed-refs.lock"),
    plain(
        "our locks",
        "for d in ~/.handoff/work/*/capture.git; do true >\"$d/index.lock\"; true >\"$d/config.lock\"; done; for d in ~/.handoff/cache/*.git; do true >\"$d/packed-refs.lock\"; done",
    ),
    // handoff's own directory, and the clock.
    plain("the work directory is deleted", "rm -rf ~/.handoff/work"),
    plain("the root is deleted", "rm -rf ~/.handoff"),
    plain("clock forwards", "echo 864000 >~/offset"),
    plain("clock backwards", "echo -864000 >~/offset"),
];
