# The verb `send-pack`: sends a large capture as one file in pieces, so that a transfer continues after a lost
# connection.

# Answers the name and the length of the pack, and at most `max` bytes of the pack `pack` from the offset `have`. If the
# pack has another name by now, the bytes are from its start. With `discard yes` the file is deleted: the laptop has
# unpacked it.
run_send_pack() {
  read_request
  begin
  need_attempt
  open_cache
  outgoing=$cache/outgoing/$name
  if [ -n "$discard" ]; then
    rm -rf "$outgoing"
    finish 0
  fi
  file=$outgoing/$n.pack
  [ -f "$file" ] || pack_capture
  length=$(wc -c <"$file")
  length=$((length))
  sum=20
  [ -z "$format" ] || sum=32
  hash=$(tail -c "$sum" "$file" | od -An -tx1 | tr -d ' \n')
  { [ "$hash" = "$pack" ] && [ "$have" -le "$length" ]; } || have=0
  [ "$max" -le "$((length - have))" ] || max=$((length - have))
  say "pack $hash $length"
  say "d $name $n pack $have $max"
  tail -c "+$((have + 1))" "$file" 2>/dev/null | first_bytes "$max"
  say ""
  finish 0
}

# Packs what the capture has beyond the ships and the captures before it. The file gets its name when it is complete.
pack_capture() {
  mkdir -p "$outgoing" && capture_ends >"$outgoing/.ends.$$" &&
    cache_git pack-objects -q --revs --stdout --delta-base-offset <"$outgoing/.ends.$$" >"$outgoing/.$n.$$" 2>/dev/null &&
    mv "$outgoing/.$n.$$" "$file"
  made=$?
  rm -f "$outgoing/.ends.$$" "$outgoing/.$n.$$"
  [ "$made" -eq 0 ] || refuse_write "the capture could not be packed"
}
