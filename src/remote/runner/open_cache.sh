# The cache of a request about objects.

# Opens the cache that a request names, and makes it where it is missing. Sets $format.
open_cache() {
  [ -n "$name" ] || refuse request "name is missing"
  [ ${#key} -eq 40 ] || refuse request "key is missing"
  case $format in '' | sha1 | sha256) ;; *) refuse request "bad format" ;; esac
  command -v git >/dev/null 2>&1 || refuse no-git "git was not found on the host"
  [ "$format" = sha256 ] || format=
  make_cache "$key" "$format" || refuse_write "the cache could not be made"
}

# Deletes leftovers of transfers. They came from a laptop, or were made of a capture that stays, so a wrong clock costs
# only a second transfer.
sweep_cache() {
  # A git that was killed leaves what it had received.
  for left in "$cache/objects"/tmp_objdir-* "$cache/objects/pack"/tmp_*; do
    [ -e "$left" ] || continue
    recent=$(find "$left" -mmin -60 2>/dev/null) && [ -z "$recent" ] && rm -rf "$left"
  done
  clear_old_locks
  # The files of a long transfer are kept for a week, because the laptop may be closed for days.
  for left in "$cache/incoming"/* "$cache/outgoing"/*; do
    [ -e "$left" ] || continue
    recent=$(find "$left" -mmin -10080 2>/dev/null) && [ -z "$recent" ] && rm -rf "$left"
  done
}
