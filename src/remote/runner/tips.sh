# Everything except HEAD that the agent's repository names, as lines `<oid> <name>`; these become refs of the capture.

# Maximum number of the agent's refs that come back as refs, because git makes and syncs a file for each. Further refs
# are lines of one file, and their commits are parents of its commit.
most_refs=500

# Prints what the laptop has and sent, as lines `<oid>`.
list_known() {
  say "$commit"
  [ -z "$head" ] || say "$head"
  [ -z "$operation" ] || say "$operation"
  sed -n 's/^ref \([0-9a-f]*\) .*/\1/p' "$spec/ship"
}

# Prints the refs that the agent made or moved, as lines `<order> <oid> <name in the capture> <name>`. A name that the
# cache could not take is replaced by the object's id.
find_tips() {
  {
    sed -n 's/^ref /known /p' "$spec/ship"
    [ -z "$branch" ] || [ -z "$head" ] || say "known $head refs/heads/$branch"
    cat "$own/found-refs"
  } | LC_ALL=C awk '
    $1 == "known" { known[$3] = $2; next }
    { name = $0; sub(/^[^ ]* /, "", name); refs[name] = $1 }
    END {
      for (name in refs) {
        if (known[name] == refs[name]) continue
        kept = substr(name, 6)
        if (kept !~ /^(heads|tags|notes)\/./ && kept != "stash") kept = "other/" kept
        if (kept ~ /[\001-\040\177~^:?*\[\\]|\.\.|@\{|\/\/|\/\.|\/$|\.$|\.lock(\/|$)|^\./ || length(kept) > 200) kept = "reflog/" refs[name]
        print (kept == "stash" ? 0 : 1), refs[name], kept, name
      }
    }' | sort -k 1,1 -k 3
}

# Takes the refs whose objects exist, and notes the others as lacking.
take_refs() {
  find_tips | cut -d ' ' -f 2- >"$own/named"
  cut -d ' ' -f 1 "$own/named" | sort -u | borrowing capture_git cat-file --batch-check='%(objectname) %(objecttype)' 2>/dev/null >"$own/typed"
  sed -n 's/ missing$//p' "$own/typed" >"$own/missing"
  sed -n 's/ commit$//p' "$own/typed" >"$own/commits"
  not_in "$own/missing" 1 <"$own/named" >"$own/whole"
  not_in "$own/whole" 0 <"$own/named" | sed 's|^[^ ]* [^ ]* |.git/|' | lack
  head -n "$most_refs" "$own/whole" | cut -d ' ' -f 1,2 >>"$own/tips"
  tail -n "+$((most_refs + 1))" "$own/whole" >"$own/rest"
  [ -s "$own/rest" ] || return 0
  not_in "$own/commits" 1 <"$own/rest" >"$own/odd"
  head -n "$most_refs" "$own/odd" | cut -d ' ' -f 1,2 >>"$own/tips"
  tail -n "+$((most_refs + 1))" "$own/odd" | sed 's|^[^ ]* [^ ]* |.git/|' | lack
  oid=$(not_in "$own/odd" 0 <"$own/rest" | sed 's/ [^ ]* / /' | tee "$own/rest-names" | capture_git hash-object -w --stdin) &&
    rest_tree=$(printf '100644 blob %s\trefs\n' "$oid" | capture_git mktree) &&
    oid=$(cut -d ' ' -f 1 "$own/rest-names" | hold "$rest_tree" "refs of the file refs,") && say "$oid refs" >>"$own/tips"
}

# Makes a commit of the tree $1 whose parents are the commits of stdin, so that they are reachable.
hold() { commit_text "$1" "$2" | borrowing capture_git hash-object -t commit -w --stdin; }

# Finds the objects that only a file of the git directory names: commits that were reset, amended or stashed, or belong
# to an unfinished operation. They become tips `<oid> reflog/<oid>`. Only the last commit of a line of history is
# listed, and many such ends become parents of one commit.
find_dropped() {
  { list_known && cut -d ' ' -f 1 "$own/tips" && say "$agent_head"; } | grep . | sort -u >"$own/known"
  sort -u "$own/found-ids" | not_in "$own/known" 1 |
    borrowing capture_git cat-file --batch-check='%(objectname) %(objecttype)' 2>/dev/null | grep -v ' missing$' >"$own/typed"
  sed -nE 's/ (commit|tag)$//p' "$own/typed" >"$own/dropped"
  [ ! -s "$own/dropped" ] || {
    cat "$own/dropped"
    sed 's/^/^/' "$own/known"
  } | borrowing capture_git rev-list --ignore-missing --parents --stdin 2>/dev/null | LC_ALL=C awk '
    { made[NR] = $1; for (i = 2; i <= NF; i++) below[$i] = 1 }
    END { for (i = 1; i <= NR; i++) if (!(made[i] in below)) print made[i] " reflog/" made[i] }' >"$own/ends"
  head -n 100 "$own/ends" >>"$own/tips"
  tail -n +101 "$own/ends" | cut -d ' ' -f 1 >"$own/more"
  if [ -s "$own/more" ] && oid=$(hold "$files_tree" "commits that only logs name," <"$own/more"); then say "$oid reflog/more" >>"$own/tips"; fi
  sed -nE 's/^([0-9a-f]+) (tree|blob)$/\1 reflog\/\1/p' "$own/typed" | head -n 100 >>"$own/tips"
}
