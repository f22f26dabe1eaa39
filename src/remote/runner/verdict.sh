# The provisional class of an attempt's end, and the result that states it. The verdict itself is the laptop's.

# The first row of the table whose column $1 (class or pattern) is $2: sets $class and $action.
row() {
  while IFS=$tab read -r row_class row_action row_pattern; do
    if [ "$1" = class ]; then row_pattern=$row_class; fi
    if [ "$row_pattern" = "$2" ]; then
      class=$row_class action=$row_action
      return 0
    fi
  done 2>/dev/null <"$spec/table"
  return 1
}

# The first row whose ERE matches a selected line near the end of the log: sets $class, $action and $proof.
match_rows() {
  scratch=$at/scratch
  if [ -s "$spec/error_lines" ]; then
    tail -c 65536 "$at/log" | LC_ALL=C grep -aE -f "$spec/error_lines" >"$scratch"
  else
    tail -c 65536 "$at/log" >"$scratch"
  fi
  found=1
  while IFS=$tab read -r row_class row_action row_pattern; do
    case $row_pattern in '' | @*) continue ;; esac
    proof=$(LC_ALL=C grep -aiE -e "$row_pattern" "$scratch" 2>/dev/null | tail -n 1 | tr -cd '\040-\176' | cut -c 1-400)
    [ -n "$proof" ] || continue
    class=$row_class action=$row_action detail=$proof found=0
    break
  done 2>/dev/null <"$spec/table"
  rm -f "$scratch"
  return "$found"
}

# The end of the log, for what reads line by line: a line without an end must not fill the memory of the host.
log_end() { tail -c 16777216 "$at/log"; }

# Whether one line of the log says that it ended well: all of the profile's EREs match it.
log_says_success() {
  [ -s "$spec/success" ] || return 0
  log_end | LC_ALL=C awk 'BEGIN { while ((getline ere < ARGV[1]) > 0) if (ere != "") want[++n] = ere; ARGV[1] = "" }
    { for (i = 1; i <= n; i++) if ($0 !~ want[i]) next; found = 1; exit } END { exit !found }' "$spec/success" -
}

# Sets $class and $action from $reason, $exit, the check, the capture and the log.
classify() {
  class='' action='' proof=''
  case $reason in
    stop | epoch) class=stopped action=end ;;
    timeout) row pattern @timeout || class=timeout ;;
    no-first-output | no-progress) row pattern @hung || class=hung ;;
    lost)
      if killed_for_memory; then class=oom; else row pattern @lost || class=lost; fi
      ;;
    session) class=session ;;
    disk-full) class=disk-full ;;
    ship | agent-missing | setup | capture)
      class=config
      # The tables of 0.1 have no row for it.
      [ -z "$lacking" ] || row pattern @ship || class=network action=resume
      ;;
    *) classify_end ;;
  esac
  [ -n "$action" ] || row class "$class" || { kept=$class && row pattern @any && class=$kept; } || action=park
}

classify_end() {
  if [ "$reason" = grace ] || [ "$exit" = 0 ]; then
    if log_says_success; then
      classify_success
      return
    fi
  fi
  # What the kernel did goes before what the agent may have said last.
  if [ "$exit" = 137 ] && killed_for_memory; then
    class=oom
    return
  fi
  match_rows && return 0
  if is_full "$root"; then
    class=disk-full
  elif [ "$exit" = 0 ] || { [ -s "$spec/terminal" ] && ! log_end | LC_ALL=C grep -aqE -f "$spec/terminal"; }; then
    row pattern @truncated || class=truncated
  else
    row pattern @crashed || class=crashed
  fi
}

# What is not known to be good is no success: work that nobody can fetch, a check that could not be run.
classify_success() {
  if [ -z "$files" ] || { [ -f "$spec/check" ] && [ -z "$check" ]; }; then
    if is_full "$root"; then
      class=disk-full
    elif [ -z "$files" ]; then
      class=config
    else
      detail="the check could not be run"
      row pattern @check-failed || class='check-failed'
    fi
    return
  fi
  if [ -n "$check" ] && [ "$check" != 0 ]; then
    row pattern @check-failed || class='check-failed'
  elif [ -n "$files" ] && [ "$files" = "$baseline" ] && [ "$agent_head" = "$start_head" ] &&
    [ "${check:-none}" = "${check_before:-none}" ]; then
    row pattern @no-work || class=no-work
  else
    action=end
    if [ -n "$check" ]; then class='done'; else class=unchecked; fi
  fi
}

# Room for a result is taken before anything runs: a full disk must not swallow how an attempt ended.
allocate_result() { [ -f "$at/.result" ] || printf '%2048s' '' >"$at/.result"; }

# Writes the result: in place, cut to its length, then renamed. It is the last file of an attempt and never changes.
write_result() {
  [ -f "$at/result" ] && return 0
  detail=$(printf %s "${note-}${detail-}" | tr '\n\t' '  ' | tr -cd '\040-\176' | cut -c 1-500)
  text="class $class${nl}reason $reason$nl"
  for line in "exit $exit" "check $check" "check_before $check_before" "baseline $baseline" "tree $files" \
    "capture $capture" "uncaptured $uncaptured" "weight $weight" "head $agent_head" "active ${active:-$spent}" "session $(link_of "$job/session")" "detail $detail"; do
    [ -z "${line#* }" ] || text=$text$line$nl
  done
  text="${text}end 1$nl"
  allocate_result
  printf %s "$text" 1<>"$at/.result" && dd if=/dev/null of="$at/.result" bs=1 seek="${#text}" 2>/dev/null &&
    mv "$at/.result" "$at/result" && event result "$class"
}
