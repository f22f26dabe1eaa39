# The runner's frame: what it is, how it answers, and the little tests every other part uses.
#
# This is all that handoff leaves running on a host: one POSIX shell script, named by its SHA-256, that needs git and the
# usual tools. It is called as `sh runner-<sha256>.sh <verb> <nonce> <root> <shell>` with a request on stdin; the
# formats are in docs/host.md. Nothing a user wrote is ever evaluated here except the scripts in spec/<g>/.
set -u
umask 077
nl='
'
tab='	'

say() { printf '%s\n' "$*"; }
begun=
begin() { begun=1 && say "@handoff $nonce begin"; }

# Ends the reply, and this process. 0: understood and answered. 1: refused.
finish() {
  say "@handoff $nonce end $1"
  exit "$1"
}

# Refuses the request: a class for the program, words for people.
refuse() {
  # A refusal outside the frame would be taken for a broken connection, and the request be sent for ever.
  [ -n "$begun" ] || begin
  say "error $1 $2"
  finish 1
}

# Numbers have no leading zero: the shell would take those as octal.
is_number() {
  case $1 in
    0) return 0 ;;
    '' | 0* | *[!0-9]* | ????????????????*) return 1 ;;
  esac
}

is_name() {
  case $1 in
    '' | -* | *[!a-z0-9-]*) return 1 ;;
  esac
  [ ${#1} -le 100 ]
}

is_hex() {
  case $1 in
    '' | *[!0-9a-f]*) return 1 ;;
  esac
}

is_variable() {
  case $1 in
    '' | [0-9]* | *[!A-Za-z0-9_]*) return 1 ;;
  esac
}

is_session() {
  case $1 in
    '' | *[!A-Za-z0-9_-]*) return 1 ;;
  esac
  [ ${#1} -le 128 ]
}

# `<writer>:<action>:<number>`, as `next` holds it.
is_next() {
  case $1 in
    laptop:* | host:*) next_rest=${1#*:} ;;
    *) return 1 ;;
  esac
  case ${next_rest%%:*} in
    end | resume | check | wait | park) is_number "${next_rest#*:}" ;;
    *) return 1 ;;
  esac
}

link_of() { readlink "$1" 2>/dev/null; }

# The highest number among the names that follow a prefix, 0 for none: `highest "$job/epoch/"`.
highest() {
  top=0
  for entry in "$1"*; do
    entry=${entry#"$1"}
    if is_number "$entry" && [ "$entry" -gt "$top" ]; then top=$entry; fi
  done
}

# The value of the first line `<key> <value>` of a file, in $value; fails when there is none.
field() {
  while IFS= read -r line || [ -n "$line" ]; do
    case $line in
      "$2 "*)
        value=${line#"$2 "}
        return 0
        ;;
    esac
  done 2>/dev/null <"$1"
  value=
  return 1
}

# Points the names of files at one attempt.
at_attempt() {
  job=$root/work/$1 n=$2 at=$root/work/$1/$2
}

# Wakes whoever waits for a change of state.
event() { say "$n $*" >>"$job/events"; }
# Reading a request: header lines into variables, the blob into one file. A request that was cut changes nothing.

read_request() {
  name='' attempt='' grant='' wait_ref=60 blob='' reason=stop grace=5 next='' epoch='' wait=0 max=4194304 key='' format=''
  parts='' secrets='' wants='' acks='' caches='' discard='' dry='' asks='' whole=''
  while IFS= read -r line; do
    if [ -z "$line" ]; then
      whole=1
      break
    fi
    value=${line#* }
    case $line in
      'name '*) is_name "$value" && name=$value ;;
      'key '*) is_hex "$value" && key=$value ;;
      'format '*) format=$value ;;
      'attempt '*) is_number "$value" && attempt=$value ;;
      'grant '*) is_number "$value" && grant=$value ;;
      'epoch '*) is_number "$value" && epoch=$value ;;
      'wait_ref '*) is_number "$value" && wait_ref=$value ;;
      'wait '*) is_number "$value" && wait=$value ;;
      'max '*) is_number "$value" && max=$value ;;
      'grace '*) is_number "$value" && grace=$value ;;
      'blob '*) is_number "$value" && blob=$value ;;
      'next '*) is_next "$value" && next=$value ;;
      'reason '*) is_name "$value" && reason=$value ;;
      'part '*) parts=$parts$value$nl ;;
      'want '*) wants=$wants$value$nl ;;
      'ack '*) acks=$acks$value$nl ;;
      'cache '*) caches=$caches$value$nl ;;
      'discard yes') discard=yes ;;
      'dry yes') dry=yes ;;
      'secret '*) is_variable "${value%% *}" && secrets=$secrets$value$nl ;;
      *) asks=$asks$line$nl ;;
    esac || refuse request "bad value of ${line%% *}"
  done
  [ -n "$whole" ] || refuse truncated "the request ended in its header"
}

# The handoff and the attempt a request names.
need_attempt() {
  [ -n "$name" ] || refuse request "name is missing"
  [ "${attempt:-0}" -gt 0 ] || refuse request "attempts are numbered from 1"
  at_attempt "$name" "$attempt"
}

# Takes the blob from stdin into $request, whole or not at all.
take_blob() {
  request=$root/.request.$$
  trap 'rm -f "$request"' EXIT
  head -c "${blob:-0}" >"$request" || refuse disk-full "the request could not be stored"
  size=$(wc -c <"$request")
  [ "$((size))" -eq "${blob:-0}" ] || refuse truncated "$((size)) of $blob bytes of the request came"
}

# Cuts the blob into the files of a directory: `part spec/<file> <bytes>` lines, in order.
cut_parts() {
  offset=1
  while read -r part bytes; do
    [ -n "$part" ] || continue
    file=${part#spec/}
    case $file in
      '' | .* | *[!a-z_.-]*) refuse request "bad name of a part" ;;
    esac
    is_number "$bytes" || refuse request "bad size of a part"
    tail -c "+$offset" "$request" | head -c "$bytes" >"$1/$file"
    size=$(wc -c <"$1/$file")
    [ "$((size))" -eq "$bytes" ] || refuse disk-full "a part could not be stored"
    offset=$((offset + bytes))
  done <<END
$parts
END
}
# Who a process is: pid, start time, boot and node. Only that is ever compared or signalled, never a bare pid.

if [ -r /proc/self/stat ] && [ -r /proc/sys/kernel/random/boot_id ]; then proc=1; else proc=; fi

# Looks a process up: $start, $mode (R, S, T, Z …), $group and $ticks (CPU time in hundredths of a second).
inspect() {
  if [ -n "$proc" ]; then
    # The name in brackets may hold anything; what counts follows the last bracket.
    read -r line 2>/dev/null <"/proc/$1/stat" || return 1
    # shellcheck disable=SC2086 # fields of a stat line
    set -- ${line##*) }
    mode=$1 group=$3 ticks=$((${12} + ${13})) start=${20}
  else
    # shellcheck disable=SC2046 # words of one ps line
    set -- $(LC_ALL=C TZ=UTC0 ps -o stat= -o pgid= -o time= -o lstart= -p "$1" 2>/dev/null)
    [ $# -ge 4 ] || return 1
    mode=$1 group=$2
    ticks=$(say "$3" | awk -F '[:-]' '{ t = 0; for (i = 1; i <= NF; i++) t = t * 60 + $i; printf "%d", t * 100 }')
    shift 3
    start=$(printf %s "$*" | tr -cd 'A-Za-z0-9')
  fi
}

# Where we are: $boot and $node.
here() {
  [ -z "${node-}" ] || return 0
  if [ -n "$proc" ]; then
    read -r boot </proc/sys/kernel/random/boot_id
  else
    boot=$(sysctl -n kern.bootsessionuuid 2>/dev/null || sysctl -n kern.boottime 2>/dev/null)
  fi
  boot=$(printf %s "$boot" | tr -cd '0-9a-fA-F' | cut -c 1-12)
  # The same on every PATH: checksum tools differ from host to host, awk is everywhere.
  node=$(uname -n | awk 'BEGIN { for (i = 1; i < 256; i++) code[sprintf("%c", i)] = i }
    { for (i = 1; i <= length($0); i++) sum = (sum * 65599 + code[substr($0, i, 1)]) % 2147483647 }
    END { printf "%08x", sum }')
}

# The claim of this process, in $me.
myself() {
  here
  inspect $$ || return 1
  me=$$:$start:$boot:$node
}

# Judges a claim: $life is alive, stopped, dead or unknown (of another node), $pid its process.
judge() {
  pid=${1%%:*}
  claim_rest=${1#*:}
  claim_start=${claim_rest%%:*}
  here
  case $1 in
    *":$boot:$node")
      life=dead
      is_number "$pid" && inspect "$pid" && [ "$start" = "$claim_start" ] || return 0
      case $mode in
        Z* | X*) ;;
        T*) life=stopped ;;
        *) life=alive ;;
      esac
      ;;
    *":$node") life=dead ;;
    *) life=unknown ;;
  esac
}

# The watcher of the attempt: $life (none without one), $pid and its number $watch.
judge_watch() {
  highest "$at/watch."
  watch=$top pid='' life=none
  [ "$watch" -eq 0 ] || judge "$(link_of "$at/watch.$watch")"
}

# The agent: $life (none before it started) and $pid. Its boot and node are those of the intent.
judge_task() {
  pid='' life=none
  task=$(link_of "$at/task") || return 0
  task_place=$(link_of "$at/intent") || return 0
  judge "$task:${task_place#*:*:}"
}

# Wakes the watcher, if it is one of ours.
wake_watcher() {
  judge_watch
  [ "$life" != alive ] || kill -USR1 "$pid" 2>/dev/null
}
# Ending what an attempt started: its group, then every process that carries its mark, wherever it went.

# The processes that carry the mark of this attempt, in $marked.
find_marked() {
  mark=HANDOFF_MARK=$name.$n marked=
  if [ -n "$proc" ]; then
    # Whole variables are compared: the mark of attempt 1 begins that of attempt 10.
    if printf 'a\0' | grep -qzxF a 2>/dev/null; then
      suspects=$(grep -slzxF "$mark" /proc/[0-9]*/environ 2>/dev/null)
    else
      suspects=$(for entry in /proc/[0-9]*/environ; do
        tr '\0' '\n' 2>/dev/null <"$entry" | grep -qxF "$mark" && say "$entry"
      done)
    fi
    for entry in $suspects; do
      entry=${entry#/proc/}
      [ "${entry%/environ}" = $$ ] || marked="$marked ${entry%/environ}"
    done
  else
    # shellcheck disable=SC2009 # pgrep does not see environments
    marked=$(ps -axE -o pid= -o command= 2>/dev/null | grep -F " $mark" | grep -v grep |
      awk -v mark="$mark" '{ for (i = 2; i <= NF; i++) if ($i == mark) { print $1; next } }')
  fi
}

# Sends a signal to every marked process whose identity still holds; a zombie is none.
signal_marked() {
  find_marked
  alive_marked=0
  for entry in $marked; do
    inspect "$entry" || continue
    case $mode in Z* | X*) continue ;; esac
    alive_marked=$((alive_marked + 1))
    kill "-$1" "$entry" 2>/dev/null
  done
}

