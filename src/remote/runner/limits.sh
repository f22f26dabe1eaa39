# Watching the agent, once a tick: its limits, the end it announced, its session, the heartbeat.

# The grant's numbers.
read_grant() {
  grant_epoch=0 first=1 last=1 delays='' start_as=fresh
  limit_active=0 limit_first_output=0 limit_no_progress=0 limit_grace=0
  while IFS= read -r line; do
    value=${line#* }
    case $line in
      'delays '*) delays=$value ;;
      'start resume') start_as=resume ;;
      'epoch '* | 'first '* | 'last '* | 'active '* | 'first_output '* | 'no_progress '* | 'grace '*)
        is_number "$value" || return 1
        case $line in
          'epoch '*) grant_epoch=$value ;;
          'first '*) first=$value ;;
          'last '*) last=$value ;;
          'active '*) limit_active=$value ;;
          'first_output '*) limit_first_output=$value ;;
          'no_progress '*) limit_no_progress=$value ;;
          'grace '*) limit_grace=$value ;;
        esac
        ;;
    esac
  done 2>/dev/null <"$spec/grant"
  tick=5
  for limit in "$limit_active" "$limit_first_output" "$limit_no_progress" "$limit_grace"; do
    if [ "$limit" -gt 0 ] && [ "$limit" -lt 30 ]; then tick=1; fi
  done
}

log_size() {
  # shellcheck disable=SC2046 # words of one ls line; the size comes before the name
  set -- $(ls -ln "$at/log" 2>/dev/null)
  size=${5:-0}
}

beat() { printf 'active %-12s %s\n' "$((served + spent))" "$(date +%s)" 1<>"$at/beat"; }

# One look at a running agent; sets $ended to the limit that was reached.
watch_agent() {
  beat
  marked=
  add_kin
  read_log
  log_size
  watch_session
  if [ "$size" != "$seen_size" ]; then
    watch_terminal
    seen_size=$size moved_at=$spent base=
  fi
  if [ "$size" -eq 0 ] && [ "$limit_first_output" -gt 0 ] && [ "$spent" -ge "$limit_first_output" ]; then
    ended=no-first-output
  elif grace_is_over; then
    ended=grace
  elif [ "$limit_no_progress" -gt 0 ]; then
    watch_progress
  fi
}

# Notes when the log shows that the agent ended its work; some never exit after that. An agent that continues after its
# terminal event has not ended it: the time counts from the last terminal event that nothing follows.
watch_terminal() {
  if [ -s "$spec/stream" ]; then
    if ! seen_fact end; then
      terminal_at=
      return 0
    fi
    seen_fact ends
    if [ "$value" != "$ends" ] || [ -z "$terminal_at" ]; then begin_grace; fi
    ends=$value
    return 0
  fi
  [ -z "$terminal_at" ] && [ -s "$spec/terminal" ] || return 0
  # A line may have come in two pieces: go back by more than a line.
  from=$((seen_size - 65536))
  [ "$((size - from))" -le 16777216 ] || from=$((size - 16777216))
  [ "$from" -gt 0 ] || from=0
  if tail -c "+$((from + 1))" "$at/log" | LC_ALL=C grep -aqiE -f "$spec/terminal"; then begin_grace; fi
}

# The grace time begins: what the attempt's processes have computed until now is remembered.
begin_grace() {
  terminal_at=$spent
  measure
  grace_cpu=$cpu
}

# Whether the grace time is over. What computes in the background, such as a test suite, is still at work: a quarter of a
# core through the whole time begins it again.
grace_is_over() {
  [ -n "$terminal_at" ] && [ "$limit_grace" -gt 0 ] && [ "$((spent - terminal_at))" -ge "$limit_grace" ] || return 1
  measure
  [ "$((cpu - grace_cpu))" -ge "$((limit_grace * 25))" ] || return 0
  begin_grace
  return 1
}

# A silent log alone proves nothing: a compiler or a test may be at work. CPU time below one percent and not a file
# changed in the checkout, all through the limit, do.
watch_progress() {
  if [ -z "$base" ]; then
    measure
    base=$cpu base_marked=$marked
    true >"$at/quiet" 2>/dev/null || base=
    return
  fi
  [ "$((spent - moved_at))" -ge "$limit_no_progress" ] || return 0
  measure
  if [ "$marked" = "$base_marked" ] && [ "$((cpu - base))" -le "$limit_no_progress" ] &&
    [ -z "$(find "$tree" -newer "$at/quiet" 2>/dev/null | head -n 1)" ]; then
    ended=no-progress
  else
    moved_at=$spent base=
  fi
}

# CPU time of everything the attempt started, in hundredths of a second, in $cpu.
measure() {
  find_marked
  cpu=0
  for entry in $marked; do
    if inspect "$entry"; then cpu=$((cpu + ticks)); fi
  done
}
