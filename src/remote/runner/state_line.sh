# The state line of an attempt, from one look at its directory and at the processes named there.

# Whether the process that the wrapper $pid waits for is stopped. The wrapper itself is not.
agent_stopped() {
  children=
  # The list has no newline at its end, so `read` fails although it has read it.
  read -r children 2>/dev/null <"/proc/$pid/task/$pid/children"
  for child in $children; do
    inspect "$child" || return 1
    case $mode in T*) ;; *) return 1 ;; esac
  done
  [ -n "$children" ]
}

# Looks at attempt $2 of handoff $1. Sets $state, $news (the part of it whose change is news), the inodes and sizes of
# the streams $log_inode, $log_bytes, $check_inode, $check_bytes, $setup_inode, $setup_bytes, $before_inode and
# $before_bytes, $result to whether there is one, and $events_bytes to the size that events had before the look. Sets
# $name, $session and $exit.
look() {
  at_attempt "$1" "$2"
  name=$1 last_claim=0 claim='' intent=0 placed='' task='' cancel=0 exit=- result=0 written_next=- session=-
  top_epoch=0 last_attempt=0 events_bytes=0 section='' log_inode=0 log_bytes=0 check_inode=0 check_bytes=0 setup_inode=0 setup_bytes=0 before_inode=0 before_bytes=0 launch=-
  while read -r inode _ _ _ _ bytes _ _ _ entry _ target; do
    case $inode in *:) section=${inode%:} ;; esac
    case $section/$entry in
      ./session) session=$target ;;
      ./events) events_bytes=$bytes ;;
      ./[1-9]*) if is_number "$entry" && [ "$entry" -gt "$last_attempt" ]; then last_attempt=$entry; fi ;;
      epoch/[1-9]*) if is_number "$entry" && [ "$entry" -gt "$top_epoch" ]; then top_epoch=$entry; fi ;;
      "$2"/watch.*) if [ "${entry#watch.}" -gt "$last_claim" ]; then last_claim=${entry#watch.} claim=$target; fi ;;
      "$2"/intent) intent=1 placed=$target ;;
      "$2"/task) task=$target ;;
      "$2"/cancel) cancel=1 ;;
      "$2"/result) result=1 ;;
      "$2"/next) written_next=$target ;;
      "$2"/log) log_inode=$inode log_bytes=$bytes ;;
      "$2"/check.log) check_inode=$inode check_bytes=$bytes ;;
      "$2"/setup.log) setup_inode=$inode setup_bytes=$bytes ;;
      "$2"/check-before.log) before_inode=$inode before_bytes=$bytes ;;
    esac
  done <<END
$(cd "$job" 2>/dev/null && LC_ALL=C ls -lin . epoch "$2" 2>/dev/null)
END
  watching=none working=none
  if [ -n "$claim" ]; then
    judge "$claim"
    watching=$life
  fi
  if [ -n "$task" ]; then
    placed=${placed#*:}
    judge "$task:${placed#*:}"
    working=$life
    case $life in
      unknown) working=none ;;
      alive) ! agent_stopped || working=stopped ;;
    esac
  fi
  read_status "$at/exit"
  # The file says how the agent was really started.
  if [ "$intent" = 1 ] && read -r started_as started_session 2>/dev/null <"$at/launch"; then
    launch=$started_as:$started_session
  fi
  active_time=0 beat=-
  if read -r _ active_time beat 2>/dev/null <"$at/beat" && is_number "${beat:-x}"; then
    now=$(date +%s)
    beat=$((now - beat))
  else
    beat=-
  fi
  is_number "${active_time:-x}" || active_time=0
  news="s $1 $2 watch=$watching intent=$intent task=$working cancel=$cancel exit=${status:--} result=$result next=$written_next session=$session launch=$launch"
  state="$news active=$active_time beat=$beat epoch=$top_epoch log=$log_inode:$log_bytes check=$check_inode:$check_bytes last=$last_attempt"
  news="$news $top_epoch $last_attempt $log_inode $check_inode"
}
