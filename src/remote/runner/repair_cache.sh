# Repairs a cache with missing or damaged objects: the watcher asks the laptop for them again, and the verb
# `repair-cache` prepares the cache to take them. Everything readable stays: damaged files are moved aside, and whole
# objects in them are kept.

# If objects of the ship are missing or damaged in the cache, deletes the ref of the ship, so that the laptop sends them
# again. Sets $lacking. Sets $detail.
ask_again() {
  if say "$commit${operation:+$nl$operation}" | cache_git rev-list --objects --quiet --stdin && ship_objects | cache_git cat-file --batch >/dev/null &&
    ! ship_objects | cache_git cat-file --batch-check | grep -q ' missing$'; then return; fi
  cache_git update-ref -d "refs/handoff/$name/ship/$g"
  lacking=1 detail="objects of the ship are missing or damaged on the host"
} 2>/dev/null

# Lists the objects of the ship's trees.
ship_objects() {
  cache_git rev-list --objects --no-object-names "$files_tree" "$index_tree" ${operation:+"$operation^{tree}"} ${content:+"$content^{tree}"}
}

# The verb `repair-cache`.
run_repair_cache() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  [ ${#key} -eq 40 ] || refuse request "key is missing"
  [ "$format" = sha256 ] || format=
  cache=$root/cache/$key.git repaired=0
  [ -f "$cache/config" ] || finish 0
  # Each repair has its own directory, so it overwrites nothing that an earlier one moved aside.
  highest "$cache/damaged/"
  damaged=$cache/damaged/$((top + 1))
  mkdir -p "$damaged" || refuse_write "nothing could be moved aside in the cache"
  for index in "$cache/objects/pack"/pack-*.idx; do
    base=${index%.idx}
    [ -f "$index" ] || continue
    cache_git verify-pack "$base.pack" >/dev/null 2>&1 || repair_pack
  done
  repair_loose
  if [ "$repaired" -eq 0 ] && tips_are_whole; then
    rmdir "$damaged"
    say "repaired 0"
    finish 0
  fi
  forget_tips || refuse cache "the refs of the cache could not be removed"
  say "repaired $((repaired + 1))"
  finish 0
}

# Copies the whole objects of the pack $base into another pack, and moves the old one aside. Sets $repaired.
repair_pack() {
  fresh=$cache/objects/tmp_objdir-repair-$$
  rm -rf "$fresh"
  clean_git init -q --bare --template= ${format:+--object-format="$format"} "$fresh" ||
    refuse_write "a damaged pack could not be unpacked"
  said=$(clean_git --git-dir="$fresh" unpack-objects -q -r <"$base.pack" 2>&1 >/dev/null)
  unpacked=$?
  case $said in
    *'nable to write'* | *'nable to create'* | *'ailed to write'* | *'ut of memory'*) unpacked=129 ;;
  esac
  # A pack stays where it is unless everything that can be read of it was saved. A signal may have ended git.
  if [ "$unpacked" -gt 128 ] || ! pack_saved; then
    rm -rf "$fresh"
    refuse_write "what is whole in a damaged pack could not be saved"
  fi
  # The new pack's index goes in last and the old pack's index goes out first, because git sees a pack by its index.
  for file in "$base".idx "$base".*; do
    [ ! -f "$file" ] || mv -f "$file" "$damaged/"
  done
  for saved in "$fresh"/saved-*.pack; do
    [ -f "$saved" ] || continue
    to=$cache/objects/pack/pack-${saved##*/saved-}
    mv -f "$saved" "$to" && mv -f "${saved%.pack}.idx" "${to%.pack}.idx"
  done
  rm -rf "$fresh"
  repaired=$((repaired + 1))
}

# Packs the objects that could be read.
pack_saved() {
  clean_git --git-dir="$fresh" cat-file --batch-all-objects --batch-check='%(objectname)' |
    clean_git --git-dir="$fresh" pack-objects -q "$fresh/saved" >/dev/null 2>&1
}

# Moves unreadable loose objects aside, because git does not replace an object that is there. Sets $repaired.
repair_loose() {
  for object in $(cache_git fsck --full --no-dangling --no-progress 2>&1 | grep -oE '/objects/[0-9a-f]{2}/[0-9a-f]{38,62}' | sort -u); do
    [ ! -f "$cache$object" ] || mv -f "$cache$object" "$damaged/" || continue
    repaired=$((repaired + 1))
  done
}

# Whether every object is here that a push builds on.
tips_are_whole() {
  {
    ls "$cache/refs/keep"
    sed -n 's|.* refs/keep/||p' "$cache/packed-refs"
  } 2>/dev/null | sort -u >"$damaged/.tips.$$"
  cache_git rev-list --objects --quiet --stdin <"$damaged/.tips.$$" 2>/dev/null
  whole=$?
  rm -f "$damaged/.tips.$$"
  return "$whole"
}

# Deletes the shared tips, so that the laptop sends everything. A tip only says what laptops have; captures stay.
forget_tips() {
  cache_git for-each-ref --format='delete %(refname)' refs/keep/ "refs/handoff/$name/" 2>/dev/null |
    cache_git update-ref --stdin && rm -rf "$cache/refs/keep" "$cache/refs/handoff/$name"
}
