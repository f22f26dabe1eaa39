# A command in a session of its own, and the wrapper in that session that records how it ended, whoever else dies.

# Starts a script detached: its exit slot (allocated now, overwritten in place at the end, so that a full disk loses
# nothing), its link, its output, its input, the script, the script's word and the directory.
start_task() {
  printf '%-64s\n' '' >"$1" || return 1
  find_detach
  (
    child_env
    # shellcheck disable=SC2086 # the shell is a list of words
    leave $shell "$0" task "$nonce" "$root" "$shell" "$account_umask" "$name" "$n" "$@"
  ) </dev/null >/dev/null 2>>"$job/runner.log" &
}

# The wrapper. A handler, unlike ignoring, is not inherited: the command dies of TERM, and we live to write it down.
run_task() {
  slot=$1 link=$2 output=$3 input=$4 script=$5 word=$6 place=$7
  trap : TERM HUP INT
  inspect $$ || exit 127
  ln -s "$$:$start" "$at/$link" || exit 127
  event "$link"
  cd "$place" 2>/dev/null || cd "$job/tree" || exit 127
  # Both are held open: what goes into them is not lost with their names, where the directory is moved or unmounted. A
  # redirection that fails would end this shell.
  if [ -w "$slot" ]; then
    exec 7<"$slot"
    exec 9<>"$slot"
  fi
  (: >>"$output") 2>/dev/null && exec 8>>"$output"
  # A shell writes a word about a child that a signal ended, and none about one that returned a number above 128 itself. The
  # word goes over the slot, whose room is allocated.
  {
    (
      umask "$account_umask"
      # shellcheck disable=SC2086 # the shell is a list of words
      exec $shell "$script" "$word" <"$input" >>"$output" 2>&1 7<&- 8>&- 9>&-
    )
    status=$?
  } 2<>"$slot"
  [ "$link" != task ] || keep_output
  how=
  if [ "$status" -gt 128 ] && grep -q '[^ ]' <&7; then how=signal; fi
  printf '%-63s\n' "$status $how" >&9
  event "$link" ended
  wake_watcher
}

# Output that went into a file that is no longer at its place, because it was deleted or moved there, is added to the one
# that is. Only where the system lets us read what we hold open.
keep_output() {
  held=/proc/$$/fd/8
  # shellcheck disable=SC3013 # dash, bash and busybox know -ef; another shell fails here and keeps nothing
  { [ -r "$held" ] && [ ! "$held" -ef "$output" ]; } 2>/dev/null || return 0
  cat "$held" >>"$output"
}

# The status in an exit slot, in $status, empty while there is none; the number of the signal that the wrapper saw, in
# $killed_by.
read_status() {
  status='' killed_by=''
  read -r status killed_by _ 2>/dev/null <"$1"
  is_number "$status" || status=
  if [ "$killed_by" = signal ] && [ -n "$status" ]; then killed_by=$((status - 128)); else killed_by=; fi
}

# Waits until a task is over, called off ($ended: stop), or out of time (a limit's name). A tick of the nap counts as active
# time, and no more than a tick for a nap, so a host that sleeps uses none up.
follow() {
  link=$1 limit=$2 ended='' spent=0 missing=0
  while [ -z "$ended" ]; do
    hold_claim
    judge_link "$link"
    case $life in
      # The wrapper died without a word: as long as what it started lives, the agent is at work.
      dead)
        { [ "$link" = task ] && abandoned; } || break
        ;;
      # It only waits for the command, and notes its end. A stopped command is left as it is.
      stopped) kill -CONT "$pid" 2>/dev/null ;;
      none)
        # Started, but not yet named, as long as its mark is to be seen: else it died before that.
        missing=$((missing + 1))
        if [ "$missing" -gt 20 ]; then
          find_marked
          [ -n "$marked" ] || break
        fi
        doze
        called_off || continue
        ;;
    esac
    if called_off; then
      ended=stop
    elif [ "$limit" -gt 0 ] && [ "$((served + spent))" -ge "$limit" ]; then
      ended=timeout
    else
      napped_at=$(date +%s)
      if nap "$tick"; then spent=$((spent + tick)); else add_part_of_tick; fi
      [ "$link" != task ] || watch_agent
    fi
  done
}

# The part of a tick that passed before something woke us; never more than a tick, whatever the clock was set to.
add_part_of_tick() {
  part=$(($(date +%s) - napped_at))
  [ "$part" -ge 0 ] || part=0
  [ "$part" -le "$tick" ] || part=$tick
  spent=$((spent + part))
}

# Whether the agent goes on without the wrapper that would record its end. On another boot nothing of it lives.
abandoned() {
  case $task_place in *":$boot:$node") ;; *) return 1 ;; esac
  read_status "$at/exit"
  [ -z "$status" ] || return 1
  find_marked
  [ -n "$marked" ]
}

# Judges a task by its link; boot and node are this watcher's, or the intent's for the agent.
judge_link() {
  if [ "$1" = task ]; then
    judge_task
    return
  fi
  life=none
  here
  task=$(link_of "$at/$1") && judge "$task:$boot:$node"
}

# Sleeps unless something happens; true when the whole time passed.
nap() {
  sleep "$1" &
  sleeper=$!
  # A signal before this line is seen here, one after it ends the wait.
  [ "$woken" = 0 ] || kill "$sleeper" 2>/dev/null
  wait "$sleeper" 2>/dev/null
  sleeper=
  [ "$woken" = 0 ] && return 0
  woken=0
  return 1
}

listen() {
  woken=0 sleeper=
  trap 'woken=1; [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null' USR1
}

# Whether the laptop wants no more of this attempt: cancelled, or the handoff changed hands before the agent started.
called_off() {
  [ -h "$at/cancel" ] && return 0
  if [ -n "$unbegun" ]; then
    stand
    [ "$standing" = held ] || return 0
  fi
  [ ! -h "$at/intent" ] || return 1
  highest "$job/epoch/"
  [ "$top" -gt "$grant_epoch" ]
}

# Runs a script of the user's in the tree and waits for it: setup and check. Its status, in $status.
run_script() {
  rm -f "$at/$1"
  start_task "$at/$1.exit" "$1" "$2" /dev/null "$spec/$3" '' "$tree" || return 1
  follow "$1" "$limit_active"
  [ -z "$ended" ] || sweep 5
  read_status "$at/$1.exit"
  [ "$ended" != timeout ] || status=124
  rm -f "$at/$1" "$at/$1.exit"
  [ "$ended" != stop ]
}
