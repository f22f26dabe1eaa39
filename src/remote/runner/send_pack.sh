# The verb `send-pack`: sends a capture, or the artifacts of an attempt, as a pack of what the laptop lacks, in pieces, so
# that a transfer continues after a lost connection.

# The blob lists what the laptop has, an object id a line. Answers the refs of the capture, the name and the length of
# the pack, and at most `max` bytes of the pack `pack` from the offset `have`. If that pack is not here, another one is
# made and sent from its start. With `discard yes` the file is deleted: the laptop has the objects. With `artifacts yes`
# the pack is that of the commit that the verb `artifacts` made.
run_send_pack() {
  read_request
  # The list is kept in memory, because a full disk has no room for it.
  laptop_has=$(first_bytes "${blob:-0}" && say .)
  laptop_has=${laptop_has%.}
  [ "${#laptop_has}" -eq "${blob:-0}" ] || refuse truncated "${#laptop_has} of $blob bytes of the request arrived"
  begin
  need_attempt
  open_cache
  outgoing=$cache/outgoing/$name below=refs/capture/$name/$n/
  [ -z "$artifacts" ] || outgoing=$outgoing/artifacts below=refs/handoff/$name/artifacts/$n
  if [ -n "$discard" ]; then
    rm -rf "$outgoing"
    finish 0
  fi
  file=$outgoing/$n.pack
  if [ -z "$pack" ] || [ ! -f "$file" ] || ! measure_pack || [ "$hash" != "$pack" ]; then
    packed=$below
    pack_capture
    # Damage below another ref must not hold back the work. The laptop refuses the refs that lack something.
    measure_pack || { packed=${packed}work && pack_capture && measure_pack; } ||
      refuse cache "objects of the capture are missing or damaged"
  fi
  { [ "$hash" = "$pack" ] && [ "$have" -le "$length" ]; } || have=0
  [ "$max" -le "$((length - have))" ] || max=$((length - have))
  cache_git for-each-ref --format='ref %(objectname) %(refname)' "$below"
  say "pack $hash $length"
  say "d $name $n pack $have $max"
  print_pack "$((have + 1))" | first_bytes "$max"
  say ""
  finish 0
}

# Packs the capture into a file, which gets its name when it is complete. A handoff sends one pack at a time. Without
# room for a file there is none.
pack_capture() {
  rm -f "$outgoing"/*.pack
  mkdir -p "$outgoing" && make_pack >"$outgoing/.$n.$$" && mv -f "$outgoing/.$n.$$" "$file" && return
  rm -f "$outgoing/.$n.$$"
  return 0
} 2>/dev/null

# Prints the pack. With one thread, git prints the same bytes each time.
make_pack() { capture_ends | cache_git -c pack.threads=1 pack-objects -q --revs --stdout --thin --delta-base-offset; } 2>/dev/null

# Prints the arguments of rev-list for the objects below the refs $packed that the laptop lacks.
capture_ends() {
  cache_git for-each-ref --format='%(objectname)' "$packed"
  here=$(printf %s "$laptop_has" | cache_git cat-file --batch-check='%(objectname) %(objecttype)' | sed '/ missing$/d')
  say "$here" | sed -n 's/^\([0-9a-f]\{1,\}\) .*/^\1/p'
  # Git only omits files that the laptop has if a commit that is sent has their commit as a parent. This commit is sent
  # for that.
  shared=$({
    say "$here" | sort -u
    cache_git for-each-ref --format='%(objectname) %(objecttype)' "refs/handoff/$name/" "refs/capture/$name/" | sort -u
  } | sort | uniq -d | sed -n 's/ commit$//p')
  if [ -n "$shared" ] && oid=$(cache_git rev-parse -q --verify "${shared%%"$nl"*}^{tree}"); then
    say "$shared" | commit_text "$oid" "what is held of" | cache_git hash-object -t commit -w --stdin
  fi
}

# Prints the pack from the byte $1 on. Without a file it is made again.
print_pack() { if [ -f "$file" ]; then tail -c "+$1" "$file"; else make_pack | tail -c "+$1"; fi; } 2>/dev/null

# Sets $length to the length of the pack and $hash to its checksum, which is its name. Fails if there is no pack.
measure_pack() {
  sum=20
  [ -z "$format" ] || sum=32
  if [ -f "$file" ]; then length=$(wc -c <"$file"); else length=$(make_pack | wc -c); fi
  length=$((length))
  [ "$length" -gt "$sum" ] && hash=$(print_pack "$((length - sum + 1))" | od -An -tx1 | tr -d ' \n')
}
