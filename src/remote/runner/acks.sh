# What `release` checks for each attempt before it deletes anything: the attempt is over, and the laptop has all of it.

# Checks every attempt. Sets $loose to the number of an attempt that ran and was not captured, and $cache to the
# handoff's cache.
check_acks() {
  cache=
  read_ship
  highest "$job/"
  newest=$top turn=0
  while [ "$turn" -lt "$newest" ]; do
    turn=$((turn + 1))
    at_attempt "$name" "$turn"
    [ ! -d "$at" ] || check_ack
  done
}

# Makes a watcher leave that only waits for the decision about the next attempt. Fails when a watcher works on an
# attempt.
dismiss_watcher() {
  judge_watch
  case $life in none | dead) return 0 ;; esac
  [ -f "$at/result" ] || return 1
  [ -z "$dry" ] || return 0
  write_next laptop:end:0
  if [ "$life" = unknown ]; then
    # The watcher runs on another node and reads `next` there. Without `end` or `park` it may be about to start an
    # attempt.
    case $(link_of "$at/next") in *:end:* | *:park:*) return 0 ;; *) return 1 ;; esac
  fi
  left=30
  while wake_watcher; [ "$life" = alive ]; do
    [ "$left" -gt 0 ] || return 1
    doze
    left=$((left - doze_tenths))
  done
}

# Refuses unless this attempt is over and the laptop acknowledged its capture and the exact size of its log. Sets $g,
# $spec, $cache and $loose.
check_ack() {
  dismiss_watcher || refuse busy "attempt $n has a watcher"
  find_marked
  [ -z "$marked" ] || refuse busy "processes of attempt $n are still running"
  captured=$(link_of "$at/capture") || captured=-
  if [ ! -f "$at/result" ] && [ -h "$at/intent" ]; then
    judge_task
    case $life in alive | stopped | unknown) refuse busy "the agent of attempt $n may be running" ;; esac
    [ "$captured" != - ] || refuse unfinished "attempt $n has neither a result nor a capture"
  fi
  g=$(link_of "$at/grant") || return 0
  spec=$job/spec/$g
  if read_ship; then cache=$root/cache/$key.git; fi
  log_size
  say "$acks" | grep -qxF "$n $captured $logged" || refuse unacknowledged "attempt $n is $captured with a log of $logged bytes"
  if [ "$captured" != - ]; then
    loose=
  elif [ -h "$at/task" ]; then
    loose=$n
  fi
}

# Finds the refs of the handoff and of its companions in their caches, and lists in $notes/listing the captures that the
# laptop does not have. Sets $unheld to their number, and $tree.
find_refs() {
  true >"$notes/listing"
  true >"$notes/refs"
  if [ -n "$cache" ]; then
    list_refs_of "$notes/refs"
    tree=$root
    each_companion cat find_companion_refs
  fi
  unheld=$(($(wc -l <"$notes/listing")))
}

# Writes to the file $1 the commands that delete the refs of the handoff in its cache.
list_refs_of() {
  cache_git for-each-ref --format='%(objectname) %(refname)' "refs/handoff/$name/" "refs/capture/$name/" >"$notes/all"
  awk '{ print "delete " $2 }' "$notes/all" >"$1"
  awk -v own="refs/capture/$name/" -v held="$held" '
    BEGIN { while ((getline line < held) > 0) { split(line, words, " "); has[words[2]] = 1 } }
    index($2, own) == 1 && !($1 in has) { print "0 " $2 }' "$notes/all" >>"$notes/listing"
}

# Refuses if an attempt ran and was not captured. The user may give it up if neither its checkout is there nor anything
# next to it: the checkout may have been moved.
need_captures() {
  [ -n "$loose" ] && [ -s "$scratch/trees" ] || return 0
  remains=$(each_tree find_remains)
  [ -z "$remains" ] || refuse uncaptured "attempt $loose has run and was not captured; still there: ${remains%%"$nl"*}"
  [ -n "$discard" ] ||
    refuse uncaptured "attempt $loose has run and was not captured, and its checkout is not there any more; \`handoff clean ${name%-*} --discard-ignored\` gives it up"
}

# Lists the tree if it is there, otherwise what is next to it.
find_remains() {
  if [ -d "$tree" ]; then say "$tree"; else list_siblings | tr '\n\0' '?\n'; fi
}
