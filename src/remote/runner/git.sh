# Git as the runner calls it: no configuration of the user's or the system's, no hooks, no filters but the shipped ones.

clean_git() {
  HOME=$root/lib XDG_CONFIG_HOME=$root/lib GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1 \
    GIT_LFS_SKIP_SMUDGE=1 GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0 git -c core.hooksPath=/dev/null \
    -c core.fsmonitor= -c core.excludesFile=/dev/null -c core.attributesFile=/dev/null -c gc.auto=0 \
    -c advice.addEmbeddedRepo=false -c init.defaultBranch=main "$@"
}

cache_git() { clean_git --git-dir="$cache" "$@"; }

# In the agent's repository, which at that time is as we made it.
tree_git() (cd "$tree" && clean_git --git-dir="$tree/.git" --work-tree="$tree" "$@")

# In our own git directory over the same files, with the objects in the cache: nothing of the agent's `.git` has a say.
# $borrow names a second object directory to read from, $index another index.
capture_git() { own_git "$cache/objects" "${borrow-}" --work-tree="$tree" "$@"; }

# The same with the object directories as arguments.
own_git() (
  [ -z "${index-}" ] || export GIT_INDEX_FILE="$index"
  write_to=$1 read_too=$2
  shift 2
  cd "$tree" && with_objects "$write_to" "$read_too" clean_git --git-dir="$job/capture.git" "$@"
)

# Calls the third argument with those behind it; git writes objects to the first directory and reads from both.
with_objects() (
  export GIT_OBJECT_DIRECTORY="$1" GIT_ALTERNATE_OBJECT_DIRECTORIES="$2"
  shift 2
  "$@"
)

# Makes the cache of a key, once: complete under another name, then renamed.
make_cache() {
  cache=$root/cache/$1.git
  [ -f "$cache/config" ] && return 0
  mkdir -p "$root/cache" || return 1
  new=$root/cache/.$1.$$
  rm -rf "$new"
  clean_git init -q --bare --template= ${2:+--object-format="$2"} "$new" || return 1
  cat >>"$new/config" <<'END'
[gc]
	auto = 0
	pruneExpire = never
[maintenance]
	auto = false
[receive]
	autogc = false
	shallowUpdate = true
	denyDeletes = false
	advertisePushOptions = false
[core]
	hooksPath = /dev/null
	logAllRefUpdates = false
[uploadpack]
	allowAnySHA1InWant = true
END
  # A rename onto a directory that another made meanwhile moves ours into it.
  mv "$new" "$cache" 2>/dev/null
  rm -rf "$new" "$cache/.$1.$$"
  [ -f "$cache/config" ]
}

# Reads the lines of the grant's `ship` into variables.
read_ship() {
  key='' repo='' format=sha1 commit='' head='' index_tree='' files_tree='' extra_tree='' branch='' upstream='' subdir=''
  author='' email='' adopt=yes push=no
  while IFS= read -r line; do
    value=${line#* }
    case $line in
      'key '*) key=$value ;;
      'repo '*) repo=$value ;;
      'format '*) format=$value ;;
      'commit '*) commit=$value ;;
      'head '*) head=$value ;;
      'index_tree '*) index_tree=$value ;;
      'files_tree '*) files_tree=$value ;;
      'extra_tree '*) extra_tree=$value ;;
      'branch '*) branch=$value ;;
      'upstream '*) upstream=$value ;;
      'subdir '*) subdir=$value ;;
      'author '*) author=$value ;;
      'email '*) email=$value ;;
      'adopt '*) adopt=$value ;;
      'push '*) push=$value ;;
    esac
  done 2>/dev/null <"$spec/ship"
  [ "$format" = sha256 ] || format=
  case $head in *[!0]*) ;; *) head='' ;; esac
  case /$subdir/ in */../*) subdir='' ;; esac
  case $repo in '' | . | .. | .git | */*) return 1 ;; esac
  is_hex "$key" && is_hex "$commit" && is_hex "$index_tree" && is_hex "$files_tree" && is_hex "${head:-0}" &&
    is_hex "${extra_tree:-0}"
}
