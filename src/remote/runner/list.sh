# The verb `trees`: lists the trees on the host, the handoffs that own them, and why a tree is not used any more. Then it
# lists the caches. For a handoff it only lists the tree that this handoff works in.

run_trees() {
  read_request
  begin
  if [ -n "$name" ]; then
    job=$root/work/$name
    ! find_tree || say "tree $tree"
    finish 0
  fi
  for place in "$root/trees"/*; do
    [ -d "$place" ] || continue
    tree=${place##*/}
    say "tree $place/${tree%-*}"
    owned_by=$(link_of "$place/owner") && say "owner $owned_by"
    [ ! -f "$place/kept" ] || say "kept $(head -n 1 "$place/kept")"
    tell_size "$place"
  done
  for cache in "$root/cache"/*; do
    [ -d "$cache" ] || continue
    say "cache $cache"
    tell_size "$cache"
  done
  finish 0
}

# Answers the size of a directory on disk in KiB, or nothing if it cannot be measured in time.
tell_size() {
  size=$(quickly du -sk "$1" | awk 'NR == 1 { print $1 + 0 }')
  [ -z "$size" ] || say "size $size"
}
