# What follows an attempt: the laptop's word if it speaks in time, else the shipped table's. The first writer wins.

write_next() {
  ln -s "$1" "$at/next" 2>/dev/null && event next
}

# The delay after this attempt, in $delay: the first of the grant's delays follows its first attempt.
find_delay() {
  # shellcheck disable=SC2086 # a list of numbers
  set -- $delays
  skip=$((n - first))
  [ "$skip" -le $# ] || skip=$#
  shift "$skip"
  delay=${1:-15}
  is_number "$delay" || delay=15
}

# Waits until a number of seconds was slept, or the laptop decided, or everything was called off.
linger() {
  rest=$1
  while [ "$rest" -gt 0 ] && [ ! -h "$at/next" ] && ! given_up; do
    step=5
    [ "$rest" -ge 5 ] || step=$rest
    if nap "$step"; then rest=$((rest - step)); fi
  done
}

given_up() {
  [ -h "$at/cancel" ] && return 0
  stand
  [ "$standing" = held ] || return 0
  highest "$job/epoch/"
  [ "$top" -gt "$grant_epoch" ]
}

# The Unix second at which a usage window ends, as the line said, else half an hour from now.
reset_time() {
  now=$(date +%s)
  if ! seen_fact until; then value=$(printf %s "$proof" | grep -oE '[0-9]{10}' | head -n 1); fi
  until=$value
  if ! is_number "${until:-x}" || [ "$until" -lt "$now" ] || [ "$until" -gt "$((now + 1209600))" ]; then
    until=$((now + 1800))
  fi
}

# Decides and waits; succeeds when another attempt shall start: then $start_as and $with_check say how.
follow_up() {
  # Nothing is left to this host to do: what follows is the laptop's.
  [ "$n" -lt "$last" ] || return 1
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

# Sleeps through a delay that the laptop chose.
snooze() {
  rest=$1
  while [ "$rest" -gt 0 ] && ! given_up; do
    step=5
    [ "$rest" -ge 5 ] || step=$rest
    if nap "$step"; then rest=$((rest - step)); fi
  done
}
