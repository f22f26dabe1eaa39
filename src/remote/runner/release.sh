# The verb `release`: gives a tree back and forgets a handoff, once the laptop has shown that it holds all of it.

run_release() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  job=$root/work/$name
  # Sent again after it was done.
  [ -d "$job" ] || finish 0
  release_key=
  for place in "$job"/[1-9]*; do
    [ -d "$place" ] || continue
    at_attempt "$name" "${place##*/}"
    check_ack
  done
  if [ -n "$release_key" ]; then
    cache=$root/cache/$release_key.git
    for prefix in "refs/handoff/$name/" "refs/capture/$name/"; do
      cache_git for-each-ref --format='delete %(refname)' "$prefix"
    done | cache_git update-ref --stdin || refuse cache "the refs of the handoff could not be removed"
  fi
  if find_tree; then
    # The state of the files spares the next handoff a long read.
    mv -f "$job/capture.git/index" "${tree%/*}/index" 2>/dev/null
    rm -f "${tree%/*}/owner"
  fi
  rm -rf "$job"
  [ ! -d "$job" ] || refuse busy "$job could not be removed"
  finish 0
}

# A watcher that only waits for what follows is told that nothing does, and leaves.
dismiss_watcher() {
  if [ -f "$at/result" ]; then write_next laptop:end:0; fi
  left=30
  while :; do
    wake_watcher
    [ "$life" = alive ] || return 0
    [ "$left" -gt 0 ] && [ -f "$at/result" ] || return 1
    doze
    left=$((left - doze_tenths))
  done
}

# Refuses unless this attempt is over and acknowledged to the byte.
check_ack() {
  dismiss_watcher || refuse busy "attempt $n has a watcher"
  find_marked
  [ -z "$marked" ] || refuse busy "processes of attempt $n are left"
  [ -f "$at/result" ] || [ ! -h "$at/watch.1" ] || refuse unfinished "attempt $n has no result"
  g=$(link_of "$at/grant") || return 0
  spec=$job/spec/$g
  if read_ship; then release_key=$key; fi
  held=$(link_of "$at/capture") || held=-
  log_size
  say "$acks" | grep -qxF "$n $held $size" || refuse unacknowledged "attempt $n is $held with a log of $size bytes"
}
