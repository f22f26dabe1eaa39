# Capturing what the agent left: its files through our own git directory, its commits read as data.

# Refs of the agent's that come back under their names; more are counted and named.
most_refs=10000

commit_as_handoff() {
  (
    GIT_AUTHOR_NAME=handoff GIT_AUTHOR_EMAIL=handoff@localhost
    GIT_COMMITTER_NAME=handoff GIT_COMMITTER_EMAIL=handoff@localhost
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
    borrowing capture_git commit-tree "$@"
  )
}

# The stash-shaped commit of HEAD $1, the index of the git directory $2 and the files $3, in $made; stages of a conflict
# become tips below $4.
make_commit() {
  { [ -n "$2" ] && read_index "$2"; } || staged=$3 stages=
  say "$stages" | while read -r stage_tree stage; do
    [ -n "$stage_tree" ] || continue
    oid=$(commit_as_handoff "$stage_tree" ${1:+-p "$1"} -m "stage $stage of the index, $name, attempt $n") &&
      say "$oid $4index/$stage" >>"$own/tips"
  done
  staged=$(commit_as_handoff "$staged" ${1:+-p "$1"} -m "index of $name, attempt $n") &&
    made=$(commit_as_handoff "$3" ${1:+-p "$1"} -p "$staged" -m "files of $name, attempt $n")
}

# What the laptop holds and sent, as lines `<oid>`.
list_known() {
  say "$commit"
  [ -z "$head" ] || say "$head"
  sed -n 's/^ref \([0-9a-f]*\) .*/\1/p' "$spec/ship"
}

