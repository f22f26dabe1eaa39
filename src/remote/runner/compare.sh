# Compares a tree with what the laptop has, before anything in it is deleted or overwritten. Only object ids and file
# contents are compared; times, links and flags are not trusted. The functions set $index to the index that they work
# on.

# Lists the files of $tree that the laptop does not have in $scratch/kept, as names that begin with ./ and end with a
# NUL. Sets $kept to their number and $stuck to a directory that cannot be written. The file $held has lines `tree <id>`
# for trees that the laptop has, the newest first, and `commit <id>` for its history. Declared caches ($caches) are not
# compared. Sets $inside to what only the agent's repository has. The files are compared with one tree after the other
# as long as the command $1 succeeds.
compare_tree() {
  kept=0 stuck='' inside=''
  find_mount
  { [ -z "$mount" ] && steadily list_kept "$1"; } || return 1
  IFS= read -r inside <"$scratch/inside"
  kept=$(tr -cd '\0' <"$scratch/kept" | wc -c)
  kept=$((kept))
  [ ! -s "$scratch/stuck" ] || IFS= read -r stuck <"$scratch/stuck"
}

# Writes the files `kept`, `stuck` and `inside` for compare_tree.
list_kept() {
  rm -f "$scratch/seen" "$scratch/union" "$scratch/contents" "$scratch/lfs-noted"*
  lfs_notes=$scratch/lfs-noted
  say "$caches" >"$scratch/caches" && list_nested >"$job/capture.git/nested.all" && list_hidden &&
    compare_companions && list_others || return 1
  sed -n 's/^tree //p' "$held" | awk '!seen[$0]++' >"$scratch/held-trees"
  while "$1" && read -r id; do
    join_held "$id" && list_others || return 1
  done <"$scratch/held-trees"
  list_commits || return 1
  index=
  tidy_names <"$scratch/others" >"$scratch/kept" && cat "$scratch/hidden" >>"$scratch/kept" || return 1
  [ -z "$inside" ] || printf './.git/\0' >>"$scratch/kept"
  say "$inside" >"$scratch/inside"
}

# Names are not checked, because any name can be in a tree and this index is never checked out.
compare_git() { capture_git -c core.protectNTFS=false -c core.protectHFS=false "$@"; }

# Whether files are left that equal none of the trees so far.
has_others() { [ -s "$scratch/others" ]; }

# Adds to the index `union` the files of the tree that equal those of a tree $1 that the laptop has. This comparison
# made the index `seen`, so its data about each file is current. Where objects are missing here, nothing is added.
join_held() {
  index=$scratch/seen
  compare_git read-tree -m "$1" 2>/dev/null || return 0
  # Of a nested repository the laptop only has the id of a commit.
  compare_git ls-files -s | sed -n "s/^160000 \([0-9a-f]*\) 0$tab/0 \1$tab/p" | compare_git update-index --index-info
  compare_git update-index -q --refresh >/dev/null 2>&1
  compare_git ls-files -d -m >"$scratch/differs" && compare_git update-index --force-remove --stdin <"$scratch/differs" &&
    drop_unheld_contents && compare_git ls-files -s >"$scratch/same" || return 1
  index=$scratch/union
  compare_git update-index --index-info <"$scratch/same"
}

# Lists the files of the tree that are neither in `union` nor in a declared cache, in $scratch/others.
list_others() {
  index=$scratch/union
  keep_out
  list_outside -z -o -X "$scratch/caches" >"$scratch/others" 2>/dev/null
}

# Lists what git does not show: nested repositories, also broken ones, directories that cannot be read or have too long
# a path, and special files. Directories that cannot be written are listed in $scratch/stuck.
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
  # An index with a name in or next to each of them makes git say which are in a declared cache.
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

# Prepares names for deleting and showing: removes the nested repositories, which the other list has, and cuts a path
# that is too long for the system.
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

# Sets $inside to a description of the content that only the agent's repository has; empty if there is none. Sets
# $lacking.
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
  # The laptop also has what it shipped.
  { sed -n 's/^commit //p' "$held" && sed -nE 's/^(ref|commit|head|operation) ([0-9a-f]+).*/\2/p' "$job/spec"/*/ship 2>/dev/null; } |
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
  list_held_contents "$held" >"$scratch/contents" && find_lfs_objects_lacking "$scratch/contents"
  [ "$((commits))" -eq 0 ] || inside="$((commits)) commits"
  [ ! -s "$lacking" ] || inside="${inside:+$inside, }$(head -n 1 "$lacking")"
}

# Sets $mount to a file system that is mounted inside the tree, because deleting would reach into it.
find_mount() {
  mount=
  [ ! -r /proc/self/mountinfo ] || mount=$(inside=$(say "$tree/" | sed "s/\\\\/\\\\134/g; s/ /\\\\040/g; s/$tab/\\\\011/g") awk '
    index($5, ENVIRON["inside"]) == 1 { print $5; exit }' /proc/self/mountinfo)
}

# Makes our own directories writable and searchable, whatever modes an agent set.
open_directories() { find "$tree" -xdev -type d -user "$(id -u)" ! -perm -700 -exec chmod u+rwx {} \; 2>/dev/null; }

# Deletes files and directories, also those without permissions or with too long a path. A part of such a path is moved
# up until the rest can be deleted.
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
