# The verbs that change something: ensure, set-next, set-epoch, cancel and capture. Each request may be sent again at
# any time.

# The verb `ensure`: makes the attempt run, at most once.
run_ensure() {
  read_request
  take_blob
  begin
  need_attempt
  [ -n "$grant" ] || refuse request "grant is missing"
  g=$grant
  need_builtin_printf
  command -v git >/dev/null 2>&1 || refuse no-git "git was not found on the host"
  make_root
  # An attempt that may have started before is watched where its files are, and never started again.
  [ -h "$at/intent" ] || [ -z "$started" ] || refuse begun "attempt $n was started, but its files are gone"
  [ -d "$at" ] || ! is_registered || refuse begun "attempt $n was prepared, but its directory is gone"
  mkdir -p "$root/lib" "$job/spec" "$job/epoch" || refuse_write "$job could not be made"
  find_spec
  { read_grant && read_ship; } || refuse request "the grant or the ship is malformed"
  { [ "$n" -ge "$first" ] && [ "$n" -le "$last" ]; } || refuse grant "attempt $n is not in grant $g"
  if [ ! -f "$at/result" ]; then
    make_cache "$key" "$format" || refuse_write "the cache could not be made"
    { true >>"$job/epoch/$grant_epoch" && true >>"$job/events"; } || refuse_write "the epoch could not be written"
    still_granted
    # An agent that has started, or will not start, needs no objects of the ship.
    [ -h "$at/intent" ] || [ -h "$at/cancel" ] || take_ship
    keep_spec
    # That can take long, and the handoff may have moved on since.
    still_granted
    end_strays
    make_attempt || refuse_write "$at could not be made"
    register || refuse_write "the attempt could not be registered"
    # The root may have been replaced while this process was stopped.
    check_root
    await_watcher
  else
    register
  fi
  read_instance
  say "instance $instance $raised"
  look "$name" "$n"
  say "$state"
  finish 0
}

# Sets $spec to the directory of the grant, or to one with the parts of this request.
find_spec() {
  spec=$job/spec/$g
  [ ! -d "$spec" ] || return 0
  spec=$request.spec
  mkdir "$spec" || refuse_write "$spec could not be made"
  cut_parts "$spec"
}

# Makes spec/<g>, once and complete. The ship is here by now: a spec that stayed after its ship was refused would win
# over the next request, which may announce other refs. Sets $spec.
keep_spec() {
  fresh=$spec spec=$job/spec/$g
  [ "$fresh" != "$spec" ] || return 0
  # If another request made the directory first, the rename moves ours into it.
  mv "$fresh" "$spec" 2>/dev/null
  [ -d "$spec" ] || refuse_write "$spec could not be made"
  [ -d "$spec/${fresh##*/}" ] || return 0
  rm -rf "${spec:?}/${fresh##*/}"
  { read_grant && read_ship; } || refuse request "the grant or the ship is malformed"
  [ -h "$at/cancel" ] || has_ship || refuse_push lacking "the ship of another request came first"
}

# Refuses an attempt that may not start any more, or not yet: of an epoch that is over, or while an earlier attempt runs,
# because a tree never has two agents.
still_granted() {
  highest "$job/epoch/"
  [ "$top" -eq "$grant_epoch" ] || [ -h "$at/intent" ] || refuse epoch "the handoff is at epoch $top"
  earlier=$n
  while [ "$earlier" -gt 1 ]; do
    earlier=$((earlier - 1))
    [ ! -h "$job/$earlier/intent" ] || [ -f "$job/$earlier/result" ] ||
      refuse busy "attempt $earlier has no result yet"
  done
}

# Ends processes of attempts whose directories this root has lost, so that two agents of one handoff never run at once.
# Sets $n.
end_strays() {
  [ -n "$strays" ] && [ ! -h "$at/watch.1" ] || return 0
  wanted=$n
  for n in $strays; do
    sweep 5 || refuse busy "processes of attempt $n could not be killed"
  done
  at_attempt "$name" "$wanted"
  find_watchers
  for entry in $watchers; do
    kill -KILL "$entry" 2>/dev/null
  done
}

