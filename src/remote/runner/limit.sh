# A time limit for every step that reads what others wrote, or that asks another program.

# Runs a command or a function for at most $1 seconds, then ends it with all that it started. Its status, or 124 when the
# time was up. A function sets no variable of the caller.
within() {
  seconds=$1
  shift
  "$@" </dev/null &
  step=$!
  guard_step "$seconds" "$step" >/dev/null 2>&1 &
  guard=$!
  # A signal to this process ends one wait, not the command.
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

# Kills the step $2 with all that it started when $1 seconds have passed, or when the process that waits for it is gone: a
# later watcher must not meet a step of a killed one. It sleeps for one second at a time, so no sleep outlives it for longer.
guard_step() {
  rest=$1
  while kill -0 "$2" || return 0; do
    { [ "$rest" -gt 0 ] && kill -0 $$; } || break
    sleep 1
    rest=$((rest - 1))
  done
  kill_tree "$2"
}

# The same with the output in a file.
bounded() {
  bound=$1 output=$2
  shift 2
  within "$bound" "$@" >"$output" 2>/dev/null
}

# Runs a tool that may hang on a file system that does.
quickly() { within 10 "$@" 2>/dev/null; }

# Removes the lock files that a crash of ours left: whoever has the claim is the only writer of the first two places. In the
# cache other handoffs are at work, so a lock there has to be old.
clear_locks() {
  rm -f "$job/capture.git/"*.lock
  find "$cache/refs/capture/$name" -name '*.lock' -type f -exec rm -f {} +
  find "$cache"/*.lock "$cache/refs" -name '*.lock' -type f -mmin +10 -exec rm -f {} +
} 2>/dev/null

# Ends a process and all that descends from it.
kill_tree() {
  # shellcheck disable=SC2046 # a list of pids
  kill -KILL $(list_processes | LC_ALL=C awk -v top="$1" '
    { pid = $1; sub(/^[0-9]+ \(.*\) /, ""); parent[pid] = $2 }
    END {
      ours[top] = 1
      do {
        grew = 0
        for (pid in parent) if (!(pid in ours) && (parent[pid] in ours)) { ours[pid] = 1; grew = 1 }
      } while (grew)
      # The first of them goes first: it must not see its child end, and end as if all were well.
      printf "%s", top
      for (pid in ours) if (pid != top) printf " %s", pid
    }')
} 2>/dev/null

# The lines of stdin whose column $2 (0: all of it) is no line of the file $1.
not_in() {
  LC_ALL=C awk -v column="$2" 'BEGIN { while ((getline line < ARGV[1]) > 0) listed[line] = 1; ARGV[1] = "" }
    !($column in listed)' "$1" -
}

# Does a step with a file of lines. Where that fails it is done with each half of them, so that a bad line costs only
# itself; the bad lines go into the file $bad.
by_halves() {
  "$1" "$2" && return 0
  lines=$(wc -l <"$2")
  if [ "$((lines))" -le 1 ]; then
    cat "$2" >>"$bad"
    return 0
  fi
  head -n "$((lines / 2))" "$2" >"$2.a"
  tail -n "+$((lines / 2 + 1))" "$2" >"$2.b"
  by_halves "$1" "$2.a"
  by_halves "$1" "$2.b"
  rm -f "$2.a" "$2.b"
}
