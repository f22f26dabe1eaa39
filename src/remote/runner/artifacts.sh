# The verb `artifacts`: makes a commit of build results, which no capture has because they are ignored.

# The blob has patterns in the form of an ignore file, from the top of the checkout. Every regular file that matches gets
# into the commit `refs/handoff/<name>/artifacts/<n>`, which send-pack sends. Answers `ended 0|1`, `files <n>`, `bytes
# <n>`, `unread <path>` lines, and `artifacts <oid>`; without it nothing was stored, because nothing matches, nothing
# can be read, or the files have more than `max` bytes. The agent may run.
run_artifacts() {
  read_request
  take_blob
  begin
  need_attempt
  g=$(link_of "$at/grant") || refuse unknown "no such attempt"
  spec=$job/spec/$g
  read_ship || refuse request "the ship is malformed"
  cache=$root/cache/$key.git
  find_attempt_tree || refuse no-tree "the checkout of attempt $n is gone, or another handoff has it"
  { [ -h "$at/intent" ] && [ -f "$job/capture.git/ready" ]; } || refuse unfinished "attempt $n has not started its agent"
  ended=0
  [ ! -f "$at/result" ] || ended=1
  find_matching || refuse_write "the files could not be listed"
  bytes=$(compare_git ls-files -z -c -i -X "$request" | tr '\n\0' '\001\n' | sed 's|^|./|' | tr '\001\n' '\n\0' | count_bytes)
  say "ended $ended"
  say "files $(($(wc -l <"$request.found")))"
  say "bytes $bytes"
  if [ -s "$request.found" ] && [ "$bytes" -le "$max" ]; then
    store_matching || refuse_write "the files could not be stored"
    [ -z "$stored" ] || say "artifacts $stored"
  fi
  head -n 20 "$request.unread" | cut -c 1-400 | sed 's/^/unread /'
  finish 0
}

# Lists the files that match in $request.found, as `ls-files -s` prints them, and directories that cannot be read in
# $request.unread. Git only judges names: it does not walk through the checkout, where it would read nested repositories
# of the agent. Sets $index to an index of these names, with the modes of the files.
find_matching() {
  index=$request.index
  list_nested >"$request.nested"
  id=$(compare_git hash-object --stdin </dev/null) || return 1
  list_regular 100644 ! || return 1
  list_regular 100755 || return 1
  find_unreadable | sed 's|$|/|' >"$request.unread"
  compare_git ls-files -s -c -i -X "$request" >"$request.found"
}

# Adds the regular files that are executable, or with `!` as $2 the others, to the index with the mode $1. Nothing of a
# nested repository, of the agent's repository or of the record is added.
list_regular() {
  # A file may disappear meanwhile, so the status of find says nothing.
  # shellcheck disable=SC2086 # $2 is a word or nothing
  { (cd "$tree" && find . \( -name '.[gG][iI][tT]' -o -path ./.cursor/agent-handoffs \) -prune -o -type f ${2-} -perm -100 -print0) 2>/dev/null || true; } |
    tr '\n\0' '\001\n' | entry="$1 $id 0$tab" nested=$request.nested LC_ALL=C awk '
      BEGIN { while ((getline line < ENVIRON["nested"]) > 0) inner[line] }
      {
        path = substr($0, 3)
        for (above = path; sub("/[^/]*$", "", above); ) if (above in inner) next
        print ENVIRON["entry"] path
      }' | tr '\001\n' '\n\0' | compare_git update-index -z --index-info
}

# Stores the files that match, byte for byte, and sets $stored to the commit of those that could be read; empty for none.
# Adds the others to $request.unread. Sets $index.
store_matching() {
  stored=
  cut -f 2 "$request.found" >"$request.names" && true >"$request.hashed" && true >"$request.bad" || return 1
  steadily by_halves hash_matching "$request.names" "$request.bad" || return 1
  [ ! -s "$request.bad" ] || ! is_full "$root" || return 1
  cat "$request.bad" >>"$request.unread"
  [ -s "$request.hashed" ] || return 0
  index=$request.stored
  hashed=$request.hashed LC_ALL=C awk -F "$tab" '
    BEGIN { while ((getline < ENVIRON["hashed"]) > 0) oid[$2] = $1 }
    $2 in oid { split($1, words, " "); print words[1] " " oid[$2] " 0\t" $2 }' "$request.found" |
    compare_git update-index --index-info && id=$(compare_git write-tree) &&
    stored=$(commit_text "$id" "artifacts of" </dev/null | cache_git hash-object -t commit -w --stdin) &&
    cache_git update-ref "refs/handoff/$name/artifacts/$n" "$stored"
}

# Stores the files that the list $1 names, all or none. A file that disappears costs only itself.
hash_matching() {
  compare_git hash-object -w --no-filters --stdin-paths <"$1" >"$request.oids" 2>/dev/null &&
    paste "$request.oids" "$1" >>"$request.hashed"
}
