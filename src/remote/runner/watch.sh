# The watcher: takes an attempt from its claim to its result, then the next one, as long as its grant allows. A step
# sets $note or $detail to what went wrong.

# The process of a watcher: called by start_watcher, with the secrets on stdin. Sets $unbegun.
run_watch() {
  name=$1 secrets=
  listen
  while IFS= read -r line; do
    secrets=$secrets$line$nl
  done
  exec </dev/null
  at_attempt "$1" "$2"
  with_check='' chained='' unbegun=''
  while claim_attempt; do
    if [ -h "$at/intent" ]; then attend; else perform; fi
    [ -f "$at/result" ] || return 1
    follow_up || return 0
    hold_claim
    # The laptop sends the objects again that the cache has lost, with the `ensure` of the next attempt.
    [ -f "$job/landed.$g" ] || has_ship || return 0
    at_attempt "$name" $((n + 1))
    chained=1
    make_attempt && register || return 1
  done
}

# Makes the directory of an attempt. Its streams exist from the start, so that a poll can wait for them.
make_attempt() {
  # If two requests do this at once, the later finds the link that the other made.
  { [ -d "$at" ] || mkdir "$at" 2>/dev/null || [ -d "$at" ]; } &&
    { ln -s "$g" "$at/grant" 2>/dev/null || [ -h "$at/grant" ]; } && true >>"$at/log" && true >>"$at/check.log" &&
    { [ ! -f "$spec/setup" ] || true >>"$at/setup.log"; }
}

# Claims the attempt unless a live watcher has it. Only one process gets a number; after a dead watcher's claim, which
# stays, the next number is used. Sets $watch. Sets $g, $spec, $cache and $start_as.
claim_attempt() {
  g=$(link_of "$at/grant") && is_number "$g" || return 1
  spec=$job/spec/$g
  myself || return 1
  while [ ! -f "$at/result" ]; do
    judge_watch
    case $life in alive | stopped | unknown) return 1 ;; esac
    if ln -s "$me" "$at/watch.$((watch + 1))" 2>/dev/null; then
      watch=$((watch + 1))
      event watch "$watch"
      [ -n "$chained" ] || start_as=
      as=$start_as
      read_grant && read_ship || return 1
      [ -z "$as" ] || start_as=$as
      cache=$root/cache/$key.git
      clear_locks
      reset_facts
      return 0
    fi
  done
  return 1
}

# The facts of an attempt. Every step may set them, and they start empty.
# Shared: $class, $reason, $exit, $signal, $check, $check_before, $baseline, $start_head, $companions_before, $files, $agent_head, $capture,
# $uncaptured, $lacking, $oom, $disk_state, $session, $session_mode, $resumed, $agent, $note, $detail; $spent,
# $served and $active (seconds of active time: of this watcher, of earlier ones, and in all); $ended, $task_place,
# $terminal_at, $ends, $seen, $seen_to, $seen_size, $moved_at, $base,
# $noted_kin and $last_runs.
reset_facts() {
  class='' reason=exit exit='' check='' check_before='' baseline='' files='' capture='' uncaptured='' agent_head='' start_head='' companions_before=''
  spent=0 served=0 active='' note='' detail='' task_place='' session='' session_mode=none agent='' terminal_at=''
  seen_size=0 moved_at=0 base='' ended='' lacking='' signal='' resumed='' oom='' disk_state='' seen='' seen_to=0 ends='' noted_kin='' last_runs=''
  find_path "$spec/agent"
}

# Performs an attempt that no watcher has started. Sets $unbegun while the agent may not run.
perform() {
  [ "$watch" -eq 1 ] || sweep 1
  unbegun=1
  if prepare; then
    unbegun=
    run_agent
    conclude
  else
    sweep 2
    classify
    hold_claim
    write_result
  fi
}

# Starts the agent, and waits for its end.
run_agent() {
  beat
  start_task "$at/exit" task "$at/log" "$at/prompt" "$spec/run.$start_as" "$session" "$tree/$subdir" || return 1
  follow task "$limit_active"
}

# Takes over an attempt that an earlier watcher started: waits for its end and never starts it. Sets $baseline,
# $check_before, $companions_before, $resumed, $served, $session, $session_mode and $start_head.
attend() {
  find_attempt_tree
  field "$spec/grant" session_mode
  session_mode=${value:-none}
  session=$(link_of "$job/session")
  field "$at/before" baseline && baseline=$value
  field "$at/before" head && start_head=$value
  field "$at/before" companions && companions_before=$value
  field "$at/before" check && check_before=$value
  field "$at/before" resumed && resumed=$value
  # The active time under earlier watchers.
  read -r _ served _ 2>/dev/null <"$at/beat"
  is_number "${served:-x}" || served=0
  # A limit that an earlier watcher noted was reached, even though that watcher is gone.
  [ -h "$at/limit" ] || follow task "$limit_active"
  conclude
}

# Records which limit ends the agent before the agent gets a signal. A later watcher then knows that the status in $exit
# comes from the signal and is not the agent's own. Sets $ended, $exit and $signal.
note_limit() {
  [ -n "$exit" ] || case $ended in '' | stop) ;; *) ln -s "$ended" "$at/limit" 2>/dev/null ;; esac
  noted=$(link_of "$at/limit")
  case $noted in timeout | no-first-output | no-progress | grace) ended=$noted exit='' signal='' ;; esac
}

# Ends the attempt: stops all of its processes, then captures and checks its work. Sets $active, $check, $ended, $exit,
# $files, $reason, $served and $signal.
conclude() {
  hold_claim
  # A wrapper that has not named itself by now starts nothing when it finds this link.
  ln -s none:0 "$at/task" 2>/dev/null
  # The status that the wrapper recorded counts, even when a limit was reached in the same moment.
  read_status "$at/exit"
  exit=$status signal=$killed_by
  note_limit
  wait_to_kill=5
  stop=$(link_of "$at/cancel") && is_number "${stop##*:}" && wait_to_kill=${stop##*:}
  end_task "$wait_to_kill" || note="processes of the attempt could not be killed; "
  if [ -n "$exit" ] && { [ "$exit" = 0 ] || [ ! -h "$at/cancel" ]; }; then
    reason='exit'
  elif [ -h "$at/cancel" ]; then
    reason=stop
  elif [ -n "$ended" ]; then
    reason=$ended
  else
    reason=lost
    case $task_place in *":$boot:$node" | '') ;; *":$node") detail="the host was rebooted" ;; esac
  fi
  if [ "$reason" != exit ]; then
    read_status "$at/exit"
    exit=$status signal=$killed_by
  fi
  active=$((served + spent)) served=0
  log_size
  read_log
  watch_session
  hold_claim
  take_capture || { note="${note}the work could not be captured; " && files=; }
  if [ -f "$spec/check" ] && [ ! -h "$at/cancel" ]; then
    case $reason in
      exit | grace)
        ended=''
        true >"$at/check.log"
        if run_script check "$at/check.log" check; then check=$status; fi
        [ "$ended" != timeout ] || note="${note}the check was stopped after $limit_active s; "
        sweep 5
        ;;
    esac
  fi
  # A stop before the check was over means that the check cannot decide whether the attempt succeeded.
  if [ -h "$at/cancel" ] && [ -f "$spec/check" ] && [ -z "$check" ]; then
    case $reason in 'exit' | grace) reason=stop ;; esac
  fi
  classify
  hold_claim
  write_result
}
