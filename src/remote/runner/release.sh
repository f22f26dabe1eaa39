# The verb `release`: gives a tree back and forgets a handoff, once the laptop has shown that it holds all of it.

run_release() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  job=$root/work/$name gone=$root/work/.$name.gone
  # Sent again after it was done, perhaps cut off while the last files went.
  [ -n "$dry" ] || rm -rf "$gone"
  if [ ! -d "$job" ]; then
    say gone
    finish 0
  fi
  cache='' base='' based='' needed='' loose=''
  highest "$job/"
  newest=$top turn=0
  while [ "$turn" -lt "$newest" ]; do
    turn=$((turn + 1))
    at_attempt "$name" "$turn"
    [ ! -d "$at" ] || check_ack
  done
  if ! find_tree; then tree=; fi
  [ -z "$loose" ] || [ -z "$tree" ] || refuse uncaptured "attempt $loose has run and was not captured"
  scratch=$job/.release
  # What is about to free a full disk needs some room elsewhere.
  ! has_less "$root" 65536 || scratch=${TMPDIR:-/tmp}/.handoff-release.$name
  rm -rf "$scratch"
  mkdir "$scratch" || refuse_write "$scratch could not be made"
  trap 'rm -rf "$scratch"' EXIT
  find_kept
  find_refs
  [ -z "$tree" ] || say "tree $tree"
  say "refs $(grep -c . "$scratch/refs")"
  tell_kept
  [ "$kept" -eq 0 ] || [ -n "$discard" ] || refuse kept "$kept files in $tree are nowhere else"
  [ -n "$dry" ] || let_go
  finish 0
}

# Everything was looked at; in this order, a cut leaves nothing that the same request would not finish.
let_go() {
  if [ "$kept" -gt 0 ]; then
    (cd "$tree" && xargs -0 -n 100 rm -rf -- <"$scratch/kept") || refuse kept "files in $tree could not be removed"
  fi
  [ ! -s "$scratch/refs" ] || cache_git update-ref --stdin <"$scratch/refs" ||
    refuse cache "the refs of the handoff could not be removed"
  if [ -n "$tree" ]; then
    # The state of the files spares the next handoff a long read.
    mv -f "$job/capture.git/index" "${tree%/*}/index" 2>/dev/null
    rm -f "${tree%/*}/owner"
  fi
  [ -z "$cache" ] || rm -rf "$cache/incoming/$name" "$cache/outgoing/$name"
  mv "$job" "$gone" || refuse busy "$job could not be removed"
  rm -rf "$gone"
}

# A watcher that only waits for what follows is told that nothing does, and leaves. Fails when one is at work.
dismiss_watcher() {
  judge_watch
  case $life in none | dead) return 0 ;; esac
  [ -f "$at/result" ] || return 1
  [ -z "$dry" ] || return 0
  write_next laptop:end:0
  if [ "$life" = unknown ]; then
    # On its own node it reads what stands there; with an earlier word it may be about to go on.
    case $(link_of "$at/next") in *:end:* | *:park:*) return 0 ;; *) return 1 ;; esac
  fi
  left=30
  while wake_watcher; [ "$life" = alive ]; do
    [ "$left" -gt 0 ] || return 1
    doze
    left=$((left - doze_tenths))
  done
}

# Refuses unless this attempt is over and acknowledged to the byte. $base becomes what the laptop holds of the tree.
check_ack() {
  dismiss_watcher || refuse busy "attempt $n has a watcher"
  find_marked
  [ -z "$marked" ] || refuse busy "processes of attempt $n are left"
  held=$(link_of "$at/capture") || held=-
  if [ ! -f "$at/result" ] && [ -h "$at/intent" ]; then
    judge_task
    case $life in alive | stopped | unknown) refuse busy "the agent of attempt $n may be running" ;; esac
    [ "$held" != - ] || refuse unfinished "attempt $n has neither a result nor a capture"
  fi
  g=$(link_of "$at/grant") || return 0
  spec=$job/spec/$g
  if read_ship; then cache=$root/cache/$key.git; fi
  log_size
  say "$acks" | grep -qxF "$n $held $size" || refuse unacknowledged "attempt $n is $held with a log of $size bytes"
  if [ "$g" != "$based" ] && [ "$adopt" = yes ] && [ -f "$job/landed.$g" ]; then base=$files_tree based=$g needed=$extra_tree; fi
  if [ "$held" != - ]; then
    base="$held^{tree}" loose=
  elif [ -h "$at/task" ]; then
    loose=$n
  fi
}

