# The comparison before anything of a tree is deleted or overwritten. Object ids say what the laptop holds, and the files
# themselves say what is in the tree. No time, link or flag counts.

# Lists what of $tree the laptop does not hold, in $scratch/kept: names that begin with ./, a NUL after each. $kept is their
# number, $stuck a directory that cannot be written. The file $held has lines `tree <id>` for files that the laptop has, the
# newest first, and `commit <id>` for its history. Declared caches ($caches) do not count.
compare_tree() {
  kept=0 stuck='' inside=''
  find_mount
  { [ -z "$mount" ] && steadily list_kept; } || return 1
  IFS= read -r inside <"$scratch/inside"
  kept=$(tr -cd '\0' <"$scratch/kept" | wc -c)
  kept=$((kept))
  [ ! -s "$scratch/stuck" ] || IFS= read -r stuck <"$scratch/stuck"
}

# Writes `kept`, `stuck` and `inside`; see above.
list_kept() {
  rm -f "$scratch/seen" "$scratch/union"
  say "$caches" >"$scratch/caches" && list_nested >"$job/capture.git/nested.all" && list_others || return 1
  while [ -s "$scratch/others" ] && read -r kind id; do
    [ "$kind" = tree ] || continue
    join_held "$id" && list_others || return 1
  done <"$held"
  list_hidden && list_commits || return 1
  index=
  tidy_names <"$scratch/others" >"$scratch/kept" && cat "$scratch/hidden" >>"$scratch/kept" || return 1
  [ -z "$inside" ] || printf './.git/\0' >>"$scratch/kept"
  say "$inside" >"$scratch/inside"
}

# Any name can be in a tree: the index only compares.
compare_git() { capture_git -c core.protectNTFS=false -c core.protectHFS=false "$@"; }

# Adds to the index `union` the files of the tree that equal those of a tree $1 that the laptop has. The index `seen` was
# made by this comparison, so what it knows of a file was read just now. Objects that are missing here prove nothing.
join_held() {
  index=$scratch/seen
  compare_git read-tree -m "$1" 2>/dev/null || return 0
  # Of a nested repository the laptop has the name of a commit and nothing else.
  compare_git ls-files -s | sed -n "s/^160000 \([0-9a-f]*\) 0$tab/0 \1$tab/p" | compare_git update-index --index-info
  compare_git update-index -q --refresh >/dev/null 2>&1
  compare_git ls-files -d -m >"$scratch/differs" && compare_git update-index --force-remove --stdin <"$scratch/differs" &&
    compare_git ls-files -s >"$scratch/same" || return 1
  index=$scratch/union
  compare_git update-index --index-info <"$scratch/same"
}

# The files of the tree that are not in `union` and not in a cache, in $scratch/others.
list_others() {
  index=$scratch/union
  keep_out
  list_outside -z -o -X "$scratch/caches" >"$scratch/others" 2>/dev/null
}

