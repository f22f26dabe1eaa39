# Whether the kernel killed for want of memory: its counters before the agent, and again after.

# The counters that can be read here without privileges, as lines `<count> <file>`: that of our cgroup (v2 or v1), in which
# the agent will be too, and that of the whole system.
count_kills() {
  set --
  while IFS=: read -r _ controllers group; do
    case ,$controllers, in
      ,,) mount=/sys/fs/cgroup counter=/memory.events ;;
      *,memory,*) mount=/sys/fs/cgroup/memory counter=/memory.oom_control ;;
      *) continue ;;
    esac
    # A container sees a part of the hierarchy: the nearest group above that can be read is the one that is meant.
    while [ -n "$group" ] && [ ! -r "$mount$group$counter" ]; do group=${group%/*}; done
    [ ! -r "$mount$group$counter" ] || set -- "$@" "$mount$group$counter"
  done 2>/dev/null </proc/self/cgroup
  [ ! -r /proc/vmstat ] || set -- "$@" /proc/vmstat
  [ $# -eq 0 ] || awk '$1 == "oom_kill" { print $2, FILENAME }' "$@" 2>/dev/null
}

# Whether the kernel has killed in the agent's cgroup since its counters were noted; says in $detail what it counted. The
# counter of the whole system alone proves nothing about the agent: it is only told.
killed_for_memory() {
  # Counters begin anew with a boot.
  case $task_place in *":$boot:$node") ;; *) return 1 ;; esac
  told=$detail
  while read -r before counter; do
    after=$(awk '$1 == "oom_kill" { print $2 }' "$counter" 2>/dev/null)
    { is_number "$before" && is_number "$after" && [ "$after" -gt "$before" ]; } || continue
    if [ "$counter" != /proc/vmstat ]; then
      detail="the kernel ran out of memory for it: oom_kill in $counter rose from $before to $after"
      return 0
    fi
    detail="somewhere on the host the kernel ran out of memory meanwhile: oom_kill in $counter rose from $before to $after"
    detail=$detail${told:+; $told}
  done 2>/dev/null <"$at/kills"
  return 1
}
