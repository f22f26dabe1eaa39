# A command in its own session, and the wrapper in that session that records how it ended, even if every other process
# dies.

# Starts a script detached. The arguments are its exit slot (allocated now and overwritten in place at the end, so that
# a full disk loses nothing), its link, its output, its input, the script, the script's argument and the directory.
start_task() {
  printf '%-64s\n' '' >"$1" || return 1
  find_detach
  (
    child_env
    # shellcheck disable=SC2086 # the shell is a list of words
    leave $shell "$0" task "$nonce" "$root" "$shell" "$account_umask" "$name" "$n" "$@"
  ) </dev/null >/dev/null 2>>"$job/runner.log" &
}

# The wrapper. It handles TERM instead of ignoring it, because a child inherits an ignored signal: the command dies of
# TERM, and the wrapper lives to record that.
run_task() {
  slot=$1 link=$2 output=$3 input=$4 script=$5 word=$6 place=$7
  trap : TERM HUP INT
  inspect $$ || exit 127
  ln -s "$$:$start" "$at/$link" || exit 127
  event "$link"
  cd "$place" 2>/dev/null || cd "$job/tree" || exit 127
  # Both files are kept open, so that nothing is lost when the directory is moved or unmounted. They are tested first,
  # because a redirection that fails would end this shell.
  if [ -w "$slot" ]; then
    exec 7<"$slot"
    exec 9<>"$slot"
  fi
  (: >>"$output") 2>/dev/null && exec 8>>"$output"
  # A shell prints a message about a child that a signal ended, and none about one that returned a number above 128
  # itself. The message goes into the slot, whose room is allocated.
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

# Adds the output to the file at its place if the open file was deleted or moved. This needs a system that lets us read
# our open files.
keep_output() {
  open_log=/proc/$$/fd/8
  # shellcheck disable=SC3013 # dash, bash and busybox know -ef; another shell fails here and keeps nothing
  { [ -r "$open_log" ] && [ ! "$open_log" -ef "$output" ]; } 2>/dev/null || return 0
  cat "$open_log" >>"$output"
}

# Sets $status to the status in an exit slot (empty while there is none) and $killed_by to the signal that the wrapper
# saw.
read_status() {
  status='' killed_by=''
  read -r status killed_by _ 2>/dev/null <"$1"
  is_number "$status" || status=
  if [ "$killed_by" = signal ] && [ -n "$status" ]; then killed_by=$((status - 128)); else killed_by=; fi
}

# Waits until a task is over, called off ($ended: stop), or out of time ($ended: a limit). Each nap counts as at most
# one tick of active time, so a host that sleeps uses up no time. Sets $spent. Sets $ended.
follow() {
  link=$1 limit=$2 ended='' spent=0 missing=0
  while [ -z "$ended" ]; do
    seems_held || hold_claim
    judge_link "$link"
    case $life in
      # The wrapper died without recording a status. While any of its processes is alive, the agent counts as running.
      dead)
        { [ "$link" = task ] && abandoned; } || break
        ;;
      # The wrapper only waits and records the end, so it is continued. A stopped command stays stopped.
      stopped) kill -CONT "$pid" 2>/dev/null ;;
      none)
        # The task was started and has not named itself yet. It counts as running while a process has its mark;
        # otherwise it died before.
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
      read_clock
      napped_at=$clock
      if nap "$tick"; then spent=$((spent + tick)); else add_part_of_tick; fi
      [ "$link" != task ] || watch_agent
    fi
  done
}

# Sets $clock to seconds since some moment. Time asleep counts.
read_clock() {
  if [ -n "$proc" ] && read -r clock _ 2>/dev/null </proc/uptime; then clock=${clock%%.*}; else clock=$(date +%s); fi
}

# Adds the part of a tick that passed before something woke us, at most one tick, because the clock may have been set.
# Sets $spent.
add_part_of_tick() {
  read_clock
  part=$((clock - napped_at))
  [ "$part" -ge 0 ] || part=0
  [ "$part" -le "$tick" ] || part=$tick
  spent=$((spent + part))
}

# Whether the agent runs without the wrapper that would record its end. After a reboot nothing of it is alive.
abandoned() {
  case $task_place in *":$boot:$node") ;; *) return 1 ;; esac
  read_status "$at/exit"
  [ -z "$status" ] || return 1
  find_marked
  [ -n "$marked" ]
}

# Sleeps until something happens. Succeeds when the whole time passed. Sets $woken.
nap() {
  sleep "$1" &
  sleeper=$!
  # A signal before this line is seen here, and a later one ends the wait.
  [ "$woken" = 0 ] || kill "$sleeper" 2>/dev/null
  wait "$sleeper" 2>/dev/null
  sleeper=
  [ "$woken" = 0 ] && return 0
  woken=0
  return 1
}

# Makes the signal USR1 set $woken, which ends a nap.
listen() {
  woken=0 sleeper=
  trap 'woken=1; [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null' USR1
}

# Whether the attempt is not wanted any more: it was cancelled, or the handoff got another owner before the agent
# started.
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

# Runs a script of the user's (setup or check) in the tree and waits for it. Sets $status.
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
