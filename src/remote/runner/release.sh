# The verb `release`: makes trees available again and deletes a handoff, once the laptop has shown that it has all of
# it. Sets $unheld, $job, $spec, $place, $format and $owner.

run_release() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  job=$root/work/$name gone=$root/work/.$name.gone spec=$job/spec/0
  loose='' unheld=0 bytes=0
  [ -d "$root/work" ] || [ -d "$root/trees" ] || [ -n "$discard" ] ||
    refuse absent "$root has no handoffs: it was deleted, or its file system is not mounted"
  make_scratch
  claim_trees
  # An interrupted release had moved these files here.
  [ -n "$dry" ] || remove "$gone" || refuse kept "$gone could not be deleted"
  check_acks
  find_refs
  find_trees
  need_captures
  each_tree look_at_tree
  [ -d "$job" ] || say gone
  say "refs $(($(cat "$scratch/refs" "$scratch"/refs-* 2>/dev/null | wc -l)))"
  tell_kept
  [ "$unheld" -eq 0 ] || [ -n "$discard" ] || refuse kept "$unheld files are nowhere else"
  [ -n "$dry" ] || let_go
  finish 0
}

# Makes the directory $scratch for the notes of this request, with the ids that the laptop has in $held. Each request
# has its own, because one that lost its connection may still run when it is sent again. Sets $scratch, $notes and
# $held.
make_scratch() {
  scratch=$root/.release.$name
  # A release may have to free a full disk, so its notes need some room elsewhere.
  { [ -d "$root" ] && ! has_less "$root" 65536; } || scratch=${TMPDIR:-/tmp}/.handoff-release.$name
  for old in "$scratch".*; do
    # If another process has the number by now, its rubbish stays a little longer.
    if ! is_number "${old##*.}" || ! kill -0 "${old##*.}" 2>/dev/null; then rm -rf "$old"; fi
  done
  scratch=$scratch.$$
  mkdir "$scratch" || refuse_write "$scratch could not be made"
  trap 'rm -rf "$scratch" "$root/work/$name/release.$$"' EXIT
  notes=$scratch held=$scratch/held
  first_bytes "${blob:-0}" >"$held" || refuse_write "the request could not be stored"
  size=$(wc -c <"$held")
  [ "$((size))" -eq "${blob:-0}" ] || refuse truncated "$((size)) of $blob bytes of the request arrived"
}

# Claims the trees of this handoff during the release. A handoff that wants one looks for this claim after its own.
claim_trees() {
  [ -z "$dry" ] && [ -d "$job" ] && myself || return 0
  # If the disk has no room for a link, no other handoff has room either.
  ln -sf "$me" "$job/release.$$" 2>/dev/null
  ! is_lent "$job" || case $life in
    unknown) refuse other-node "another machine was about to take the checkout; if it is gone, delete $job/lent.$top" ;;
    *) refuse busy "another handoff is about to take the checkout" ;;
  esac
}

# Lists the trees that this handoff owns, one directory a line, the one that it works in first. Sets $current.
find_trees() {
  current=$(link_of "$job/tree" | cut -d / -f 4)
  for place in "$root/trees/$current" "$root/trees"/*; do
    [ "$(link_of "$place/owner")" != "$name" ] || say "$place"
  done | awk '!seen[$0]++' >"$notes/trees"
}

# Calls $1 for each of them. Sets $place, $tree, $cache, and a $scratch for each tree.
each_tree() {
  count=0 mine=$cache
  while IFS= read -r place; do
    count=$((count + 1)) scratch=$notes/$count tree=${place##*/}
    tree=$place/${tree%-*} cache=$root/cache/$(link_of "$place/key").git
    mkdir -p "$scratch" || refuse_write "$scratch could not be made"
    # If the handoff's directory was deleted, only the laptop's ids are left to compare with.
    if [ ! -d "$root/work/$name" ]; then
      job=$scratch spec=$scratch format=$(clean_git config --file "$cache/config" extensions.objectformat)
      true >"$spec/ship"
    fi
    "$1" </dev/null
    job=$root/work/$name scratch=$notes cache=$mine
  done <"$notes/trees"
}

