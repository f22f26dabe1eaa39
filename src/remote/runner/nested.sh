# Repositories inside the checkout. Our git never enters one: an agent wrote its git directory, and a pipe in it stops git.

# The directories in the tree that git would take for repositories, a line each; \001 stands for a newline.
list_nested() {
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  (cd "$tree" && find . -path ./.git -prune -o -name .git -prune -exec $shell -c '
    for git; do
      place=${git%/.git}
      if [ -f "$git" ]; then
        line=$(head -c 4096 "$git" | head -n 1 | tr -d "\0\r")
        case $line in
          "gitdir: /"*) git=${line#gitdir: } ;;
          "gitdir: "*) git=$place/${line#gitdir: } ;;
        esac
      fi
      [ -e "$git/HEAD" ] || [ -h "$git/HEAD" ] || continue
      [ ! -f "$git/HEAD" ] || [ -e "$git/commondir" ] || { [ -d "$git/objects" ] && [ -d "$git/refs" ]; } || continue
      printf "%s\0" "${place#./}"
    done' sh {} +) 2>/dev/null | tr '\n\0' '\001\n'
}

# Lists nested repositories for the git directory and index in use: all in `nested.all`, those without a file in the index
# in `nested`. Git walks into the others only for their files.
find_nested() {
  nested=$job/capture.git/nested
  list_nested >"$nested.all" && keep_out
}

# The same, without a new look at the tree. A gitlink of the index gets the bit that makes git believe in it.
keep_out() {
  nested=$job/capture.git/nested
  true >"$nested"
  capture_git ls-files -z -s | tr '\n\0' '\001\n' | sed -n "s/^160000 [^$tab]*$tab//p" >"$nested.links"
  if [ -s "$nested.links" ]; then
    not_in "$nested.all" 0 <"$nested.links" | tr '\001\n' '\n\0' | capture_git update-index -z --no-skip-worktree --stdin
    not_in "$nested.all" 0 <"$nested.links" >"$nested.empty"
    not_in "$nested.empty" 0 <"$nested.links" | tr '\001\n' '\n\0' | capture_git update-index -z --skip-worktree --stdin
  fi
  [ -s "$nested.all" ] || return 0
  capture_git ls-files -z | tr '\n\0' '\001\n' | LC_ALL=C awk '
    NR == FNR { nested[$0]; next }
    { for (name = $0; sub("/[^/]*$", "", name); ) if (name in nested) delete nested[name] }
    END { for (name in nested) print name }' "$nested.all" - >"$nested"
}

# `ls-files` with these arguments, which passes over nested repositories. A pattern of the command line comes before all
# others, one of a file does not: only a list that is too long for the system is given as a file.
list_outside() {
  sed 's/[][\\*?]/\\&/g; s|.*|/&/|' "$nested" | tr '\001' '?' >"$nested.patterns"
  if [ "$(wc -c <"$nested.patterns")" -gt 65536 ]; then
    set -- "$@" -X "$nested.patterns"
  else
    while IFS= read -r pattern; do set -- "$@" -x "$pattern"; done <"$nested.patterns"
  fi
  capture_git ls-files "$@"
}

# Those of `nested` that are not ignored.
list_shown() {
  sed 's|^|./|' "$nested" | tr '\001\n' '\n\0' | capture_git check-ignore -z --no-index --stdin 2>/dev/null |
    tr '\n\0' '\001\n' | sed 's|^\./||' >"$nested.ignored"
  not_in "$nested.ignored" 0 <"$nested"
}

# Deletes the nested repositories of a tree that was compared, where `clean` or a checkout would look into them.
drop_nested() {
  find_nested || return 1
  [ -s "$nested.all" ] || return 0
  list_shown >"$nested.gone"
  cache_git ls-tree -r -z "$files_tree" | tr '\n\0' '\001\n' | sed -n "s/^160000 [^$tab]*$tab//p" >"$nested.links"
  not_in "$nested.links" 0 <"$nested.all" >"$nested.empty"
  not_in "$nested.empty" 0 <"$nested.all" >>"$nested.gone"
  while IFS= read -r path; do remove "$tree/$(say "$path" | tr '\001' '\n')" || return 1; done <"$nested.gone"
  not_in "$nested.gone" 0 <"$nested.all" >"$nested.left" && mv -f "$nested.left" "$nested.all" && keep_out
}

# Deletes what is neither known to git nor ignored. `clean` looks into nested repositories that are ignored, too.
clean_files() {
  if [ ! -s "$nested.all" ]; then
    capture_git clean -ffdq
    return
  fi
  list_outside -z -o --exclude-standard >"$nested.others" && (cd "$tree" && xargs -0 rm -rf -- <"$nested.others")
}