# Refs that the agent made or moved, as tips `<oid> <name>` under the capture's refs. A name that the cache could not take is
# replaced by the object's.
find_tips() {
  {
    sed -n 's/^ref /known /p' "$spec/ship"
    [ -z "$branch" ] || say "known $head refs/heads/$branch"
    cat "$own/found-refs"
  } | LC_ALL=C awk -v most="$most_refs" '
    $1 == "known" { known[$3] = $2; next }
    { name = $0; sub(/^[^ ]* /, "", name); refs[name] = $1 }
    END {
      for (name in refs) {
        if (known[name] == refs[name]) continue
        kept = substr(name, 6)
        if (kept !~ /^(heads|tags|notes)\/./ && kept != "stash") kept = "other/" kept
        if (kept ~ /[\001-\040\177~^:?*\[\\]|\.\.|@\{|\/\/|\/\.|\/$|\.$|\.lock(\/|$)|^\./ || length(kept) > 200) kept = "reflog/" refs[name]
        if (++count > most) print name | "sort"
        else print refs[name], kept
      }
    }'
}

# The tips whose objects exist; the refs of the others are named as lacking.
find_whole_tips() {
  find_tips | grep . | sort -u >"$own/named"
  sed -n 's|^refs/|.git/refs/|p' "$own/named" | lack
  sed '/^refs\//d' "$own/named" >"$own/some"
  cut -d ' ' -f 1 "$own/some" | borrowing capture_git cat-file --batch-check 2>/dev/null |
    LC_ALL=C awk '$2 == "missing" { print $1 }' >"$own/missing"
  not_in "$own/missing" 1 <"$own/some" >>"$own/tips"
  LC_ALL=C awk 'NF == 1 { missing[$1] = 1; next } $1 in missing { print ".git/refs/" $2 }' "$own/missing" "$own/some" | lack
}

# What nothing but a file of the git directory names: commits that were reset, amended, stashed or are part of an unfinished
# operation; as tips `<oid> reflog/<oid>`. Of a line of commits only the last counts; many ends are held by one commit.
find_dropped() {
  { list_known && cut -d ' ' -f 1 "$own/tips" && say "$agent_head"; } | grep . | sort -u >"$own/known"
  sort -u "$own/found-ids" | not_in "$own/known" 1 |
    borrowing capture_git cat-file --batch-check='%(objectname) %(objecttype)' 2>/dev/null | grep -v ' missing$' >"$own/typed"
  sed -n 's/ \(commit\|tag\)$//p' "$own/typed" >"$own/dropped"
  [ ! -s "$own/dropped" ] || {
    cat "$own/dropped"
    sed 's/^/^/' "$own/known"
  } | borrowing capture_git rev-list --ignore-missing --parents --stdin 2>/dev/null | LC_ALL=C awk '
    { made[NR] = $1; for (i = 2; i <= NF; i++) below[$i] = 1 }
    END { for (i = 1; i <= NR; i++) if (!(made[i] in below)) print made[i] " reflog/" made[i] }' >"$own/ends"
  head -n 100 "$own/ends" >>"$own/tips"
  tail -n +101 "$own/ends" | cut -d ' ' -f 1 >"$own/more"
  [ ! -s "$own/more" ] || {
    # shellcheck disable=SC2046 # a list of commits
    set -- $(sed 's/^/-p /' "$own/more")
    oid=$(commit_as_handoff "$files_tree" "$@" -m "commits that only logs name, $name, attempt $n") && say "$oid reflog/more" >>"$own/tips"
  }
  sed -n 's/^\([0-9a-f]*\) \(tree\|blob\)$/\1 reflog\/\1/p' "$own/typed" | head -n 100 >>"$own/tips"
}

# Copies into the cache what it lacks of the tips in a file, then sees that nothing is missing.
fetch_tips() {
  {
    cut -d ' ' -f 1 "$1"
    list_known | sed 's/^/^/'
  } | sort -u >"$own/revs"
  borrowing capture_git rev-list --objects --ignore-missing --stdin <"$own/revs" 2>/dev/null >"$own/closure" || return 1
  cut -d ' ' -f 1 "$own/closure" | cache_git cat-file --batch-check 2>/dev/null | sed -n 's/ missing$//p' >"$own/lacks"
  if [ -s "$own/lacks" ]; then
    borrowing capture_git pack-objects -q "$cache/objects/pack/pack" <"$own/lacks" >/dev/null 2>&1 || return 1
  fi
  cache_git rev-list --objects --quiet --ignore-missing --stdin <"$own/revs" 2>/dev/null
}

# Fetches the commit of a HEAD, the index of a git directory and the files.
fetch_first() {
  make_commit "$1" "$2" "$files" "" && say "$made work" >"$own/first" && fetch_tips "$own/first"
}

# The files, index and HEAD, and all that the agent's repository names besides, into the cache; `kept` lists it.
fetch_work() {
  bad=$own/bad
  true >"$own/tips" && true >"$bad" && true >"$own/ends" || return 1
  made=
  if [ -z "$agent_head" ] || ! fetch_first "$agent_head" "$git_dir"; then
    [ -z "$agent_head" ] || say .git/HEAD | lack
    agent_head=
    if ! fetch_first "$head" "$git_dir"; then
      say .git/index | lack
      fetch_first "$head" '' || return 1
    fi
  fi
  say "$agent_head" >"$own/agent-head"
  if [ -n "$git_dir" ]; then
    find_whole_tips
    capture_worktrees
    find_dropped
    [ ! -s "$own/tips" ] || by_halves fetch_tips "$own/tips"
    sed 's|^[^ ]* |.git/|' "$bad" | lack
    find_git_lacking
  fi
  { cat "$own/first" && not_in "$bad" 0 <"$own/tips"; } | sort -u >"$own/kept"
}

# Captures the attempt, once: $capture is the commit, $files its tree, $agent_head the agent's HEAD, $note what was amiss.
take_capture() {
  if capture=$(link_of "$at/capture"); then
    files=$(cache_git rev-parse -q --verify "$capture^{tree}")
    agent_head=$(cache_git rev-parse -q --verify "$capture^1")
    uncaptured=$(sed -n 's/^count \([0-9]*\) .*/\1/p' "$at/uncaptured" 2>/dev/null)
    return 0
  fi
  capture='' files=''
  if ! find_tree; then
    note="${note}the checkout is gone; " agent_head=
    return 1
  fi
  lacking=$at/lacking
  rm -f "$lacking" "$job/capture.git/captured-worktrees"
  hash_files || return 1
  read_agent_git
  within "$step_limit" fetch_work 2>>"$job/runner.log" || return 1
  read -r agent_head <"$own/agent-head" || agent_head=
  within "$step_limit" find_lacking
  sed "s|^\\([^ ]*\\) \\(.*\\)|update refs/capture/$name/$n/\\2 \\1|" "$own/kept" >"$own/updates"
  if ! cache_git update-ref --stdin <"$own/updates" 2>/dev/null; then
    # Names that exclude each other: the objects count.
    LC_ALL=C awk -v below="refs/capture/$name/$n/" '{ print "update " below ($2 == "work" ? "work" : "reflog/" $1) " " $1 }' "$own/kept" |
      sort -u | cache_git update-ref --stdin || return 1
  fi
  write_uncaptured
  work=$(sed -n 's/ work$//p' "$own/kept")
  ln -s "$work" "$at/capture" && capture=$work && event capture
}

# The ends of what a laptop lacks that holds the ships of this handoff and the captures of its earlier attempts.
capture_ends() {
  cache_git for-each-ref --format='%(objectname)' "refs/capture/$name/$n/"
  set -- "refs/handoff/$name/ship/"
  before=$n
  while [ "$before" -gt 1 ]; do
    before=$((before - 1))
    set -- "$@" "refs/capture/$name/$before/"
  done
  cache_git for-each-ref --format='^%(objectname)' "$@"
}

# What the capture lacks, as lines of a reply.
tell_uncaptured() { sed 's/^/lacks /' "$at/uncaptured" 2>/dev/null; }

# How many bytes that is, in $weight; empty where git cannot say (before 2.31).
weigh() { weight=$(capture_ends | cache_git rev-list --objects --disk-usage --stdin 2>/dev/null); }
