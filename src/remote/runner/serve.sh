# The verbs `receive` and `upload`: git's own push and fetch, over the bytes that follow the request's header.

# After the line `begin` both directions are git's protocol. A handoff sees its own refs and the shared tips only: an
# advertisement of everything in a cache of many handoffs would cost more than a small push.
serve() {
  read_request
  begin
  open_cache
  set -- "$1" -c transfer.hideRefs=refs/ -c "transfer.hideRefs=!refs/keep/" -c "transfer.hideRefs=!refs/handoff/$name/"
  # Who is to send everything is shown nothing to build on.
  [ -n "$all" ] || set -- "$@" -c "transfer.hideRefs=!refs/capture/$name/"
  service=$1
  shift
  [ "$service" != receive-pack ] || sweep_cache
  say "serving"
  clean_git "$@" "$service" "$cache"
  exit $?
}

# The cache that a request names, made where it is missing.
open_cache() {
  [ -n "$name" ] || refuse request "name is missing"
  [ ${#key} -eq 40 ] || refuse request "key is missing"
  case $format in '' | sha1 | sha256) ;; *) refuse request "bad format" ;; esac
  command -v git >/dev/null 2>&1 || refuse no-git "git was not found on the host"
  [ "$format" = sha256 ] || format=
  make_cache "$key" "$format" || refuse_write "the cache could not be made"
}

# What is deleted here came from a laptop, or was made of a capture that stays: a clock that is wrong costs a second transfer.
# A push that was cut or killed leaves what it had received. After an hour without a byte it is nobody's any more.
sweep_cache() {
  for left in "$cache/objects"/tmp_objdir-* "$cache/objects/pack"/tmp_*; do
    recent=$(find "$left" -mmin -60 2>/dev/null) && [ -z "$recent" ] && rm -rf "$left"
  done
  # Of a laptop that was closed over a long transfer, the files are kept for a week.
  for left in "$cache/incoming"/* "$cache/outgoing"/*; do
    recent=$(find "$left" -mmin -10080 2>/dev/null) && [ -z "$recent" ] && rm -rf "$left"
  done
}

run_receive() { serve receive-pack; }
run_upload() { serve upload-pack; }