# Until no process of the attempt is left: TERM, $1 seconds, KILL. Fails when some would not go.
sweep() {
  signal_marked TERM
  left=$(($1 * 10))
  while [ "$alive_marked" -gt 0 ] && [ "$left" -gt 0 ]; do
    doze
    left=$((left - doze_tenths))
    signal_marked 0
  done
  tries=0
  while [ "$alive_marked" -gt 0 ] && [ "$tries" -lt 50 ]; do
    signal_marked KILL
    doze
    signal_marked 0
    tries=$((tries + 1))
  done
  [ "$alive_marked" -eq 0 ]
}

# Ends the agent and everything it started: TERM to its group first, so that tools under it end in their order.
end_task() {
  judge_task
  case $life in
    stopped | alive)
      kill -CONT "$pid" 2>/dev/null
      if [ "$group" = "$pid" ]; then kill -TERM "-$pid" 2>/dev/null; else kill -TERM "$pid" 2>/dev/null; fi
      ;;
  esac
  sweep "$1"
}

# A short pause, a tenth of a second where sleep knows fractions.
doze() {
  if [ -z "${doze_tenths-}" ]; then
    if sleep 0.01 2>/dev/null; then doze_tenths=1; else doze_tenths=10; fi
  fi
  if [ "$doze_tenths" = 1 ]; then sleep 0.1; else sleep 1; fi
}
# Leaving: a process in a session of its own, by whatever this host has for it.

# How, in $detach.
find_detach() {
  for detach in setsid perl bash python3; do
    command -v "$detach" >/dev/null 2>&1 && return 0
  done
  detach=none
}

# Becomes the command, as the leader of a new session. Called in a subshell that was sent to the background.
leave() {
  # A shell without job control ignores INT and QUIT in what it sends to the background; tools expect otherwise.
  if env --default-signal=INT,QUIT true 2>/dev/null; then set -- env --default-signal=INT,QUIT "$@"; fi
  case $detach in
    setsid) exec setsid "$@" ;;
    perl) exec perl -e 'use POSIX; POSIX::setsid(); @SIG{qw(INT QUIT)} = ("DEFAULT") x 2; exec @ARGV or exit 127' "$@" ;;
    bash) exec bash -c 'set -m; "$@" &' bash "$@" ;;
    python3)
      exec python3 -c 'import os, signal as s, sys
for n in s.SIGPIPE, s.SIGXFSZ, s.SIGINT, s.SIGQUIT: s.signal(n, s.SIG_DFL)
os.setsid(); os.execvp(sys.argv[1], sys.argv[1:])' "$@"
      ;;
    *)
      trap '' HUP
      exec "$@"
      ;;
  esac
}

# Starts a watcher for the attempt. Its secrets go through a pipe, written by a builtin: never argv, never disk.
start_watcher() {
  find_detach
  # shellcheck disable=SC2086 # the shell is a list of words
  printf '%s' "$secrets" | (leave $shell "$0" watch "$nonce" "$root" "$shell" "$name" "$n" "$wait_ref") \
    >/dev/null 2>>"$job/runner.log" &
}
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
  export GIT_OBJECT_DIRECTORY="$1" GIT_ALTERNATE_OBJECT_DIRECTORIES="$2"
  [ -z "${index-}" ] || export GIT_INDEX_FILE="$index"
  shift 2
  cd "$tree" && clean_git --git-dir="$job/capture.git" "$@"
)

# Puts every file of the tree into the capture's index but our record; fails when one could not be read.
add_files() { capture_git add -A --ignore-errors -- . ':(exclude,top).cursor/agent-handoffs'; }

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
# The agent's checkout: taking one, filling it with what was shipped, and making its repository fit to work in.

# Waits up to $1 seconds for the ship ref, which the push makes last.
await_ship() {
  ref=refs/handoff/$name/ship/$g
  passed=0
  until [ "$(cache_git rev-parse -q --verify "$ref^{commit}" 2>/dev/null)" = "$commit" ]; do
    [ "$passed" -lt "$(($1 * 10))" ] && ! called_off || return 1
    left=10
    # Between two looks through git, the loose ref is looked for, which costs nothing.
    while [ "$left" -gt 0 ] && [ ! -f "$cache/$ref" ]; do
      doze
      left=$((left - doze_tenths)) passed=$((passed + doze_tenths))
    done
    if [ "$left" -gt 0 ]; then
      doze
      passed=$((passed + doze_tenths))
    fi
  done
}

# Finds the tree of this handoff, in $tree; fails when it has none or another handoff owns it.
find_tree() {
  tree=$job/tree
  place=$(link_of "$tree") || return 1
  owned=$job/${place%/*}
  [ "$(link_of "$owned/owner")" = "$name" ] || return 1
  tree=$(cd "$owned" && pwd -P)/${place##*/}
  [ -d "$tree" ]
}

# Takes a tree: the one we have, a released one of the same repository, or a new one. The link `owner` decides.
take_tree() {
  find_tree && return 0
  [ "$adopt" = yes ] || return 1
  mkdir -p "$root/trees" || return 1
  rm -f "$job/tree"
  k=1 free=
  while [ -e "$root/trees/$repo-$k" ]; do
    place=$root/trees/$repo-$k
    if [ "$(link_of "$place/key")" = "$key" ]; then
      case $(link_of "$place/owner") in
        "$name") break ;;
        '') [ -n "$free" ] || free=$k ;;
      esac
    fi
    k=$((k + 1))
  done
  if [ ! -e "$root/trees/$repo-$k" ]; then
    if [ -n "$free" ] && ln -s "$name" "$root/trees/$repo-$free/owner" 2>/dev/null; then
      k=$free
    else
      until mkdir "$root/trees/$repo-$k" 2>/dev/null; do
        [ -e "$root/trees/$repo-$k" ] || return 1
        k=$((k + 1))
      done
      place=$root/trees/$repo-$k
      ln -s "$name" "$place/owner" && ln -s "$key" "$place/key" || return 1
    fi
  fi
  mkdir -p "$root/trees/$repo-$k/$repo" && ln -s "../../trees/$repo-$k/$repo" "$job/tree" && find_tree
}

# Our own git directory. Its configuration is the laptop's, its objects are the cache's.
make_capture_git() {
  [ -f "$job/capture.git/ready" ] && return 0
  rm -rf "$job/capture.git"
  clean_git init -q --bare --template= ${format:+--object-format="$format"} "$job/capture.git" || return 1
  clean_git config --file "$job/capture.git/config" core.bare false
  mkdir -p "$job/capture.git/info"
  cat "$spec/config" >>"$job/capture.git/config" 2>/dev/null
  cat "$spec/exclude" >"$job/capture.git/info/exclude" 2>/dev/null
  : >"$job/capture.git/ready"
}

# Writes the shipped files into the tree. What is ignored stays (a warm build); all else gives way.
fill_tree() {
  rm -rf "$tree/.git"
  mkdir -p "$tree" || return 1
  [ ! -f "$cache/shallow" ] || cp "$cache/shallow" "$job/capture.git/shallow"
  mv -f "${tree%/*}/index" "$job/capture.git/index" 2>/dev/null
  capture_git read-tree --reset -u "$files_tree" && capture_git clean -ffdq || return 1
  # With an index that knows no file's state, the next `add` reads and hashes every file.
  rm -f "$job/capture.git/index"
  capture_git read-tree "$files_tree" && add_files
}

# The agent's repository, from nothing: an earlier agent may have written anything into the last one.
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
  make_refs
}

set_config() { clean_git config --file "$git/config" "$1" "$2"; }

# Refs, HEAD and what is staged. The files' state is taken over from the proof, so `status` need not read them again.
make_refs() {
  {
    while IFS= read -r line; do
      case $line in 'ref '*) ;; *) continue ;; esac
      line=${line#ref }
      printf 'update %s\0%s\0\0' "${line#* }" "${line%% *}"
    done <"$spec/ship"
    [ -z "$branch" ] || [ -z "$head" ] || printf 'update %s\0%s\0\0' "refs/heads/$branch" "$head"
  } | tree_git update-ref -z --stdin || return 1
  if [ -n "$branch" ]; then
    tree_git symbolic-ref HEAD "refs/heads/$branch"
  else
    tree_git update-ref --no-deref HEAD "$head"
  fi || return 1
  cp -p "$job/capture.git/index" "$git/index" && tree_git read-tree -m "$index_tree" || return 1
  tree_git update-index -q --refresh
  return 0
}

# Whether files, index and HEAD are the laptop's, by id; says in $detail what is not.
prove_ship() {
  detail=
  for pair in "$commit^{tree} $files_tree" ${head:+"$commit^1 $head" "$commit^2^{tree} $index_tree"}; do
    got=$(cache_git rev-parse -q --verify "${pair% *}")
    [ "$got" = "${pair#* }" ] || detail="the snapshot holds ${got:-nothing} where $pair was announced"
  done
  got=$(capture_git write-tree) && [ "$got" = "$files_tree" ] ||
    detail="files are ${got:-unreadable} instead of $files_tree: $(capture_git diff --cached --name-only "$files_tree" -- | head -n 3 | tr '\n' ' ')"
  got=$(tree_git write-tree) && [ "$got" = "$index_tree" ] || detail="index is ${got:-unreadable} instead of $index_tree"
  got=$(tree_git rev-parse -q --verify HEAD)
  [ "$got" = "$head" ] || detail="HEAD is ${got:-unborn} instead of ${head:-unborn}"
  [ -z "$branch" ] || [ "$(tree_git symbolic-ref -q HEAD)" = "refs/heads/$branch" ] || detail="HEAD is not on its branch"
  [ -z "$detail" ]
}

# Ignored files that the work needs, over the proved tree.
add_extra() {
  [ -n "$extra_tree" ] || return 0
  index=$job/capture.git/extra
  capture_git read-tree "$extra_tree" && capture_git checkout-index -q -a -f
  extra=$?
  rm -f "$index"
  index=
  return "$extra"
}

# What an attempt of ours left in the tree must be in the cache before anything gives way to a new ship.
all_captured() {
  for place in "$job"/[1-9]*; do
    if [ -h "$place/task" ] && [ ! -h "$place/capture" ]; then
      detail="attempt ${place##*/} was not captured"
      return 1
    fi
  done
}

