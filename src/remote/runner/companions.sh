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

# Prints the companions inside the tree as lines `<word> <path>`, with paths relative to it.
list_companions() {
  [ -s "${companion_top-$job}/companions/list" ] || return 0
  prefix=${companion_path+$companion_path/} LC_ALL=C awk '{ at = index($0, " "); path = substr($0, at + 1) }
    index(path, "../") != 1 && index(path, ENVIRON["prefix"]) == 1 {
      print substr($0, 1, at) substr(path, length(ENVIRON["prefix"]) + 1)
    }' "${companion_top-$job}/companions/list"
}

# Prints the paths of the companions inside the tree, relative to it, and of those next to the checkout.
list_companion_paths() {
  list_companions | cut -d ' ' -f 2-
  [ -n "${companion_top-}" ] || sed -n 's|^[0-9a-f]* \.\./|../|p' "$job/companions/list" 2>/dev/null
}

# Adds the companions of this grant to the list.
note_companions() {
  [ -s "$spec/companions" ] || return 0
  mkdir -p "$job/companions" && while read -r listed place_in; do
    case $listed:$place_in in
      *[!0-9a-f]*:* | *:/* | *:*/../* | *:*/.. | *:.. | *:../*/* | *:.git | *:.git/* | *:*/.git/*) return 1 ;;
    esac
    { mkdir -p "$job/companions/$listed/spec" && rm -f "$job/companions/$listed/spec/$g" &&
      ln -s "../../../spec/$g/companion/$listed" "$job/companions/$listed/spec/$g"; } || return 1
  done <"$spec/companions" && cat "$spec/companions" "$job/companions/list" 2>/dev/null | sort -u | sort -k 2 >"$job/companions/.list"
  mv -f "$job/companions/.list" "$job/companions/list"
}

# Makes the companions of this grant in the tree. Fails with $detail set to the reason. Sets $detail.
settle_companions() {
  [ -s "$spec/companions" ] || return 0
  detail="the other repositories could not be listed"
  note_companions || return 1
  rm -f "$job/companions/detail"
  each_companion cat settle_companion && return 0
  read -r detail <"$job/companions/detail"
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
      with_clone_modes mkdir -p "$tree" && has_companion_tree && place_contents && settle_in && return 0
    fi
  fi
  say "$companion_path: $detail" >"$companion_top/companions/detail"
  return 1
}

# Prints an id that changes with the files and the HEAD of any companion; nothing where there is none.
hash_companions() {
  [ ! -s "$job/companions/list" ] || each_companion cat tell_companion 2>/dev/null | sort | capture_git hash-object --stdin
}

# Prints the state of one companion. Sets $files and $agent_head.
tell_companion() {
  has_companion_tree || return 0
  hash_files >/dev/null && read_agent_git && say "$companion_word $files $agent_head"
}

# Captures the companions, those inside others first. What their captures lack is added to $lacking.
capture_companions() {
  [ -s "$job/companions/list" ] || return 0
  rm -f "$job/companions/lacking" "$job/companions"/*/captured
  each_companion backwards capture_companion
  [ ! -f "$job/companions/lacking" ] || lack <"$job/companions/lacking"
  {
    say "companions $(sed 's/^[^ ]* //' "$job/companions"/*/captured 2>/dev/null | sort | capture_git hash-object --stdin)"
    for captured in "$job/companions"/*/captured; do
      [ ! -f "$captured" ] || say "companion $(sed 's/^\([^ ]*\) \([^ ]*\).*/\2 \1/' "$captured")"
    done
  } >"$at/companions"
}

# Captures one companion. Sets $lacking, $files, $agent_head and $note.
capture_companion() {
  lacking=$job/lacking
  rm -f "$lacking" "$job/capture.git/captured-worktrees"
  if has_companion_tree; then
    clear_locks
    if capture_tree && store_capture; then say "$work $companion_word $files $agent_head" >"$job/captured"; else say . | lack; fi
  elif [ -d "$job/spec/$g" ]; then
    say . | lack
  fi
  # A path of the companion becomes one of the checkout.
  [ ! -s "$lacking" ] || above=$companion_path awk '{ print ENVIRON["above"] ($0 == "." ? "" : "/" $0) }' "$lacking" >>"$companion_top/companions/lacking"
  rm -f "$lacking"
  return 0
}

# Whether the capture found the companions in another state than before the agent.
has_other_companions() {
  field "$at/companions" companions
  [ "$value" != "$companions_before" ]
}

# Makes the index name the HEAD of each captured companion, where it has a submodule.
link_companions() {
  list_companions | while read -r listed inner; do
    linked=
    read -r _ _ _ linked <"${companion_top-$job}/companions/$listed/captured"
    [ -n "$linked" ] || continue
    capture_git --literal-pathspecs ls-files -s -- "$inner" | grep -q '^160000 ' || continue
    printf '160000 %s\t%s\0' "$linked" "$inner" | capture_git update-index -z --index-info
  done 2>/dev/null
}

# Replaces each companion in the list `hidden` by what the laptop does not have of it.
compare_companions() {
  [ -s "${companion_top-$job}/companions/list" ] || return 0
  list_companion_paths | sed 's|.*|./&/|' >"$scratch/companions"
  tr '\n\0' '\001\n' <"$scratch/hidden" | not_in "$scratch/companions" 0 >"$scratch/hidden.rest"
  if [ -z "${companion_top-}" ]; then
    each_companion cat compare_companion || return 1
    cat "$scratch/companion.kept" >>"$scratch/hidden.rest" 2>/dev/null
  fi
  sort -u "$scratch/hidden.rest" | tr '\001\n' '\n\0' >"$scratch/hidden"
}

# Compares one companion. Sets $scratch.
compare_companion() {
  has_companion_tree || return 0
  outer=$scratch scratch=$scratch/$companion_word
  mkdir -p "$scratch" && make_capture_git && compare_tree has_others || return 1
  tr '\n\0' '\001\n' <"$scratch/kept" | above=$companion_path awk '{ print "./" ENVIRON["above"] substr($0, 2) }' >>"$outer/companion.kept"
}

# Lists the refs of a companion in its cache, for a release.
find_companion_refs() { list_refs_of "$notes/refs-$companion_word"; }

# Deletes what the caches have of the companions. Sets $tree.
let_companions_go() {
  tree=$root
  each_companion cat let_companion_go
}

# Deletes what its cache has of a companion.
let_companion_go() {
  [ ! -s "$notes/refs-$companion_word" ] || cache_git update-ref --stdin <"$notes/refs-$companion_word" || return 1
  remove "$cache/incoming/$name" && remove "$cache/outgoing/$name"
}

# Deletes the directory of a companion that was compared.
remove_companion() { ! has_companion_tree || remove "$tree"; }
