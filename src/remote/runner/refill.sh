# Decides whether filling a tree loses nothing. What filling deletes or overwrites must be with the laptop. Ignored files
# stay where they are, so that a build stays warm, unless the ship has a file at their place.

# Whether filling the tree loses nothing. Otherwise sets $why. Sets $caches, $held, $scratch and $index. The content of
# every file is read: what an index or a clock says is no proof before something is overwritten. The index of the
# comparison is kept as `proved`, for fill_tree.
may_fill() {
  why=
  rm -f "$job/capture.git/proved"
  [ -d "$tree" ] || return 0
  scratch=$job/.compare held=$job/.compare/held caches=$(cat "$spec/caches" 2>/dev/null)
  rm -rf "$scratch"
  # The index `proved` has the files of the last tree that is compared. Therefore the extra files are not the last.
  mkdir "$scratch" && {
    cat "$place/held" "$spec/held"
    [ -z "$extra_tree" ] || say "tree $extra_tree"
    say "tree $commit"
  } >"$held" 2>/dev/null
  open_directories
  why="could not be compared with what the laptop holds"
  if compare_tree has_lost; then
    why=
    case $(head -n 1 "$scratch/lost" 2>/dev/null) in
      end) ;;
      [at]' '*) why="has $(grep -c '^[at] ' "$scratch/lost") files that are nowhere else" ;;
      *) why="could not be compared with the ship" ;;
    esac
    [ -z "$inside" ] || why="has a repository with $inside that are nowhere else"
    [ -z "$stuck" ] || why="has a directory that cannot be written: $stuck"
    mv -f "$scratch/seen" "$job/capture.git/proved" 2>/dev/null
    mv -f "$scratch/lfs-noted.pointers" "$job/capture.git/lfs/pointers" 2>/dev/null
    is_written_alike || rm -f "$job/capture.git/proved"
  fi
  rm -rf "$scratch"
  [ -z "$why" ]
}

# Whether filling would delete or overwrite files that equal none of the trees so far. Sets $index.
has_lost() {
  # Before the first tree, no file equals one.
  [ -f "$scratch/union" ] || return 0
  list_lost
  [ "$(head -n 1 "$scratch/lost" 2>/dev/null)" != end ]
}

# Lists those files in $scratch/lost, one a line. The last line is `end` if the list is complete. Names of the ship are
# compared without regard to case, because the file system may not tell them apart. Sets $index.
list_lost() {
  say incomplete >"$scratch/lost" && tr '\n\0' '\001\n' <"$scratch/others" >"$scratch/alone" &&
    tr '\n\0' '\001\n' <"$scratch/hidden" | sed 's|^\./||' >>"$scratch/alone" || return 1
  if [ ! -s "$scratch/alone" ]; then
    say end >"$scratch/lost"
    return
  fi
  collect_rules && list_ship || return 1
  {
    list_staying | sed 's/^/s /'
    sed 's/^/a /' "$scratch/alone" && sed 's/^/t /' "$scratch/shipped" && say complete
  } | awk '
    { name = substr($0, 3); sub("/$", "", name); path = tolower(name) }
    /^complete/ { whole = 1; next }
    /^s/ { stays[name]; next }
    /^a/ && !(name in stays) { print; next }
    /^a/ { own[path]; for (above = path; sub("/[^/]*$", "", above); ) around[above]; next }
    path in own || path in around { print; next }
    { for (above = path; sub("/[^/]*$", "", above); ) if (above in own) { print; next } }
    END { print whole ? "end" : "incomplete" }' >"$scratch/lost"
}

# Lists the names in the ship in $scratch/shipped.
list_ship() {
  {
    cache_git ls-tree -r -z --name-only "$files_tree" &&
      { [ -z "$extra_tree" ] || cache_git ls-tree -r -z --name-only "$extra_tree"; }
  } >"$scratch/names" && tr '\n\0' '\001\n' <"$scratch/names" >"$scratch/shipped"
}

# Makes the directory $scratch/rules with the files `.gitignore` that there will be: those of the ship, and those that
# no tree of the laptop has, such as in a directory that ignores itself. Sets $index.
collect_rules() {
  rm -rf "$scratch/rules" "$scratch/rules-index"
  mkdir "$scratch/rules" || return 1
  grep -E '(^|/)\.gitignore$' "$scratch/alone" | while IFS= read -r rules; do
    if [ -f "$tree/$rules" ] && [ ! -h "$tree/$rules" ]; then
      mkdir -p "$scratch/rules/${rules%.gitignore}" && cp "$tree/$rules" "$scratch/rules/$rules"
    fi
  done
  index=$scratch/rules-index
  rules_git read-tree "$files_tree" && rules_git ls-files -z -- ':(glob)**/.gitignore' |
    rules_git checkout-index -q -f -z --stdin
  collected=$?
  index=
  return "$collected"
}

# Calls our git with the directory $scratch/rules as its work tree.
rules_git() { capture_git -C "$scratch/rules" --work-tree="$scratch/rules" "$@"; }

# Prints those of the names in $scratch/alone that are ignored both by the rules that there will be and by those in the
# tree: filling applies both to nested repositories.
list_staying() {
  tr '\001\n' '\n\0' <"$scratch/alone" | rules_git check-ignore -z --no-index --stdin 2>/dev/null |
    capture_git check-ignore -z --no-index --stdin 2>/dev/null | tr '\n\0' '\001\n'
}

# Whether git would write a file of the same content with the same bytes: that depends on the configuration and on the
# attributes. Sets $index.
is_written_alike() {
  grep -qxF "$(config_line)" "$place/held" 2>/dev/null || return 1
  index=$job/capture.git/proved
  compare_git diff-index --cached --quiet "$files_tree" -- ':(glob)**/.gitattributes' 2>/dev/null
  alike=$?
  index=
  return "$alike"
}

# Prints the line of `held` for the configuration with which our git writes files.
config_line() { say "config $(clean_git hash-object --stdin <"$job/capture.git/config")"; }