# Ship, whole: after it, the tree holds what the laptop held, or nothing will run.
land() {
  [ -f "$job/landed.$g" ] && find_tree && return 0
  detail="the ship did not arrive"
  make_cache "$key" "$format" && await_ship "$wait_ref" || return 1
  event ship
  detail="no tree could be taken"
  take_tree && make_capture_git || return 1
  if [ "$adopt" = yes ]; then
    all_captured || return 1
    detail="the files could not be written"
    fill_tree || return 1
    detail="the repository could not be made"
    make_repository || return 1
    prove_ship || return 1
    detail="needed files could not be written"
    add_extra || return 1
  fi
  detail=
  say "$files_tree" >"$job/landed.$g" && event tree
}
# What runs in the tree: its environment, the agent's binary, its session.

# The environment of everything that runs for the user; called in a subshell. What is ours is not passed on.
child_env() {
  unset LC_ALL
  [ -z "$user_locale" ] || export LC_ALL="$user_locale"
  PATH=$agent_path
  while read -r variable; do
    # shellcheck disable=SC2163 # the variable that is named
    is_variable "$variable" && unset "$variable"
  done 2>/dev/null <"$spec/unset"
  # shellcheck source=/dev/null
  [ ! -f "$spec/env" ] || . "$spec/env"
  while IFS= read -r line; do
    [ -n "$line" ] || continue
    # The dot keeps newlines at the end of a value.
    value=$(printf '%b.' "${line#* }")
    export "${line%% *}=${value%.}"
  done <<END
$secrets
END
  secrets=
  export PATH HANDOFF_MARK="$name.$n" COMPOSE_PROJECT_NAME="$name" HANDOFF_AGENT="${agent-}"
}

# Where commands are looked for, in $agent_path: the host's own directories first, then those installers use.
find_path() {
  agent_path=
  while IFS= read -r line; do
    case $line in
      'path ~/'*) agent_path=$agent_path$HOME/${line#'path ~/'}: ;;
      'path /'*) agent_path=$agent_path${line#path }: ;;
    esac
  done 2>/dev/null <"$1"
  agent_path=$agent_path$HOME/.local/bin:$HOME/bin:$HOME/.cargo/bin:/usr/local/bin:/opt/homebrew/bin:$PATH
}

# Runs a command for at most $1 seconds; its output is one file's. Its status, or 124 when the time was up.
bounded() {
  seconds=$1 output=$2
  shift 2
  "$@" </dev/null >"$output" 2>/dev/null &
  bounded_pid=$!
  (
    trap 'kill "$nap" 2>/dev/null; exit' TERM
    sleep "$seconds" &
    nap=$!
    wait "$nap"
    kill -KILL "$bounded_pid" 2>/dev/null
  ) >/dev/null 2>&1 &
  guard=$!
  # A signal to this process ends one wait, not the command.
  while :; do
    wait "$bounded_pid"
    status=$?
    kill -0 "$bounded_pid" 2>/dev/null || break
  done 2>/dev/null
  kill "$guard" 2>/dev/null
  wait "$guard" 2>/dev/null
  [ "$status" -ne 137 ] || status=124
  return "$status"
}

