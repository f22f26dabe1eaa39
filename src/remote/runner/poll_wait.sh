# Waits for news in a poll: notified by the system where that works, else by looking ten times a second.

# Whether the system notifies `tail -f` of new bytes here, so that it does not poll.
tail_waits() {
  case $(uname -s) in
    Linux) tail --version 2>/dev/null | grep -q GNU ;;
    Darwin | FreeBSD | OpenBSD | NetBSD) : ;;
    *) return 1 ;;
  esac && command -v mkfifo >/dev/null 2>&1
}

# Sets $wait_time to the wait in seconds, in the form that sleep accepts here.
wait_seconds() {
  if sleep 0.01 2>/dev/null; then
    wait_time=$((wait / 1000)).$(printf %03d $((wait % 1000)))
  else
    wait_time=$(((wait + 999) / 1000))
  fi
}

# Waits until a watched file grows. A tail starts at the first unread byte of every file, so no byte is missed between
# the last look and the wait. Its output only wakes us: a reader discards it.
wait_by_event() {
  exec 3<>"$root/.poll.$$"
  rm -f "$root/.poll.$$"
  wait_seconds
  trap 'time_up=1' USR1
  trap 'stop_tails; [ -z "$timer" ] || kill "$timer" 2>/dev/null' EXIT
  timer=
  start_tails
  (
    trap 'kill "$sleeper" 2>/dev/null; exit' TERM
    trap - EXIT
    sleep "$wait_time" >/dev/null 2>&1 3>&- &
    sleeper=$!
    wait "$sleeper"
    kill -USR1 $$ 2>/dev/null
    echo >&3
    # If the poll itself is killed, its tails must not stay.
    sleep 2 >/dev/null 2>&1 3>&-
    stop_tails
  ) </dev/null >/dev/null 2>&1 &
  timer=$!
  while ! over; do
    dd bs=65536 count=1 <&3 >/dev/null 2>&1
    round '' || exit 1
    if [ "$sent" -gt 0 ]; then
      # Lines that are written together are sent together.
      sleep 0.02 2>/dev/null
      if [ "$sent" -gt 262144 ]; then
        stop_tails
        start_tails
      fi
    fi
  done
}

# Starts a tail for each open stream and for the events of its attempt.
start_tails() {
  w=0 followed=' '
  while [ "$w" -lt "$stream_count" ]; do
    w=$((w + 1))
    get closed "$w"
    [ -z "$w_value" ] || continue
    get name "$w" && want_name=$w_value
    get at "$w" && want_n=$w_value
    get stream "$w" && stream=$w_value
    get offset "$w"
    # A file that is made later is announced in the events.
    [ ! -e "$root/work/$want_name/$want_n/$stream" ] || tail_from "$((w_value + 1))" "$root/work/$want_name/$want_n/$stream"
    case $followed in *" $want_name "*) continue ;; esac
    followed="$followed$want_name "
    get seen "$w"
    tail_from "$((w_value + 1))" "$root/work/$want_name/events"
  done
}

# Starts a tail of the file $2 at the byte $1.
tail_from() {
  tail -c "+$1" -f "$2" </dev/null >&3 2>/dev/null 3>&- &
  tails="$tails $!"
}

# Ends the tails.
stop_tails() {
  # shellcheck disable=SC2086 # a list of pids
  [ -z "$tails" ] || kill $tails 2>/dev/null
  tails=
}

# Waits by comparing sizes, ten times a second.
wait_by_looking() {
  left=$wait
  while ! over; do
    doze
    left=$((left - doze_tenths * 100))
    [ "$left" -gt 0 ] || time_up=1
    round '' || exit 1
  done
}

# A poll waits for many seconds, so its shell reads no further.
if [ "$1" = poll ]; then
  main "$@"
  exit
fi