# What that list passes over: nested repositories, also broken ones, directories that cannot be read or have too long a path,
# and special files. Directories that cannot be written are in $scratch/stuck.
list_hidden() {
  true >"$scratch/stuck"
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  (cd "$tree" && stuck=$scratch/stuck find . -path ./.git -prune -o \( -name .git -prune -o ! -type f ! -type l \) -exec $shell -c '
    for path; do
      case $path in
        */.git) path=${path%/.git} ;;
        *)
          [ -d "$path" ] || { printf "%s\0" "${path#./}" && continue; }
          [ -w "$path" ] || printf "%s\n" "$path" >>"$stuck"
          [ ! -r "$path" ] || [ ! -x "$path" ] || [ ${#path} -gt 3000 ] || continue
          ;;
      esac
      while [ ${#path} -gt 3000 ]; do path=${path%/*}; done
      printf "%s/\0" "${path#./}"
    done' sh {} +) 2>/dev/null >"$scratch/passed"
  true >"$scratch/hidden"
  [ -s "$scratch/passed" ] || return 0
  # An index of a name in or next to each of them: git says which are in a cache.
  index=$scratch/names
  rm -f "$index"
  id=$(compare_git hash-object --stdin </dev/null) || return 1
  # shellcheck disable=SC2016,SC2086
  id=$id xargs -0 -n 100 $shell -c '
    for path; do
      case $path in */) path=$path.in_handoff ;; esac
      printf "100644 %s 0\t%s\0" "$id" "$path"
    done' sh <"$scratch/passed" | compare_git update-index -z --index-info &&
    compare_git ls-files -c -i -X "$scratch/caches" >"$scratch/cached" &&
    compare_git update-index --force-remove --stdin <"$scratch/cached" &&
    compare_git ls-files -z >"$scratch/passed" || return 1
  # shellcheck disable=SC2016,SC2086
  xargs -0 -n 100 $shell -c 'for path; do
    case $path in */.in_handoff) path=${path%.in_handoff} ;; esac
    printf "./%s\0" "$path"; done' sh <"$scratch/passed" >"$scratch/hidden"
}

# Names as they are deleted and shown: nested repositories come from the other list, and of a path that is too long for the
# system the part that is not.
tidy_names() {
  # shellcheck disable=SC2016,SC2086
  xargs -0 -n 100 $shell -c '
    for path; do
      case $path in */) continue ;; esac
      [ ${#path} -le 3000 ] || path=$path/
      while [ ${#path} -gt 3000 ]; do path=${path%/*} && path=${path%/*}/; done
      printf "./%s\0" "$path"
    done' sh
}

# What the agent's repository has that the laptop does not hold, in words in $inside; empty for nothing.
list_commits() {
  inside=
  [ -d "$tree/.git" ] && [ ! -h "$tree/.git" ] || return 0
  index='' lacking=$scratch/lacking
  true >"$lacking"
  read_agent_git || return 1
  if [ -z "$git_dir" ]; then
    inside=unreadable
    return 0
  fi
  # The laptop has what it sent, too.
  { sed -n 's/^commit //p' "$held" && sed -nE 's/^(ref|commit|head) ([0-9a-f]+).*/\2/p' "$job/spec"/*/ship 2>/dev/null; } |
    sort -u >"$scratch/history"
  {
    cat "$own/found-ids"
    say "$agent_head"
    cut -d ' ' -f 1 "$own/found-refs"
  } | grep . | sort -u | borrowing capture_git cat-file --batch-check='%(objectname) %(objecttype)' 2>/dev/null |
    sed -nE '/ (commit|tag)$/p' | not_in "$scratch/history" 1 >"$scratch/named"
  { cut -d ' ' -f 1 "$scratch/named" && sed 's/^/^/' "$scratch/history"; } >"$scratch/tips"
  commits=$(borrowing capture_git rev-list --ignore-missing --stdin <"$scratch/tips" 2>/dev/null | wc -l)
  find_git_lacking
  [ "$((commits))" -eq 0 ] || inside="$((commits)) commits"
  [ ! -s "$lacking" ] || inside="${inside:+$inside, }$(head -n 1 "$lacking")"
}

# A file system that is mounted inside the tree, in $mount: to delete would reach into it.
find_mount() {
  mount=
  [ ! -r /proc/self/mountinfo ] || mount=$(inside=$(say "$tree/" | sed "s/\\\\/\\\\134/g; s/ /\\\\040/g; s/$tab/\\\\011/g") awk '
    index($5, ENVIRON["inside"]) == 1 { print $5; exit }' /proc/self/mountinfo)
}

# Makes our own directories usable, whatever modes an agent gave them.
open_directories() { find "$tree" -xdev -type d -user "$(id -u)" ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null; }

# Deletes, also what has no permissions or too long a path: of such a path a part is moved up until the rest can go.
remove() {
  rm -rf "$1" 2>/dev/null && return 0
  tries=0
  until [ ! -e "$1" ] && [ ! -h "$1" ]; do
    [ "$tries" -lt 50 ] || return 1
    tries=$((tries + 1))
    find "$1" -xdev -type d -user "$(id -u)" ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null
    if rm -rf "$1" 2>/dev/null; then return 0; fi
    deep=$(find "$1" -type d 2>/dev/null | awk -v least="$((${#1} + 1000))" 'length > least { print; exit }')
    [ -z "$deep" ] || mv "$deep" "$1/.deep.$$.$tries" 2>/dev/null || return 1
    [ -n "$deep" ] || [ "$tries" -lt 3 ] || return 1
  done
}