# Finds a command by name, in $found: on the path, else as the login shell finds it.
find_command() {
  case $1 in '' | -* | *[!A-Za-z0-9._+-]*) return 1 ;; esac
  found=$(PATH=$agent_path command -v "$1" 2>/dev/null)
  case $found in /*) [ -x "$found" ] && return 0 ;; esac
  case ${SHELL-} in /*) ;; *) return 1 ;; esac
  bounded 5 "$scratch" "$SHELL" -lc "command -v $1"
  found=$(grep '^/' "$scratch" 2>/dev/null | tail -n 1)
  [ -n "$found" ] && [ -x "$found" ] || return 1
  # What stands beside it (its interpreter) is wanted too.
  agent_path=${found%/*}:$agent_path
}

# The first line of a command's version, in $version; fails when it is not what the pattern wants.
check_version() {
  (
    PATH=$agent_path
    export PATH
    bounded 20 "$scratch" "$1" --version
  )
  version=$(head -n 1 "$scratch" 2>/dev/null | tr -cd '[:print:]' | cut -c 1-200)
  [ -z "$2" ] || say "$version" | grep -qE -e "$2"
}

# The agent's binary, in $agent.
find_agent() {
  scratch=$at/scratch
  detail="no agent is named"
  field "$spec/agent" version
  pattern=$value
  while IFS= read -r candidate; do
    case $candidate in 'binary '*) candidate=${candidate#binary } ;; *) continue ;; esac
    detail="$candidate was not found in $agent_path"
    find_command "$candidate" || continue
    if [ -n "$pattern" ] && ! check_version "$found" "$pattern"; then
      detail="$found calls itself '$version', which is another tool"
      continue
    fi
    agent=$found detail=
    rm -f "$scratch"
    return 0
  done 2>/dev/null <"$spec/agent"
  return 1
}

# Notes the id of the session for whoever resumes it.
keep_session() {
  session=$1
  [ "$(link_of "$job/session")" = "$1" ] && return 0
  rm -f "$job/session"
  ln -s "$1" "$job/session" && event session
}

# The session of this attempt, in $session (empty: none yet), and whether to resume it, in $start_as.
find_session() {
  field "$spec/grant" session_mode
  session_mode=${value:-none}
  session=$(link_of "$job/session")
  is_session "$session" || session=
  if [ -z "$session" ] && [ -z "$fresh_session" ] && field "$spec/grant" session && is_session "$value"; then
    keep_session "$value"
  fi
  [ -n "$session" ] && [ -f "$spec/run.resume" ] || start_as=fresh
  if [ -n "$fresh_session" ]; then
    start_as=fresh session=
    rm -f "$job/session"
  fi
  [ "$start_as" = fresh ] || return 0
  case $session_mode in
    create) create_session ;;
    preset)
      [ -n "$session" ] || keep_session "$(cat /proc/sys/kernel/random/uuid 2>/dev/null || uuidgen | tr 'A-F' 'a-f')"
      detail="no session id could be made"
      is_session "$session"
      ;;
    *)
      # Nothing to pass on: the stream will name a new one.
      session=
      rm -f "$job/session"
      ;;
  esac
}

# Asks the agent for a session: the last word of its last line.
create_session() {
  (
    child_env
    cd "$tree/$subdir" 2>/dev/null || cd "$tree" || exit 1
    # shellcheck disable=SC2086 # the shell is a list of words
    bounded 90 "$at/scratch" $shell "$spec/run.create"
  )
  status=$?
  session=$(tr -d '\r' 2>/dev/null <"$at/scratch" | awk 'NF { word = $NF } END { print word }')
  rm -f "$at/scratch"
  detail="the agent made no session: status $status"
  [ "$status" -eq 0 ] && is_session "$session" && keep_session "$session"
}

# A session id that only the agent's stream tells.
watch_session() {
  [ "$session_mode" = stream ] && [ -z "$session" ] && [ -s "$spec/session_pattern" ] || return 0
  read -r pattern <"$spec/session_pattern"
  seen=$(head -c 262144 "$at/log" | LC_ALL=C sed -nE "$pattern" 2>/dev/null | head -n 1)
  if is_session "$seen"; then keep_session "$seen"; fi
}
# A command in a session of its own, and the wrapper in that session that records how it ended, whoever else dies.

# Starts a script detached: its exit slot (allocated now, overwritten in place at the end, so that a full disk loses
# nothing), its link, its output, its input, the script, the script's word and the directory.
start_task() {
  printf '%-64s\n' '' >"$1" || return 1
  find_detach
  (
    child_env
    # shellcheck disable=SC2086 # the shell is a list of words
    leave $shell "$0" task "$nonce" "$root" "$shell" "$name" "$n" "$@"
  ) </dev/null >/dev/null 2>>"$job/runner.log" &
}

# The wrapper. A handler, unlike ignoring, is not inherited: the command dies of TERM, and we live to write it down.
run_task() {
  slot=$1 link=$2 output=$3 input=$4 script=$5 word=$6 place=$7
  trap : TERM HUP INT
  inspect $$ || exit 127
  ln -s "$$:$start" "$at/$link" || exit 127
  event "$link"
  cd "$place" 2>/dev/null || cd "$job/tree" || exit 127
  exec 8>>"$output"
  (
    umask 022
    # shellcheck disable=SC2086 # the shell is a list of words
    exec $shell "$script" "$word" <"$input" >&8 2>&1 8>&-
  )
  status=$?
  [ "$link" != task ] || keep_output
  printf '%-63s\n' "$status" 1<>"$slot"
  event "$link" ended
  wake_watcher
}

# Output that went into a file that is no longer at its place, because it was deleted or moved there, is added to the one
# that is. Only where the system lets us read what we hold open.
keep_output() {
  held=/proc/$$/fd/8
  # shellcheck disable=SC3013 # dash, bash and busybox know -ef; another shell fails here and keeps nothing
  { [ -r "$held" ] && [ ! "$held" -ef "$output" ]; } 2>/dev/null || return 0
  cat "$held" >>"$output"
}

# The status in an exit slot, in $status; empty while there is none.
read_status() {
  status=
  read -r status _ 2>/dev/null <"$1"
  is_number "$status" || status=
}

# Waits until a task is over, called off ($ended: stop), or out of time (a limit's name). Each tick of the nap that was
# slept to its end counts as active time, so a host that sleeps uses none up.
follow() {
  link=$1 limit=$2 ended='' spent=0 missing=0
  while [ -z "$ended" ]; do
    judge_link "$link"
    case $life in
      # The wrapper died without a word: as long as what it started lives, the agent is at work.
      dead)
        { [ "$link" = task ] && abandoned; } || break
        ;;
      none)
        # Started, but not yet named, as long as its mark is to be seen: else it died before that.
        missing=$((missing + 1))
        if [ "$missing" -gt 20 ]; then
          find_marked
          [ -n "$marked" ] || break
        fi
        doze
        called_off || continue
        ;;
    esac
    if called_off; then
      ended=stop
    elif [ "$limit" -gt 0 ] && [ "$((served + spent))" -ge "$limit" ]; then
      ended=timeout
    else
      if nap "$tick"; then spent=$((spent + tick)); fi
      [ "$link" != task ] || watch_agent
    fi
  done
}

# Whether the agent goes on without the wrapper that would record its end. On another boot nothing of it lives.
abandoned() {
  case $task_place in *":$boot:$node") ;; *) return 1 ;; esac
  read_status "$at/exit"
  [ -z "$status" ] || return 1
  find_marked
  [ -n "$marked" ]
}

# Judges a task by its link; boot and node are this watcher's, or the intent's for the agent.
judge_link() {
  if [ "$1" = task ]; then
    judge_task
    return
  fi
  life=none
  here
  task=$(link_of "$at/$1") && judge "$task:$boot:$node"
}

# Sleeps unless something happens; true when the whole time passed.
nap() {
  sleep "$1" &
  sleeper=$!
  # A signal before this line is seen here, one after it ends the wait.
  [ "$woken" = 0 ] || kill "$sleeper" 2>/dev/null
  wait "$sleeper" 2>/dev/null
  sleeper=
  [ "$woken" = 0 ] && return 0
  woken=0
  return 1
}

listen() {
  woken=0 sleeper=
  trap 'woken=1; [ -z "$sleeper" ] || kill "$sleeper" 2>/dev/null' USR1
}

# Whether the laptop wants no more of this attempt: cancelled, or the handoff changed hands before the agent started.
called_off() {
  [ -h "$at/cancel" ] && return 0
  [ ! -h "$at/intent" ] || return 1
  highest "$job/epoch/"
  [ "$top" -gt "$grant_epoch" ]
}

# Runs a script of the user's in the tree and waits for it: setup and check. Its status, in $status.
run_script() {
  rm -f "$at/$1"
  start_task "$at/$1.exit" "$1" "$2" /dev/null "$spec/$3" '' "$tree" || return 1
  follow "$1" "$limit_active"
  [ -z "$ended" ] || sweep 5
  read_status "$at/$1.exit"
  [ "$ended" != timeout ] || status=124
  rm -f "$at/$1" "$at/$1.exit"
  [ "$ended" != stop ]
}
# Watching the agent, once a tick: its limits, the end it announced, its session, the heartbeat.

# The grant's numbers.
read_grant() {
  grant_epoch=0 first=1 last=1 delays='' start_as=fresh
  limit_active=0 limit_first_output=0 limit_no_progress=0 limit_grace=0
  while IFS= read -r line; do
    value=${line#* }
    case $line in
      'delays '*) delays=$value ;;
      'start resume') start_as=resume ;;
      'epoch '* | 'first '* | 'last '* | 'active '* | 'first_output '* | 'no_progress '* | 'grace '*)
        is_number "$value" || return 1
        case $line in
          'epoch '*) grant_epoch=$value ;;
          'first '*) first=$value ;;
          'last '*) last=$value ;;
          'active '*) limit_active=$value ;;
          'first_output '*) limit_first_output=$value ;;
          'no_progress '*) limit_no_progress=$value ;;
          'grace '*) limit_grace=$value ;;
        esac
        ;;
    esac
  done 2>/dev/null <"$spec/grant"
  tick=5
  for limit in "$limit_active" "$limit_first_output" "$limit_no_progress" "$limit_grace"; do
    if [ "$limit" -gt 0 ] && [ "$limit" -lt 30 ]; then tick=1; fi
  done
}

log_size() {
  # shellcheck disable=SC2046 # words of one ls line; the size comes before the name
  set -- $(ls -ln "$at/log" 2>/dev/null)
  size=${5:-0}
}

beat() { printf 'active %-12s %s\n' "$((served + spent))" "$(date +%s)" 1<>"$at/beat"; }

# One look at a running agent; sets $ended to the limit that was reached.
watch_agent() {
  beat
  log_size
  watch_session
  if [ "$size" != "$seen_size" ]; then
    watch_terminal
    seen_size=$size moved_at=$spent base=
  fi
  if [ "$size" -eq 0 ] && [ "$limit_first_output" -gt 0 ] && [ "$spent" -ge "$limit_first_output" ]; then
    ended=no-first-output
  elif [ -n "$terminal_at" ] && [ "$limit_grace" -gt 0 ] && [ "$((spent - terminal_at))" -ge "$limit_grace" ]; then
    ended=grace
  elif [ "$limit_no_progress" -gt 0 ]; then
    watch_progress
  fi
}

# Notes when the log shows that the agent ended its work; some never exit after that.
watch_terminal() {
  [ -z "$terminal_at" ] && [ -s "$spec/terminal" ] || return 0
  # A line may have come in two pieces: go back by more than a line.
  from=$((seen_size - 65536))
  [ "$((size - from))" -le 16777216 ] || from=$((size - 16777216))
  [ "$from" -gt 0 ] || from=0
  if tail -c "+$((from + 1))" "$at/log" | LC_ALL=C grep -aqE -f "$spec/terminal"; then terminal_at=$spent; fi
}

# A silent log alone proves nothing: a compiler or a test may be at work. CPU time below one percent and not a file
# changed in the checkout, all through the limit, do.
watch_progress() {
  if [ -z "$base" ]; then
    measure
    base=$cpu base_marked=$marked
    : >"$at/quiet"
    return
  fi
  [ "$((spent - moved_at))" -ge "$limit_no_progress" ] || return 0
  measure
  if [ "$marked" = "$base_marked" ] && [ "$((cpu - base))" -le "$limit_no_progress" ] &&
    [ -z "$(find "$tree" -newer "$at/quiet" 2>/dev/null | head -n 1)" ]; then
    ended=no-progress
  else
    moved_at=$spent base=
  fi
}

# CPU time of everything the attempt started, in hundredths of a second, in $cpu.
measure() {
  find_marked
  cpu=0
  for entry in $marked; do
    if inspect "$entry"; then cpu=$((cpu + ticks)); fi
  done
}
# Capturing what the agent left: its files through our own git directory, its commits read as data.

# Copies HEAD, refs and index of the agent's repository beside our own configuration; $agent_head is its HEAD, or empty.
read_agent_git() {
  own=$job/capture.git agent_head=
  rm -rf "$own/refs" "$own/packed-refs" "$own/logs" "$own/agent-index"
  mkdir -p "$own/refs"
  if [ -d "$tree/.git" ] && [ ! -h "$tree/.git" ]; then
    cp -R "$tree/.git/refs/." "$own/refs/" 2>/dev/null
    cp "$tree/.git/packed-refs" "$own/packed-refs" 2>/dev/null
    cp -p "$tree/.git/index" "$own/agent-index" 2>/dev/null
    cp -p "$tree/.git/"sharedindex.* "$own/" 2>/dev/null
    IFS= read -r line 2>/dev/null <"$tree/.git/HEAD"
  else
    line=
  fi
  case $line in
    'ref: refs/'*) ;;
    *) is_hex "$line" || line='ref: refs/heads/none' ;;
  esac
  say "$line" >"$own/HEAD"
  borrow=$tree/.git/objects
  agent_head=$(capture_git rev-parse -q --verify 'HEAD^{commit}' 2>/dev/null)
  borrow=
}

# The tree of all files, in $files.
hash_files() {
  unread=
  add_files || unread="some files could not be read; "
  files=$(capture_git write-tree) && is_hex "$files"
}

commit_as_handoff() {
  (
    GIT_AUTHOR_NAME=handoff GIT_AUTHOR_EMAIL=handoff@localhost
    GIT_COMMITTER_NAME=handoff GIT_COMMITTER_EMAIL=handoff@localhost
    export GIT_AUTHOR_NAME GIT_AUTHOR_EMAIL GIT_COMMITTER_NAME GIT_COMMITTER_EMAIL
    capture_git commit-tree "$@"
  )
}

# Branches that the agent made or moved and its stash, as lines `<oid> <name>` under the capture's refs, in $tips.
find_tips() {
  borrow=$tree/.git/objects
  tips=$(capture_git for-each-ref --format='%(objectname) %(refname)' refs/heads refs/stash 2>/dev/null |
    while read -r oid ref; do
      case $ref in
        "refs/heads/$branch") [ "$oid" != "$head" ] || continue ;;
        *) ! grep -qxF "ref $oid $ref" "$spec/ship" || continue ;;
      esac
      say "$oid ${ref#refs/}"
    done)
  borrow=
}

# Copies into the cache what only the agent's repository holds of some commits, then sees that nothing is missing.
fetch_objects() {
  {
    say "$1" | cut -d ' ' -f 1
    say "^$commit"
  } | grep . >"$at/revs"
  own_git "$tree/.git/objects" "$cache/objects" pack-objects -q --revs --local --non-empty \
    "$cache/objects/pack/pack" <"$at/revs" >/dev/null
  cache_git rev-list --objects --quiet --stdin <"$at/revs"
  fetched=$?
  rm -f "$at/revs"
  return "$fetched"
}

# The stash-shaped commit of HEAD $1, the index and the files, in $work.
make_work() {
  index=$job/capture.git/agent-index borrow=$tree/.git/objects
  staged=$(capture_git write-tree 2>/dev/null)
  index=
  is_hex "$staged" || staged=$files
  staged=$(commit_as_handoff "$staged" ${1:+-p "$1"} -m "index of $name, attempt $n") &&
    work=$(commit_as_handoff "$files" ${1:+-p "$1"} -p "$staged" -m "files of $name, attempt $n")
  made=$?
  borrow=
  return "$made"
}

# Captures the attempt, once: $capture is the commit, $files its tree, $agent_head the agent's HEAD, $note what was amiss.
take_capture() {
  if capture=$(link_of "$at/capture"); then
    files=$(cache_git rev-parse -q --verify "$capture^{tree}")
    agent_head=$(cache_git rev-parse -q --verify "$capture^1")
    return 0
  fi
  capture='' files=''
  if ! find_tree; then
    note="${note}the checkout is gone; " agent_head=
    return 1
  fi
  hash_files || return 1
  note=$note$unread
  read_agent_git
  find_tips
  if ! { [ -n "$agent_head" ] && make_work "$agent_head" && fetch_objects "$work$nl$tips"; }; then
    [ -z "$agent_head" ] && [ -z "$head" ] || note="${note}the agent's HEAD could not be read; "
    agent_head=
    if ! { make_work "$head" && fetch_objects "$work$nl$tips"; }; then
      note="${note}its branches and its stash could not be read; " tips=
      rm -f "$job/capture.git/agent-index"
      make_work "$head" && fetch_objects "$work" || return 1
    fi
  fi
  nested=$(cache_git diff-tree -r --no-renames "$files_tree" "$files" | sed -n "s/^:[0-7]* 160000 [^$tab]*$tab//p" | head -n 3)
  [ -z "$nested" ] || note="${note}nested repositories were not captured: $nested; "
  say "$work work$nl$tips" | while read -r oid ref; do
    [ -z "$oid" ] || printf 'update refs/capture/%s/%s/%s\0%s\0\0' "$name" "$n" "$ref" "$oid"
  done | cache_git update-ref -z --stdin || return 1
  ln -s "$work" "$at/capture" && capture=$work && event capture
}
# The provisional class of an attempt's end, and the result that states it. The verdict itself is the laptop's.

# The first row of the table whose column $1 (class or pattern) is $2: sets $class and $action.
row() {
  while IFS=$tab read -r row_class row_action row_pattern; do
    if [ "$1" = class ]; then row_pattern=$row_class; fi
    if [ "$row_pattern" = "$2" ]; then
      class=$row_class action=$row_action
      return 0
    fi
  done 2>/dev/null <"$spec/table"
  return 1
}

# The first row whose ERE matches a selected line near the end of the log: sets $class, $action and $proof.
match_rows() {
  scratch=$at/scratch
  if [ -s "$spec/error_lines" ]; then
    tail -c 65536 "$at/log" | LC_ALL=C grep -aE -f "$spec/error_lines" >"$scratch"
  else
    tail -c 65536 "$at/log" >"$scratch"
  fi
  found=1
  while IFS=$tab read -r row_class row_action row_pattern; do
    case $row_pattern in '' | @*) continue ;; esac
    proof=$(LC_ALL=C grep -aiE -e "$row_pattern" "$scratch" 2>/dev/null | tail -n 1 | tr -cd '[:print:]' | cut -c 1-400)
    [ -n "$proof" ] || continue
    class=$row_class action=$row_action detail=$proof found=0
    break
  done 2>/dev/null <"$spec/table"
  rm -f "$scratch"
  return "$found"
}

# The end of the log, for what reads line by line: a line without an end must not fill the memory of the host.
log_end() { tail -c 16777216 "$at/log"; }

# Whether one line of the log says that it ended well: all of the profile's EREs match it.
log_says_success() {
  [ -s "$spec/success" ] || return 0
  log_end | LC_ALL=C awk 'BEGIN { while ((getline ere < ARGV[1]) > 0) if (ere != "") want[++n] = ere; ARGV[1] = "" }
    { for (i = 1; i <= n; i++) if ($0 !~ want[i]) next; found = 1; exit } END { exit !found }' "$spec/success" -
}

# Sets $class and $action from $reason, $exit, the check, the capture and the log.
classify() {
  class='' action='' proof=''
  case $reason in
    stop | epoch) class=stopped action=end ;;
    timeout) row pattern @timeout || class=timeout ;;
    no-first-output | no-progress) row pattern @hung || class=hung ;;
    lost) row pattern @lost || class=lost ;;
    session) class=session ;;
    disk-full) class=disk-full ;;
    ship | agent-missing | setup | capture) class=config ;;
    *) classify_end ;;
  esac
  [ -n "$action" ] || row class "$class" || { kept=$class && row pattern @any && class=$kept; } || action=park
}

classify_end() {
  if [ "$reason" = grace ] || [ "$exit" = 0 ]; then
    if log_says_success; then
      classify_success
      return
    fi
  fi
  match_rows && return 0
  if [ "$(free_kib "$root")" -lt 1024 ]; then
    class=disk-full
  elif [ "$exit" = 0 ] || { [ -s "$spec/terminal" ] && ! log_end | LC_ALL=C grep -aqE -f "$spec/terminal"; }; then
    row pattern @truncated || class=truncated
  else
    row pattern @crashed || class=crashed
  fi
}

classify_success() {
  if [ -n "$check" ] && [ "$check" != 0 ]; then
    row pattern @check-failed || class='check-failed'
  elif [ -n "$files" ] && [ "$files" = "$baseline" ] && [ "$agent_head" = "$start_head" ] &&
    [ "${check:-none}" = "${check_before:-none}" ]; then
    row pattern @no-work || class=no-work
  else
    action=end
    if [ -n "$check" ]; then class='done'; else class=unchecked; fi
  fi
}

# Room for a result is taken before anything runs: a full disk must not swallow how an attempt ended.
allocate_result() { [ -f "$at/.result" ] || printf '%2048s' '' >"$at/.result"; }

# Writes the result: in place, cut to its length, then renamed. It is the last file of an attempt and never changes.
write_result() {
  [ -f "$at/result" ] && return 0
  detail=$(printf %s "${note-}${detail-}" | tr '\n\t' '  ' | tr -cd '[:print:]' | cut -c 1-500)
  text="class $class${nl}reason $reason$nl"
  for line in "exit $exit" "check $check" "check_before $check_before" "baseline $baseline" "tree $files" \
    "capture $capture" "head $agent_head" "active ${active:-$spent}" "session $(link_of "$job/session")" "detail $detail"; do
    [ -z "${line#* }" ] || text=$text$line$nl
  done
  text="${text}end 1$nl"
  allocate_result
  printf %s "$text" 1<>"$at/.result" && dd if=/dev/null of="$at/.result" bs=1 seek="${#text}" 2>/dev/null &&
    mv "$at/.result" "$at/result" && event result "$class"
}
# What follows an attempt: the laptop's word if it speaks in time, else the shipped table's. The first writer wins.

write_next() {
  ln -s "$1" "$at/next" 2>/dev/null && event next
}

# The delay after this attempt, in $delay: the first of the grant's delays follows its first attempt.
find_delay() {
  # shellcheck disable=SC2086 # a list of numbers
  set -- $delays
  skip=$((n - first))
  [ "$skip" -le $# ] || skip=$#
  shift "$skip"
  delay=${1:-15}
  is_number "$delay" || delay=15
}

# Waits until a number of seconds was slept, or the laptop decided, or everything was called off.
linger() {
  rest=$1
  while [ "$rest" -gt 0 ] && [ ! -h "$at/next" ] && ! given_up; do
    step=5
    [ "$rest" -ge 5 ] || step=$rest
    if nap "$step"; then rest=$((rest - step)); fi
  done
}

given_up() {
  [ -h "$at/cancel" ] && return 0
  highest "$job/epoch/"
  [ "$top" -gt "$grant_epoch" ]
}

# The Unix second at which a usage window ends, as the line said, else half an hour from now.
reset_time() {
  now=$(date +%s)
  until=$(printf %s "$proof" | grep -oE '[0-9]{10}' | head -n 1)
  if ! is_number "${until:-x}" || [ "$until" -lt "$now" ] || [ "$until" -gt "$((now + 1209600))" ]; then
    until=$((now + 1800))
  fi
}

# Decides and waits; succeeds when another attempt shall start: then $start_as, $fresh_session and $with_check say how.
follow_up() {
  # Nothing is left to this host to do: what follows is the laptop's.
  [ "$n" -lt "$last" ] || return 1
  find_delay
  linger "$delay"
  if [ ! -h "$at/next" ]; then
    given_up && return 1
    case $action in
      resume | check) write_next "host:$action:$delay" ;;
      wait)
        reset_time
        write_next "host:wait:$until"
        ;;
      end | park) write_next "host:$action:0" ;;
      *) write_next host:park:0 ;;
    esac
  fi
  obey "$(link_of "$at/next")"
}

obey() {
  argument=${1##*:}
  is_next "$1" || return 1
  start_as=resume fresh_session='' with_check=''
  case $class in context | session) fresh_session=1 ;; esac
  case $1 in
    laptop:resume:* | laptop:check:*) snooze "$argument" ;;
    *:wait:*)
      while [ "$(date +%s)" -lt "$argument" ] && ! given_up; do
        nap 30
      done
      ;;
    host:resume:* | host:check:*) ;;
    *) return 1 ;;
  esac
  case $1 in *:check:*) with_check=1 ;; esac
  ! given_up
}

# Sleeps through a delay that the laptop chose.
snooze() {
  rest=$1
  while [ "$rest" -gt 0 ] && ! given_up; do
    step=5
    [ "$rest" -ge 5 ] || step=$rest
    if nap "$step"; then rest=$((rest - step)); fi
  done
}
# What happens before the agent: ship, binary, session, setup, baseline; then the intent to start it, once.

# Everything before the agent. Fails with $reason set; until `intent` nothing has run.
prepare() {
  reason=disk-full
  allocate_result && [ "$(free_kib "$root")" -gt 2048 ] || return 1
  reason=ship
  land || stopped_early || return 1
  reason='agent-missing'
  find_agent || return 1
  reason=session
  find_session || return 1
  reason=setup
  if [ -f "$spec/setup" ]; then
    if ! run_script setup "$at/setup.log" setup || [ "$status" != 0 ]; then
      detail="setup ended with ${status:-no status}"
      stopped_early
      return 1
    fi
  fi
  check_first || stopped_early || return 1
  reason=capture
  detail="the files could not be read before the start"
  hash_files && read_agent_git || return 1
  baseline=$files start_head=$agent_head files=
  carry_baseline
  say "baseline $baseline${nl}head $start_head${nl}check $check_before" >"$at/before"
  reason=disk-full detail=
  make_prompt || return 1
  reason=epoch
  ! called_off || stopped_early || return 1
  ln -s "$me" "$at/intent" 2>/dev/null || return 1
  event intent
  # Read again after the intent is public: whoever raises the epoch reads the intent after that.
  highest "$job/epoch/"
  if [ "$top" -gt "$grant_epoch" ] || [ -h "$at/cancel" ]; then
    stopped_early
    return 1
  fi
  reason='exit' detail=
}

# Always fails, with the reason that a call-off has.
stopped_early() {
  if [ -h "$at/cancel" ]; then
    reason=stop
  else
    highest "$job/epoch/"
    [ "$top" -le "$grant_epoch" ] || reason=epoch
  fi
  return 1
}

# Whether the check passes already; after an earlier attempt on this tree, its own check says so.
check_first() {
  [ -f "$spec/check" ] || return 0
  if [ "$n" -gt "$first" ] && field "$job/$((n - 1))/result" check; then
    check_before=$value
    return 0
  fi
  run_script check "$at/check-before.log" check || return 1
  check_before=$status
}

# What the attempt before did until it was cut short counts for the session that goes on from there.
carry_baseline() {
  [ "$n" -gt "$first" ] || [ "$adopt" = no ] || return 0
  before=$job/$((n - 1))
  field "$before/result" class || return 0
  case $value in done | unchecked | no-work | check-failed) return 0 ;; esac
  field "$before/before" baseline && baseline=$value
  field "$before/before" head && start_head=$value
}

make_prompt() {
  if [ -n "$with_check" ]; then
    cat "$spec/prompt.check-head" 2>/dev/null
    tail -c 16384 "$job/$((n - 1))/check.log"
    cat "$spec/prompt.check-foot" 2>/dev/null
  elif [ "$n" -gt "$first" ] || [ "$start_as" = resume ]; then
    cat "$spec/prompt.resume" 2>/dev/null || cat "$spec/prompt.fresh"
  else
    cat "$spec/prompt.fresh"
  fi >"$at/prompt"
}

free_kib() { df -Pk "$1" 2>/dev/null | awk 'NR == 2 { print $4 + 0 }'; }
# The watcher: it takes an attempt from its claim to its result, then the next one, as long as its grant lasts.

run_watch() {
  name=$1 wait_ref=$3 secrets=
  listen
  while IFS= read -r line; do
    secrets=$secrets$line$nl
  done
  exec </dev/null
  at_attempt "$1" "$2"
  fresh_session='' with_check='' chained=''
  while claim_attempt; do
    if [ -h "$at/intent" ]; then attend; else perform; fi
    [ -f "$at/result" ] || return 1
    follow_up || return 0
    at_attempt "$name" $((n + 1))
    chained=1
    make_attempt || return 1
  done
}

# The directory of an attempt; its streams exist from the start, so that a poll can wait on them.
make_attempt() {
  # Of two requests at once the later finds the link made, and that is as good.
  mkdir -p "$at" && { ln -s "$g" "$at/grant" 2>/dev/null || [ -h "$at/grant" ]; } && : >>"$at/log" && : >>"$at/check.log"
}

# Takes the attempt if nobody has it: one wins. A claim of a dead watcher stays, the next number is taken.
claim_attempt() {
  g=$(link_of "$at/grant") && is_number "$g" || return 1
  spec=$job/spec/$g
  myself || return 1
  while [ ! -f "$at/result" ]; do
    judge_watch
    case $life in alive | stopped | unknown) return 1 ;; esac
    if ln -s "$me" "$at/watch.$((watch + 1))" 2>/dev/null; then
      event watch $((watch + 1))
      [ -n "$chained" ] || start_as=
      as=$start_as
      read_grant && read_ship || return 1
      [ -z "$as" ] || start_as=$as
      cache=$root/cache/$key.git
      reset_facts
      return 0
    fi
  done
  return 1
}

reset_facts() {
  class='' reason=exit exit='' check='' check_before='' baseline='' files='' capture='' agent_head='' start_head=''
  spent=0 served=0 active='' note='' detail='' task_place='' session='' session_mode=none agent='' terminal_at='' seen_size=0 moved_at=0 base=''
  ended=''
  find_path "$spec/agent"
}

# An attempt nobody has started.
perform() {
  [ "$watch" -eq 0 ] || sweep 1
  if prepare; then
    run_agent
    conclude
  else
    sweep 2
    classify
    write_result
  fi
}

run_agent() {
  beat
  start_task "$at/exit" task "$at/log" "$at/prompt" "$spec/run.$start_as" "$session" "$tree/$subdir" || return 1
  follow task "$limit_active"
}

# An attempt that an earlier watcher started: wait for its end, never start it.
attend() {
  find_tree
  field "$spec/grant" session_mode
  session_mode=${value:-none}
  session=$(link_of "$job/session")
  field "$at/before" baseline && baseline=$value
  field "$at/before" head && start_head=$value
  field "$at/before" check && check_before=$value
  # The time it was active under earlier watchers.
  read -r _ served _ 2>/dev/null <"$at/beat"
  is_number "${served:-x}" || served=0
  follow task "$limit_active"
  conclude
}

# After the agent: nothing of it may be left before its work is captured and checked.
conclude() {
  # What it wrote down counts, even when a limit struck in the same moment.
  read_status "$at/exit"
  exit=$status
  grace=5
  stop=$(link_of "$at/cancel") && is_number "${stop##*:}" && grace=${stop##*:}
  end_task "$grace" || note="processes of the attempt would not end; "
  if [ -n "$exit" ] && { [ "$exit" = 0 ] || [ ! -h "$at/cancel" ]; }; then
    reason='exit'
  elif [ -h "$at/cancel" ]; then
    reason=stop
  elif [ -n "$ended" ]; then
    reason=$ended
  else
    reason=lost
    case $task_place in *":$boot:$node" | '') ;; *":$node") detail="the host was rebooted" ;; esac
  fi
  if [ "$reason" != exit ]; then
    read_status "$at/exit"
    exit=$status
  fi
  active=$((served + spent)) served=0
  watch_session
  if ! take_capture; then
    note="${note}the work could not be captured; " files=
  fi
  if [ -f "$spec/check" ] && [ ! -h "$at/cancel" ]; then
    case $reason in
      exit | grace)
        ended=''
        : >"$at/check.log"
        if run_script check "$at/check.log" check; then check=$status; fi
        sweep 5
        ;;
    esac
  fi
  classify
  write_result
}
# The state line of an attempt: one look at its directory, and what the processes named there are doing.

# Looks at attempt $2 of handoff $1; sets $state, the part of it that makes news in $news, and the sizes of the streams.
look() {
  at_attempt "$1" "$2"
  name=$1 watch=0 claim='' intent=0 placed='' task='' cancel=0 exit=- result=0 next=- session=-
  top_epoch=0 last=0 section='' log_inode=0 log_bytes=0 check_inode=0 check_bytes=0
  while read -r inode _ _ _ _ bytes _ _ _ entry _ target; do
    case $inode in *:) section=${inode%:} ;; esac
    case $section/$entry in
      ./session) session=$target ;;
      ./[1-9]*) if is_number "$entry" && [ "$entry" -gt "$last" ]; then last=$entry; fi ;;
      epoch/[1-9]*) if is_number "$entry" && [ "$entry" -gt "$top_epoch" ]; then top_epoch=$entry; fi ;;
      "$2"/watch.*) if [ "${entry#watch.}" -gt "$watch" ]; then watch=${entry#watch.} claim=$target; fi ;;
      "$2"/intent) intent=1 placed=$target ;;
      "$2"/task) task=$target ;;
      "$2"/cancel) cancel=1 ;;
      "$2"/result) result=1 ;;
      "$2"/next) next=$target ;;
      "$2"/log) log_inode=$inode log_bytes=$bytes ;;
      "$2"/check.log) check_inode=$inode check_bytes=$bytes ;;
    esac
  done <<END
$(cd "$job" 2>/dev/null && LC_ALL=C ls -lin . epoch "$2" 2>/dev/null)
END
  watching=none working=none
  if [ -n "$claim" ]; then
    judge "$claim"
    watching=$life
    [ "$life" != stopped ] || watching=alive
  fi
  if [ -n "$task" ]; then
    placed=${placed#*:}
    judge "$task:${placed#*:}"
    working=$life
    [ "$life" != unknown ] || working=none
  fi
  read_status "$at/exit"
  active=0 beat=-
  if read -r _ active beat 2>/dev/null <"$at/beat" && is_number "${beat:-x}"; then
    now=$(date +%s)
    beat=$((now - beat))
  else
    beat=-
  fi
  is_number "${active:-x}" || active=0
  news="s $1 $2 watch=$watching intent=$intent task=$working cancel=$cancel exit=${status:--} result=$result next=$next session=$session"
  state="$news active=$active beat=$beat epoch=$top_epoch log=$log_inode:$log_bytes check=$check_inode:$check_bytes last=$last"
  news="$news $top_epoch $last $log_inode $check_inode"
}
# The verb `poll`: state and log bytes of several attempts in one bounded reply, as they come.

# A want is kept in numbered variables: w_name_1, w_at_1, w_stream_1, w_inode_1, w_offset_1, and w_news_1 for its state.
read_wants() {
  count=0
  while read -r want_name want_n stream inode offset; do
    [ -n "$want_name" ] || continue
    for number in "$want_n" "$inode" "$offset"; do
      is_number "$number" || refuse request "bad want"
    done
    is_name "$want_name" || refuse request "bad want"
    case $stream in log | check.log) ;; *) refuse request "bad stream" ;; esac
    count=$((count + 1))
    eval "w_name_$count=$want_name w_at_$count=$want_n w_stream_$count=$stream w_inode_$count=$inode"
    eval "w_offset_$count=$offset w_news_$count='' w_closed_$count=''"
  done <<END
$wants
END
}

get() { eval "got=\$w_$1_$2"; }

# One round over all wants: news, bytes, and the result once its streams were read to their ends. $open counts the wants
# that may still bring something, $sent the bytes of this round. With $1, state lines are sent whether new or not.
round() {
  w=0 open=0 sent=0 looked=
  while [ "$w" -lt "$count" ]; do
    w=$((w + 1))
    get name "$w" && want_name=$got
    get at "$w" && want_n=$got
    get stream "$w" && stream=$got
    get closed "$w" && [ -n "$got" ] && [ -z "$1" ] && continue
    if [ ! -d "$root/work/$want_name/$want_n" ]; then
      [ -n "$got" ] || say "e $want_name $want_n unknown no such attempt"
      eval "w_closed_$w=1"
      continue
    fi
    if [ "$looked" != "$want_name $want_n" ]; then
      look "$want_name" "$want_n"
      looked="$want_name $want_n"
    fi
    get news "$w"
    if [ "$got" != "$news" ] || [ -n "$1" ]; then
      if [ "$told" != "$news" ] || [ -n "$1" ]; then say "$state"; fi
      eval "w_news_$w=\$news"
      told=$news
    fi
    get closed "$w"
    [ -z "$got" ] || continue
    send_stream || return 1
    # The result was looked for before the sizes were read: what it ends is in them.
    if [ "$result" = 1 ] && [ "$offset" -ge "$size" ]; then
      eval "w_closed_$w=1"
      say "$resulted" | grep -qxF "$want_name $want_n" || still_wanted || send_result
    else
      open=$((open + 1))
    fi
  done
}

# Sends what a stream holds beyond the offset, as one frame of at most what the reply has left.
send_stream() {
  if [ "$stream" = log ]; then inode=$log_inode size=$log_bytes; else inode=$check_inode size=$check_bytes; fi
  get offset "$w" && offset=$got
  get inode "$w"
  # Another file, or a shorter one: from its start.
  if [ "$got" != "$inode" ] || [ "$offset" -gt "$size" ]; then
    [ "$got" = 0 ] && [ "$offset" -le "$size" ] || offset=0
    eval "w_inode_$w=\$inode"
  fi
  bytes=$((size - offset))
  [ "$bytes" -le "$budget" ] || bytes=$budget
  if [ "$bytes" -gt 0 ]; then
    say "d $want_name $want_n $stream $inode $offset $bytes" || return 1
    tail -c "+$((offset + 1))" "$root/work/$want_name/$want_n/$stream" 2>/dev/null | head -c "$bytes" || return 1
    # Where the file was cut meanwhile the frame is short, and what followed would be taken for its bytes.
    [ "$(($(wc -c <"$root/work/$want_name/$want_n/$stream")))" -ge "$((offset + bytes))" ] 2>/dev/null || return 1
    say "" || return 1
    offset=$((offset + bytes)) budget=$((budget - bytes)) sent=$((sent + bytes))
  fi
  eval "w_offset_$w=\$offset"
}

# Whether another stream of the same attempt has more to come.
still_wanted() {
  other=0
  while [ "$other" -lt "$count" ]; do
    other=$((other + 1))
    get name "$other" && [ "$got" = "$want_name" ] && get at "$other" && [ "$got" = "$want_n" ] &&
      get closed "$other" && [ -z "$got" ] && return 0
  done
  return 1
}

send_result() {
  bytes=$(wc -c <"$at/result")
  say "r $want_name $want_n $((bytes))"
  cat "$at/result"
  say ""
  resulted=$resulted$want_name' '$want_n$nl
}

over() { [ "$open" -eq 0 ] || [ "$budget" -le 0 ] || [ -n "$time_up" ]; }

run_poll() {
  read_request
  [ "$wait" -le 20000 ] || wait=20000
  budget=$max told='' resulted='' time_up='' tails='' sleeper=''
  begin
  read_wants
  trap 'exit 1' PIPE HUP TERM INT
  round '' || exit 1
  if ! over && [ "$wait" -gt 0 ]; then
    if tail_waits && mkfifo "$root/.poll.$$" 2>/dev/null; then wait_by_event; else wait_by_looking; fi
  fi
  round final || exit 1
  finish 0
}
# Waiting for news in a poll: woken by the system where that works, else by looking ten times a second.

# Whether `tail -f` learns of new bytes from the system instead of looking again and again.
tail_waits() {
  case $(uname -s) in
    Linux) tail --version 2>/dev/null | grep -q GNU ;;
    Darwin | FreeBSD | OpenBSD | NetBSD) : ;;
    *) return 1 ;;
  esac && command -v mkfifo >/dev/null 2>&1
}

# The wait in seconds as sleep takes it here.
wait_seconds() {
  if sleep 0.01 2>/dev/null; then
    seconds=$((wait / 1000)).$(printf %03d $((wait % 1000)))
  else
    seconds=$(((wait + 999) / 1000))
  fi
}

# Every watched file has a tail that starts at the first unread byte, so nothing falls between looking and waiting. Their
# bytes are only a wake-up: they go through a pipe to a reader that throws them away.
wait_by_event() {
  exec 3<>"$root/.poll.$$"
  rm -f "$root/.poll.$$"
  wait_seconds
  trap 'time_up=1' USR1
  trap 'stop_tails; [ -z "$timer" ] || kill "$timer" 2>/dev/null' EXIT
  timer=
  start_tails
  (
    trap 'kill "$sleeper" 2>/dev/null; exit' TERM
    trap - EXIT
    sleep "$seconds" >/dev/null 2>&1 3>&- &
    sleeper=$!
    wait "$sleeper"
    kill -USR1 $$ 2>/dev/null
    echo >&3
    # If the poll itself was killed, its tails must not stay.
    sleep 2 >/dev/null 2>&1 3>&-
    stop_tails
  ) </dev/null >/dev/null 2>&1 &
  timer=$!
  while ! over; do
    dd bs=65536 count=1 <&3 >/dev/null 2>&1
    round '' || exit 1
    if [ "$sent" -gt 0 ]; then
      # Lines that come close together go out together.
      sleep 0.02 2>/dev/null
      if [ "$sent" -gt 262144 ]; then
        stop_tails
        start_tails
      fi
    fi
  done
}

start_tails() {
  w=0 followed=' '
  while [ "$w" -lt "$count" ]; do
    w=$((w + 1))
    get closed "$w"
    [ -z "$got" ] || continue
    get name "$w" && want_name=$got
    get at "$w" && want_n=$got
    get stream "$w" && stream=$got
    get offset "$w"
    tail_from "$((got + 1))" "$root/work/$want_name/$want_n/$stream"
    case $followed in *" $want_name "*) continue ;; esac
    followed="$followed$want_name "
    tail_from "$(($(wc -c <"$root/work/$want_name/events") + 1))" "$root/work/$want_name/events"
  done
}

tail_from() {
  tail -c "+$1" -f "$2" </dev/null >&3 2>/dev/null 3>&- &
  tails="$tails $!"
}

stop_tails() {
  # shellcheck disable=SC2086 # a list of pids
  [ -z "$tails" ] || kill $tails 2>/dev/null
  tails=
}

wait_by_looking() {
  left=$wait
  while ! over; do
    doze
    left=$((left - doze_tenths * 100))
    [ "$left" -gt 0 ] || time_up=1
    round '' || exit 1
  done
}
# The verbs that change something: ensure, put, cancel, capture, release. Each may be sent again at any time.

run_ensure() {
  read_request
  take_blob
  begin
  need_attempt
  [ -n "$grant" ] || refuse request "grant is missing"
  g=$grant spec=$job/spec/$grant
  case $(command -v printf) in printf) ;; *) [ -z "$secrets" ] || refuse shell "printf is not built into this shell" ;; esac
  command -v git >/dev/null 2>&1 || refuse no-git "git was not found on the host"
  mkdir -p "$root/lib" "$job/spec" "$job/epoch" || refuse disk-full "$job could not be made"
  store_spec
  { read_grant && read_ship; } || refuse request "the grant or the ship is malformed"
  { [ "$n" -ge "$first" ] && [ "$n" -le "$last" ]; } || refuse grant "attempt $n is not in grant $g"
  if [ ! -f "$at/result" ]; then
    make_cache "$key" "$format" || refuse disk-full "the cache could not be made"
    { : >>"$job/epoch/$grant_epoch" && : >>"$job/events"; } || refuse disk-full "the epoch could not be written"
    highest "$job/epoch/"
    [ "$top" -eq "$grant_epoch" ] || [ -h "$at/intent" ] || refuse epoch "the handoff is at epoch $top"
    earlier_over
    make_attempt || refuse disk-full "$at could not be made"
    await_watcher
  fi
  look "$name" "$n"
  say "$state"
  finish 0
}

# Makes spec/<g> whole, once.
store_spec() {
  [ ! -d "$spec" ] || return 0
  fresh=$job/spec/.$g.$$
  mkdir "$fresh" || refuse disk-full "$fresh could not be made"
  cut_parts "$fresh"
  # A rename onto a directory that another request made meanwhile moves ours into it.
  mv "$fresh" "$spec" 2>/dev/null
  rm -rf "$fresh" "$spec/.$g.$$"
  [ -d "$spec" ] || refuse disk-full "$spec could not be made"
}

# One tree, one agent: what was started before must have ended.
earlier_over() {
  earlier=$n
  while [ "$earlier" -gt 1 ]; do
    earlier=$((earlier - 1))
    [ ! -h "$job/$earlier/intent" ] || [ -f "$job/$earlier/result" ] ||
      refuse busy "attempt $earlier has no result yet"
  done
}

# Starts a watcher unless one lives, and waits until one has claimed the attempt.
await_watcher() {
  judge_watch
  case $life in
    alive | stopped) return 0 ;;
    unknown) refuse other-node "the attempt belongs to another node of this host" ;;
  esac
  start_watcher
  left=100
  while [ "$left" -gt 0 ]; do
    judge_watch
    [ "$life" != alive ] && [ ! -f "$at/result" ] || return 0
    sleep 0.05 2>/dev/null || { sleep 1 && left=$((left - 19)); }
    left=$((left - 1))
  done
  refuse no-watcher "the watcher did not start: $(tail -n 1 "$job/runner.log" 2>/dev/null)"
}

run_put() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  if [ -n "$epoch" ]; then
    job=$root/work/$name
    { mkdir -p "$job/epoch" && : >>"$job/epoch/$epoch"; } || refuse disk-full "the epoch could not be written"
    highest "$job/"
    at_attempt "$name" "$top"
    if [ -h "$at/intent" ]; then say "intent 1"; else say "intent 0"; fi
    event epoch "$epoch"
  fi
  if [ -n "$next" ]; then
    need_attempt
    [ -d "$at" ] || refuse unknown "no such attempt"
    write_next "$next"
    say "next $(link_of "$at/next")"
  fi
  [ ! -d "$at" ] || wake_watcher
  finish 0
}

run_cancel() {
  read_request
  begin
  need_attempt
  [ -d "$at" ] || refuse unknown "no such attempt"
  if [ "$reason" = withdraw ]; then
    # Nothing has run: a watcher that dies before the intent leaves the attempt to the next one.
    judge_watch
    if [ "$life" = alive ] && [ ! -h "$at/intent" ] && [ ! -f "$at/result" ]; then kill "$pid" 2>/dev/null; fi
  elif [ ! -f "$at/result" ]; then
    ln -s "$reason:$grace" "$at/cancel" 2>/dev/null && event cancel
    judge_watch
    case $life in
      alive) kill -USR1 "$pid" 2>/dev/null ;;
      none | dead) end_task "$grace" ;;
    esac
  else
    # Its watcher may be waiting to start the next one.
    ln -s "$reason:$grace" "$at/cancel" 2>/dev/null && event cancel
    wake_watcher
  fi
  look "$name" "$n"
  say "$state"
  finish 0
}

run_capture() {
  read_request
  begin
  need_attempt
  g=$(link_of "$at/grant") || refuse unknown "no such attempt"
  spec=$job/spec/$g note=
  read_ship || refuse request "the ship is malformed"
  cache=$root/cache/$key.git
  if [ ! -h "$at/capture" ]; then
    judge_watch
    case $life in alive | stopped) refuse busy "a watcher lives" ;; unknown) refuse other-node "its watcher is on another node" ;; esac
    judge_task
    case $life in alive | stopped) refuse busy "the agent runs" ;; esac
    highest "$job/"
    while [ "$top" -gt "$n" ]; do
      [ ! -h "$job/$top/intent" ] || refuse capture "attempt $top has run in the tree since"
      top=$((top - 1))
    done
    find_marked
    [ -z "$marked" ] || refuse busy "processes of the attempt are left"
    take_capture || refuse capture "${note}the work could not be captured"
  fi
  say "capture $(link_of "$at/capture")"
  finish 0
}
# The verb `release`: gives a tree back and forgets a handoff, once the laptop has shown that it holds all of it.

run_release() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  job=$root/work/$name gone=$root/work/.$name.gone
  # Sent again after it was done, perhaps cut off while the last files went.
  [ -n "$dry" ] || rm -rf "$gone"
  if [ ! -d "$job" ]; then
    say gone
    finish 0
  fi
  cache='' base='' based='' loose=''
  highest "$job/"
  newest=$top turn=0
  while [ "$turn" -lt "$newest" ]; do
    turn=$((turn + 1))
    at_attempt "$name" "$turn"
    [ ! -d "$at" ] || check_ack
  done
  if ! find_tree; then tree=; fi
  [ -z "$loose" ] || [ -z "$tree" ] || refuse uncaptured "attempt $loose has run and was not captured"
  scratch=$job/.release
  # What is about to free a full disk needs some room elsewhere.
  [ "$(free_kib "$root")" -gt 65536 ] || scratch=${TMPDIR:-/tmp}/.handoff-release.$name
  rm -rf "$scratch"
  mkdir "$scratch" || refuse disk-full "$scratch could not be made"
  trap 'rm -rf "$scratch"' EXIT
  find_kept
  find_refs
  [ -z "$tree" ] || say "tree $tree"
  say "refs $(grep -c . "$scratch/refs")"
  tell_kept
  [ "$kept" -eq 0 ] || [ -n "$discard" ] || refuse kept "$kept files in $tree are nowhere else"
  [ -n "$dry" ] || let_go
  finish 0
}

# Everything was looked at; in this order, a cut leaves nothing that the same request would not finish.
let_go() {
  if [ "$kept" -gt 0 ]; then
    (cd "$tree" && xargs -0 -n 100 rm -rf -- <"$scratch/kept") || refuse kept "files in $tree could not be removed"
  fi
  [ ! -s "$scratch/refs" ] || cache_git update-ref --stdin <"$scratch/refs" ||
    refuse cache "the refs of the handoff could not be removed"
  if [ -n "$tree" ]; then
    # The state of the files spares the next handoff a long read.
    mv -f "$job/capture.git/index" "${tree%/*}/index" 2>/dev/null
    rm -f "${tree%/*}/owner"
  fi
  mv "$job" "$gone" || refuse busy "$job could not be removed"
  rm -rf "$gone"
}

# A watcher that only waits for what follows is told that nothing does, and leaves. Fails when one is at work.
dismiss_watcher() {
  judge_watch
  case $life in none | dead) return 0 ;; esac
  [ -f "$at/result" ] || return 1
  [ -z "$dry" ] || return 0
  write_next laptop:end:0
  if [ "$life" = unknown ]; then
    # On its own node it reads what stands there; with an earlier word it may be about to go on.
    case $(link_of "$at/next") in *:end:* | *:park:*) return 0 ;; *) return 1 ;; esac
  fi
  left=30
  while wake_watcher; [ "$life" = alive ]; do
    [ "$left" -gt 0 ] || return 1
    doze
    left=$((left - doze_tenths))
  done
}

# Refuses unless this attempt is over and acknowledged to the byte. $base becomes what the laptop holds of the tree.
check_ack() {
  dismiss_watcher || refuse busy "attempt $n has a watcher"
  find_marked
  [ -z "$marked" ] || refuse busy "processes of attempt $n are left"
  held=$(link_of "$at/capture") || held=-
  if [ ! -f "$at/result" ] && [ -h "$at/intent" ]; then
    judge_task
    case $life in alive | stopped | unknown) refuse busy "the agent of attempt $n may be running" ;; esac
    [ "$held" != - ] || refuse unfinished "attempt $n has neither a result nor a capture"
  fi
  g=$(link_of "$at/grant") || return 0
  spec=$job/spec/$g
  if read_ship; then cache=$root/cache/$key.git; fi
  log_size
  say "$acks" | grep -qxF "$n $held $size" || refuse unacknowledged "attempt $n is $held with a log of $size bytes"
  if [ "$g" != "$based" ] && [ "$adopt" = yes ] && [ -f "$job/landed.$g" ]; then base=$files_tree based=$g; fi
  if [ "$held" != - ]; then
    base="$held^{tree}" loose=
  elif [ -h "$at/task" ]; then
    loose=$n
  fi
}

find_refs() {
  for prefix in "refs/handoff/$name/" "refs/capture/$name/"; do
    [ -z "$cache" ] || cache_git for-each-ref --format='delete %(refname)' "$prefix"
  done >"$scratch/refs"
}

# What lies in the tree, was made since the ship and is in no capture, NUL after each, in $scratch/kept; $kept counts it.
find_kept() {
  kept=0
  [ -n "$tree" ] && [ -n "$base" ] || return 0
  say "$caches" >"$scratch/caches"
  say /.cursor/agent-handoffs/ >>"$scratch/caches"
  # An index of what the laptop holds; where it is that of the capture, no file needs reading.
  index=$scratch/index
  cp -p "$job/capture.git/index" "$index" 2>/dev/null
  capture_git read-tree -m "$base" 2>/dev/null || { rm -f "$index" && capture_git read-tree "$base"; } ||
    refuse disk-full "the tree could not be compared with what is held"
  capture_git update-index -q --refresh >/dev/null 2>&1
  {
    capture_git ls-files -z -o -X "$scratch/caches" && capture_git ls-files -z -m &&
      # Of a nested repository, a capture holds the name of a commit and nothing else.
      capture_git ls-files -z -s | tr '\n\0' '?\n' | sed -n "s/^160000 [^$tab]*$tab//p" | tr '\n' '\0'
  } >"$scratch/differs" || refuse disk-full "the tree could not be compared with what is held"
  index=
  find_since
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  (cd "$tree" && since=$since xargs -0 -n 100 $shell -c '
    look() { find "$@" ! -type d ${since:+-cnewer "$since"} -print0 2>/dev/null; }
    for file; do
      if [ ! -d "./$file" ] || [ -h "./$file" ]; then
        set -- "$@" "./$file"
      elif [ "$(look "./$file" | head -c 1 | wc -c)" -gt 0 ]; then
        printf "%s\0" "./$file"
      fi
      shift
    done
    [ $# -eq 0 ] || look "$@"; :' sh) \
    <"$scratch/differs" >"$scratch/kept" || refuse disk-full "the files of the tree could not be listed"
  kept=$(tr -cd '\0' <"$scratch/kept" | wc -c)
  kept=$((kept))
}

# What is as old as the first ship, in $since; empty where `find` cannot compare with it, and then all counts as newer: a
# tree that was given back holds caches and little else.
find_since() {
  since=
  for entry in "$job/spec/"*; do
    entry=${entry##*/}
    if [ -z "$since" ] || [ "$entry" -lt "${since##*/}" ]; then since=$job/spec/$entry; fi
  done
  find "$since" -cnewer "$since" >/dev/null 2>&1 || since=
}

