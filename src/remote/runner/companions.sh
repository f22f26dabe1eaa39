# Companions: the other repositories of a handoff, such as submodules. Each has a directory in or next to the checkout, a
# cache of its own and a name of its own, so what is done for the checkout can be done for it, too. The file
# companions/list has a line `<word> <path>` for each, parents first; companions/<word>/ has the files of one.

# Calls a command for each companion, each time in a process that has entered it. The command $1 orders the list. Ends
# with the first call that fails.
each_companion() {
  [ -s "$job/companions/list" ] || return 0
  ordered=$1
  shift
  "$ordered" <"$job/companions/list" | while read -r listed place_in; do
    (enter_companion "$listed" "$place_in" && "$@") </dev/null || exit 1
  done
}

# Prints lines in the opposite order.
backwards() { sed -n '1!G; h; $p'; }

# Makes this process work on a companion: its word is $1, its path from the checkout $2. Sets $name, $job, $tree, $spec,
# $cache and the values of its ship; $companion_top to the handoff's directory, $companion_word and $companion_path.
enter_companion() {
  companion_word=$1 companion_path=$2 companion_top=$job name=$name-$1 job=$job/companions/$1
  case $2 in ../*) tree=$tree/.. ;; esac
  tree=$(cd "$tree" && pwd -P) && [ -n "$tree" ] || return 1
  tree=$tree/${2#../}
  spec=$job/spec/$g
  if [ ! -d "$spec" ]; then
    highest "$job/spec/"
    spec=$job/spec/$top
  fi
  read_ship && cache=$root/cache/$key.git
}

# Whether the directory of the companion is there, and is not reached through a link, which the agent may have made.
has_companion_tree() { [ -d "$tree" ] && [ "$(cd "$tree" && pwd -P)" = "$tree" ]; }

# Whether there is a repository in it. The agent may have made it an ordinary directory of the outer repository.
has_companion_repository() { has_companion_tree && { [ -e "$tree/.git" ] || [ -h "$tree/.git" ]; }; }

# Prints the companions inside the tree as lines `<word> <path>`, with paths relative to it.
list_companions() {
  [ -s "${companion_top-$job}/companions/list" ] || return 0
  prefix=${companion_path+$companion_path/} LC_ALL=C awk '{ at = index($0, " "); path = substr($0, at + 1) }
    index(path, "../") != 1 && index(path, ENVIRON["prefix"]) == 1 {
      print substr($0, 1, at) substr(path, length(ENVIRON["prefix"]) + 1)
    }' "${companion_top-$job}/companions/list"
}

# Prints the paths of the captured companions inside the tree, relative to it, and of those next to the checkout.
list_captured_paths() {
  list_companions | while read -r listed inner; do
    [ ! -f "${companion_top-$job}/companions/$listed/captured" ] || say "$inner"
  done
  [ -n "${companion_top-}" ] || sed -n 's|^[0-9a-f]* \.\./|../|p' "$job/companions/list" 2>/dev/null
}

# Prints the same of all companions.
list_companion_paths() {
  list_companions | cut -d ' ' -f 2-
  [ -n "${companion_top-}" ] || sed -n 's|^[0-9a-f]* \.\./|../|p' "$job/companions/list" 2>/dev/null
}

# Adds the companions of this grant to the list.
note_companions() {
  [ -s "$spec/companions" ] || return 0
  mkdir -p "$job/companions" && while read -r listed place_in; do
    is_hex "$listed" || return 1
    case /$place_in/ in
      */.git/* | */./* | *//* | /*/../* | /../*/*/) return 1 ;;
    esac
    { mkdir -p "$job/companions/$listed/spec" && rm -f "$job/companions/$listed/spec/$g" &&
      ln -s "../../../spec/$g/companion/$listed" "$job/companions/$listed/spec/$g"; } || return 1
  done <"$spec/companions" && {
    cat "$spec/companions" && { [ ! -f "$job/companions/list" ] || cat "$job/companions/list"; }
  } >"$job/companions/.all" && sort -u "$job/companions/.all" | sort -k 2 >"$job/companions/.list" &&
    [ "$(wc -l <"$job/companions/.list")" -ge "$(wc -l <"$spec/companions")" ] && mv -f "$job/companions/.list" "$job/companions/list"
}

# Makes the companions of this grant in the tree. Fails with $detail set to the reason. Sets $detail and $owner.
settle_companions() {
  [ -s "$spec/companions" ] || return 0
  detail="the other repositories could not be listed"
  note_companions || return 1
  rm -f "$job/companions/detail" "$job/companions/occupied"
  each_companion cat settle_companion && return 0
  read -r detail <"$job/companions/detail"
  # The next try takes another tree.
  [ -f "$job/companions/occupied" ] || return 1
  owner=$name
  retire_tree "$detail" && rm -f "$job/tree"
  return 1
}

# Makes one companion, if this grant ships it. Sets $detail.
settle_companion() {
  [ -d "$job/spec/$g" ] || return 0
  detail="the upload is incomplete"
  if make_cache "$key" "$format" && has_ship; then
    detail="no checkout could be created"
    if make_capture_git; then
      [ ! -f "$cache/shallow" ] || cp "$cache/shallow" "$job/capture.git/shallow"
      if with_clone_modes mkdir -p "$tree" && has_companion_tree && place_contents; then
        # An earlier handoff may have left a repository of its own here, which the outer one ignores.
        if [ -z "$(ls -A "$tree")" ] || may_fill; then
          if settle_in; then return 0; fi
        else
          detail="the directory $why" && true >"$companion_top/companions/occupied"
        fi
      fi
    fi
  fi
  say "$companion_path: $detail" >"$companion_top/companions/detail"
  return 1
}
