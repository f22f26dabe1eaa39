# Watches the agent, once a tick: its limits, the end that it announced, its session and the heartbeat.

# Reads the grant's numbers. Sets $tick, $delays, $first, $last, $grant_epoch, $start_as, and the limits $limit_active,
# $limit_first_output, $limit_no_progress and $limit_grace. Sets $value.
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

# Sets $logged to the size of the log.
log_size() {
  # shellcheck disable=SC2046 # words of one ls line; the size comes before the name
  set -- $(ls -ln "$at/log" 2>/dev/null)
  logged=${5:-0}
}

# Writes the heartbeat: the active seconds so far, and the time.
beat() { printf 'active %-12s %s\n' "$((served + spent))" "$(date +%s)" 1<>"$at/beat"; }

# Checks a running agent once. Sets $ended to the limit that it reached. Sets $base, $marked, $moved_at and $seen_size.
watch_agent() {
  beat
  note_kin
  log_size
  read_log
  watch_session
  if [ "$logged" != "$seen_size" ]; then
    watch_terminal
    seen_size=$logged moved_at=$spent base=
  fi
  if [ "$logged" -eq 0 ] && [ "$limit_first_output" -gt 0 ] && [ "$spent" -ge "$limit_first_output" ]; then
    ended=no-first-output
  elif grace_is_over; then
    ended=grace
  elif [ "$limit_no_progress" -gt 0 ]; then
    watch_progress
  fi
}

# Notes the time at which the log shows that the agent finished, because some agents never exit after that. If the agent
# writes on after its terminal event, it has not finished; only a terminal event that nothing follows counts. Sets
# $terminal_at. Sets $ends.
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
  # The line may have come in two pieces, so more than one line's length is read again.
  from=$((seen_size - 65536))
  [ "$((logged - from))" -le 16777216 ] || from=$((logged - 16777216))
  [ "$from" -gt 0 ] || from=0
  if tail -c "+$((from + 1))" "$at/log" | LC_ALL=C grep -aqiE -f "$spec/terminal"; then begin_grace; fi
}

# Begins the grace time, and notes the CPU time of the attempt's processes until now. Sets $terminal_at.
begin_grace() {
  terminal_at=$spent
  measure
  grace_cpu=$cpu
}

# Whether the grace time is over. It starts again if the attempt used a quarter of a core on average, because a
# background job such as a test suite may still run.
grace_is_over() {
  [ -n "$terminal_at" ] && [ "$limit_grace" -gt 0 ] && [ "$((spent - terminal_at))" -ge "$limit_grace" ] || return 1
  measure
  [ "$((cpu - grace_cpu))" -ge "$((limit_grace * 25))" ] || return 0
  begin_grace
  return 1
}

# Sets $ended if the agent makes no progress. A silent log alone is no proof, because a compiler or a test may run. In
# addition the CPU time must be below one percent, and no file in the checkout may change, for the whole limit. Sets
# $base and $moved_at.
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

# Sets $cpu to the CPU time of everything that the attempt started, in hundredths of a second.
measure() {
  find_marked
  cpu=0
  for entry in $marked; do
    if inspect "$entry"; then cpu=$((cpu + ticks)); fi
  done
}
