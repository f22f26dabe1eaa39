# The verb `receive`: git's own push, over the bytes that follow the request's header.

# Serves git's protocol in both directions after the line `begin`. Only the handoff's own refs and the shared tips are
# advertised: advertising every ref in a cache of many handoffs would cost more than a small push.
run_receive() {
  read_request
  begin
  open_cache
  set -- -c transfer.hideRefs=refs/ -c "transfer.hideRefs=!refs/keep/" -c "transfer.hideRefs=!refs/handoff/$name/"
  # A laptop that is to send everything is shown no refs to build on.
  [ -n "$all" ] || set -- "$@" -c "transfer.hideRefs=!refs/capture/$name/"
  sweep_cache
  say "serving"
  clean_git "$@" receive-pack "$cache"
  exit $?
}

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
# only a second transfer. An interrupted push leaves what it had received; after an hour without a new byte, it is
# deleted.
sweep_cache() {
  for left in "$cache/objects"/tmp_objdir-* "$cache/objects/pack"/tmp_*; do
    recent=$(find "$left" -mmin -60 2>/dev/null) && [ -z "$recent" ] && rm -rf "$left"
  done
  # The files of a long transfer are kept for a week, because the laptop may be closed for days.
  for left in "$cache/incoming"/* "$cache/outgoing"/*; do
    recent=$(find "$left" -mmin -10080 2>/dev/null) && [ -z "$recent" ] && rm -rf "$left"
  done
}
