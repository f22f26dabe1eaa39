# Reads the agent's git directory as data: the object ids that its files contain, whatever the files are called. Only
# regular files are opened.

# Prints the first line of a small regular file, and nothing for anything else.
read_small() { [ ! -f "$1" ] || head -c 4096 "$1" 2>/dev/null | head -n 1 | tr -d '\0\r'; }

# Sets $git_dir to the agent's git directory and $common_dir to the one that its worktrees share. Both are empty where
# there is none. Sets $borrow_dir to the directory of its objects.
find_git_dir() {
  git_dir='' common_dir=''
  if [ -d "$tree/.git" ]; then
    git_dir=$(cd "$tree/.git" && pwd -P)
  elif line=$(read_small "$tree/.git") && [ -n "${line#gitdir: }" ]; then
    git_dir=$(cd "$tree" && cd "${line#gitdir: }" 2>/dev/null && pwd -P)
  fi
  # The agent may have moved the directory. Only the one that we made names the cache.
  if [ -z "$git_dir" ]; then
    for entry in "$tree"/* "$tree"/.[!.]* "${tree%/*}"/* "${tree%/*}"/.[!.]*; do
      [ -n "$git_dir" ] || [ "$(read_small "$entry/objects/info/alternates")" != "$cache/objects" ] || git_dir=$entry
    done
  fi
  [ -n "$git_dir" ] || return 1
  common_dir=$git_dir
  line=$(read_small "$git_dir/commondir")
  [ -z "$line" ] || common_dir=$(cd "$git_dir" && cd "$line" 2>/dev/null && pwd -P) || common_dir=$git_dir
  borrow_dir=$common_dir/objects
}

# Prints the refs of the shared directory as lines `<oid> <name>`. A loose ref takes precedence over a packed one.
list_refs() {
  [ ! -f "$common_dir/packed-refs" ] || head -c 134217728 "$common_dir/packed-refs" | LC_ALL=C sed -n 's/^\([0-9a-f]\{40,64\} refs\/\)/\1/p'
  (cd "$common_dir" && find -H refs -type f -size -9 -exec grep -aE '^[0-9a-f]{40,64}$' /dev/null {} +) |
    LC_ALL=C sed -n 's/^\(.*\):\([0-9a-f]*\)$/\2 \1/p'
  read_reftable "$common_dir" for-each-ref --format='%(objectname) %(refname)'
}

# Reads the refs of a directory in reftable format with git, from a copy, so that git reads no configuration that the
# agent wrote.
read_reftable() {
  tables=$1/reftable
  shift
  [ -f "$tables/tables.list" ] || return 0
  rm -rf "$own/tables.git"
  clean_git init -q --bare --template= ${format:+--object-format="$format"} --ref-format=reftable "$own/tables.git" || return 0
  rm -f "$own/tables.git/reftable/"*
  for file in "$tables/tables.list" "$tables"/*.ref; do
    [ ! -f "$file" ] || [ -h "$file" ] || cp "$file" "$own/tables.git/reftable/"
  done
  with_objects "$cache/objects" "$borrow_dir" clean_git --git-dir="$own/tables.git" "$@"
  rm -rf "$own/tables.git"
} 2>/dev/null

# Prints every object id in the files of the git directory: refs, logs, unfinished operations, worktrees, and files of
# later git versions.
list_ids() {
  find "$common_dir/." "$git_dir/." \( -path '*/./objects' -o -path '*/./modules' -o -path '*/./lfs' -o -path '*/./annex' \) -prune -o \
    -type f ! -name index ! -name 'sharedindex.*' ! -name '*.ref' -size -262144 -exec grep -aohE '[0-9a-f]{40,64}' {} + | LC_ALL=C grep -xE '[0-9a-f]{40}|[0-9a-f]{64}'
  for folder in "$common_dir" "$common_dir"/worktrees/*; do
    read_reftable "$folder" rev-list --no-walk --all --reflog --ignore-missing
    read_reftable "$folder" rev-parse HEAD
  done
}

# Notes which parts of the git directory no capture contains: pipes, damaged refs, files too large to read, and content
# that git stores outside its objects.
find_git_lacking() {
  {
    (cd "$git_dir" && find . ! -type f ! -type d ! -type l) | sed 's|^\./||'
    (cd "$common_dir" && find -H refs -type f -size -9 -exec grep -aLE '^(ref: |[0-9a-f]{40}|this repository uses)' /dev/null {} +) | grep -v '^/dev/null$'
    (cd "$common_dir" && find -H refs -type f -size +8)
    (cd "$common_dir" && find . \( -name objects -o -name modules -o -name lfs -o -name annex \) -prune -o -type f -size +262143 ! -name index -print) | sed 's|^\./||'
    for folder in modules annex/objects; do
      [ -z "$(find "$common_dir/$folder" -type f 2>/dev/null | head -n 1)" ] || say "$folder"
    done
  } 2>/dev/null | sed 's|^|.git/|' | lack
}

# Reads the agent's repository. Sets $agent_head to its HEAD (or empty), and writes what it names to the files
# found-refs and found-ids in $own. Fails when that takes too long. Sets $own to the directory of those files. Sets
# $borrow_dir and $note.
read_agent_git() {
  own=$job/capture.git agent_head='' borrow_dir=''
  rm -rf "$own/refs" "$own/packed-refs" "$own/logs" "$own/agent-index"
  mkdir -p "$own/refs" && say 'ref: refs/heads/none' >"$own/HEAD"
  true >"$own/found-refs" && true >"$own/found-ids" || return 2
  if ! find_git_dir; then
    note="${note-}the agent's git directory is gone; "
    return 0
  fi
  # A pipe among the objects would block git.
  find "$borrow_dir/." ! -type f ! -type d ! -type l -print 2>/dev/null | while IFS= read -r file; do set_aside "$file"; done
  all_read=0
  steadily list_refs >"$own/found-refs" 2>/dev/null
  [ $? -ne 124 ] || all_read=1
  steadily list_ids >"$own/found-ids" 2>/dev/null
  [ $? -ne 124 ] || all_read=1
  line=$(read_small "$git_dir/HEAD")
  case $line in
    'ref: refs/heads/.invalid')
      line=$(read_reftable "$git_dir" rev-parse HEAD)
      ;;
    'ref: '*) line=$(LC_ALL=C awk -v name="${line#ref: }" '$2 == name { oid = $1 } END { print oid }' "$own/found-refs") ;;
  esac
  ! is_hex "$line" || agent_head=$(borrowing capture_git rev-parse -q --verify "$line^{commit}" 2>/dev/null)
  return "$all_read"
}

# Calls git with read access to the agent's objects. Sets $borrow.
borrowing() {
  borrow=$borrow_dir
  "$@"
  borrowed=$?
  borrow=
  return "$borrowed"
}

# Copies the index of a git directory of the agent's, so that git reads no other file there. Sets $index to the copy.
copy_index() {
  index=$own/agent-index
  rm -f "$index" "$own"/sharedindex.*
  [ -f "$1/index" ] && [ -z "$(find -H "$1/index" -size +4194303)" ] && cp -p "$1/index" "$index" 2>/dev/null
  for file in "$1"/sharedindex.*; do
    [ ! -f "$file" ] || cp -p "$file" "$own/" 2>/dev/null
  done
}

# Reads the index of a git directory of the agent's. Sets $staged to its tree, and $stages to the trees of a conflict's
# stages as lines `<tree> <stage>`. Fails when the index cannot be read. Sets $index.
read_index() {
  stages=
  copy_index "$1"
  staged=$(borrowing capture_git write-tree 2>/dev/null) || rebuild_index
  index=
  is_hex "$staged"
}

# Rebuilds the index entry by entry, because git refuses a whole index for one conflict or one missing object. Sets
# $staged and $stages. Sets $index.
rebuild_index() {
  borrowing capture_git ls-files -s >"$own/entries" 2>/dev/null && [ -s "$own/entries" ] || return 1
  cut -d ' ' -f 2 "$own/entries" | sort -u | borrowing capture_git cat-file --batch-check | sed -n 's/ missing$//p' >"$own/missing"
  index=$own/stage-index
  for stage in 1 3 2; do
    rm -f "$index"
    # The tree of the index gets the entries without a conflict, and our side of each conflict.
    LC_ALL=C awk -v stage="$stage" '
      NF == 1 { missing[$1] = 1; next }
      $1 != "160000" && ($2 in missing) { next }
      { this = substr($3, 1, 1) }
      this == stage || (stage == 2 && this == 0) { sub(/ [0-3]\t/, " 0\t"); print }' "$own/missing" "$own/entries" |
      borrowing capture_git update-index --index-info || continue
    staged=$(borrowing capture_git write-tree 2>/dev/null) || continue
    [ "$stage" = 2 ] || ! grep -q "^[^$tab]* $stage$tab" "$own/entries" || stages="$stages$staged $stage$nl"
  done
  rm -f "$index" "$own/entries"
  [ ! -s "$own/missing" ] || say .git/index | lack
}
