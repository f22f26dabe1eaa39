# Takes in the objects and refs of a push. A small pack comes with `ensure`; a larger one comes before it, by the verb
# `receive-pack`, as a file by offset and hash, so that a transfer continues after a lost connection.

# Without a hash, answers the tips that the cache has and the laptop need not pack. With a hash, answers how many bytes
# of that pack are here and reads the rest from stdin. When git has read the whole pack, its objects and the refs of the
# push are added.
run_receive_pack() {
  read_request
  take_blob
  begin
  open_cache
  sweep_cache
  if [ -z "$pack" ]; then
    tell_tips
    finish 0
  fi
  open_push "$request"
  (
    has_pushed_refs || find_part
    say "have $have"
    [ "$have" -eq "$length" ] || take_rest
    finish_push
  ) || exit
  finish 0
}

# Takes in the push of `ensure`, or checks that `receive-pack` took it in before. If the host lacks objects, the request
# is refused here, before the attempt exists.
take_ship() {
  if [ -n "$pack" ]; then
    sweep_cache
    cut_push
    open_push "$request.refs"
    (
      has_pushed_refs || find_part
      finish_push
    ) || exit
  fi
  has_ship || refuse_push lacking "the ship was not sent, or its ref was deleted"
}

# Answers the tips that a push can build on.
tell_tips() { cache_git for-each-ref --format='tip %(objectname)' refs/keep/ "refs/handoff/$name/" "refs/capture/$name/"; }

# Refuses a push, with the tips that the next one can build on.
refuse_push() {
  tell_tips
  refuse "$@"
}

# Opens the push whose refs are in the file $1. What follows runs in a subshell, which ends early when another call has
# made the refs. Sets $pushed, $incoming, $quarantine and $have.
open_push() {
  [ -n "$length" ] || refuse request "length is missing"
  pushed=$1
  read_pushed_refs
  incoming=$cache/incoming/$name
  part=$incoming/objects/pack/pack-$pack.pack
  quarantine=$incoming/call.$$
  have=$length
}

# Adds what came, unless another call has done so, and deletes its files.
finish_push() {
  if ! has_pushed_refs; then
    add_boundary
    has_pack || take_in_pack
    make_pushed_refs
  fi
  # It fails while another call writes there, which deletes it then.
  rm -rf "$incoming"
  return 0
}

# Whether the cache has the pack itself.
has_pack() { [ -f "$cache/objects/pack/pack-$pack.idx" ]; }

# Sets $have to how many bytes of the pack are here: all of it or whole blocks. A handoff sends one pack at a time.
find_part() {
  ! has_pack || return 0
  for left in "$incoming/objects/pack"/*; do
    case $left in "${part%.pack}".*) ;; *) rm -f "$left" ;; esac
  done
  { mkdir -p "${part%/*}" && { [ ! -f "$request.pack" ] || mv -f "$request.pack" "$part"; } && true >>"$part"; } ||
    refuse_unwritten "the pack could not be stored"
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
  [ "$((have))" -eq "$length" ] || { has_pushed_refs && exit 0; } || refuse truncated "$((have)) of $length bytes of the pack arrived"
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
  sed -n 's/ refs.*//p' "$pushed" | incoming_git rev-list --objects --quiet --stdin --not --all 2>/dev/null ||
    refuse_pack lacking "base objects of the push are missing$boundary_hint"
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
  rm -rf "$quarantine"
  ! has_pushed_refs || exit 0
  refuse_write "$1"
}

# Refuses the pack and deletes what came of it, unless another call has made the refs of the push.
refuse_pack() {
  rm -rf "$quarantine"
  ! has_pushed_refs || exit 0
  rm -f "$part"
  # Another call may still have files here.
  (cd "$cache/incoming" && rmdir -p "$name/objects/pack") 2>/dev/null
  refuse_push "$1" "$2"
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

# Checks the refs of the push, which are lines `<object> <ref>`.
read_pushed_refs() {
  awk -v own="refs/handoff/$name/" '
    $1 ~ /^[0-9a-f]+$/ && $2 == "shallow" && NF == 2 { next }
    $1 !~ /^[0-9a-f]+$/ || ($2 != "refs/keep/" $1 && index($2, own) != 1) || NF != 2 { exit 1 }
    { print "update " $2 " " $1 }' "$pushed" >"$request.updates" ||
    refuse request "bad name of a ref"
}

# Whether an earlier call has made the refs of the push, all of which are made at once.
has_pushed_refs() {
  last_ref=$(tail -n 1 "$pushed")
  { read -r there <"$cache/${last_ref#* }"; } 2>/dev/null && [ "$there" = "${last_ref%% *}" ]
}

# Makes the refs of the push, without the tips that are there already, because git takes a lock for each. Another push
# may make the same tips at the same time.
make_pushed_refs() {
  cache_git for-each-ref --format='update %(refname) %(objectname)' refs/keep/ 2>/dev/null >"$request.there"
  not_in "$request.there" 0 <"$request.updates" |
    cache_git -c core.filesRefLockTimeout=10000 update-ref --stdin 2>/dev/null ||
    refuse_unwritten "the refs of the push could not be made"
}
