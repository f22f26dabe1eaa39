# File modes of the checkout: those that `git clone` sets under umask 022.

# Runs a command with umask 022. Other accounts cannot enter the directory around the checkout.
with_clone_modes() {
  umask 022
  "$@"
  set -- "$?"
  umask 077
  return "$1"
}

# Corrects the modes of files in a tree that was used before: an older runner or an agent with another umask may have
# set others.
give_clone_modes() (
  cd "$tree" || exit
  odd=$job/capture.git/odd
  find . -path ./.git -prune -o \( -type f ! -perm 644 ! -perm 755 -o -type d ! -perm 755 \) -print |
    sed 's|^\./||' >"$odd"
  # Only files that git tracks are changed, because an ignored key file may have to be private.
  [ ! -s "$odd" ] || capture_git ls-files -z | tr '\n\0' '?\n' | awk '
    NR == FNR { odd[$0]; next }
    FNR == 1 { known["."] }
    { for (name = $0; !(name in known); sub("/[^/]*$", "", name)) { known[name]; if (name !~ "/") break } }
    END { for (name in known) if (name in odd) print name }' "$odd" - | tr '\n' '\0' | xargs -0 chmod u=rwX,go=rX --
  rm -f "$odd"
)
