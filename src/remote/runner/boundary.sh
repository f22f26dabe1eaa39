# The commits at which the history of a shallow clone ends. The cache's file `shallow` has them, one a line.

# Adds the lines `<object> shallow` of the push to those of the cache. An end hides the history below it from everything
# that reads the cache. Therefore a commit that is here is no end, and a cache that was made with the whole history gets
# none. Sets $boundary_hint.
add_boundary() {
  boundary_hint=
  grep -q ' shallow$' "$pushed" || return 0
  if [ ! -f "$cache/shallow" ] && [ -n "$(find "$cache/objects" -type f | head -n 1)" ]; then
    boundary_hint=". The repository has become shallow since the host got it: git fetch --unshallow"
    return 0
  fi
  lock_boundary
  sed -n 's/ shallow$//p' "$pushed" | cache_git cat-file --batch-check | sed -n 's/ missing$//p' |
    not_in "$cache/shallow" 1 >"$request.ends"
  # A line that is not complete would make git refuse the whole cache, so the file is replaced at once.
  if [ -s "$request.ends" ]; then
    { [ ! -f "$cache/shallow" ] || cat "$cache/shallow"; } >"$cache/shallow.lock" &&
      cat "$request.ends" >>"$cache/shallow.lock" && mv -f "$cache/shallow.lock" "$cache/shallow"
  else
    rm -f "$cache/shallow.lock"
  fi || { rm -f "$cache/shallow.lock" && refuse_unwritten "the boundary of the history could not be written"; }
}

# Makes the file shallow.lock, which git uses, too. What a killed call left is taken over after 100 turns.
lock_boundary() {
  turn=0
  until (set -C && true >"$cache/shallow.lock") 2>/dev/null; do
    turn=$((turn + 1))
    [ "$turn" -lt 100 ] || return 0
    doze
  done
}
