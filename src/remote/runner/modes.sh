# The checkout's file modes: those that `git clone` would give under umask 022.

# With the modes of a clone under umask 022; the directory around the checkout keeps others out.
with_clone_modes() {
  umask 022
  "$@"
  set -- "$?"
  umask 077
  return "$1"
}

# A tree that was used before has files with other modes: those of an older runner, or of an agent with another umask.
give_clone_modes() (
  cd "$tree" || exit
  odd=$job/capture.git/odd
  find . -path ./.git -prune -o \( -type f ! -perm 644 ! -perm 755 -o -type d ! -perm 755 \) -print |
    sed 's|^\./||' >"$odd"
  # Only what git knows: a key that is ignored may have to be private.
  [ ! -s "$odd" ] || capture_git ls-files -z | tr '\n\0' '?\n' | awk '
    NR == FNR { odd[$0]; next }
    FNR == 1 { known["."] }
    { for (name = $0; !(name in known); sub("/[^/]*$", "", name)) { known[name]; if (name !~ "/") break } }
    END { for (name in known) if (name in odd) print name }' "$odd" - | tr '\n' '\0' | xargs -0 chmod u=rwX,go=rX --
  rm -f "$odd"
)
