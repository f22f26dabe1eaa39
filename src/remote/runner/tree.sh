# The agent's checkout: fills a tree with what was shipped, and makes the repository that the agent works in. A step
# that fails sets $detail to the reason.

# Whether the ref of the ship is there. A push makes it last, when the cache has every object.
has_ship() { [ "$(cache_git rev-parse -q --verify "refs/handoff/$name/ship/$g^{commit}" 2>/dev/null)" = "$commit" ]; }

# Makes our own git directory, with the laptop's configuration and the cache's objects.
make_capture_git() {
  [ -f "$job/capture.git/ready" ] && [ ! -d "$job/capture.git/reftable" ] && has_format "$job/capture.git" && place_lfs_filter && return 0
  rm -rf "$job/capture.git"
  clean_git init -q --bare --template= ${format:+--object-format="$format"} "$job/capture.git" || return 1
  clean_git config --file "$job/capture.git/config" core.bare false
  mkdir -p "$job/capture.git/info"
  cat "$spec/config" >>"$job/capture.git/config" 2>/dev/null
  cat "$spec/exclude" >"$job/capture.git/info/exclude" 2>/dev/null
  place_lfs_filter && true >"$job/capture.git/ready"
}

# Writes the shipped files into a tree that was just compared. Ignored files stay, so that a build stays warm;
# everything else is replaced. At the end the index has the content of every file: git hashes those that it does not
# know from `proved`, the index of the comparison, and those whose ctime, inode or size has changed since then. An index
# that is older is not trusted, because an agent of the same user could have written to it.
fill_tree() {
  remove "$tree/.git" && mkdir -p "$tree" || return 1
  start_index
  drop_pointers
  # Cleans once by the ignore rules in the tree, and once by those that were shipped.
  drop_nested && write_files && drop_nested && clean_files || return 1
  give_clone_modes
  # What the checkout wrote into the index is dropped: git reads the files that it wrote.
  start_index
  capture_git read-tree --reset "$files_tree" && add_files
}

# Writes the files that differ from the index. Two processes write many files faster; git before 2.32 has only one.
write_files() {
  capture_git -c checkout.workers=2 -c checkout.thresholdForParallelism=1000 read-tree --reset -u "$files_tree"
}

# Makes the index a copy of `proved`, with its time, by which git knows files that were written later in that second.
start_index() {
  rm -f "$job/capture.git/index"
  [ ! -f "$job/capture.git/proved" ] || cp -p "$job/capture.git/proved" "$job/capture.git/index"
}

# Makes the agent's repository from nothing, because an earlier agent may have written anything into the last one. Sets
# $git to its git directory.
make_repository() {
  git=$tree/.git
  clean_git init -q --template= ${format:+--object-format="$format"} "$tree" || return 1
  mkdir -p "$git/info" "$git/objects/info"
  say "$cache/objects" >"$git/objects/info/alternates"
  [ ! -f "$cache/shallow" ] || cp "$cache/shallow" "$git/shallow"
  cat "$spec/exclude" >"$git/info/exclude" 2>/dev/null
  cat "$spec/config" >>"$git/config" 2>/dev/null
  set_config gc.auto 0 && set_config maintenance.auto false && set_config commit.gpgSign false &&
    set_config tag.gpgSign false && set_config core.excludesFile /dev/null || return 1
  [ -z "$author" ] || set_config user.name "$author"
  [ -z "$email" ] || set_config user.email "$email"
  while IFS=$tab read -r remote url; do
    [ -n "$remote" ] || continue
    set_config "remote.$remote.url" "$url"
    set_config "remote.$remote.fetch" "+refs/heads/*:refs/remotes/$remote/*"
    [ "$push" = yes ] || set_config "remote.$remote.pushurl" disabled://no-push-from-a-handoff
  done 2>/dev/null <"$spec/remotes"
  if [ -n "$branch" ] && [ -n "$upstream" ]; then
    set_config "branch.$branch.remote" "${upstream%% *}"
    set_config "branch.$branch.merge" "${upstream#* }"
  fi
  place_agent_lfs && make_refs
}

# Sets a value in the configuration of the agent's repository.
set_config() { clean_git config --file "$git/config" "$1" "$2"; }

# Sets refs, HEAD and the index. The index comes from the verification, so `status` need not read the files again.
make_refs() {
  # The refs are written as one file: git would make a file for each, which takes seconds for many.
  {
    sed -n 's/^ref //p' "$spec/ship"
    [ -z "$branch" ] || [ -z "$head" ] || say "$head refs/heads/$branch"
  } >"$git/packed-refs"
  ! cut -d ' ' -f 1 "$git/packed-refs" | sort -u | tree_git cat-file --batch-check | grep -q ' missing$' || return 1
  if [ -n "$branch" ]; then
    tree_git symbolic-ref HEAD "refs/heads/$branch"
  else
    tree_git update-ref --no-deref HEAD "$head"
  fi || return 1
  cp -p "$job/capture.git/index" "$git/index" && tree_git read-tree -m "$index_tree" || return 1
  [ -z "$operation" ] || restore_operation || return 1
  tree_git update-index -q --refresh
  return 0
}

