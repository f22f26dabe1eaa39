# Adds the files of a checkout to a tree, and lists the names of those that git cannot add.

# Adds every file of the tree except our record to the capture's index. If git cannot add a path, only that path is left
# out.
add_files() {
  # Git opens these files by name; a pipe would block it.
  find "$tree" -name .git -prune -o \( -name .gitignore -o -name .gitattributes -o -name .gitmodules \) ! -type f ! -type d ! -type l -print 2>/dev/null |
    while IFS= read -r file; do set_aside "$file"; done
  find_nested || return 1
  if [ -s "$nested" ]; then
    # `add` would block in them. Its first step, which finds unchanged files, is done here.
    capture_git update-index -q --refresh >/dev/null
    added=2
  else
    capture_git add -A --ignore-errors -- .
    added=$?
  fi
  # Status 1 means that some files could not be added. Any other failure may mean that nothing was added.
  if [ "$added" -gt 1 ]; then
    list_outside -o -m -d --exclude-standard | sort -u >"$job/capture.git/todo" || return 1
    by_halves add_paths "$job/capture.git/todo" /dev/null
    rm -f "$job/capture.git/todo"
  fi
  drop_record
}

# Adds the files that the index of the git directory $1 names and an ignore rule matches: what the agent's repository
# tracks is work. Sets $index.
add_tracked() {
  own_files=${index-}
  copy_index "$1"
  (borrowing capture_git ls-files -s) 2>/dev/null >"$own/entries"
  entries_read=$?
  index=$own_files
  [ "$entries_read" -eq 0 ] && { [ ! -e "$1/index" ] || [ -f "$own/agent-index" ]; } || return 1
  sed -n "/^1[02]/s/^[^$tab]*$tab//p" "$own/entries" | sort -u >"$own/tracked"
  capture_git ls-files >"$own/captured" && not_in "$own/captured" 0 <"$own/tracked" >"$own/todo" || return 1
  [ -s "$own/todo" ] || return 0
  # The others were deleted, or replaced by something that is captured.
  find_nested && list_outside -o >"$own/outside" && not_in "$own/outside" 0 <"$own/todo" >"$own/absent" &&
    not_in "$own/absent" 0 <"$own/todo" >"$own/present" && true >"$own/refused" || return 1
  [ ! -s "$own/present" ] || by_halves add_paths "$own/present" "$own/refused"
  lack <"$own/refused"
  drop_record
}

# Moves things that are not files out of git's way, to where the attempt's own files are.
set_aside() { mkdir -p "$job/aside" && mv -f "$1" "$job/aside/$(date +%s).${1##*/}.$$"; }

# Adds or removes the paths that a file lists.
add_paths() { capture_git update-index --add --remove --replace --stdin <"$1" 2>/dev/null; }

# Resets the record's directory in the index to what was shipped: no capture contains the record. The names are passed
# to git as data, so this works whatever `.cursor` has become.
drop_record() {
  record="^[^$tab]*$tab\"\\{0,1\\}\\.cursor/agent-handoffs/"
  capture_git ls-files -s | sed -n "\\|$record|s/^[0-7]* \\([0-9a-f]*\\) [0-3]$tab/0 \\1$tab/p" >"$job/capture.git/record"
  [ -h "$tree/.cursor" ] || [ ! -d "$tree/.cursor" ] ||
    cache_git ls-tree -r "$files_tree" 2>/dev/null | sed -n "\\|$record|p" >>"$job/capture.git/record"
  [ ! -s "$job/capture.git/record" ] || capture_git update-index --index-info <"$job/capture.git/record"
  recorded=$?
  rm -f "$job/capture.git/record"
  return "$recorded"
}

# Sets $files to the tree of all files. Sets $note.
hash_files() {
  steadily add_files 2>>"$job/runner.log"
  [ $? -ne 124 ] || note="${note-}reading the files was stopped: no progress for $stall_limit s, or $step_limit s in total; "
  [ "$status" -eq 0 ] && files=$(capture_git write-tree) && is_hex "$files"
}

# Notes paths that the capture lacks, from stdin: one a line, relative to the top of the checkout.
lack() { cat >>"$lacking"; }

