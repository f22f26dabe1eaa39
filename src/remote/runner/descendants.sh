# Finds the agent's descendants, also those without its mark. A process that clears its environment and leaves its
# parent is still known if it was seen before. The processes are listed once a tick and at each sweep.

# Prints every process as a line like /proc/PID/stat. Where there is no /proc, `ps` fills the fields that are used here,
# without sessions.
list_processes() {
  if [ -n "$proc" ]; then
    cat /proc/[0-9]*/stat 2>/dev/null
    return
  fi
  LC_ALL=C TZ=UTC0 ps -ax -o pid= -o stat= -o ppid= -o pgid= -o time= -o lstart= 2>/dev/null | awk '{
    start = ""
    for (i = 6; i <= NF; i++) start = start $i
    gsub(/[^A-Za-z0-9]/, "", start)
    print $1, "(-)", $2, $3, $4, 0, 0, 0, 0, 0, 0, 0, 0, $5, 0, 0, 0, 0, 0, 0, 0, start
  }'
}

# Adds to $marked its descendants, the descendants of the processes noted in `kin`, and the processes in a session or
# group that one of them leads or led. Notes them all as lines `<pid>:<start>` and `in:<session or group>`. A number
# without a process is dropped from the notes, so that a process that gets the number later is not taken for a
# descendant. Sets $marked.
add_kin() {
  task=$(link_of "$at/task") || return 0
  # After a reboot the noted pids belong to other processes.
  here
  case $(link_of "$at/intent") in *":$boot:$node") ;; *) return 0 ;; esac
  kin=$(
    {
      # The first look begins with the agent itself.
      cat "$at/kin" 2>/dev/null || say "$task${nl}in:${task%%:*}"
      say 'in:'
      list_processes
    } | LC_ALL=C awk -v marked="$marked" '
      BEGIN { split(marked, list, " "); for (i in list) ours[list[i]] = 1 }
      /^in:$/ { live = 1; next }
      !live && /^in:/ { led[substr($0, 4)] = 1; next }
      !live { noted[$0] = 1; next }
      {
        pid = $1; rows++
        # The name may contain anything; the fields follow the last bracket.
        if (!sub(/^[0-9]+ \(.*\) /, "") || $1 ~ /^[ZX]/) next
        parent[pid] = $2; group[pid] = $3; session[pid] = $4; start[pid] = $20
        if ((pid ":" $20) in noted) ours[pid] = 1
      }
      END {
        if (!rows) exit
        # A live leader that is not the noted process has got the number again.
        for (id in led) if ((id in start) && !(id in ours)) delete led[id]
        do {
          grew = 0
          for (pid in start) {
            if (!(pid in ours) && ((parent[pid] in ours) || (group[pid] in led) || (session[pid] in led))) {
              ours[pid] = 1; grew = 1
            }
            if ((pid in ours) && !(pid in led) && (group[pid] == pid || session[pid] == pid)) { led[pid] = 1; grew = 1 }
          }
        } while (grew)
        for (pid in ours) if (pid in start) printf " %s", pid
        print ""
        for (pid in ours) if (pid in start) {
          print pid ":" start[pid]
          if (group[pid] in led) open[group[pid]] = 1
          if (session[pid] in led) open[session[pid]] = 1
        }
        for (id in open) print "in:" id
        print "end"
      }'
  )
  case $kin in *"${nl}end") kin=${kin%"${nl}end"} ;; *) return 0 ;; esac
  marked=${kin%%"$nl"*}
  kin=${kin#"$marked"}
  { say "${kin#"$nl"}" >"$at/.kin.$$" && mv "$at/.kin.$$" "$at/kin"; } 2>/dev/null || rm -f "$at/.kin.$$"
}

# Notes new descendants of the agent, once a tick. If no process that was noted has run since the last tick, none of
# them can have started another, and nothing is listed. Sets $marked, $noted_kin and $last_runs.
note_kin() {
  marked=$noted_kin
  count_runs
  { [ -z "$runs" ] || [ "$runs" != "$last_runs" ]; } || return 0
  last_runs=$runs marked=
  add_kin
  # Those runs were counted for other processes.
  [ "$marked" = "$noted_kin" ] || last_runs=''
  noted_kin=$marked
}

# Sets $runs to the time that each thread of the marked processes has run, and how often; empty where the system does
# not say.
count_runs() {
  runs=
  [ -n "$proc" ] || return 0
  for entry in $marked; do
    for thread in "/proc/$entry/task"/*/schedstat; do
      # A file that is missing says nothing.
      read -r has_run 2>/dev/null <"$thread" || has_run='0 0 '
      case $has_run in
        # Every thread has run once, so this kernel does not count, or the process is gone.
        '0 0 '*) runs= && return 0 ;;
      esac
      runs="$runs $thread:$has_run"
    done
  done
}
