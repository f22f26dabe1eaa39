# Capturing what the agent left: its files through our own git directory, its commits read as data.

# Copies HEAD, refs and index of the agent's repository beside our own configuration; $agent_head is its HEAD, or empty.
read_agent_git() {
  own=$job/capture.git agent_head=
  rm -rf "$own/refs" "$own/packed-refs" "$own/logs" "$own/agent-index"
  mkdir -p "$own/refs"
  if [ -d "$tree/.git" ] && [ ! -h "$tree/.git" ]; then
    cp -R "$tree/.git/refs/." "$own/refs/" 2>/dev/null
    cp "$tree/.git/packed-refs" "$own/packed-refs" 2>/dev/null
    cp -p "$tree/.git/index" "$own/agent-index" 2>/dev/null
    cp -p "$tree/.git/"sharedindex.* "$own/" 2>/dev/null
    IFS= read -r line 2>/dev/null <"$tree/.git/HEAD"
  else
    line=
  fi
  case $line in
    'ref: refs/'*) ;;
    *) is_hex "$line" || line='ref: refs/heads/none' ;;
  esac
  say "$line" >"$own/HEAD"
  borrow=$tree/.git/objects
  agent_head=$(capture_git rev-parse -q --verify 'HEAD^{commit}' 2>/dev/null)
  borrow=
}

# The tree of all files, in $files.
hash_files() {
  unread=
  add_files || unread="some files could not be read; "
  files=$(capture_git write-tree) && is_hex "$files"
}

commit_as_handoff() {
  (
    GIT_AUTHOR_NAME=handoff GIT_AUTHOR_EMAIL=handoff@localhost
    GIT_COMMITTER_NAME=handoff GIT_COMMITTER_EMAIL=handoff@localhost
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
    capture_git commit-tree "$@"
  )
}

# Branches and tags that the agent made or moved and its stash, as lines `<oid> <name>` under the capture's refs, in $tips.
# bash 3.2, the sh of macOS, would take the bracket of a lone pattern for the end of the command substitution.
find_tips() {
  borrow=$tree/.git/objects
  tips=$(capture_git for-each-ref --format='%(objectname) %(refname)' refs/heads refs/tags refs/stash 2>/dev/null |
    while read -r oid ref; do
      case $ref in
        ("refs/heads/$branch") [ "$oid" != "$head" ] || continue ;;
        (*) ! grep -qxF "ref $oid $ref" "$spec/ship" || continue ;;
      esac
      say "$oid ${ref#refs/}"
    done)
  borrow=
}

# Commits that nothing but the logs of HEAD and of the stash names (what was reset, amended, stashed before), in $dropped.
find_dropped() {
  borrow=$tree/.git/objects
  dropped=$(for log in HEAD refs/stash; do
    log=$tree/.git/logs/$log
    [ ! -f "$log" ] || [ -h "$log" ] || tail -c 262144 "$log"
  done | awk '$2 ~ /^[0-9a-f]+$/ { print $2 }' | sort -u)
  [ -z "$dropped" ] || dropped=$({
    say "$dropped"
    { say "$agent_head$nl$commit$nl$tips" && sed -n 's/^ref //p' "$spec/ship"; } | sed -n 's/^\([0-9a-f]\{1,\}\).*/^\1/p'
  } | capture_git rev-list --ignore-missing --parents --stdin 2>/dev/null | awk '
    { made[NR] = $1; for (i = 2; i <= NF; i++) below[$i] = 1 }
    END { for (i = 1; i <= NR; i++) if (!(made[i] in below)) print made[i] " reflog/" made[i] }' | head -n 100)
  borrow=
}

# Copies into the cache what only the agent's repository holds of some commits, then sees that nothing is missing.
fetch_objects() {
  {
    say "$1" | cut -d ' ' -f 1
    say "^$commit"
  } | grep . >"$at/revs"
  own_git "$tree/.git/objects" "$cache/objects" pack-objects -q --revs --local --non-empty \
    "$cache/objects/pack/pack" <"$at/revs" >/dev/null
  cache_git rev-list --objects --quiet --stdin <"$at/revs"
  fetched=$?
  rm -f "$at/revs"
  return "$fetched"
}

# The stash-shaped commit of HEAD $1, the index and the files, in $work.
make_work() {
  index=$job/capture.git/agent-index borrow=$tree/.git/objects
  staged=$(capture_git write-tree 2>/dev/null)
  index=
  is_hex "$staged" || staged=$files
  staged=$(commit_as_handoff "$staged" ${1:+-p "$1"} -m "index of $name, attempt $n") &&
    work=$(commit_as_handoff "$files" ${1:+-p "$1"} -p "$staged" -m "files of $name, attempt $n")
  made=$?
  borrow=
  return "$made"
}

# Captures the attempt, once: $capture is the commit, $files its tree, $agent_head the agent's HEAD, $note what was amiss.
take_capture() {
  if capture=$(link_of "$at/capture"); then
    files=$(cache_git rev-parse -q --verify "$capture^{tree}")
    agent_head=$(cache_git rev-parse -q --verify "$capture^1")
    return 0
  fi
  capture='' files=''
  if ! find_tree; then
    note="${note}the checkout is gone; " agent_head=
    return 1
  fi
  hash_files || return 1
  note=$note$unread
  read_agent_git
  find_tips
  if ! { [ -n "$agent_head" ] && make_work "$agent_head" && fetch_objects "$work$nl$tips"; }; then
    [ -z "$agent_head" ] && [ -z "$head" ] || note="${note}the agent's HEAD could not be read; "
    agent_head=
    if ! { make_work "$head" && fetch_objects "$work$nl$tips"; }; then
      note="${note}its branches and its stash could not be read; " tips=
      rm -f "$job/capture.git/agent-index"
      make_work "$head" && fetch_objects "$work" || return 1
    fi
  fi
  find_dropped
  if [ -n "$dropped" ] && ! fetch_objects "$dropped"; then note="${note}commits that the agent dropped could not be read; " dropped=; fi
  nested=$(cache_git diff-tree -r --no-renames "$files_tree" "$files" | sed -n "s/^:[0-7]* 160000 [^$tab]*$tab//p" | head -n 3)
  [ -z "$nested" ] || note="${note}nested repositories were not captured: $nested; "
  say "$work work$nl$tips$nl$dropped" | while read -r oid ref; do
    [ -z "$oid" ] || printf 'update refs/capture/%s/%s/%s\0%s\0\0' "$name" "$n" "$ref" "$oid"
  done | cache_git update-ref -z --stdin || return 1
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
