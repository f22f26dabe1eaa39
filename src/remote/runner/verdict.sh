# The provisional class of an attempt's end, by the laptop's table, and the result that contains it. The laptop gives
# the final verdict.

# Finds the first row of the error table that matches an error. $1 are the rows that match its fields, $2 its words.
# Sets $found_class (or `-`) and $found_proof.
find_error() {
  found_class=- found_proof='' row_number=0
  [ "$1" != ' ' ] || [ -n "$2" ] || return 0
  while IFS=$tab read -r row_class row_pattern row_fields; do
    row_number=$((row_number + 1))
    if [ -n "$row_fields" ]; then
      case $1 in *" $row_number "*) ;; *) continue ;; esac
    fi
    found_proof=$2
    if [ "$row_pattern" != - ]; then
      found_proof=$(printf '%s\n' "$2" | LC_ALL=C grep -aiE -e "$row_pattern" 2>/dev/null | tail -n 1)
      [ -n "$found_proof" ] || continue
    fi
    found_class=$row_class
    return 0
  done 2>/dev/null <"$spec/errors"
}

# Sets $stray to the last lines of a log without structure, which the patterns are tried on.
find_plain_lines() {
  log_size
  plain_first=1
  [ "$logged" -le 65536 ] || plain_first=2
  stray=$(tail -c 65536 "$at/log" | tail -n "+$plain_first" | LC_ALL=C grep -a '[^[:space:]]' | tail -n 40 | LC_ALL=C cut -b 1-1000)
  [ ! -s "$spec/error_lines" ] || stray=$(printf '%s\n' "$stray" | LC_ALL=C grep -aiE -f "$spec/error_lines")
}

# Prints the end of the log for tools that read whole lines: one endless line must not use up the host's memory.
log_end() { tail -c 16777216 "$at/log"; }

# Whether one line of a log without structure reports success: all EREs of the profile match it.
log_says_success() {
  [ -s "$spec/success" ] || return 0
  log_end | LC_ALL=C awk 'BEGIN { while ((getline ere < ARGV[1]) > 0) if (ere != "") want[++n] = tolower(ere); ARGV[1] = "" }
    { for (i = 1; i <= n; i++) if (tolower($0) !~ want[i]) next; found = 1; exit } END { exit !found }' "$spec/success" -
}

# Reads what the log says. Sets $end, $seen_session, $refused, $error_class, $error_proof, $stray_class and
# $stray_proof. Sets $stray.
gather_log() {
  end=missing seen_session=same refused=no error_class=- error_proof='' stray=''
  if [ -s "$spec/stream" ]; then
    log_size
    read_log end
    if seen_fact end; then end=$value; fi
    if seen_fact refused; then refused=yes; fi
    if seen_fact first && [ -n "$resumed" ] && [ "$value" != "$resumed" ]; then seen_session=other; fi
    if [ "$end" = missing ] && seen_fact foreign; then seen_session=other; fi
    seen_fact rows
    seen_rows=$value
    seen_fact text
    find_error " $seen_rows" "$value"
    error_class=$found_class error_proof=$found_proof
    stray=$(printf '%s\n' "$seen" | sed -n 's/^stray //p')
  else
    find_plain_lines
    if log_says_success; then end=good; fi
  fi
  [ "$reason" != session ] || stray=$detail
  find_error ' ' "$stray"
  stray_class=$found_class stray_proof=$found_proof
}

# Sets $facts to one word for each fact, in the order that the table's patterns have. Sets $disk_state.
gather_facts() {
  gather_log
  case $exit in
    '') exit_fact=unknown ;;
    0) exit_fact=zero ;;
    *)
      exit_fact=failed
      if [ -n "$signal" ]; then
        exit_fact=signal
      elif [ "$exit" = 126 ] || [ "$exit" = 127 ]; then
        seen_fact started || exit_fact='not-started'
      fi
      ;;
  esac
  [ "$reason" != grace ] || exit_fact=ended
  oom_fact=no
  case $oom,$reason,$exit in agent*,lost,* | agent*,exit,137) oom_fact=yes ;; esac
  disk_fact=free disk_state=
  if is_full "$root"; then disk_fact=full disk_state=full; fi
  reason_fact=$reason
  [ "$reason" != ship ] || [ -z "$lacking" ] || reason_fact='ship-lacking'
  case $check in
    '') check_fact='not-set' && { [ ! -f "$spec/check" ] || check_fact=missing; } ;;
    0) check_fact=passed ;;
    *) check_fact=failed ;;
  esac
  work_fact=changed
  if [ -z "$files" ]; then
    work_fact=missing
  elif [ -z "$uncaptured" ] && [ "$files" = "$baseline" ] && [ "$agent_head" = "$start_head" ] && [ "$check" = "$check_before" ] &&
    ! has_other_companions; then
    work_fact=same
  fi
  facts=" reason:$reason_fact exit:$exit_fact oom:$oom_fact disk:$disk_fact end:$end session:$seen_session refused:$refused"
  facts="$facts error:$error_class stray:$stray_class check:$check_fact work:$work_fact "
}

