# The verb `release`: gives trees back and forgets a handoff, once the laptop has shown that it holds all of it.

run_release() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  job=$root/work/$name gone=$root/work/.$name.gone spec=$job/spec/0
  loose='' unheld=0 bytes=0
  [ -d "$root/work" ] || [ -d "$root/trees" ] || [ -n "$discard" ] ||
    refuse absent "$root has no handoffs: it was deleted, or its file system is not mounted"
  make_scratch
  # What a release that was cut had moved away.
  [ -n "$dry" ] || remove "$gone" || refuse kept "$gone could not be deleted"
  check_acks
  find_refs
  find_trees
  [ -z "$loose" ] || [ ! -s "$scratch/trees" ] || refuse uncaptured "attempt $loose has run and was not captured"
  each_tree look_at_tree
  [ -d "$job" ] || say gone
  say "refs $(($(wc -l <"$scratch/refs")))"
  tell_kept
  [ "$unheld" -eq 0 ] || [ -n "$discard" ] || refuse kept "$unheld files are nowhere else"
  [ -n "$dry" ] || let_go
  finish 0
}

# A directory for what this request notes, and in it the ids that the laptop holds. It is this request's alone: one that
# lost its connection may still run when it is sent again.
make_scratch() {
  scratch=$root/.release.$name
  # What is about to free a full disk needs some room elsewhere.
  { [ -d "$root" ] && ! has_less "$root" 65536; } || scratch=${TMPDIR:-/tmp}/.handoff-release.$name
  for old in "$scratch".*; do
    # A number that another process has by now keeps what is rubbish a little longer.
    if ! is_number "${old##*.}" || ! kill -0 "${old##*.}" 2>/dev/null; then rm -rf "$old"; fi
  done
  scratch=$scratch.$$
  mkdir "$scratch" || refuse_write "$scratch could not be made"
  trap 'rm -rf "$scratch"' EXIT
  notes=$scratch held=$scratch/held
  first_bytes "${blob:-0}" >"$held" || refuse_write "the request could not be stored"
  size=$(wc -c <"$held")
  [ "$((size))" -eq "${blob:-0}" ] || refuse truncated "$((size)) of $blob bytes of the request came"
  true >"$notes/listing"
}

# The trees that this handoff owns, one directory a line, the one that it works in first.
find_trees() {
  current=$(link_of "$job/tree" | cut -d / -f 4)
  for place in "$root/trees/$current" "$root/trees"/*; do
    [ "$(link_of "$place/owner")" != "$name" ] || say "$place"
  done | awk '!seen[$0]++' >"$notes/trees"
}

# Calls $1 for each of them, with $place, $tree and $cache set, and a $scratch of its own.
each_tree() {
  count=0 mine=$cache
  while IFS= read -r place; do
    count=$((count + 1)) scratch=$notes/$count tree=${place##*/}
    tree=$place/${tree%-*} cache=$root/cache/$(link_of "$place/key").git
    mkdir -p "$scratch" || refuse_write "$scratch could not be made"
    # Of a handoff whose directory was deleted, the comparison has nothing but what the laptop says.
    if [ ! -d "$root/work/$name" ]; then
      job=$scratch spec=$scratch format=$(clean_git config --file "$cache/config" extensions.objectformat)
      true >"$spec/ship"
    fi
    "$1" </dev/null
    job=$root/work/$name scratch=$notes cache=$mine
  done <"$notes/trees"
}