# Compares a tree with what the laptop has.
look_at_tree() {
  say "tree $tree"
  [ -d "$tree" ] || return 0
  [ -n "$dry" ] || open_directories
  if ! { make_capture_git && compare_tree has_others; }; then
    [ -z "$mount" ] || refuse kept "$mount is mounted inside the checkout; unmount it first"
    refuse_write "the tree $tree could not be compared with what is held"
  fi
  list_uncaptured
  # Files next to the checkout are not compared: they are listed, and stay until they are discarded.
  list_siblings >"$scratch/siblings"
  unheld=$((unheld + kept + $(tr -cd '\0' <"$scratch/siblings" | wc -c)))
  cat "$scratch/siblings" >>"$scratch/kept"
  bytes=$((bytes + $(count_bytes <"$scratch/kept")))
  tr '\n\0' '?\n' <"$scratch/kept" | head -n 20 | while IFS= read -r file; do
    size=$(printf '%s\0' "$file" | count_bytes)
    [ "${place##*/}" = "$current" ] || file=./$tree/${file#./}
    case $file in */.git/) file="$file ($inside)" ;; esac
    say "$size $(say "${file#./}" | cut -c 1-400)"
  done >>"$notes/listing"
}

# Adds what the last capture of this tree lacked, as long as it exists: the comparison may have found nothing.
list_uncaptured() {
  [ "$kept" -eq 0 ] || return 0
  highest "$job/"
  last_here=$top
  while [ "$last_here" -gt 0 ] && [ "$(link_of "$job/$last_here/tree" | cut -d / -f 4)" != "${place##*/}" ]; do
    last_here=$((last_here - 1))
  done
  [ -f "$job/$last_here/uncaptured" ] || return 0
  {
    read -r _ lacks _
    while read -r size cause path; do
      # Files next to the checkout were already listed above.
      case $path in ../*) lacks=$((lacks - 1)) && continue ;; esac
      if [ "$lacks" -gt 10 ] || [ -e "$tree/$path" ] || [ -h "$tree/$path" ]; then say "$size $path ($cause)"; fi
    done
  } <"$job/$last_here/uncaptured" >"$scratch/lacks"
  [ -s "$scratch/lacks" ] || return 0
  unheld=$((unheld + lacks))
  cat "$scratch/lacks" >>"$notes/listing"
}

# Deletes the handoff after everything was checked. The order makes sure that the same request can finish an interrupted
# release. Sets $cache and $tree.
let_go() {
  each_tree discard_kept
  [ ! -s "$notes/refs" ] || cache_git update-ref --stdin <"$notes/refs" ||
    refuse cache "the refs of the handoff could not be removed"
  let_companions_go || refuse cache "the refs of the other repositories could not be removed"
  each_tree give_back
  for cache in "$root/cache"/*.git; do
    { remove "$cache/incoming/$name" && remove "$cache/outgoing/$name"; } ||
      refuse kept "the packs of transfers could not be deleted"
  done
  [ ! -d "$job" ] || mv "$job" "$gone" || refuse busy "$job could not be moved"
  remove "$gone" || refuse kept "$gone could not be deleted"
}

# Deletes the listed files, and no others.
discard_kept() {
  [ -s "$scratch/kept" ] || return 0
  (cd "$tree" && xargs -0 -n 100 rm -rf -- <"$scratch/kept") 2>/dev/null
  tr '\n\0' '?\n' <"$scratch/kept" | while IFS= read -r file; do remove "$tree/$file"; done
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  left=$(cd "$tree" && xargs -0 -n 100 $shell -c 'for file; do
    if [ -e "$file" ] || [ -h "$file" ]; then printf "%s\n" "$file"; fi; done' sh <"$scratch/kept" | head -n 1)
  [ -z "$left" ] || refuse kept "$tree/${left#./} could not be deleted: it belongs to another user, is in use or is immutable"
}

# Makes a tree available to the next handoff, and records the tree id that the laptop has acknowledged. Deletes the
# agent's repository, whose commits were compared with the files. Sets $index.
give_back() {
  blocked=
  [ "$(link_of "$place/owner")" = "$name" ] || return 0
  if [ -d "$tree" ]; then
    each_companion backwards remove_companion || blocked=.
    if [ -e "$tree/.git" ] || [ -h "$tree/.git" ]; then mv "$tree/.git" "$place/gone" 2>/dev/null || blocked=.git; fi
    remove "$place/gone" || blocked=.git
    index=$scratch/union
    id=$(capture_git write-tree) && { say "tree $id" && config_line && content_lines "$held" "$job/spec"/*/ship | sort -u | sed 's/^/content /'; } >"$place/held"
    index=
    while IFS= read -r path; do
      [ ! -d "$tree/$path" ] || [ -w "$tree/$path" ] || blocked=$path
    done <"$scratch/stuck"
  fi
  # A captured worktree stays next to the checkout. The next handoff would take it for its own file.
  sibling=
  while IFS= read -r path; do
    case $path in ../*) [ ! -e "$tree/$path" ] || sibling=${path#../} ;; esac
  done 2>/dev/null <"$job/capture.git/captured-worktrees"
  if [ -z "$blocked$sibling" ]; then
    rm -f "$place/kept" "$place/owner"
  else
    owner=
    if [ -n "$blocked" ]; then
      retire_tree "has a directory that cannot be written: ${blocked#./}"
    else
      retire_tree "has a worktree of an earlier handoff next to it: $sibling"
    fi
    say "aside $tree"
  fi
}

# Answers what is kept as one data frame: the size and the name of the first entries, one a line.
tell_kept() {
  [ "$unheld" -gt 0 ] || return 0
  head -n 20 "$notes/listing" >"$notes/first"
  kept_length=$(wc -c <"$notes/first")
  say "d $name kept $unheld $bytes $((kept_length))"
  cat "$notes/first"
  say ""
}