# Finds the class of $facts in the shipped table and sets $class. Without a table, it stays `crashed` and the laptop
# decides.
decide() {
  set --
  while IFS=$tab read -r row_class row_pattern; do
    set -- "$@" "$row_class" "$row_pattern"
  done 2>/dev/null <"$spec/verdicts"
  first_row "$@"
}

# Finds the first row whose pattern matches $facts and sets $class to its class.
first_row() {
  class=crashed
  while [ $# -gt 0 ]; do
    # shellcheck disable=SC2254 # the row is a pattern
    case $facts in
      $2)
        class=$1
        break
        ;;
    esac
    shift 2
  done
  case $class in
    =error) class=$error_class ;;
    =stray) class=$stray_class ;;
  esac
}

# Sets $action to what follows the class. If an earlier attempt here ended in the same class, the row's second choice is
# used.
find_action() {
  action=park
  while IFS=$tab read -r row_class row_action row_again; do
    [ "$row_class" = "$class" ] || continue
    action=$row_action
    if cat "$job"/[0-9]*/result 2>/dev/null | grep -qx "class $class"; then action=$row_again; fi
    break
  done 2>/dev/null <"$spec/actions"
}

# Sets $class, $action, $proof and $detail.
classify() {
  note_kills
  gather_facts
  decide
  find_action
  proof=$error_proof
  [ "$class" = "$error_class" ] || proof=$stray_proof
  case $class in
    oom) detail=${oom#* } ;;
    "$error_class" | "$stray_class") [ -n "$detail" ] || detail=$proof ;;
  esac
}

# Sets $check_files to up to five files that the check command names and that changed since the ship, one a line.
find_check_files() {
  check_files=
  [ -s "$spec/check_files" ] && [ -n "$files" ] || return 0
  field "$job/spec/1/ship" files_tree || field "$spec/ship" files_tree || return 0
  cache_git diff-tree -r --no-renames --name-only "$value" "$files" 2>/dev/null >"$at/scratch"
  check_files=$(LC_ALL=C awk 'BEGIN { while ((getline line < ARGV[1]) > 0) if (line != "") want[line] = 1; ARGV[1] = "" }
    { for (name in want) if ($0 == name || index($0, name "/") == 1) { print "changed " substr($0, 1, 200); if (++n == 5) exit; next } }' \
    "$spec/check_files" "$at/scratch" 2>/dev/null)
  rm -f "$at/scratch"
}

# Allocates room for the result before anything runs, so that a full disk cannot lose how the attempt ended.
allocate_result() { [ -f "$at/.result" ] || { printf '%2048s' '' && print_companion_room; } >"$at/.result"; }

# Writes the result: in place, cut to its length, then renamed. It is the last file of an attempt and never changes.
# Sets $detail.
write_result() {
  [ -f "$at/result" ] && return 0
  find_check_files
  detail=$(printf %s "${note-}${detail-}" | tr '\n\t' '  ' | tr -cd '\040-\176' | cut -c 1-500)
  text="class $class${nl}reason $reason$nl"
  for line in "exit $exit" "signal $signal" "check $check" "check_before $check_before" "baseline $baseline" "start_head $start_head" \
    "tree $files" "capture $capture" "uncaptured $uncaptured" "head $agent_head" "oom $oom" "disk $disk_state" "resumed $resumed" \
    "companions_before $companions_before" "active ${active:-$spent}" "session $(link_of "$job/session")" "detail $detail"; do
    [ -z "${line#* }" ] || text=$text$line$nl
  done
  [ -z "$check_files" ] || text=$text$check_files$nl
  [ ! -s "$at/companions" ] || text=$text$(cat "$at/companions")$nl
  text="${text}end 1$nl"
  allocate_result
  printf %s "$text" 1<>"$at/.result" && dd if=/dev/null of="$at/.result" bs=1 seek="${#text}" 2>/dev/null &&
    mv "$at/.result" "$at/result" && event result "$class"
}
