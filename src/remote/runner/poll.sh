# The verb `poll`: state and log bytes of several attempts in one bounded reply, sent as they appear.

# Reads the streams that the request asks for into numbered variables: w_name_1, w_at_1, w_stream_1, w_inode_1,
# w_offset_1, w_news_1 for the last state sent, and w_seen_1 for the size of events before the last look. Sets
# $stream_count.
read_wants() {
  stream_count=0
  while read -r want_name want_n stream inode offset end_sum; do
    [ -n "$want_name" ] || continue
    for number in "$want_n" "$inode" "$offset" "${end_sum:-0}"; do
      is_number "$number" || refuse request "bad want"
    done
    is_name "$want_name" || refuse request "bad want"
    case $stream in log | check.log | setup.log | check-before.log) ;; *) refuse request "bad stream" ;; esac
    [ -z "$end_sum" ] || ends_alike || offset=0
    stream_count=$((stream_count + 1))
    eval "w_name_$stream_count=$want_name w_at_$stream_count=$want_n w_stream_$stream_count=$stream w_inode_$stream_count=$inode"
    eval "w_offset_$stream_count=$offset w_news_$stream_count='' w_seen_$stream_count=0 w_closed_$stream_count=''"
  done <<END
$wants
END
}

# Whether the 1024 bytes before the offset are those that the laptop has. The file may have been cut and have grown
# again, or another file may have its inode number.
ends_alike() {
  from=$((offset - 1024))
  [ "$from" -gt 0 ] || from=0
  sum=$(tail -c "+$((from + 1))" "$root/work/$want_name/$want_n/$stream" | first_bytes "$((offset - from))" | cksum)
  [ -z "$sum" ] || [ "${sum%% *}" = "$end_sum" ]
} 2>/dev/null

# Sets $w_value to a variable of a stream: its name is the first argument, the number of the stream the second.
get() { eval "w_value=\$w_$1_$2"; }

# Goes over all streams once and sends news, bytes, and the result of an attempt whose streams were sent to their ends.
# Sets $open to the number of streams that may still grow, and $sent to the bytes sent. With $1, state lines are sent
# even if nothing changed.
round() {
  w=0 open=0 sent=0 looked=
  while [ "$w" -lt "$stream_count" ]; do
    w=$((w + 1))
    get name "$w" && want_name=$w_value
    get at "$w" && want_n=$w_value
    get stream "$w" && stream=$w_value
    get closed "$w" && [ -n "$w_value" ] && [ -z "$1" ] && continue
    if [ ! -d "$root/work/$want_name/$want_n" ]; then
      # Without its root, the state of an attempt that was started there is unknown.
      [ -z "$known$used" ] || [ -f "$root/instance" ] || [ -d "$root/work" ] || refuse_unmounted
      [ -n "$w_value" ] || say "e $want_name $want_n unknown no such attempt"
      eval "w_closed_$w=1"
      continue
    fi
    if [ "$looked" != "$want_name $want_n" ]; then
      look "$want_name" "$want_n"
      looked="$want_name $want_n"
      is_number "$events_bytes" && eval "w_seen_$w=$events_bytes"
    fi
    get news "$w"
    if [ "$w_value" != "$news" ] || [ -n "$1" ]; then
      if [ "$told" != "$news" ] || [ -n "$1" ]; then say "$state"; fi
      eval "w_news_$w=\$news"
      told=$news
    fi
    get closed "$w"
    [ -z "$w_value" ] || continue
    send_stream || return 1
    # The result was looked for before the sizes were read, so the sizes include the end of each stream.
    if [ "$result" = 1 ] && [ "$offset" -ge "$size" ]; then
      eval "w_closed_$w=1"
      say "$resulted" | grep -qxF "$want_name $want_n" || still_wanted || send_result
    else
      open=$((open + 1))
    fi
  done
}

# Sends the bytes of a stream beyond the offset as one frame, which is at most as long as the rest of the reply allows.
# Sets $sent.
send_stream() {
  case $stream in
    log) inode=$log_inode size=$log_bytes ;;
    setup.log) inode=$setup_inode size=$setup_bytes ;;
    check-before.log) inode=$before_inode size=$before_bytes ;;
    *) inode=$check_inode size=$check_bytes ;;
  esac
  get offset "$w" && offset=$w_value
  get inode "$w"
  # The file was replaced or cut: it is sent from its start.
  if [ "$w_value" != "$inode" ] || [ "$offset" -gt "$size" ]; then
    [ "$w_value" = 0 ] && [ "$offset" -le "$size" ] || offset=0
    eval "w_inode_$w=\$inode"
  fi
  bytes=$((size - offset))
  [ "$bytes" -le "$budget" ] || bytes=$budget
  if [ "$bytes" -gt 0 ]; then
    say "d $want_name $want_n $stream $inode $offset $bytes" || return 1
    tail -c "+$((offset + 1))" "$root/work/$want_name/$want_n/$stream" 2>/dev/null | head -c "$bytes" || return 1
    # If the file was cut after its size was read, the frame is short, and the laptop would take what follows for its
    # bytes.
    [ "$(($(wc -c <"$root/work/$want_name/$want_n/$stream")))" -ge "$((offset + bytes))" ] 2>/dev/null || return 1
    say "" || return 1
    offset=$((offset + bytes)) budget=$((budget - bytes)) sent=$((sent + bytes))
  fi
  eval "w_offset_$w=\$offset"
}

# Whether another stream of the same attempt has more bytes to send.
still_wanted() {
  other=0
  while [ "$other" -lt "$stream_count" ]; do
    other=$((other + 1))
    get name "$other" && [ "$w_value" = "$want_name" ] && get at "$other" && [ "$w_value" = "$want_n" ] &&
      get closed "$other" && [ -z "$w_value" ] && return 0
  done
  return 1
}

# Sends the attempt's result, and what its capture lacks. Sets $resulted.
send_result() {
  lacks_text=$(tell_uncaptured)
  bytes=$(wc -c <"$at/result")
  [ -z "$lacks_text" ] || bytes=$((bytes + ${#lacks_text} + 1))
  say "r $want_name $want_n $((bytes))"
  [ -z "$lacks_text" ] || say "$lacks_text"
  cat "$at/result"
  say ""
  resulted=$resulted$want_name' '$want_n$nl
}

# Prints what the capture lacks, as lines of a reply.
tell_uncaptured() { sed 's/^/lacks /' "$at/uncaptured" 2>/dev/null; }

# Whether the poll ends: every stream is complete, the reply is full, or the time is up.
over() { [ "$open" -eq 0 ] || [ "$budget" -le 0 ] || [ -n "$time_up" ]; }

# The verb `poll`.
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
  round final || exit 1
  finish 0
}
