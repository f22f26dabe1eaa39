# Captures the companions, compares them with what the laptop has, and releases them.

# Prints an id that changes with the files and the HEAD of any companion; nothing where there is none.
hash_companions() {
  [ ! -s "$job/companions/list" ] || each_companion cat tell_companion 2>/dev/null | sort | capture_git hash-object --stdin
}

# Prints the state of one companion. Sets $files and $agent_head.
tell_companion() {
  has_companion_repository || return 0
  hash_files >/dev/null && read_agent_git && say "$companion_word $files $agent_head"
}

# Captures the companions, those inside others first. What their captures lack is added to $lacking.
capture_companions() {
  [ -s "$job/companions/list" ] || return 0
  rm -f "$job/companions/lacking" "$job/companions"/*/captured "$job/companions"/*/gone
  each_companion backwards capture_companion
  [ ! -f "$job/companions/lacking" ] || lack <"$job/companions/lacking"
  {
    say "companions $(sed 's/^[^ ]* //' "$job/companions"/*/captured 2>/dev/null | sort | capture_git hash-object --stdin)"
    for captured in "$job/companions"/*/captured; do
      [ ! -f "$captured" ] || say "companion $(sed 's/^\([^ ]*\) \([^ ]*\).*/\2 \1/' "$captured")"
    done
    for gone in "$job/companions"/*/gone; do
      [ ! -f "$gone" ] || say "companion $(cat "$gone") gone"
    done
  } >"$at/companions"
}

# Captures one companion. Sets $lacking, $files, $agent_head and $note.
capture_companion() {
  lacking=$job/lacking
  rm -f "$lacking" "$job/capture.git/captured-worktrees"
  if has_companion_repository; then
    clear_locks
    if capture_tree && store_capture; then say "$work $companion_word $files $agent_head" >"$job/captured"; else say . | lack; fi
  else
    # The agent has deleted it, or made it a part of the outer repository, whose capture has it.
    say "$companion_word" >"$job/gone"
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

# Removes from the index the submodules that have become ordinary directories, or git would not add their files.
drop_replaced() {
  list_companions | while read -r listed inner; do
    # An empty one is a submodule that is not checked out.
    if [ ! -d "$tree/$inner" ] || [ -h "$tree/$inner" ] || [ -e "$tree/$inner/.git" ] || [ -h "$tree/$inner/.git" ] ||
      [ -z "$(ls -A "$tree/$inner")" ]; then continue; fi
    printf '%s\0' "$inner" | capture_git update-index -z --force-remove --stdin
  done 2>/dev/null
}

# Prints as many bytes as the companions may need in a result.
print_companion_room() { [ ! -f "$job/companions/list" ] || sed 's/.*/                                                                                                    /' "$job/companions/list"; }

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
  has_companion_repository || return 0
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

# Deletes the directory of a companion that was compared, and is compared again. Sets $scratch.
remove_companion() {
  has_companion_repository || return 0
  scratch=$scratch/again
  mkdir -p "$scratch" && make_capture_git && compare_tree has_others && [ "$kept" -eq 0 ] && remove "$tree"
}