# Restores an unfinished merge or the like: its files in the git directory, which are read again afterwards, and the
# conflicts of the index.
restore_operation() {
  operation_git read-tree "$operation:files" && operation_git checkout-index -q -a -f && operation_git add -u &&
    [ "$(operation_git write-tree)" = "$(cache_git rev-parse "$operation:files")" ] && rm -f "$git/operation" || return 1
  [ -z "$listing" ] || cache_git cat-file blob "$operation:unmerged" | tree_git update-index -z --index-info
}

# Calls git with the agent's git directory as the work tree, whose files are taken as they are.
operation_git() (
  own_index=$git/operation
  cd "$git" && clean_git --git-dir="$git" --work-tree="$git" -c core.autocrlf=false -c core.fileMode=false "$@"
)

# Prints the id of the index: of its tree, or of the list of its entries where it has conflicts.
index_id() {
  if [ -n "$listing" ]; then tree_git ls-files -s -z | tree_git hash-object --stdin; else tree_git write-tree; fi
}

# Whether files, index and HEAD are the laptop's, by object id. Sets $detail to what differs.
prove_ship() {
  detail=
  if [ -n "$head" ]; then
    set -- "$commit^1 $head" "$commit^2^{tree} $index_tree"
  else
    # Without a HEAD, the commits of the snapshot have no other parents.
    set -- "$commit^1^{tree} $index_tree" "$commit^1^1 " "$commit^2 "
  fi
  for pair in "$commit^{tree} $files_tree" "$@"; do
    got=$(cache_git rev-parse -q --verify "${pair% *}")
    [ "$got" = "${pair#* }" ] || detail="the snapshot holds ${got:-nothing} where $pair was announced"
  done
  got=$(capture_git write-tree) && [ "$got" = "$files_tree" ] ||
    detail="files are ${got:-unreadable} instead of $files_tree: $(capture_git diff --cached --name-only "$files_tree" -- | head -n 3 | tr '\n' ' ')"
  got=$(index_id) && [ "$got" = "${listing:-$index_tree}" ] || detail="index is ${got:-unreadable} instead of ${listing:-$index_tree}"
  got=$(tree_git rev-parse -q --verify HEAD)
  [ "$got" = "$head" ] || detail="HEAD is ${got:-unborn} instead of ${head:-unborn}"
  [ -z "$branch" ] || [ "$(tree_git symbolic-ref -q HEAD)" = "refs/heads/$branch" ] || detail="HEAD is not on its branch"
  # Files that were there before were not read from the cache, but the agent and the capture need their objects.
  # The list ends at an object that is not there.
  ! { ship_objects || say unknown; } 2>/dev/null | cache_git cat-file --batch-check 2>/dev/null | grep -q ' missing$' ||
    detail="objects of the ship are missing"
  [ -z "$detail" ]
}

# Adds ignored files that the work needs, after the tree was verified. Sets $index.
add_extra() {
  [ -n "$extra_tree" ] || return 0
  index=$job/capture.git/extra
  capture_git read-tree "$extra_tree" && capture_git checkout-index -q -a -f
  extra=$?
  rm -f "$index"
  index=
  return "$extra"
}

# Fills a tree and verifies its contents.
settle_in() {
  detail="the files could not be written"
  steadily with_clone_modes fill_tree
  filled=$?
  rm -f "$job/capture.git/proved"
  [ "$filled" -eq 0 ] || { note_stall && return 1; }
  detail="the repository could not be created"
  steadily with_clone_modes make_repository || { note_stall && return 1; }
  prove_ship || return 1
  detail="needed files could not be written"
  steadily with_clone_modes add_extra || { note_stall && return 1; }
}

# Adds to $detail that a limit ended the step.
note_stall() { [ "$status" -ne 124 ] || detail="$detail: no progress for $stall_limit s, or $step_limit s in total"; }

# Ships: afterwards the tree has exactly what the laptop sent, or nothing will run. Fails with $detail set. Sets $reason.
land() {
  await_lender || return 1
  if { [ -f "$job/landed.$g" ] || [ "$adopt" = no ]; } && is_taken; then
    reason=gone detail="another handoff has taken the checkout"
    return 1
  fi
  [ -f "$job/landed.$g" ] && find_tree && return 0
  detail="the upload is incomplete"
  make_cache "$key" "$format" && has_ship || return 1
  event ship
  detail="no checkout could be created"
  make_capture_git || return 1
  [ ! -f "$cache/shallow" ] || cp "$cache/shallow" "$job/capture.git/shallow"
  if [ "$adopt" = yes ]; then
    place_contents && take_tree || return 1
  else
    find_tree || return 1
  fi
  settle_companions || return 1
  detail=
  say "$files_tree" >"$job/landed.$g" && event tree
}