# Starts a watcher unless one is alive, and waits until one has claimed the attempt.
await_watcher() {
  wake_watcher
  case $life in
    alive) return 0 ;;
    stopped) refuse no-watcher "the watcher of attempt $n is stopped (process $pid) and cannot be continued or killed" ;;
    unknown) refuse other-node "attempt $n was started by another machine that shares this directory; only that machine can tell whether it is still running. Nothing was started" ;;
  esac
  start_watcher
  left=100
  while [ "$left" -gt 0 ]; do
    judge_watch
    [ "$life" != alive ] && [ ! -f "$at/result" ] || return 0
    sleep 0.05 2>/dev/null || { sleep 1 && left=$((left - 19)); }
    left=$((left - 1))
  done
  refuse no-watcher "the watcher did not start: $(tail -n 1 "$job/runner.log" 2>/dev/null)"
}

# The verb `set-next`: writes `next` where none exists.
run_set_next() {
  read_request
  begin
  need_attempt
  [ -n "$next" ] || refuse request "next is missing"
  [ -d "$at" ] || refuse unknown "no such attempt"
  write_next "$next"
  say "next $(link_of "$at/next")"
  wake_watcher
  finish 0
}

# The verb `set-epoch`: records an epoch, which makes attempts of earlier ones stop before they start.
run_set_epoch() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  [ -n "$epoch" ] || refuse request "epoch is missing"
  job=$root/work/$name
  { mkdir -p "$job/epoch" && true >>"$job/epoch/$epoch"; } || refuse_write "the epoch could not be written"
  highest "$job/"
  at_attempt "$name" "$top"
  if [ -h "$at/intent" ]; then say "intent 1"; else say "intent 0"; fi
  event epoch "$epoch"
  [ ! -d "$at" ] || wake_watcher
  finish 0
}

# The verb `cancel`: stops an attempt.
run_cancel() {
  read_request
  begin
  need_attempt
  if [ ! -d "$at" ]; then
    # The directory may be deleted while the agent still runs. A watcher without a claim here exits by itself.
    [ ! -f "$root/instance" ] || sweep "$grace"
    refuse unknown "no such attempt"
  fi
  # When the attempt is over, its watcher may be waiting to start the next one.
  ln -s "$reason:$grace" "$at/cancel" 2>/dev/null && event cancel
  wake_watcher
  [ -f "$at/result" ] || case $life in none | dead) end_task "$grace" ;; esac
  look "$name" "$n"
  say "$state"
  finish 0
}

# The verb `capture`: captures the work of an attempt whose watcher died.
run_capture() {
  read_request
  begin
  need_attempt
  g=$(link_of "$at/grant") || refuse unknown "no such attempt"
  spec=$job/spec/$g note=
  read_ship || refuse request "the ship is malformed"
  cache=$root/cache/$key.git
  if [ ! -h "$at/capture" ]; then
    wake_watcher
    case $life in alive | stopped) refuse busy "a watcher is running" ;; unknown) refuse other-node "attempt $n belongs to another machine that shares this directory" ;; esac
    judge_task
    case $life in alive | stopped) refuse busy "the agent is running" ;; esac
    highest "$job/"
    later=$top mine=$(link_of "$at/tree")
    while [ "$later" -gt "$n" ]; do
      [ ! -h "$job/$later/intent" ] || { [ -n "$mine" ] && [ "$(link_of "$job/$later/tree")" != "$mine" ]; } ||
        refuse capture "attempt $later has run in the tree since"
      later=$((later - 1))
    done
    find_marked
    [ -z "$marked" ] || refuse busy "processes of the attempt are still running"
    take_capture || refuse capture "${note}the work could not be captured"
  fi
  say "capture $(link_of "$at/capture")"
  cat "$at/companions" 2>/dev/null
  tell_uncaptured
  finish 0
}
