# The verb `receive-pack`: takes the objects of a large push as one file, by offset and hash, so that a transfer
# continues after a lost connection.

# Without a hash, answers the tips that the cache has and the laptop need not pack. With a hash, answers how many bytes
# of that pack are here and reads the rest from stdin. When git has read the whole pack, its objects and the refs of the
# push are added.
run_receive_pack() {
  read_request
  take_blob
  begin
  open_cache
  if [ -z "$pack" ]; then
    cache_git for-each-ref --format='tip %(objectname)' refs/keep/ "refs/handoff/$name/"
    finish 0
  fi
  [ -n "$length" ] || refuse request "length is missing"
  incoming=$cache/incoming/$name
  part=$incoming/objects/pack/pack-$pack.pack
  have=$length
  [ -f "$cache/objects/pack/pack-$pack.idx" ] || find_part
  say "have $have"
  [ "$have" -eq "$length" ] || take_rest
  [ -f "$cache/objects/pack/pack-$pack.idx" ] || take_in_pack
  make_pushed_refs
  rm -rf "$incoming"
  finish 0
}

# Sets $have to how many bytes of the pack are here: all of it or whole blocks. A handoff sends one pack at a time.
find_part() {
  for left in "$incoming/objects/pack"/*; do
    case $left in "${part%.pack}".*) ;; *) rm -f "$left" ;; esac
  done
  { mkdir -p "${part%/*}" && true >>"$part"; } || refuse_write "the pack could not be stored"
  have=$(wc -c <"$part")
  if [ "$((have))" -gt "$length" ] && true >"$part"; then have=0; fi
  [ "$((have))" -eq "$length" ] || have=$((have / block * block))
  have=$((have))
}
block=65536

# Writes in place. An earlier connection that is still open can only bring the same bytes for the same offset. Sets
# $have.
take_rest() {
  dd ibs="$block" obs="$block" seek="$((have / block))" conv=notrunc of="$part" 2>/dev/null ||
    refuse_write "the pack could not be stored"
  have=$(wc -c <"$part")
  [ "$((have))" -eq "$length" ] || refuse truncated "$((have)) of $length bytes of the pack arrived"
}

# Reads the pack in quarantine until git has read every object and followed every link from the new tips to what is
# here.
take_in_pack() {
  if [ "$(cache_git index-pack "$part" 2>/dev/null)" != "$pack" ]; then
    ! is_full "$root" || refuse_write "the pack could not be indexed"
    rm -rf "$incoming"
    refuse damaged "the pack is damaged"
  fi
  if ! cut -d ' ' -f 1 "$request" | incoming_git rev-list --objects --quiet --stdin --not --all 2>/dev/null; then
    rm -rf "$incoming"
    refuse lacking "base objects of the push are missing"
  fi
  # The index goes last, because git sees no pack without one. Another connection's call may have done the same before.
  for made in pack rev idx; do
    [ ! -f "${part%.pack}.$made" ] || mv -f "${part%.pack}.$made" "$cache/objects/pack/" 2>/dev/null
  done
  [ -f "$cache/objects/pack/pack-$pack.idx" ] || refuse_write "the pack could not be moved into the cache"
}

# Calls git with the objects of the quarantine and of the cache.
incoming_git() { with_objects "$incoming/objects" "$cache/objects" cache_git "$@"; }

# Makes the refs of the push, which are lines `<object> <ref>` of the blob. Another push may make the same tips at the
# same time.
make_pushed_refs() {
  awk -v own="refs/handoff/$name/" '
    $1 !~ /^[0-9a-f]+$/ || ($2 != "refs/keep/" $1 && index($2, own) != 1) || NF != 2 { exit 1 }
    { print "update " $2 " " $1 }' "$request" >"$request.refs" ||
    refuse request "bad name of a ref"
  cache_git -c core.filesRefLockTimeout=10000 update-ref --stdin <"$request.refs" 2>/dev/null ||
    refuse_write "the refs of the push could not be made"
}
