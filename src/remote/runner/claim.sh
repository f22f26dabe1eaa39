# Identifies a process by pid, start time, boot and node. A bare pid is never compared or signalled, because the system
# uses pids again. Sets $proc on systems with a /proc.

if [ -r /proc/self/stat ] && [ -r /proc/sys/kernel/random/boot_id ]; then proc=1; else proc=; fi

# Looks a process up. Sets $start, $mode (R, S, T, Z …), $group and $ticks (CPU time in hundredths of a second). Fails
# without such a process.
inspect() {
  if [ -n "$proc" ]; then
    # The name in brackets may contain anything, brackets too; the fields follow the last bracket.
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # fields of a stat line
    set -- ${line##*) }
    mode=$1 group=$3 ticks=$((${12} + ${13})) start=${20}
  else
    # shellcheck disable=SC2046 # words of one ps line
    set -- $(LC_ALL=C TZ=UTC0 ps -o stat= -o pgid= -o time= -o lstart= -p "$1" 2>/dev/null)
    [ $# -ge 4 ] || return 1
    mode=$1 group=$2
    ticks=$(say "$3" | awk -F '[:-]' '{ t = 0; for (i = 1; i <= NF; i++) t = t * 60 + $i; printf "%d", t * 100 }')
    shift 3
    start=$(printf %s "$*" | tr -cd 'A-Za-z0-9')
  fi
}

# Sets $boot and $node, which identify this boot of this machine.
here() {
  [ -z "${node-}" ] || return 0
  if [ -n "$proc" ]; then
    read -r boot </proc/sys/kernel/random/boot_id
  else
    boot=$(sysctl -n kern.bootsessionuuid 2>/dev/null || sysctl -n kern.boottime 2>/dev/null)
  fi
  boot=$(printf %s "$boot" | tr -cd '0-9a-fA-F' | cut -c 1-12)
  # The checksum is computed with awk, because checksum tools differ from host to host.
  node=$(uname -n | awk 'BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
    { for (i = 1; i <= length($0); i++) sum = (sum * 65599 + code[substr($0, i, 1)]) % 2147483647 }
    END { printf "%08x", sum }')
}

# Sets $me to the claim of this process.
myself() {
  here
  inspect $$ || return 1
  me=$$:$start:$boot:$node
}

# Whether a process is in a frozen cgroup: it is alive but does not run. CONT does not thaw it; KILL ends it in cgroup
# version 2. Sets $value.
is_frozen() {
  [ -n "$proc" ] || return 1
  while IFS=: read -r _ controllers cgroup; do
    case $controllers in
      '')
        for hierarchy in /sys/fs/cgroup /sys/fs/cgroup/unified; do
          ! field "$hierarchy$cgroup/cgroup.events" frozen || [ "$value" != 1 ] || return 0
        done
        ;;
      freezer)
        read -r value 2>/dev/null <"/sys/fs/cgroup/freezer$cgroup/freezer.state" && [ "$value" = FROZEN ] && return 0
        ;;
    esac
  done 2>/dev/null <"/proc/$1/cgroup"
  return 1
}

# Evaluates a claim. Sets $life to alive, stopped, dead or unknown (on another node), and $pid to its process.
judge() {
  pid=${1%%:*}
  claim_rest=${1#*:}
  claim_start=${claim_rest%%:*}
  here
  case $1 in
    *":$boot:$node")
      life=dead
      is_number "$pid" && inspect "$pid" && [ "$start" = "$claim_start" ] || return 0
      case $mode in
        Z* | X*) ;;
        T*) life=stopped ;;
        *) if is_frozen "$pid"; then life=stopped; else life=alive; fi ;;
      esac
      ;;
    *":$node") life=dead ;;
    *) life=unknown ;;
  esac
}

# Evaluates the claim of the attempt's watcher. Sets $life (none without one), $pid and its number $watch.
judge_watch() {
  highest "$at/watch."
  watch=$top pid='' life=none
  [ "$watch" -eq 0 ] || judge "$(link_of "$at/watch.$watch")"
}

# Sets $standing to the state of this watcher's claim: `held`; `replaced` by a later watcher; `gone` (deleted from its
# root); or `away`: the root is not there but may come back, for instance when its file system is mounted again.
stand() {
  if [ "$(link_of "$at/watch.$watch")" = "$me" ]; then
    standing=held
    [ ! -h "$at/watch.$((watch + 1))" ] || standing=replaced
  elif [ -f "$root/instance" ] || [ -d "$root/work" ]; then
    standing=gone
  else
    standing=away
  fi
}

# Whether the claim is there and no later one is. This starts no process. It is enough between two steps, but a step
# begins with hold_claim.
seems_held() { [ -h "$at/watch.$watch" ] && [ ! -h "$at/watch.$((watch + 1))" ]; }

# Exits unless this watcher still has its claim. A watcher calls this before each step, because it may have been stopped
# and replaced. While the root is away it waits as long as the agent may run; then it ends everything that it started,
# and exits. Sets $spent.
hold_claim() {
  stand
  while [ "$standing" = away ] && { [ "$limit_active" -eq 0 ] || [ "$((served + spent))" -lt "$limit_active" ]; }; do
    find_marked
    [ -n "$marked" ] || break
    nap "$tick" && spent=$((spent + tick))
    stand
  done
  case $standing in
    held) return 0 ;;
    away | gone) sweep 5 ;;
  esac
  exit 1
}

# Evaluates the agent's process. Sets $life (none before it started), $pid and $task_place. Its boot and node are those
# of the intent.
judge_task() {
  pid='' life=none
  # These links never change, so they are read once.
  if [ "$task_of" != "$at" ]; then
    task_claim=$(link_of "$at/task") || return 0
    task_place=$(link_of "$at/intent") || return 0
    task_claim=$task_claim:${task_place#*:*:} task_of=$at
  fi
  judge "$task_claim"
}
task_of=

# Evaluates a task by its link. Its boot and node are those of this watcher, or those of the intent for the agent. Sets
# $life.
judge_link() {
  if [ "$1" = task ]; then
    judge_task
    return
  fi
  life=none
  here
  task=$(link_of "$at/$1") && judge "$task:$boot:$node"
}

# Wakes the watcher. A stopped watcher is continued; if it is still stopped after two seconds it is killed, so that a
# later one can take over. Its subshells are continued too, because it may wait for one that is stopped. Sets $life.
wake_watcher() {
  judge_watch
  tries=0
  while [ "$life" = stopped ] && [ "$tries" -lt 40 ]; do
    if [ "$tries" -lt 20 ]; then kill -CONT "$pid"; else kill -KILL "$pid"; fi 2>/dev/null
    doze
    tries=$((tries + doze_tenths))
    judge_watch
  done
  [ "$life" = alive ] || return 0
  [ "$group" != "$pid" ] || kill -CONT "-$pid"
  kill -USR1 "$pid"
} 2>/dev/null

# Claims the trees of the handoff with the directory $1. Fails when another process has them. Sets $lent to the link,
# which the caller removes.
lend() {
  lent=
  ! is_lent "$1" && ln -s "$me" "$1/lent.$((top + 1))" 2>/dev/null && lent=$1/lent.$((top + 1))
}

# Whether another process has a claim on the trees of the handoff with the directory $1. Sets $life to the state of the
# last claim (none without one).
is_lent() {
  highest "$1/lent."
  life=none
  [ "$top" -eq 0 ] || judge "$(link_of "$1/lent.$top")"
  case $life in none | dead) return 1 ;; esac
}
