# The verb `poll`: state and log bytes of several attempts in one bounded reply, as they come.

# A want is kept in numbered variables: w_name_1, w_at_1, w_stream_1, w_inode_1, w_offset_1, and w_news_1 for its state.
read_wants() {
  count=0
  while read -r want_name want_n stream inode offset; do
    [ -n "$want_name" ] || continue
    for number in "$want_n" "$inode" "$offset"; do
      is_number "$number" || refuse request "bad want"
    done
    is_name "$want_name" || refuse request "bad want"
    case $stream in log | check.log) ;; *) refuse request "bad stream" ;; esac
    count=$((count + 1))
    eval "w_name_$count=$want_name w_at_$count=$want_n w_stream_$count=$stream w_inode_$count=$inode"
    eval "w_offset_$count=$offset w_news_$count='' w_closed_$count=''"
  done <<END
$wants
END
}

get() { eval "got=\$w_$1_$2"; }

# One round over all wants: news, bytes, and the result once its streams were read to their ends. $open counts the wants
# that may still bring something, $sent the bytes of this round. With $1, state lines are sent whether new or not.
round() {
  w=0 open=0 sent=0 looked=
  while [ "$w" -lt "$count" ]; do
    w=$((w + 1))
    get name "$w" && want_name=$got
    get at "$w" && want_n=$got
    get stream "$w" && stream=$got
    get closed "$w" && [ -n "$got" ] && [ -z "$1" ] && continue
    if [ ! -d "$root/work/$want_name/$want_n" ]; then
      [ -n "$got" ] || say "e $want_name $want_n unknown no such attempt"
      eval "w_closed_$w=1"
      continue
    fi
    if [ "$looked" != "$want_name $want_n" ]; then
      look "$want_name" "$want_n"
      looked="$want_name $want_n"
    fi
    get news "$w"
    if [ "$got" != "$news" ] || [ -n "$1" ]; then
      if [ "$told" != "$news" ] || [ -n "$1" ]; then say "$state"; fi
      eval "w_news_$w=\$news"
      told=$news
    fi
    get closed "$w"
    [ -z "$got" ] || continue
    send_stream || return 1
    # The result was looked for before the sizes were read: what it ends is in them.
    if [ "$result" = 1 ] && [ "$offset" -ge "$size" ]; then
      eval "w_closed_$w=1"
      say "$resulted" | grep -qxF "$want_name $want_n" || still_wanted || send_result
    else
      open=$((open + 1))
    fi
  done
}

# Sends what a stream holds beyond the offset, as one frame of at most what the reply has left.
send_stream() {
  if [ "$stream" = log ]; then inode=$log_inode size=$log_bytes; else inode=$check_inode size=$check_bytes; fi
  get offset "$w" && offset=$got
  get inode "$w"
  # Another file, or a shorter one: from its start.
  if [ "$got" != "$inode" ] || [ "$offset" -gt "$size" ]; then
    [ "$got" = 0 ] && [ "$offset" -le "$size" ] || offset=0
    eval "w_inode_$w=\$inode"
  fi
  bytes=$((size - offset))
  [ "$bytes" -le "$budget" ] || bytes=$budget
  if [ "$bytes" -gt 0 ]; then
    say "d $want_name $want_n $stream $inode $offset $bytes" || return 1
    tail -c "+$((offset + 1))" "$root/work/$want_name/$want_n/$stream" 2>/dev/null | head -c "$bytes" || return 1
    say "" || return 1
    offset=$((offset + bytes)) budget=$((budget - bytes)) sent=$((sent + bytes))
  fi
  eval "w_offset_$w=\$offset"
}

# Whether another stream of the same attempt has more to come.
still_wanted() {
  other=0
  while [ "$other" -lt "$count" ]; do
    other=$((other + 1))
    get name "$other" && [ "$got" = "$want_name" ] && get at "$other" && [ "$got" = "$want_n" ] &&
      get closed "$other" && [ -z "$got" ] && return 0
  done
  return 1
}

send_result() {
  bytes=$(wc -c <"$at/result")
  say "r $want_name $want_n $((bytes))"
  cat "$at/result"
  say ""
  resulted=$resulted$want_name' '$want_n$nl
}

over() { [ "$open" -eq 0 ] || [ "$budget" -le 0 ] || [ -n "$time_up" ]; }

# Whether `tail -f` learns of new bytes from the system instead of looking again and again.
tail_waits() {
  case $(uname -s) in
    Linux) tail --version 2>/dev/null | grep -q GNU ;;
    Darwin | FreeBSD | OpenBSD | NetBSD) : ;;
    *) return 1 ;;
  esac && command -v mkfifo >/dev/null 2>&1
}

run_poll() {
  read_request
  [ "$wait" -le 20000 ] || wait=20000
  budget=$max told='' resulted='' time_up='' tails='' sleeper=''
  begin
  read_wants
  trap 'exit 1' PIPE HUP TERM INT
  round '' || exit 1
  if ! over && [ "$wait" -gt 0 ]; then
    if tail_waits && mkfifo "$root/.poll.$$" 2>/dev/null; then wait_by_event; else wait_by_looking; fi
  fi
  round final
  finish 0
}

# The wait in seconds as sleep takes it here.
wait_seconds() {
  if sleep 0.01 2>/dev/null; then
    seconds=$((wait / 1000)).$(printf %03d $((wait % 1000)))
  else
    seconds=$(((wait + 999) / 1000))
  fi
}

# Every watched file has a tail that starts at the first unread byte, so nothing falls between looking and waiting. Their
# bytes are only a wake-up: they go through a pipe to a reader that throws them away.
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
    sleep "$seconds" >/dev/null 2>&1 3>&- &
    sleeper=$!
    wait "$sleeper"
    kill -USR1 $$ 2>/dev/null
    echo >&3
    # If the poll itself was killed, its tails must not stay.
    sleep 2 >/dev/null 2>&1 3>&-
    stop_tails
  ) </dev/null >/dev/null 2>&1 &
  timer=$!
  while ! over; do
    dd bs=65536 count=1 <&3 >/dev/null 2>&1
    round '' || exit 1
    if [ "$sent" -gt 0 ]; then
      # Lines that come close together go out together.
      sleep 0.02 2>/dev/null
      if [ "$sent" -gt 262144 ]; then
        stop_tails
        start_tails
      fi
    fi
  done
}

start_tails() {
  w=0 followed=' '
  while [ "$w" -lt "$count" ]; do
    w=$((w + 1))
    get closed "$w" && [ -z "$got" ] || continue
    get name "$w" && want_name=$got
    get at "$w" && want_n=$got
    get stream "$w" && stream=$got
    get offset "$w"
    tail_from "$((got + 1))" "$root/work/$want_name/$want_n/$stream"
    case $followed in *" $want_name "*) continue ;; esac
    followed="$followed$want_name "
    tail_from "$(($(wc -c <"$root/work/$want_name/events") + 1))" "$root/work/$want_name/events"
  done
}

tail_from() {
  tail -c "+$1" -f "$2" </dev/null >&3 2>/dev/null 3>&- &
  tails="$tails $!"
}

stop_tails() {
  # shellcheck disable=SC2086 # a list of pids
  [ -z "$tails" ] || kill $tails 2>/dev/null
  tails=
}

wait_by_looking() {
  left=$wait
  while ! over; do
    doze
    left=$((left - doze_tenths * 100))
    [ "$left" -gt 0 ] || time_up=1
    round '' || exit 1
  done
}