find_refs() {
  for prefix in "refs/handoff/$name/" "refs/capture/$name/"; do
    [ -z "$cache" ] || cache_git for-each-ref --format='delete %(refname)' "$prefix"
  done >"$scratch/refs"
}

# What lies in the tree, was made since the ship and is in no capture, NUL after each, in $scratch/kept; $kept counts it.
find_kept() {
  kept=0
  [ -n "$tree" ] && [ -n "$base" ] || return 0
  say "$caches" >"$scratch/caches"
  say /.cursor/agent-handoffs/ >>"$scratch/caches"
  # An index of what the laptop holds; where it is that of the capture, no file needs reading.
  index=$scratch/index
  cp -p "$job/capture.git/index" "$index" 2>/dev/null
  capture_git read-tree -m "$base" 2>/dev/null || { rm -f "$index" && capture_git read-tree "$base"; } ||
    refuse_write "the tree could not be compared with what is held"
  # Of the ignored files that were shipped, the laptop has what is still as it was.
  [ -z "$needed" ] || capture_git ls-tree -r -z "$needed" | capture_git update-index -z --index-info ||
    refuse_write "the tree could not be compared with what is held"
  capture_git update-index -q --refresh >/dev/null 2>&1
  {
    capture_git ls-files -z -o -X "$scratch/caches" && capture_git ls-files -z -m &&
      # Of a nested repository, a capture holds the name of a commit and nothing else.
      capture_git ls-files -z -s | tr '\n\0' '?\n' | sed -n "s/^160000 [^$tab]*$tab//p" | tr '\n' '\0'
  } >"$scratch/differs" || refuse_write "the tree could not be compared with what is held"
  index=
  find_since
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  (cd "$tree" && since=$since xargs -0 -n 100 $shell -c '
    look() { find "$@" ! -type d ${since:+-cnewer "$since"} -print0 2>/dev/null; }
    for file; do
      if [ ! -d "./$file" ] || [ -h "./$file" ]; then
        set -- "$@" "./$file"
      elif [ "$(look "./$file" | head -c 1 | wc -c)" -gt 0 ]; then
        printf "%s\0" "./$file"
      fi
      shift
    done
    [ $# -eq 0 ] || look "$@"; :' sh) \
    <"$scratch/differs" >"$scratch/kept" || refuse_write "the files of the tree could not be listed"
  kept=$(tr -cd '\0' <"$scratch/kept" | wc -c)
  kept=$((kept))
}

# What is as old as the first ship, in $since; empty where `find` cannot compare with it, and then all counts as newer: a
# tree that was given back holds caches and little else.
find_since() {
  since=
  for entry in "$job/spec/"*; do
    entry=${entry##*/}
    if [ -z "$since" ] || [ "$entry" -lt "${since##*/}" ]; then since=$job/spec/$entry; fi
  done
  find "$since" -cnewer "$since" >/dev/null 2>&1 || since=
}

# What is kept, as one data frame: the size and the name of the first ones, a line each.
tell_kept() {
  [ "$kept" -gt 0 ] || return 0
  bytes=$(count_bytes <"$scratch/kept")
  tr '\n\0' '?\n' <"$scratch/kept" | head -n 20 | while IFS= read -r file; do
    say "$(printf '%s\0' "$file" | count_bytes) $(say "${file#./}" | cut -c 1-400)"
  done >"$scratch/listing"
  length=$(wc -c <"$scratch/listing")
  say "d $name kept $kept $bytes $((length))"
  cat "$scratch/listing"
  say ""
}
