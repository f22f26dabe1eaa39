# Finds out whether the kernel killed a process for lack of memory, from its counters before the agent and after every
# attempt.

# Prints the counters that can be read without privileges, as lines `<count> <file>`: the counter of our cgroup (v2 or
# v1), which the agent will be in too, and that of the whole system.
count_kills() {
  set --
  while IFS=: read -r _ controllers cgroup; do
    case ,$controllers, in
      ,,) hierarchy=/sys/fs/cgroup counter=/memory.events ;;
      *,memory,*) hierarchy=/sys/fs/cgroup/memory counter=/memory.oom_control ;;
      *) continue ;;
    esac
    # A container sees only a part of the hierarchy, so the nearest readable group above ours is used.
    while [ -n "$cgroup" ] && [ ! -r "$hierarchy$cgroup$counter" ]; do cgroup=${cgroup%/*}; done
    [ ! -r "$hierarchy$cgroup$counter" ] || set -- "$@" "$hierarchy$cgroup$counter"
  done 2>/dev/null </proc/self/cgroup
  [ ! -r /proc/vmstat ] || set -- "$@" /proc/vmstat
  [ $# -eq 0 ] || awk '$1 == "oom_kill" { print $2, FILENAME }' "$@" 2>/dev/null
}

# Sets $oom to what the kernel has killed since the counters were noted: `agent <words>` if the counter of the agent's
# cgroup rose, `host <words>` if only the system's did. The latter proves nothing about the agent.
note_kills() {
  oom=
  # A boot resets the counters.
  case $task_place in *":$boot:$node") ;; *) return 0 ;; esac
  while read -r before counter; do
    after=$(awk '$1 == "oom_kill" { print $2 }' "$counter" 2>/dev/null)
    { is_number "$before" && is_number "$after" && [ "$after" -gt "$before" ]; } || continue
    if [ "$counter" != /proc/vmstat ]; then
      oom="agent the kernel ran out of memory for it: oom_kill in $counter rose from $before to $after"
      return 0
    fi
    oom="host oom_kill in $counter rose from $before to $after"
  done 2>/dev/null <"$at/kills"
}
