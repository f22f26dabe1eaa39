# The agent's linked worktrees: captures what is not committed in them. Their commits are found with all others.

# Captures each worktree as a tip below `worktrees/`, and notes what its capture lacks. Sets $tree, $place, $agent_head,
# $borrow, $files_tree, $index and $lacking.
capture_worktrees() {
  true >"$own/captured-worktrees"
  count=0
  for place in "$common_dir"/worktrees/*/; do
    place=${place%/}
    if [ ! -d "$place" ] || [ "$place" = "$git_dir" ] || ! find_worktree; then continue; fi
    count=$((count + 1))
    main_tree=$tree main_files_tree=$files_tree main_head=$agent_head main_lacking=$lacking
    tree=$place_of agent_head='' lacking=$own/worktree-lacking
    capture_worktree
    whole=$?
    tree=$main_tree files_tree=$main_files_tree agent_head=$main_head lacking=$main_lacking index='' borrow=''
    # The name is relative to the handoff's checkout, or absolute where the worktree is elsewhere.
    case $place_of in
      "$tree"/*) above=${place_of#"$tree"/} ;;
      "${tree%/*}"/*) above=../${place_of#"${tree%/*}"/} ;;
      *) above=$place_of ;;
    esac
    sed "s|^|$above/|" "$own/worktree-lacking" 2>/dev/null | lack
    if [ "$whole" -eq 0 ]; then say "$above" >>"$own/captured-worktrees"; else say "$above" | lack; fi
  done
}

# Lists everything next to the checkout except our own files and the agent's git directory. Names are relative to the
# checkout, and a NUL follows each. Worktrees that the last capture took and empty directories are left out.
list_siblings() {
  find_git_dir
  list_companion_paths >"$job/capture.git/beside"
  for entry in "${tree%/*}"/* "${tree%/*}"/.[!.]* "${tree%/*}"/..?*; do
    [ -e "$entry" ] || [ -h "$entry" ] || continue
    case ${entry##*/} in owner | key | kept | held | gone | "${tree##*/}") continue ;; esac
    { [ "$entry" != "$git_dir" ] && [ "$entry" != "$common_dir" ]; } || continue
    # The words of an error count as content: a directory that cannot be read may have some.
    if [ -d "$entry" ] && [ ! -h "$entry" ] && [ -z "$(ls -A "$entry" 2>&1)" ]; then continue; fi
    entry=../${entry##*/}
    # grep would take a name with a newline for several patterns.
    case $entry in *"$nl"*) false ;; *) cat "$job/capture.git/captured-worktrees" "$job/capture.git/beside" 2>/dev/null | grep -qxF "$entry" ;; esac ||
      printf '%s\0' "$entry"
  done
}

# Sets $place_of to the directory of the worktree, if that directory names this repository, too.
find_worktree() {
  line=$(read_small "$place/gitdir")
  place_of=$(cd "$place" && cd "${line%/.git}" 2>/dev/null && pwd -P) || return 1
  [ "$place_of" != "$tree" ] && [ -f "$place_of/.git" ] || return 1
  line=$(read_small "$place_of/.git")
  back=$(cd "$place_of" && cd "${line#gitdir: }" 2>/dev/null && pwd -P)
  [ "$back" = "$(cd "$place" && pwd -P)" ]
}

# Captures the files, index and HEAD of a worktree as a tip. Sets $agent_head, $borrow, $files_tree and $index.
capture_worktree() {
  rm -f "$lacking" "$own/worktree-index"
  line=$(read_small "$place/HEAD")
  case $line in
    'ref: '*) line=$(LC_ALL=C awk -v name="${line#ref: }" '$2 == name { oid = $1 } END { print oid }' "$own/found-refs") ;;
  esac
  ! is_hex "$line" || agent_head=$(borrowing capture_git rev-parse -q --verify "$line^{commit}" 2>/dev/null)
  files_tree=$agent_head index=$own/worktree-index borrow=$borrow_dir
  [ -z "$agent_head" ] || capture_git read-tree "$agent_head" || return 1
  add_files 2>/dev/null
  add_tracked "$place" 2>/dev/null || return 1
  worktree_files=$(capture_git write-tree) || return 1
  find_lacking
  index=
  make_commit "$agent_head" "$place" "$worktree_files" "worktrees/$count/" && say "$made_commit worktrees/$count/work" >>"$own/tips"
}
