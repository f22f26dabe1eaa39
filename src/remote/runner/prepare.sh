# The steps before the agent: ship, binary, session, setup, baseline, and then the intent to start it, once.

# Does every step before the agent. Fails with $reason set; before `intent` exists, the agent has not run. Sets
# $baseline, $companions_before, $detail, $files, $reason and $start_head.
prepare() {
  reason=disk-full
  allocate_result && ! has_less "$root" 2048 || return 1
  reason=ship
  # A tree that another attempt may use by now is not touched.
  { ! called_off && land && place_attached; } || stopped_early || return 1
  reason='agent-missing'
  find_agent || return 1
  reason=session
  find_session || return 1
  reason=setup
  if [ -f "$spec/setup" ]; then
    if ! run_script setup "$at/setup.log" setup || [ "$status" != 0 ]; then
      detail="exit status ${status:-unknown}"
      [ "$ended" != timeout ] || detail="stopped after $limit_active s"
      stopped_early
      return 1
    fi
  fi
  check_first || stopped_early || return 1
  reason=capture
  detail="the files could not be read before the start"
  hash_files || return 1
  read_agent_git
  baseline=$files start_head=$agent_head files=
  companions_before=$(hash_companions)
  carry_baseline
  say "baseline $baseline${nl}head $start_head${nl}companions $companions_before${nl}check $check_before${nl}resumed $resumed" >"$at/before"
  reason=disk-full detail=
  ln -s "$(link_of "$job/tree")" "$at/tree" 2>/dev/null
  [ -h "$at/tree" ] && make_prompt || return 1
  reason=epoch
  ! called_off || stopped_early || return 1
  count_kills >"$at/kills"
  say "$start_as ${session:--}" >"$at/launch" || return 1
  ln -s "$me" "$at/intent" 2>/dev/null || return 1
  event intent
  # The epoch is read again after the intent is visible. Whoever raises the epoch reads the intent afterwards, so one of
  # both notices.
  highest "$job/epoch/"
  if [ "$top" -gt "$grant_epoch" ] || [ -h "$at/cancel" ]; then
    stopped_early
    return 1
  fi
  reason='exit' detail=
}

# Always fails. Sets $reason to why the attempt was called off.
stopped_early() {
  if [ -h "$at/cancel" ]; then
    reason=stop
  else
    highest "$job/epoch/"
    [ "$top" -le "$grant_epoch" ] || reason=epoch
  fi
  return 1
}

# Runs the check at the handoff's base, before the first attempt, and sets $check_before to its status. Later attempts
# use the same status.
check_first() {
  [ -f "$spec/check" ] || return 0
  if field "$spec/grant" check_base || { [ "$n" -gt "$first" ] && field "$job/$((n - 1))/before" check; }; then
    check_before=$value
    [ -z "$value" ] || return 0
  fi
  run_script check "$at/check-before.log" check || return 1
  check_before=$status
}

# Takes the baseline of the attempt before if that one was cut short, because its work counts for this attempt, too.
# Sets $baseline, $start_head and $companions_before.
carry_baseline() {
  [ "$n" -gt "$first" ] || [ "$adopt" = no ] || return 0
  before=$job/$((n - 1))
  field "$before/result" class || return 0
  case $value in done | unchecked | no-work | check-failed) return 0 ;; esac
  field "$before/before" baseline && baseline=$value
  field "$before/before" head && start_head=$value
  field "$before/before" companions && companions_before=$value
}

# Writes the prompt of this attempt.
make_prompt() { text_of_prompt >"$at/prompt" && tell_attached >>"$at/prompt"; }

# Prints the prompt without the attached files.
text_of_prompt() {
  if [ -n "$with_check" ]; then
    cat "$spec/prompt.check-head" 2>/dev/null
    tail -c 16384 "$job/$((n - 1))/check.log"
    cat "$spec/prompt.check-foot" 2>/dev/null
  elif [ "$n" -gt "$first" ] || [ "$start_as" = resume ]; then
    cat "$spec/prompt.resume" 2>/dev/null || cat "$spec/prompt.fresh"
  else
    cat "$spec/prompt.fresh"
  fi
}

