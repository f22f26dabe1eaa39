# Ends what an attempt started: its process group, then every process that has its mark or descends from it.

# Sets $marked to the processes of this attempt: those that have its mark, and their descendants.
find_marked() {
  mark=HANDOFF_MARK=$name.$n marked=
  if [ -n "$proc" ]; then
    # Whole variables are compared, because the mark of attempt 1 is a prefix of that of attempt 10.
    if printf 'a\0' | grep -qzxF a 2>/dev/null; then
      suspects=$(grep -slzxF "$mark" /proc/[0-9]*/environ 2>/dev/null)
    else
      suspects=$(for entry in /proc/[0-9]*/environ; do
        tr '\0' '\n' 2>/dev/null <"$entry" | grep -qxF "$mark" && say "$entry"
      done)
    fi
    for entry in $suspects; do
      entry=${entry#/proc/}
      [ "${entry%/environ}" = $$ ] || marked="$marked ${entry%/environ}"
    done
  else
    # macOS hides the environment of programs that come with it, such as its shells. Those are only found as
    # descendants.
    # shellcheck disable=SC2009 # pgrep does not see environments
    marked=$(ps -axE -o pid= -o command= 2>/dev/null | grep -F " $mark" | grep -v grep |
      awk -v mark="$mark" '{ for (i = 2; i <= NF; i++) if ($i == mark) { printf " %s", $1; next } }')
  fi
  add_kin
}

# Sends a signal to every marked process whose start time still matches. Zombies are skipped. Sets $alive_marked.
signal_marked() {
  find_marked
  alive_marked=0
  for entry in $marked; do
    inspect "$entry" || continue
    case $mode in Z* | X*) continue ;; esac
    alive_marked=$((alive_marked + 1))
    kill "-$1" "$entry" 2>/dev/null
    # A stopped process handles no signal but KILL until it is continued.
    [ "$1" != TERM ] || kill -CONT "$entry" 2>/dev/null
  done
}

# Ends all processes of the attempt: TERM, a wait of up to $1 seconds, KILL. Fails when some are still alive.
sweep() {
  signal_marked TERM
  left=$(($1 * 10))
  while [ "$alive_marked" -gt 0 ] && [ "$left" -gt 0 ]; do
    doze
    left=$((left - doze_tenths))
    signal_marked 0
  done
  tries=0
  while [ "$alive_marked" -gt 0 ] && [ "$tries" -lt 50 ]; do
    signal_marked KILL
    doze
    signal_marked 0
    tries=$((tries + 1))
  done
  [ "$alive_marked" -eq 0 ]
}

# Ends the agent and everything it started: TERM to its process group first, so that tools below it end in their own
# order. Sets $marked.
end_task() {
  judge_task
  case $life in
    stopped | alive)
      # Once its parent is gone, nothing shows which attempt a process in its own group belongs to.
      marked=
      add_kin
      kill -CONT "$pid" 2>/dev/null
      if [ "$group" = "$pid" ]; then kill -TERM "-$pid" 2>/dev/null; else kill -TERM "$pid" 2>/dev/null; fi
      ;;
  esac
  sweep "$1"
}

# Sets $watchers to the watchers of this handoff in this root that have no claim in it.
find_watchers() {
  watchers='' claims=$(ls -ln "$job"/[1-9]*/ 2>/dev/null)
  for entry in $(if [ -n "$proc" ]; then cd /proc && ls; else ps -ax -o pid=; fi); do
    is_number "$entry" || continue
    if [ -n "$proc" ]; then
      command=$(tr '\0' ' ' 2>/dev/null <"/proc/$entry/cmdline")
    else
      command=$(ps -o command= -p "$entry" 2>/dev/null)
    fi
    case $command in *" watch "*" $root "*" $name "*) ;; *) continue ;; esac
    case $claims in *" -> $entry:"*) ;; *) watchers="$watchers $entry" ;; esac
  done
}

# Sleeps a tenth of a second where sleep accepts fractions, else a second. Sets $doze_tenths to how long that is, in
# tenths of a second.
doze() {
  if [ -z "${doze_tenths-}" ]; then
    if sleep 0.01 2>/dev/null; then doze_tenths=1; else doze_tenths=10; fi
  fi
  if [ "$doze_tenths" = 1 ]; then sleep 0.1; else sleep 1; fi
}
