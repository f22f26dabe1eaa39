# Captures what the agent left: its files through our own git directory, its commits read as data.

# Makes a commit with handoff as its author.
commit_as_handoff() {
  (
    GIT_AUTHOR_NAME=handoff GIT_AUTHOR_EMAIL=handoff@localhost
    GIT_COMMITTER_NAME=handoff GIT_COMMITTER_EMAIL=handoff@localhost
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
    borrowing capture_git commit-tree "$@"
  )
}

# Makes a stash-shaped commit of HEAD $1, the index of the git directory $2 and the files $3, and sets $made_commit to
# its id. Stages of a conflict become tips below $4.
make_commit() {
  index_files=$3 conflicts=
  if [ -n "$2" ] && read_index "$2"; then index_files=$staged conflicts=$stages; fi
  say "$conflicts" | while read -r stage_tree stage; do
    [ -n "$stage_tree" ] || continue
    oid=$(commit_as_handoff "$stage_tree" ${1:+-p "$1"} -m "stage $stage of the index, $name, attempt $n") &&
      say "$oid $4index/$stage" >>"$own/tips"
  done
  index_commit=$(commit_as_handoff "$index_files" ${1:+-p "$1"} -m "index of $name, attempt $n") &&
    made_commit=$(commit_as_handoff "$3" ${1:+-p "$1"} -p "$index_commit" -m "files of $name, attempt $n")
}

# Copies into the cache the objects of the tips in a file that it does not have, then checks that none is missing.
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

# Fetches a commit of a HEAD, the index of a git directory and the files.
fetch_first() {
  make_commit "$1" "$2" "$files" "" && say "$made_commit work" >"$own/first" && fetch_tips "$own/first"
}

# Fetches the files, the index and HEAD into the cache as one commit, and lists it in `kept`. Sets $agent_head.
fetch_work() {
  true >"$own/tips" || return 1
  if [ -z "$agent_head" ] || ! fetch_first "$agent_head" "$git_dir"; then
    [ -z "$agent_head" ] || say .git/HEAD | lack
    agent_head=
    if ! fetch_first "$head" "$git_dir"; then
      say .git/index | lack
      fetch_first "$head" '' || return 1
    fi
  fi
  say "$agent_head" >"$own/agent-head"
  cp "$own/first" "$own/kept"
}

# Fetches everything else that the agent's repository names.
fetch_rest() {
  bad=$own/bad
  true >"$bad" && true >"$own/ends" || return 1
  take_refs
  capture_worktrees
  find_dropped
  [ ! -s "$own/tips" ] || by_halves fetch_tips "$own/tips" "$bad"
  sed 's|^[^ ]* reflog/|.git/reflog/|; s|^[0-9a-f]* |.git/refs/|' "$bad" | lack
  find_git_lacking
  not_in "$bad" 0 <"$own/tips" >>"$own/kept"
}

# Captures the attempt, once. Sets $capture (the commit), $files (its tree), $agent_head (the agent's HEAD) and $note
# (what went wrong). Sets $lacking and $uncaptured.
take_capture() {
  if capture=$(link_of "$at/capture"); then
    files=$(cache_git rev-parse -q --verify "$capture^{tree}")
    # A HEAD without a commit is no parent.
    agent_head=$(cache_git rev-parse -q --verify "$capture^2" >/dev/null && cache_git rev-parse -q --verify "$capture^1")
    uncaptured=$(sed -n 's/^count \([0-9]*\) .*/\1/p' "$at/uncaptured" 2>/dev/null)
    return 0
  fi
  capture='' files=''
  if ! find_attempt_tree; then
    note="${note}the checkout is gone; " agent_head=
    return 1
  fi
  lacking=$at/lacking
  rm -f "$lacking" "$job/capture.git/captured-worktrees"
  clear_locks
  capture_companions 2>>"$job/runner.log"
  capture_tree || return 1
  list_siblings | tr '\n\0' '?\n' | lack
  store_capture || return 1
  write_uncaptured
  ln -s "$work" "$at/capture" && capture=$work && event capture
}

# Captures the files, the index and the repository of a tree, and lists what becomes refs in `kept`. Sets $files,
# $agent_head and $note.
capture_tree() {
  drop_replaced
  hash_files || return 1
  read_agent_git || say .git | lack
  if [ -n "$git_dir" ]; then steadily add_tracked "$git_dir" 2>>"$job/runner.log" || say .git/index | lack; fi
  link_companions
  files=$(capture_git write-tree) && is_hex "$files" || return 1
  steadily fetch_work 2>>"$job/runner.log" || return 1
  read -r agent_head <"$own/agent-head" || agent_head=
  if [ -n "$git_dir" ] && ! steadily fetch_rest 2>>"$job/runner.log"; then say .git | lack; fi
  steadily capture_contents 2>>"$job/runner.log" || say .git/lfs | lack
  steadily find_lacking
}

# Makes the refs of a capture. Sets $work to its commit.
store_capture() {
  if ! sort -u "$own/kept" | sed "s|^\\([^ ]*\\) \\(.*\\)|update refs/capture/$name/$n/\\2 \\1|" | cache_git update-ref --stdin 2>/dev/null; then
    # If two names exclude each other, both objects are kept under names made of their ids.
    LC_ALL=C awk -v below="refs/capture/$name/$n/" '{ print "update " below ($2 == "work" ? "work" : "reflog/" $1) " " $1 }' "$own/kept" |
      sort -u | cache_git update-ref --stdin || return 1
  fi
  work=$(sed -n 's/ work$//p' "$own/kept")
}

# Prints a commit of the tree $1 whose parents are the commits of stdin, as git stores it. The result is the same at
# each call.
commit_text() {
  say "tree $1"
  sort -u | sed 's/^/parent /'
  printf 'author %s\ncommitter %s\n\n%s %s, attempt %s\n' "$handoff_author" "$handoff_author" "$2" "$name" "$n"
}
handoff_author='handoff <handoff@localhost> 0 +0000'
