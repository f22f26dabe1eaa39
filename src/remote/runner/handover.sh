# Hands the tree of a handoff at rest to the next handoff. The next one makes a claim `lent.<k>` in the directory of the
# handoff at rest and then checks that it is at rest. That handoff makes the directory of its next attempt and then
# looks for a claim. So at least one of the two notices the other.

# Makes this handoff the owner of a tree of $owner, if the laptop says that $owner is at rest and everything here agrees.
# Otherwise the tree stays as it is. Sets $owner.
take_over() {
  grep -qxF "handoff $owner" "$spec/resting" 2>/dev/null && lend "$root/work/$owner" || return 1
  obstacle=
  # It was read before the claim, under which it cannot change.
  if [ "$(link_of "$place/owner")" != "$owner" ]; then
    obstacle="another handoff has taken it"
  elif ! is_at_rest "$owner"; then
    obstacle="$owner is not at rest"
  elif [ -n "$(list_siblings | tr '\0' ' ')" ]; then
    obstacle="there are files next to the checkout"
  elif is_worked_in "$place"; then
    obstacle="a process works in it"
  elif ! { note_held && may_fill; }; then
    obstacle=${why:-"what is held could not be noted"}
  elif set_owner "$name"; then
    owner=$name
  else
    obstacle="its owner could not be changed"
  fi
  rm -f "$lent"
  [ -n "$obstacle" ] || return 0
  say "$place was not taken: $obstacle" >&2
  return 1
}

# Whether the working directory of a process is in the directory $1. An agent's process may have outlived its attempt: one
# that left its session, its parent and its environment is not known as the agent's any more.
is_worked_in() {
  # shellcheck disable=SC2012 # only the ends of the lines are used
  ls -l /proc/[0-9]*/cwd 2>/dev/null | above=$(cd "$1" && pwd -P)/ LC_ALL=C awk '
    { sub(/^.* -> /, ""); if (index($0 "/", ENVIRON["above"]) == 1) { found = 1; exit } } END { exit !found }'
}

# Waits until no other handoff is about to take a tree of this one. Fails when that takes too long. Sets
# $detail.
await_lender() {
  detail="another handoff is about to take the checkout"
  patience=6000
  while is_lent "$job"; do
    [ "$life" != unknown ] ||
      detail="another machine was about to take the checkout; if it is gone, delete $job/lent.$top"
    [ "$patience" -gt 0 ] && ! called_off || return 1
    doze
    patience=$((patience - doze_tenths))
  done
  detail=
}

# Whether another handoff has taken the tree that this one had. Sets $place.
is_taken() { place=$(link_of "$job/tree") && ! [ "$(link_of "$job/${place%/*}/owner")" = "$name" ]; }

# Whether nothing of the handoff $1 runs here or may start, and everything that it left is captured. Sets $name to it in
# the meantime, and $watch.
is_at_rest() {
  own_name=$name own_number=$n own_watch=$watch
  name=$1
  are_over
  rests=$?
  name=$own_name watch=$own_watch
  at_attempt "$name" "$own_number"
  return "$rests"
}

# Whether every attempt of the handoff $name is over, none follows, and it is not being released.
are_over() {
  highest "$root/work/$name/"
  newest=$top turn=0
  [ "$newest" -gt 0 ] || return 1
  while [ "$turn" -lt "$newest" ]; do
    turn=$((turn + 1))
    at_attempt "$name" "$turn"
    [ ! -d "$at" ] || is_over || return 1
  done
  for claim in "$job"/release.*; do
    judge "$(link_of "$claim")"
    case $life in none | dead) ;; *) [ ! -h "$claim" ] || return 1 ;; esac
  done
  case $(link_of "$at/next") in *:resume:* | *:check:* | *:wait:*) [ -h "$at/cancel" ] ;; esac
}

# Whether the attempt has ended, its work is captured without exception, and nothing of it is alive.
is_over() {
  [ -f "$at/result" ] && [ ! -f "$at/uncaptured" ] && { [ -h "$at/capture" ] || [ ! -h "$at/intent" ]; } || return 1
  judge_watch
  case $life in none | dead) ;; *) return 1 ;; esac
  find_marked
  [ -z "$marked" ]
}

# Records next to the tree what the laptop has of its owner, and the configuration with which its files were written, as
# a release does.
note_held() {
  {
    awk -v header="handoff $owner" '/^handoff / { here = $0 == header; next } here' "$spec/resting"
    # It also has what it shipped.
    sed -nE 's/^(ref|commit|head) ([0-9a-f]+).*/commit \2/p; /^content /p' "$root/work/$owner/spec"/*/ship
    say "config $(clean_git hash-object --stdin <"$root/work/$owner/capture.git/config")"
  } >"$place/held"
} 2>/dev/null
