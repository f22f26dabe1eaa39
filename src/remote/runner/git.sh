# Calls git without the user's or the system's configuration, without hooks, and with only the shipped filters.

own_objects='' other_objects='' own_index='' lfs_notes=''

# Unsets every `GIT_` variable of the account for our git, and sets those that our git needs. Everything that runs for
# the user inherits them unchanged.
clean_git() (
  # shellcheck disable=SC2086 # a list of names
  [ -z "$inherited" ] || unset $inherited
  export GIT_CONFIG_NOSYSTEM=1 GIT_CONFIG_GLOBAL=/dev/null GIT_ATTR_NOSYSTEM=1
  export GIT_LFS_SKIP_SMUDGE=1 GIT_TERMINAL_PROMPT=0 GIT_OPTIONAL_LOCKS=0
  # The runner chooses the formats. A git that knows only one format ignores the variable.
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

# Calls git in the cache.
cache_git() { clean_git --git-dir="$cache" "$@"; }

# Calls git in the agent's repository. At that time only the runner has written to it.
tree_git() (cd "$tree" && clean_git --git-dir="$tree/.git" --work-tree="$tree" "$@")

# Calls git with our own git directory over the agent's files, and the objects in the cache. The agent's `.git` is not
# read. $borrow names a second object directory to read from, $index another index.
capture_git() { own_git "$cache/objects" "${borrow-}" --work-tree="$tree" "$@"; }

# Like capture_git, with the object directories as arguments.
own_git() (
  own_index=${index-} write_to=$1 read_too=$2
  shift 2
  export HANDOFF_LFS="$job/capture.git/lfs" HANDOFF_LFS_NOTES="${lfs_notes:-$job/capture.git/lfs/noted}"
  # shellcheck disable=SC2016 # expanded by the shell of the filter
  cd "$tree" && with_objects "$write_to" "$read_too" clean_git --git-dir="$job/capture.git" -c filter.lfs.required=false \
    -c filter.lfs.clean='sh "$HANDOFF_LFS/filter.sh" note %f' -c filter.lfs.smudge='sh "$HANDOFF_LFS/filter.sh" smudge' "$@"
)

# Runs a command (the arguments from the third on). Git writes objects to the first directory and reads from both.
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

# Moves a cache away that has another object format than its key says, as a git with other defaults makes it. What it
# captured is kept under another name. If two requests do this at once, one replaces the cache and the other waits.
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

# Makes the cache of a key, once: it is made complete under another name, then renamed. Sets $cache.
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
[core]
	hooksPath = /dev/null
	logAllRefUpdates = false
END
  # If another request made the cache first, the rename moves ours into it.
  mv "$new" "$cache" 2>/dev/null
  rm -rf "$new" "$cache/.$1.$$"
  [ -f "$cache/config" ]
}

# Reads the lines of the grant's file `ship`. Sets one variable for each: $key, $repo, $format, $commit, $head,
# $index_tree, $files_tree, $extra_tree, $content, $operation, $listing, $branch, $upstream, $subdir, $author, $email, $adopt, $push. Sets $value.
read_ship() {
  key='' repo='' format=sha1 commit='' head='' index_tree='' files_tree='' extra_tree='' branch='' upstream='' subdir=''
  content='' operation='' listing='' author='' email='' adopt=yes push=no
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
      'content '*) content=$value ;;
      'operation '*) operation=$value ;;
      'listing '*) listing=$value ;;
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
    is_hex "${extra_tree:-0}" && is_hex "${content:-0}" && is_hex "${operation:-0}" && is_hex "${listing:-0}"
}
