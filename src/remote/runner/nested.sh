# Repositories inside the checkout. Our git never enters one, because an agent wrote its git directory, and a pipe in it
# would block git.

# Lists the directories in the tree that git would take for repositories, one a line; \001 stands for a newline.
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

# Lists nested repositories for the git directory and index in use: all in `nested.all`, those without a file in the
# index in `nested`. Git enters the others only for their files. Sets $nested to the path of the second list.
find_nested() {
  nested=$job/capture.git/nested
  list_nested >"$nested.all" && keep_out
}

# Like find_nested, but without listing the tree again. The index entry of a submodule gets a bit that makes git trust
# it unread. Sets $nested.
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

# Runs `ls-files` with these arguments, without nested repositories. A pattern on the command line has precedence over
# all others and one in a file does not, so a file is only used when the list is too long for the system.
list_outside() {
  sed 's/[][\\*?]/\\&/g; s|.*|/&/|' "$nested" | tr '\001' '?' >"$nested.patterns"
  if [ "$(wc -c <"$nested.patterns")" -gt 65536 ]; then
    set -- "$@" -X "$nested.patterns"
  else
    while IFS= read -r pattern; do set -- "$@" -x "$pattern"; done <"$nested.patterns"
  fi
  capture_git ls-files "$@"
}

# Lists those of `nested` that are not ignored.
list_shown() {
  sed 's|^|./|' "$nested" | tr '\001\n' '\n\0' | capture_git check-ignore -z --no-index --stdin 2>/dev/null |
    tr '\n\0' '\001\n' | sed 's|^\./||' >"$nested.ignored"
  not_in "$nested.ignored" 0 <"$nested"
}

# Deletes the nested repositories of a tree that was compared, where `clean` or a checkout would enter them.
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

# Deletes what git neither tracks nor ignores. `clean` enters ignored nested repositories, too.
clean_files() {
  if [ ! -s "$nested.all" ]; then
    capture_git clean -ffdq
    return
  fi
  list_outside -z -o --exclude-standard >"$nested.others" && (cd "$tree" && xargs -0 rm -rf -- <"$nested.others")
}
