# Git as the runner calls it: no configuration of the user's or the system's, no hooks, no filters but the shipped ones.

own_objects='' other_objects='' own_index=''

# Every `GIT_` variable of the account is unset for our git, whatever it is called; what our git needs is set here. What
# runs for the user inherits them all.
clean_git() (
  # shellcheck disable=SC2086 # a list of names
  [ -z "$inherited" ] || unset $inherited
  export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1
  export GIT_LFS_SKIP_SMUDGE=1 GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0
  # Formats are ours to choose, and a git that does not know another one ignores the variable.
  export GIT_DEFAULT_HASH="${format:-sha1}" GIT_DEFAULT_REF_FORMAT=files
  export GIT_AUTHOR_NAME=handoff GIT_AUTHOR_EMAIL=handoff@localhost
  export GIT_COMMITTER_NAME=handoff GIT_COMMITTER_EMAIL=handoff@localhost
  [ -z "$own_index" ] || export GIT_INDEX_FILE="$own_index"
  [ -z "$own_objects" ] ||
    export GIT_OBJECT_DIRECTORY="$own_objects" GIT_ALTERNATE_OBJECT_DIRECTORIES="$other_objects"
  HOME=$root/lib XDG_CONFIG_HOME=$root/lib command git -c core.hooksPath=/dev/null -c core.fsmonitor= \
    -c core.excludesFile=/dev/null -c core.attributesFile=/dev/null -c gc.auto=0 -c advice.addEmbeddedRepo=false \
    -c init.defaultBranch=main "$@"
)

cache_git() { clean_git --git-dir="$cache" "$@"; }

# In the agent's repository, which at that time is as we made it.
tree_git() (cd "$tree" && clean_git --git-dir="$tree/.git" --work-tree="$tree" "$@")

# In our own git directory over the same files, with the objects in the cache: nothing of the agent's `.git` has a say.
# $borrow names a second object directory to read from, $index another index.
capture_git() { own_git "$cache/objects" "${borrow-}" --work-tree="$tree" "$@"; }

# The same with the object directories as arguments.
own_git() (
  own_index=${index-} write_to=$1 read_too=$2
  shift 2
  cd "$tree" && with_objects "$write_to" "$read_too" clean_git --git-dir="$job/capture.git" "$@"
)

# Calls the third argument with those behind it; git writes objects to the first directory and reads from both.
with_objects() (
  own_objects=$1 other_objects=$2
  shift 2
  "$@"
)

# Whether a git directory of ours has the object format of the handoff.
has_format() {
  if grep -qi '^[[:space:]]*objectformat[[:space:]]*=[[:space:]]*sha256' "$1/config"; then
    [ "$format" = sha256 ]
  else
    [ -z "$format" ]
  fi
}

# Makes way where a cache has another object format than its key says: a git with other defaults made it. What it
# captured is kept under another name. Two requests may find it at once; one replaces it, the other waits for that.
replace_cache() {
  turn=0
  until mkdir "$root/cache/.replacing.$1" 2>/dev/null; do
    turn=$((turn + 1))
    [ "$turn" -lt 100 ] || rmdir "$root/cache/.replacing.$1"
    doze
  done 2>/dev/null
  if [ -f "$cache/config" ] && ! has_format "$cache"; then
    aside=$root/cache/$1.aside.$(date +%s).$$
    mv "$cache" "$aside"
    captured=$(clean_git --git-dir="$aside" for-each-ref refs/capture/ 2>&1) && [ -z "$captured" ] && rm -rf "$aside"
  fi
  rmdir "$root/cache/.replacing.$1" 2>/dev/null
}

# Makes the cache of a key, once: complete under another name, then renamed.
make_cache() {
  cache=$root/cache/$1.git
  [ ! -f "$cache/config" ] || has_format "$cache" || replace_cache "$1"
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
