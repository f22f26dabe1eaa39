# The verb `receive-pack`: the objects of a large push as one file, by offset and hash, so that a cut line goes on where it was.

# Without a hash: the tips here, which the laptop need not pack. With one: how many bytes of that pack are here, then the
# rest of them from stdin, and once git has read it whole, its objects and the refs of the push.
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

# How much of the pack is here, in $have: all of it or whole blocks. A handoff sends one pack at a time.
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

# Written in place: what an earlier connection still brings late are the same bytes at the same offset.
take_rest() {
  dd ibs="$block" obs="$block" seek="$((have / block))" conv=notrunc of="$part" 2>/dev/null ||
    refuse_write "the pack could not be stored"
  have=$(wc -c <"$part")
  [ "$((have))" -eq "$length" ] || refuse truncated "$((have)) of $length bytes of the pack came"
}

# In quarantine until git has read every object and followed every link from the new tips to what is here.
take_in_pack() {
  if [ "$(cache_git index-pack "$part" 2>/dev/null)" != "$pack" ]; then
    ! is_full "$root" || refuse_write "the pack could not be indexed"
    rm -rf "$incoming"
    refuse damaged "the pack is not what was sent"
  fi
  if ! cut -d ' ' -f 1 "$request" | incoming_git rev-list --objects --quiet --stdin --not --all 2>/dev/null; then
    rm -rf "$incoming"
    refuse lacking "objects that the push builds on are missing"
  fi
  # The index last: git sees no pack without one. Another connection's call may have been as far before us.
  for made in pack rev idx; do
    [ ! -f "${part%.pack}.$made" ] || mv -f "${part%.pack}.$made" "$cache/objects/pack/" 2>/dev/null
  done
  [ -f "$cache/objects/pack/pack-$pack.idx" ] || refuse_write "the pack could not be moved into the cache"
}

incoming_git() { with_objects "$incoming/objects" "$cache/objects" cache_git "$@"; }

# The refs of the push, `<object> <ref>` in each line of the blob. Other pushes may be making the same tips just now.
make_pushed_refs() {
  awk -v own="refs/handoff/$name/" '
    $1 !~ /^[0-9a-f]+$/ || ($2 != "refs/keep/" $1 && index($2, own) != 1) || NF != 2 { exit 1 }
    { print "update " $2 " " $1 }' "$request" >"$request.refs" ||
    refuse request "bad name of a ref"
  cache_git -c core.filesRefLockTimeout=10000 update-ref --stdin <"$request.refs" 2>/dev/null ||
    refuse_write "the refs of the push could not be made"
}
