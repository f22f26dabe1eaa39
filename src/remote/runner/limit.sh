# Limits for every step that reads foreign data or calls another program. Sets $stall_limit and $step_limit.

# Limits for a step that reads or writes a tree, which may take long if the tree is large: seconds without progress, and
# seconds in all.
stall_limit=120 step_limit=14400

# Runs a command or a function for at most $1 seconds, then ends it with everything it started. Sets $status, 124 for a
# timeout. A function runs in a subshell and sets no variable of the caller.
within() {
  seconds=$1
  shift
  "$@" </dev/null &
  step=$!
  guard_step "$seconds" 0 >/dev/null 2>&1 &
  await_step
}

# Runs a command or a function while it makes progress: one of its processes uses CPU time, starts or ends. A process
# that waits for a pipe, a dead disk or another program makes none. Sets $status, 124 when the step was ended. A
# function runs in a subshell and sets no variable of the caller.
steadily() {
  "$@" </dev/null &
  step=$!
  guard_step "$step_limit" "$stall_limit" >/dev/null 2>&1 &
  await_step
}

# Waits for the step whose guard was just started. Sets $status.
await_step() {
  guard=$!
  # A signal to this process ends one wait, but not the command.
  while :; do
    wait "$step"
    status=$?
    kill -0 "$step" 2>/dev/null || break
  done 2>/dev/null
  kill "$guard" 2>/dev/null
  wait "$guard" 2>/dev/null
  [ "$status" -ne 137 ] || status=124
  return "$status"
}

# Kills the step $step with everything it started when $1 seconds have passed, when it made no progress for $2 seconds
# (0: no such limit), or when the process that waits for it is gone: a later watcher must not meet steps of a killed
# one. It sleeps one second at a time, so no sleep outlives it for longer.
guard_step() {
  rest=$1 quiet=0 pulse='' look=$(($2 / 10 + 1))
  while kill -0 "$step" || return 0; do
    { [ "$rest" -gt 0 ] && kill -0 $$; } || break
    sleep 1
    rest=$((rest - 1))
    { [ "$2" -gt 0 ] && [ "$((rest % look))" -eq 0 ]; } || continue
    last_pulse=$pulse pulse=$(list_descendants "$step" times) quiet=$((quiet + look))
    [ "$pulse" = "$last_pulse" ] || quiet=0
    [ "$quiet" -lt "$2" ] || break
  done
  kill_tree "$step"
}

# Like within, with the output in a file.
bounded() {
  bound=$1 output=$2
  shift 2
  within "$bound" "$@" >"$output" 2>/dev/null
}

# Runs a tool that may hang on a file system that hangs.
quickly() { within 10 "$@" 2>/dev/null; }

# Removes lock files that a crash of the runner left where only the process with the claim writes, and old ones in the
# cache.
clear_locks() {
  rm -f "$job/capture.git/"*.lock
  find "$cache/refs/capture/$name" -name '*.lock' -type f -exec rm -f {} +
  clear_old_locks
} 2>/dev/null

# Removes old lock files in the cache. A new one may belong to another request.
clear_old_locks() {
  find "$cache"/*.lock "$cache/refs" -name '*.lock' -type f -mmin +10 -exec rm -f {} +
} 2>/dev/null

# Ends a process and all its descendants. First they are stopped until a look finds no new one, because a process that
# runs can start another one after the look.
kill_tree() {
  # The process that waits for a step ends the guard when the step is dead; the others must die, too.
  trap '' TERM
  doomed='' stopped=$1 looks=0
  while listed=$doomed doomed=$(list_descendants "$1") && [ "$doomed" != "$listed" ] && [ "$looks" -lt 10 ]; do
    # shellcheck disable=SC2086 # a list of pids
    kill -STOP $doomed
    stopped="$stopped $doomed" looks=$((looks + 1))
  done
  # A look can fail, so everything that was ever stopped is killed.
  # shellcheck disable=SC2086
  kill -KILL $stopped $doomed
} 2>/dev/null

# Prints the pids of a process and all its descendants; with `times`, also the CPU time of each.
list_descendants() {
  list_processes | LC_ALL=C awk -v top="$1" -v times="${2-}" '
    {
      pid = $1; sub(/^[0-9]+ \(.*\) /, ""); parent[pid] = $2
      # The CPU time includes that of children that have ended.
      if (times) time[pid] = ":" $12 ":" $13 ":" $14 ":" $15
    }
    END {
      ours[top] = 1
      do {
        grew = 0
        for (pid in parent) if (!(pid in ours) && (parent[pid] in ours)) { ours[pid] = 1; grew = 1 }
      } while (grew)
      # The parent is killed first: it must not see its child end and report success.
      printf "%s", top time[top]
      for (pid in ours) if (pid != top) printf " %s", pid time[pid]
    }'
}

# Prints the lines of stdin whose column $2 (0: the whole line) is not a line of the file $1.
not_in() {
  LC_ALL=C awk -v column="$2" 'BEGIN { while ((getline line < ARGV[1]) > 0) listed[line] = 1; ARGV[1] = "" }
    !($column in listed)' "$1" -
}

# Runs the step $1 with the file of lines $2. If it fails, each half of the lines is tried, so that only bad lines are
# left out; those are added to the file $3.
by_halves() {
  "$1" "$2" && return 0
  lines=$(wc -l <"$2")
  if [ "$((lines))" -le 1 ]; then
    cat "$2" >>"$3"
    return 0
  fi
  head -n "$((lines / 2))" "$2" >"$2.a"
  tail -n "+$((lines / 2 + 1))" "$2" >"$2.b"
  by_halves "$1" "$2.a" "$3"
  by_halves "$1" "$2.b" "$3"
  rm -f "$2.a" "$2.b"
}