# Lists what is in the tree and not in the index, by comparing the two instead of trusting git's messages.
find_lacking() {
  outside=$job/capture.git/found
  find_nested
  # Each companion has a capture of its own.
  list_captured_paths >"$outside.own"
  {
    list_outside -z -o --exclude-standard -x /.cursor/agent-handoffs/
    list_shown | tr '\001\n' '\n\0'
    capture_git ls-files -z -m
    capture_git ls-files -z -s | tr '\n\0' '\001\n' | sed -n "s/^160000 [^$tab]*$tab//p" | while IFS= read -r path; do
      [ -z "$(ls -A "$tree/$path" 2>/dev/null)" ] || printf '%s\0' "$path"
    done
  } 2>/dev/null | tr '\n\0' '?\n' | sed 's|/$||' | sort -u | not_in "$outside.own" 0 >"$outside"
  lack <"$outside"
  # Git does not see pipes and other special files, nor anything called `.git` below the top.
  (cd "$tree" && find . -path ./.git -prune -o -name .git -print0 -prune -o ! -type d ! -type f ! -type l -print0) 2>/dev/null >"$outside.odd"
  find_unreadable | lack
  if [ -s "$outside.odd" ]; then
    tr '\n\0' '?\n' <"$outside.odd" | sed 's|^\./||' | sort >"$outside.all"
    capture_git check-ignore -z --no-index --stdin <"$outside.odd" 2>/dev/null | tr '\n\0' '?\n' | sed 's|^\./||' >"$outside.not"
    # A nested repository counts as one path.
    sed 's|$|/.git|' "$outside" "$outside.own" >>"$outside.not"
    not_in "$outside.not" 0 <"$outside.all" | lack
  fi
  if [ -d "$tree/.cursor/agent-handoffs" ] && [ ! -h "$tree/.cursor" ]; then
    capture_git ls-files -o -m -- .cursor/agent-handoffs 2>/dev/null | grep -q . && say .cursor/agent-handoffs | lack
  fi
  rm -f "$outside" "$outside.odd" "$outside.all" "$outside.not" "$outside.own"
  return 0
}

# Lists the directories that cannot be listed or entered, and those that are too deep.
find_unreadable() {
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  (cd "$tree" && find . -path ./.git -prune -o -type d -exec $shell -c '
    for place; do
      [ -r "$place" ] && [ -x "$place" ] && continue
      printf %s "${place#./}" | tr "\n" "?"
      echo
    done' sh {} +) 2>/dev/null | sort | LC_ALL=C awk 'above == "" || index($0, above "/") != 1 { above = $0; print }'
}

# Sets $reason_word to why a path is not captured.
find_reason() {
  case $1 in
    .git/modules | */.git) reason_word=nested ;;
    .cursor/agent-handoffs) reason_word=record ;;
    *)
      if [ ${#1} -gt 3000 ]; then
        reason_word=too-long
      elif [ -e "$tree/$1/.git" ]; then
        reason_word=nested
      elif [ ! -e "$tree/$1" ] && [ ! -h "$tree/$1" ]; then
        reason_word=other
      elif [ ! -f "$tree/$1" ] && [ ! -d "$tree/$1" ] && [ ! -h "$tree/$1" ]; then
        reason_word=special
      elif [ ! -h "$tree/$1" ] && { [ ! -r "$tree/$1" ] || { [ -d "$tree/$1" ] && [ ! -x "$tree/$1" ]; }; }; then
        reason_word=unreadable
      else
        case $1 in .git | .git/*) reason_word=other ;; *) reason_word=refused ;; esac
      fi
      ;;
  esac
}

# Counts the bytes of files and of the files in directories; stdin has the names, each followed by a NUL.
count_bytes() {
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  (cd "$tree" && xargs -0 -n 100 $shell -c '[ $# -eq 0 ] || find "$@" ! -type d -exec ls -lnd {} + 2>/dev/null' sh) |
    awk '/^[-l]/ { s += $5 } END { printf "%.0f", s }'
}

# Writes the attempt's file `uncaptured`. Sets $uncaptured to its number of paths, empty for none.
write_uncaptured() {
  uncaptured=
  sort -u "$lacking" 2>/dev/null | grep . | not_in "$own/captured-worktrees" 0 >"$lacking.all"
  if [ -s "$lacking.all" ]; then
    uncaptured=$(wc -l <"$lacking.all")
    uncaptured=$((uncaptured))
    say "count $uncaptured bytes $(sed 's|^|./|' "$lacking.all" | tr '\n' '\0' | count_bytes)" >"$at/.uncaptured"
    head -n 10 "$lacking.all" | while IFS= read -r path; do
      find_reason "$path"
      say "$(printf './%s\0' "$path" | count_bytes) $reason_word $(say "$path" | LC_ALL=C tr '\001-\011\013-\037\177' '?' | cut -c 1-400)"
    done >>"$at/.uncaptured"
    mv -f "$at/.uncaptured" "$at/uncaptured"
  fi
  rm -f "$lacking" "$lacking.all"
}