# Compares a tree with what the laptop holds.
look_at_tree() {
  say "tree $tree"
  [ -d "$tree" ] || return 0
  [ -n "$dry" ] || open_directories
  if ! { make_capture_git && compare_tree; }; then
    [ -z "$mount" ] || refuse kept "$mount is mounted inside the tree: unmount it first"
    refuse_write "the tree $tree could not be compared with what is held"
  fi
  list_uncaptured
  # What is next to the checkout is compared with nothing: it is listed, and stays until it is discarded.
  list_beside >"$scratch/beside"
  kept=$((kept + $(tr -cd '\0' <"$scratch/beside" | wc -c)))
  cat "$scratch/beside" >>"$scratch/kept"
  unheld=$((unheld + kept))
  bytes=$((bytes + $(count_bytes <"$scratch/kept")))
  tr '\n\0' '?\n' <"$scratch/kept" | head -n 20 | while IFS= read -r file; do
    size=$(printf '%s\0' "$file" | count_bytes)
    [ "${place##*/}" = "$current" ] || file=./$tree/${file#./}
    case $file in */.git/) file="$file ($inside)" ;; esac
    say "$size $(say "${file#./}" | cut -c 1-400)"
  done >>"$notes/listing"
}

# Where the comparison found nothing, what the last capture of this tree said that it lacks counts, as long as it is there.
list_uncaptured() {
  [ "$kept" -eq 0 ] || return 0
  highest "$job/"
  while [ "$top" -gt 0 ] && [ "$(link_of "$job/$top/tree" | cut -d / -f 4)" != "${place##*/}" ]; do top=$((top - 1)); done
  [ -f "$job/$top/uncaptured" ] || return 0
  {
    read -r _ lacks _
    while read -r size why path; do
      # What is next to the checkout is looked for there.
      case $path in ../*) lacks=$((lacks - 1)) && continue ;; esac
      if [ "$lacks" -gt 10 ] || [ -e "$tree/$path" ] || [ -h "$tree/$path" ]; then say "$size $path ($why)"; fi
    done
  } <"$job/$top/uncaptured" >"$scratch/lacks"
  [ -s "$scratch/lacks" ] || return 0
  kept=$lacks
  cat "$scratch/lacks" >>"$notes/listing"
}

# Everything was looked at; in this order, a cut leaves nothing that the same request would not finish.
let_go() {
  each_tree discard_kept
  [ ! -s "$notes/refs" ] || cache_git update-ref --stdin <"$notes/refs" ||
    refuse cache "the refs of the handoff could not be removed"
  each_tree give_back
  for cache in "$root/cache"/*.git; do
    { remove "$cache/incoming/$name" && remove "$cache/outgoing/$name"; } ||
      refuse kept "the packs of transfers could not be deleted"
  done
  [ ! -d "$job" ] || mv "$job" "$gone" || refuse busy "$job could not be moved"
  remove "$gone" || refuse kept "$gone could not be deleted"
}

# Deletes what was listed, and nothing else.
discard_kept() {
  [ -s "$scratch/kept" ] || return 0
  (cd "$tree" && xargs -0 -n 100 rm -rf -- <"$scratch/kept") 2>/dev/null
  tr '\n\0' '?\n' <"$scratch/kept" | while IFS= read -r file; do remove "$tree/$file"; done
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  left=$(cd "$tree" && xargs -0 -n 100 $shell -c 'for file; do
    if [ -e "$file" ] || [ -h "$file" ]; then printf "%s\n" "$file"; fi; done' sh <"$scratch/kept" | head -n 1)
  [ -z "$left" ] || refuse kept "$tree/${left#./} could not be deleted: it belongs to another user, is in use or is immutable"
}

# Makes a tree available to the next handoff, with the id of what the laptop holds of it. The agent's repository goes: what
# it names was compared with the rest.
give_back() {
  stuck=
  if [ -d "$tree" ]; then
    if [ -e "$tree/.git" ] || [ -h "$tree/.git" ]; then mv "$tree/.git" "$place/gone" 2>/dev/null || stuck=.git; fi
    remove "$place/gone" || stuck=.git
    index=$scratch/union
    id=$(capture_git write-tree) && say "tree $id" >"$place/held"
    index=
    # The state of the files spares the next handoff a long read.
    mv -f "$scratch/seen" "$place/index" 2>/dev/null
    while IFS= read -r path; do
      [ ! -d "$tree/$path" ] || [ -w "$tree/$path" ] || stuck=$path
    done <"$scratch/stuck"
  fi
  if [ -z "$stuck" ]; then
    rm -f "$place/kept" "$place/owner"
  else
    owner=
    retire_tree "has a directory that cannot be written: ${stuck#./}"
    say "aside $tree"
  fi
}

# What is kept, as one data frame: the size and the name of the first ones, a line each.
tell_kept() {
  [ "$unheld" -gt 0 ] || return 0
  head -n 20 "$notes/listing" >"$notes/first"
  length=$(wc -c <"$notes/first")
  say "d $name kept $unheld $bytes $((length))"
  cat "$notes/first"
  say ""
}
