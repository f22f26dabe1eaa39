# Who descends from the agent, also without its mark: what clears its environment and leaves its parent is still known if it
# was seen before that. Looked at once a tick and at each sweep.

# Every process, as the lines of /proc/PID/stat. What `ps` knows fills the fields that count here; it knows no sessions.
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

# Adds to $marked the processes that descend from it or from what the last look noted in `kin`, and those in a session or
# a group that one of them leads or led. Notes them all, as lines `<pid>:<start>` and `in:<session or group>`. What has no
# process left is noted no more, so a number that the system uses again is never taken for it.
add_kin() {
  task=$(link_of "$at/task") || return 0
  # Pids and start times of another boot name other processes.
  here
  case $(link_of "$at/intent") in *":$boot:$node") ;; *) return 0 ;; esac
  kin=$(
    {
      # A task that was never looked at yet begins the notes.
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
        # The name may hold anything; what counts follows the last bracket.
        if (!sub(/^[0-9]+ \(.*\) /, "") || $1 ~ /^[ZX]/) next
        parent[pid] = $2; group[pid] = $3; session[pid] = $4; start[pid] = $20
        if ((pid ":" $20) in noted) ours[pid] = 1
      }
      END {
        if (!rows) exit
        # A leader that lives and is another process than the one that was noted: the number was used again.
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
