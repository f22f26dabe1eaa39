# Chooses the tree that a handoff works in. A tree is only refilled when the laptop has all of it, except declared
# caches. Any other tree stays as it is, and is reported.

# Finds the tree of this handoff and sets $tree and $place. Fails when it has none, or another handoff owns it.
find_tree() {
  place=$(link_of "$job/tree") && find_owned_tree
}

# Finds the tree that this attempt worked in and sets $tree and $place.
find_attempt_tree() {
  place=$(link_of "$at/tree") || place=$(link_of "$job/tree") || return 1
  find_owned_tree
}

# Checks that this handoff owns the tree that the link target $place names. Sets $tree and $place to its directories.
find_owned_tree() {
  tree=$job/$place place=$job/${place%/*}
  [ "$(link_of "$place/owner")" = "$name" ] || return 1
  place=$(cd "$place" && pwd -P) && tree=$place/${tree##*/}
  [ -d "$tree" ]
}

# Takes a tree and fills it: one of ours or without an owner, else one of a handoff at rest, else a new one.
# Whoever the link `owner` names has it. Sets $place, $tree and $owner.
take_tree() {
  mkdir -p "$root/trees" || return 1
  for owners in free resting; do
    k=1
    while [ -e "$root/trees/$repo-$k" ]; do
      place=$root/trees/$repo-$k tree=$place/$repo
      if [ "$(link_of "$place/key")" = "$key" ] && [ ! -e "$place/kept" ]; then
        owner=$(link_of "$place/owner")
        case $owners:$owner in
          "free:$name") reuse_tree ;;
          free:) ! is_worked_in "$place" && ln -s "$name" "$place/owner" 2>/dev/null && reuse_tree ;;
          resting:?*)
            if take_over; then
              refill_tree
              # Where one tree could not be filled, only a new one may help.
              case $? in 0) return 0 ;; 2) return 1 ;; *) break 2 ;; esac
            fi
            false
            ;;
          *) false ;;
        esac
        case $? in 0) return 0 ;; 2) return 1 ;; esac
      fi
      k=$((k + 1))
    done
  done
  until mkdir "$root/trees/$repo-$k" 2>/dev/null; do
    [ -e "$root/trees/$repo-$k" ] || return 1
    k=$((k + 1))
  done
  place=$root/trees/$repo-$k tree=$place/$repo
  ln -s "$name" "$place/owner" && ln -s "$key" "$place/key" && enter_tree && settle_in && return 0
  ask_again
  return 1
}

# Makes $tree, links it to the handoff, and enters it.
enter_tree() {
  rm -f "$job/tree"
  with_clone_modes mkdir -p "$tree" && ln -s "../../trees/${place##*/}/$repo" "$job/tree" && find_tree
}

# Fills a tree of ours if that loses nothing. Otherwise the tree is set aside. Fails with 2 as refill_tree.
reuse_tree() {
  if may_fill; then
    refill_tree
    return
  fi
  retire_tree "$why"
  rm -f "$job/tree"
  return 1
}

# Fills a tree that was compared, or sets it aside when that fails. Fails with 2 where another tree would fail too:
# objects of the ship are missing, or the disk is full.
refill_tree() {
  if enter_tree && settle_in; then return 0; fi
  ask_again
  [ -z "$lacking" ] && ! is_full "$root" || return 2
  retire_tree "could not be filled ($detail)"
  rm -f "$job/tree"
  return 1
}

# Makes $1 the owner of the tree in one step, so that whoever looks finds the old owner or the new one.
set_owner() {
  rm -f "$job/.owner"
  ln -s "$1" "$job/.owner" && mv -f "$job/.owner" "$place/owner" && [ "$(link_of "$place/owner")" = "$1" ]
}

# Records why a tree is not used any more. A tree that is not ours gets no owner again.
retire_tree() {
  say "$1" >"$place/kept"
  [ "$owner" = "$name" ] || set_owner kept
}
