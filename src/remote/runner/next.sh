# Decides what follows an attempt: the laptop decides if it answers in time, otherwise the table that it shipped. The
# first writer of `next` wins.

# Writes `next` as `<writer>:<action>:<number>`. Fails when it exists.
write_next() {
  ln -s "$1" "$at/next" 2>/dev/null && event next
}

# Sets $delay to the seconds between this attempt and the next. The first of the grant's delays follows its first
# attempt.
find_delay() {
  # shellcheck disable=SC2086 # a list of numbers
  set -- $delays
  skip=$((n - first))
  [ "$skip" -le $# ] || skip=$#
  shift "$skip"
  delay=${1:-15}
  is_number "$delay" || delay=15
}

# Waits $1 seconds, or until the laptop wrote `next` or the work was given up.
linger() {
  rest=$1
  while [ "$rest" -gt 0 ] && [ ! -h "$at/next" ] && ! given_up; do
    step=5
    [ "$rest" -ge 5 ] || step=$rest
    if nap "$step"; then rest=$((rest - step)); fi
  done
}

# Whether this watcher may start nothing more: the attempt was cancelled, its claim is gone, or there is a higher epoch.
given_up() {
  [ -h "$at/cancel" ] && return 0
  stand
  [ "$standing" = held ] || return 0
  highest "$job/epoch/"
  [ "$top" -gt "$grant_epoch" ]
}

# Sets $until to the Unix second at which a usage limit ends. The log may contain it; the default is half an hour from
# now. Sets $value.
reset_time() {
  now=$(date +%s)
  if ! seen_fact until; then value=$(printf %s "$proof" | grep -oE '[0-9]{10}' | head -n 1); fi
  until=$value
  if ! is_number "${until:-x}" || [ "$until" -lt "$now" ] || [ "$until" -gt "$((now + 1209600))" ]; then
    until=$((now + 1800))
  fi
}

# Decides what follows, and waits. Succeeds when another attempt is to start, and then sets $start_as and $with_check.
follow_up() {
  # If the grant has no further attempt or the tree is gone, the laptop decides.
  [ "$n" -lt "$last" ] && [ "$reason" != gone ] || return 1
  find_delay
  linger "$delay"
  if [ ! -h "$at/next" ]; then
    given_up && return 1
    case $action in
      resume | check) write_next "host:$action:$delay" ;;
      wait)
        reset_time
        write_next "host:wait:$until"
        ;;
      end | park) write_next "host:$action:0" ;;
      *) write_next host:park:0 ;;
    esac
  fi
  obey "$(link_of "$at/next")"
}

# Follows `next` as it was written. Sets $start_as and $with_check; fails when no attempt is to start.
obey() {
  argument=${1##*:}
  is_next "$1" || return 1
  start_as=resume with_check=''
  case $1 in
    laptop:resume:* | laptop:check:*) snooze "$argument" ;;
    *:wait:*)
      while [ "$(date +%s)" -lt "$argument" ] && ! given_up; do
        nap 30
      done
      ;;
    host:resume:* | host:check:*) ;;
    *) return 1 ;;
  esac
  case $1 in *:check:*) with_check=1 ;; esac
  ! given_up
}

# Waits for the delay that the laptop chose.
snooze() {
  rest=$1
  while [ "$rest" -gt 0 ] && ! given_up; do
    step=5
    [ "$rest" -ge 5 ] || step=$rest
    if nap "$step"; then rest=$((rest - step)); fi
  done
}