# The bytes of files, and of the files in directories, whose names come with a NUL after each.
count_bytes() {
  # shellcheck disable=SC2016,SC2086 # expanded by the shell it is for; that is a list of words
  (cd "$tree" && xargs -0 -n 100 $shell -c 'find "$@" ! -type d -exec ls -lnd {} + 2>/dev/null' sh) |
    awk '/^[-l]/ { s += $5 } END { printf "%.0f", s }'
}

# What is kept, as one data frame: the size and the name of the first ones, a line each.
tell_kept() {
  [ "$kept" -gt 0 ] || return 0
  bytes=$(count_bytes <"$scratch/kept")
  tr '\n\0' '?\n' <"$scratch/kept" | head -n 20 | while IFS= read -r file; do
    say "$(printf '%s\0' "$file" | count_bytes) $(say "${file#./}" | cut -c 1-400)"
  done >"$scratch/listing"
  length=$(wc -c <"$scratch/listing")
  say "d $name kept $kept $bytes $((length))"
  cat "$scratch/listing"
  say ""
}
# The verb `probe`: what this machine is, what it has, and which of the asked agents are on it and logged in.

run_probe() {
  read_request
  begin
  mkdir -p "$root" 2>/dev/null
  find_detach
  here
  say "host $(uname -s)"
  say "home $HOME"
  say "root $root"
  say "git $(git --version 2>/dev/null | sed 's/^git version //')"
  say "cores $(getconf _NPROCESSORS_ONLN 2>/dev/null || nproc 2>/dev/null || sysctl -n hw.ncpu 2>/dev/null || echo 1)"
  say "memory $(memory_bytes)"
  say "disk $(free_kib "$root")"
  say "inodes $(df -Pi "$root" 2>/dev/null | awk 'NR == 2 { print $4 + 0 }')"
  say "detach $detach"
  if tail_waits; then say "wait event"; else say "wait poll"; fi
  say "boot $boot"
  say "node $node"
  say "time $(date +%s)"
  probe_agents
  finish 0
}

memory_bytes() {
  awk '/^MemTotal:/ { printf "%.0f", $2 * 1024 }' /proc/meminfo 2>/dev/null || sysctl -n hw.memsize 2>/dev/null
}

# Answers the lines `agent <name>`, with the `version`, `path` and `login` lines that belong to it.
probe_agents() {
  scratch=$root/.probe.$$
  trap 'rm -f "$scratch" "$scratch.asks"' EXIT
  printf '%s' "$asks" >"$scratch.asks"
  find_path "$scratch.asks"
  while read -r word asked _; do
    [ "$word" = agent ] || continue
    version=
    field "$scratch.asks" "version $asked"
    pattern=$value
    if ! find_command "$asked" || ! check_version "$found" "$pattern"; then
      say "agent $asked - $version"
      continue
    fi
    [ -n "$version" ] || check_version "$found" ''
    say "agent $asked $found $version"
    field "$scratch.asks" "login $asked" || continue
    # shellcheck disable=SC2086 # the words of the command
    (
      PATH=$agent_path
      export PATH
      bounded 20 "$scratch" "$found" $value
    )
    say "login $asked $?"
  done <<END
$asks
END
}
# The verbs `receive` and `upload`: git's own push and fetch, over the bytes that follow the request's header.

# After the line `begin` both directions are git's protocol. A handoff sees its own refs and the shared tips only: an
# advertisement of everything in a cache of many handoffs would cost more than a small push.
serve() {
  read_request
  begin
  [ -n "$name" ] || refuse request "name is missing"
  [ ${#key} -eq 40 ] || refuse request "key is missing"
  case $format in '' | sha1 | sha256) ;; *) refuse request "bad format" ;; esac
  command -v git >/dev/null 2>&1 || refuse no-git "git was not found on the host"
  [ "$format" = sha256 ] || format=
  make_cache "$key" "$format" || refuse disk-full "the cache could not be made"
  set -- "$1" -c transfer.hideRefs=refs/ -c "transfer.hideRefs=!refs/keep/" \
    -c "transfer.hideRefs=!refs/handoff/$name/" -c "transfer.hideRefs=!refs/capture/$name/"
  service=$1
  shift
  [ "$service" != receive-pack ] || sweep_cache
  say "serving"
  clean_git "$@" "$service" "$cache"
  exit $?
}

# A push that was cut or killed leaves what it had received. After an hour without a byte it is nobody's any more.
sweep_cache() {
  for left in "$cache/objects"/tmp_objdir-* "$cache/objects/pack"/tmp_*; do
    recent=$(find "$left" -mmin -60 2>/dev/null) && [ -z "$recent" ] && rm -rf "$left"
  done
}

run_receive() { serve receive-pack; }
run_upload() { serve upload-pack; }
# Where a call begins. The last line of the script: a file that was cut before it does nothing at all.

main() {
  verb=$1 nonce=$2 root=$3 shell=$4
  shift 4
  if [ "$verb" = task ]; then
    at_attempt "$1" "$2"
    name=$1
    shift 2
    run_task "$@"
    exit 0
  fi
  user_locale=${LC_ALL-}
  export LC_ALL=C
  unset HANDOFF_MARK GIT_DIR GIT_WORK_TREE GIT_INDEX_FILE GIT_OBJECT_DIRECTORY GIT_ALTERNATE_OBJECT_DIRECTORIES \
    GIT_COMMON_DIR GIT_NAMESPACE GIT_CONFIG_PARAMETERS GIT_CONFIG_COUNT
  case $verb in
    watch) run_watch "$@" ;;
    probe | receive | upload | ensure | poll | put | cancel | capture | release) "run_$verb" ;;
    *) exit 2 ;;
  esac
}

main "$@"
