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

# Takes a tree and fills it: one of ours, else one that is available, else a new one. Whoever makes the link `owner` has
# it. Sets $place, $tree and $owner.
take_tree() {
  mkdir -p "$root/trees" || return 1
  k=1
  while [ -e "$root/trees/$repo-$k" ]; do
    place=$root/trees/$repo-$k tree=$place/$repo
    if [ "$(link_of "$place/key")" = "$key" ] && [ ! -e "$place/kept" ]; then
      owner=$(link_of "$place/owner")
      case $owner in
        "$name") reuse_tree ;;
        '') ln -s "$name" "$place/owner" 2>/dev/null && reuse_tree ;;
        *) false ;;
      esac
      case $? in 0) return 0 ;; 2) return 1 ;; esac
    fi
    k=$((k + 1))
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

# Fills a tree that exists. A tree is set aside when the laptop does not have all of it, or when filling it failed.
# Fails with 2 where another tree would fail too: objects of the ship are missing, or the disk is full. Sets $why.
reuse_tree() {
  why=
  if may_fill; then
    if enter_tree && settle_in; then return 0; fi
    ask_again
    [ -z "$lacking" ] && ! is_full "$root" || return 2
  fi
  retire_tree "${why:-could not be filled ($detail)}"
  rm -f "$job/tree"
  return 1
}

# Whether filling the tree loses nothing. Otherwise sets $why. Sets $caches, $held, $scratch and $index. The content of
# every file is read: what an index or a clock says is no proof before something is overwritten. The index of the
# comparison is kept as `proved`, for fill_tree.
may_fill() {
  rm -f "$job/capture.git/proved"
  [ -d "$tree" ] || return 0
  scratch=$job/.compare held=$job/.compare/held caches=$(cat "$spec/caches" 2>/dev/null)
  rm -rf "$scratch"
  mkdir "$scratch" && cat "$place/held" "$spec/held" >"$held" 2>/dev/null
  say "tree $commit" >>"$held"
  [ -z "$extra_tree" ] || say "tree $extra_tree" >>"$held"
  open_directories
  why="could not be compared with what the laptop holds"
  if compare_tree; then
    why=
    [ "$kept" -eq 0 ] || why="has $kept files that are nowhere else"
    [ -z "$stuck" ] || why="has a directory that cannot be written: $stuck"
    mv -f "$scratch/seen" "$job/capture.git/proved" 2>/dev/null
    is_written_alike || rm -f "$job/capture.git/proved"
  fi
  rm -rf "$scratch"
  [ -z "$why" ]
}

# Whether git would write a file of the same content with the same bytes: that depends on the configuration and on the
# attributes. Sets $index.
is_written_alike() {
  grep -qxF "$(config_line)" "$place/held" 2>/dev/null || return 1
  index=$job/capture.git/proved
  compare_git diff-index --cached --quiet "$files_tree" -- ':(glob)**/.gitattributes' 2>/dev/null
  alike=$?
  index=
  return "$alike"
}

# Prints the line of `held` for the configuration with which our git writes files.
config_line() { say "config $(clean_git hash-object --stdin <"$job/capture.git/config")"; }

# Records why a tree is not used any more. A tree that is not ours gets no owner again.
retire_tree() {
  say "$1" >"$place/kept"
  [ "$owner" = "$name" ] || { rm -f "$place/owner" && ln -s kept "$place/owner"; }
}
