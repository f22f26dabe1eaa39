# The verb `trees`: lists the trees on the host, the handoffs that own them, and why a tree is not used any more.

run_trees() {
  read_request
  begin
  for place in "$root/trees"/*; do
    [ -d "$place" ] || continue
    tree=${place##*/}
    say "tree $place/${tree%-*}"
    owned_by=$(link_of "$place/owner") && say "owner $owned_by"
    [ ! -f "$place/kept" ] || say "kept $(head -n 1 "$place/kept")"
    size=$(quickly du -sk "$place" | awk 'NR == 1 { print $1 + 0 }')
    [ -z "$size" ] || say "size $size"
  done
  finish 0
}
