# Prunes a cache: deletes the objects that no ref of it names, once no handoff uses the cache.

# Prunes the cache $cache after a release. Fails silently, because the next release tries again.
#
# Captures that no laptop has fetched, and what laptops build their packs on, are refs of the cache and stay. A checkout
# can need objects without such a ref, so nothing is pruned while a handoff or a checkout with a repository uses the
# cache. Objects of a transfer that has just begun have no ref yet: as in git's own gc, only those that are older than
# two weeks are deleted.
prune_cache() {
  pruned=${cache##*/} pruned=${pruned%.git}
  { [ -f "$cache/config" ] && ! is_cache_used "$pruned"; } || return 0
  # Each gc writes the packs again, so it has nothing to do for the next two weeks.
  [ -n "$(find "$cache/objects" -type f -mtime +14 2>/dev/null | head -n 1)" ] || return 0
  within 600 cache_git -c gc.pruneExpire=2.weeks.ago gc --quiet --prune=2.weeks.ago >/dev/null 2>&1
  return 0
}

# Whether a handoff was sent with the cache of the key $1, or a checkout borrows objects from it.
is_cache_used() {
  ! cat "$root/work"/*/spec/*/ship 2>/dev/null | grep -qxF "key $1" || return 0
  for other in "$root/trees"/*; do
    borrower=${other##*/}
    [ "$(link_of "$other/key")" != "$1" ] || [ ! -e "$other/${borrower%-*}/.git" ] || return 0
  done
  return 1
}
