# The verb `receive-pack`: takes the objects of a push as one file, by offset and hash, so that a transfer continues
# after a lost connection.

# Without a hash, answers the tips that the cache has and the laptop need not pack. With a hash, answers how many bytes
# of that pack are here and reads the rest from stdin, unless all of it came in the request. When git has read the whole
# pack, its objects and the refs of the push are added.
run_receive_pack() {
  read_request
  take_blob
  begin
  open_cache
  sweep_cache
  if [ -z "$pack" ]; then
    cache_git for-each-ref --format='tip %(objectname)' refs/keep/ "refs/handoff/$name/"
    finish 0
  fi
  [ -n "$length" ] || refuse request "length is missing"
  [ -z "$all" ] || cut_pack
  read_pushed_refs
  incoming=$cache/incoming/$name
  part=$incoming/objects/pack/pack-$pack.pack
  quarantine=$incoming/call.$$
  have=$length
  if has_pushed_refs; then
    say "have $have"
  else
    [ -f "$cache/objects/pack/pack-$pack.idx" ] || find_part
    say "have $have"
    [ "$have" -eq "$length" ] || take_rest
    [ -f "$cache/objects/pack/pack-$pack.idx" ] || take_in_pack
    make_pushed_refs
  fi
  rm -rf "$incoming"
  finish 0
}

# Sets $have to how many bytes of the pack are here: all of it or whole blocks. A handoff sends one pack at a time.
find_part() {
  for left in "$incoming/objects/pack"/*; do
    case $left in "${part%.pack}".*) ;; *) rm -f "$left" ;; esac
  done
  [ -z "$all" ] || { mkdir -p "${part%/*}" && mv -f "$request.pack" "$part"; } || refuse_unwritten "the pack could not be stored"
  { mkdir -p "${part%/*}" && true >>"$part"; } || refuse_unwritten "the pack could not be stored"
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
    refuse_unwritten "the pack could not be stored"
  have=$(wc -c <"$part")
  [ "$((have))" -eq "$length" ] || ! has_pushed_refs || finish 0
  [ "$((have))" -eq "$length" ] || refuse truncated "$((have)) of $length bytes of the pack arrived"
}

# Reads the pack in quarantine until git has read every object and followed every link from the new tips to what is
# here. Only then the cache gets the objects.
take_in_pack() {
  sum=20
  [ -z "$format" ] || sum=32
  [ "$(tail -c "$sum" "$part" | od -An -tx1 | tr -d ' \n')" = "$pack" ] || refuse_pack damaged "the pack is damaged"
  # Git opens every pack of a repository, so a few objects become files of their own.
  mkdir -p "$quarantine/pack" || refuse_unwritten "the pack could not be unpacked"
  few=
  [ "$length" -ge 1048576 ] ||
    [ "$(od -An -tu1 -j8 -N4 "$part" | awk '{ print (($1 * 256 + $2) * 256 + $3) * 256 + $4 }')" -ge 100 ] || few=1
  if [ -n "$few" ]; then
    said=$(incoming_git unpack-objects -q <"$part" 2>&1)
  elif [ -n "$thin" ]; then
    said=$(incoming_git index-pack --stdin --fix-thin <"$part" 2>&1 >/dev/null)
  else
    said=$(index_part 2>&1)
  fi || case $said in
    *'unresolved delta'*) refuse_pack lacking "base objects of the push are missing" ;;
    *)
      if is_full "$root"; then rm -rf "$quarantine" && refuse_unwritten "the pack could not be unpacked"; fi
      refuse_pack damaged "the pack is damaged"
      ;;
  esac
  cut -d ' ' -f 1 "$request" | incoming_git rev-list --objects --quiet --stdin --not --all 2>/dev/null ||
    refuse_pack lacking "base objects of the push are missing"
  if [ -n "$few" ]; then
    cache_git unpack-objects -q <"$part" 2>/dev/null || refuse_unwritten "the objects could not be added to the cache"
  else
    publish_packs
  fi
}

# Indexes the pack in the quarantine of this call. Another call for the same pack may run at the same time.
index_part() {
  whole_pack=$quarantine/pack/${part##*/}
  { ln "$part" "$whole_pack" 2>/dev/null || cp "$part" "$whole_pack"; } && cache_git index-pack "$whole_pack" >/dev/null
}

# Refuses the push because of a file, unless another call has made its refs and then deleted its files.
refuse_unwritten() {
  ! has_pushed_refs || finish 0
  refuse_write "$1"
}

# Refuses the pack and deletes what came of it, unless another call has made the refs of the push.
refuse_pack() {
  rm -rf "$quarantine"
  ! has_pushed_refs || finish 0
  rm -f "$part"
  # Another call may still have files here.
  (cd "$cache/incoming" && rmdir -p "$name/objects/pack") 2>/dev/null
  refuse "$1" "$2"
}

# Moves the packs of the quarantine into the cache. Another connection's call may have done the same before.
publish_packs() {
  for pack_index in "$quarantine/pack"/pack-*.idx; do
    pack_base=${pack_index%.idx}
    # The index goes last, because git sees no pack without one.
    for made in pack rev idx; do
      [ ! -f "$pack_base.$made" ] || mv -f "$pack_base.$made" "$cache/objects/pack/" 2>/dev/null
    done
    [ -f "$cache/objects/pack/${pack_index##*/}" ] || refuse_unwritten "the pack could not be moved into the cache"
  done
}

# Calls git with the objects of the quarantine and of the cache.
incoming_git() { with_objects "$quarantine" "$cache/objects" cache_git "$@"; }

# Checks the refs of the push, which are lines `<object> <ref>` of the blob.
read_pushed_refs() {
  awk -v own="refs/handoff/$name/" '
    $1 !~ /^[0-9a-f]+$/ || ($2 != "refs/keep/" $1 && index($2, own) != 1) || NF != 2 { exit 1 }
    { print "update " $2 " " $1 }' "$request" >"$request.refs" ||
    refuse request "bad name of a ref"
}

# Whether an earlier call has made the refs of the push, all of which are made at once.
has_pushed_refs() {
  last_ref=$(tail -n 1 "$request")
  { read -r there <"$cache/${last_ref#* }"; } 2>/dev/null && [ "$there" = "${last_ref%% *}" ]
}

# Makes the refs of the push, without the tips that are there already, because git takes a lock for each. Another push
# may make the same tips at the same time.
make_pushed_refs() {
  cache_git for-each-ref --format='update %(refname) %(objectname)' refs/keep/ 2>/dev/null >"$request.there"
  not_in "$request.there" 0 <"$request.refs" |
    cache_git -c core.filesRefLockTimeout=10000 update-ref --stdin 2>/dev/null ||
    refuse_unwritten "the refs of the push could not be made"
}
