# The runner's frame: what it is, how it answers, and the small tests that every other part uses.
#
# This POSIX shell script is all that handoff leaves running on a host. It is named by its SHA-256 and needs git and the
# usual tools. It is called as `sh runner-<sha256>.sh <verb> <nonce> <root> <shell>` with a request on stdin;
# docs/host.md describes the formats. The scripts in spec/<g>/ are the only text of a user that is ever evaluated here.
# Sets $nl and $tab, a newline and a tab.
#
# The shell has no local variables. So these rules say which variable belongs to whom, and a test checks them
# (tests/variables.rs):
# - The header of a function or of its file says "Sets" and names the variables that it sets for others. No other file
#   assigns to them.
# - A header that says "Shared:" names variables that several files assign to: those below and the facts of an attempt
#   (watch.sh). The headers of the functions that do so name them, too.
# - Every other variable is the function's own. No other file reads it, and no function expects it to survive a call of
#   a function that assigns to it.
#
# Shared: $name, $n, $job, $at (the handoff, the attempt and their directories), $g and $spec (the grant), $cache,
# $tree, $place (the directory around the tree) and $owner; $format and $key of the cache, $files_tree of the ship;
# $value (what was read last), $status (how a step or a script ended), $marked (processes of the attempt), $scratch and
# $held (files of a comparison), $caches, $index and $borrow (of our git). Values of the request that a verb corrects:
# $have, $length, $max, $wait, $secrets. What a release found: $loose and $unheld. How an attempt starts:
# $start_as, $with_check and $watch.
set -u
umask 077
nl='
'
tab='	'

# Prints its arguments as a line.
say() { printf '%s\n' "$*"; }
begun=
# Begins the reply, once.
begin() { [ -n "$begun" ] || { begun=1 && say "@handoff $nonce begin"; }; }

# Ends the reply and this process. Status 0: the request was answered. 1: it was refused.
finish() {
  say "@handoff $nonce end $1"
  exit "$1"
}

# Prints the free KiB of a directory's file system, or nothing where `df` does not say.
free_kib() { quickly df -Pk "$1" | awk 'NR == 2 { print $4 + 0 }'; }
# Prints the free inodes. BSD's `df` prints them after the blocks, with a heading.
free_inodes() {
  quickly df -Pi "$1" | awk '
    NR == 1 { column = 4; for (i = 1; i <= NF; i++) if (tolower($i) == "ifree") column = i }
    NR == 2 && $(column - 1) + $column > 0 { print $column + 0 }'
}

# Whether the file system has less than $2 KiB free. Unknown counts as enough.
has_less() {
  free=$(free_kib "$1")
  [ "${free:-$2}" -lt "$2" ]
}

# Whether a directory's file system is full, in blocks or in inodes.
is_full() { has_less "$1" 1024 || [ "$(free_inodes "$1")" = 0 ]; }

# Refuses because something could not be written below the root, and quotes the system's error where there is one.
refuse_write() {
  cause=$({ { [ -n "${known-}" ] || mkdir -p "$root"; } && echo | tee "$root/.try.$$" >/dev/null; } 2>&1)
  rm -f "$root/.try.$$"
  cause=${cause##*: }
  [ -n "$cause" ] || ! is_full "$root" || cause="No space left on device"
  refuse disk-full "$1${cause:+: $cause}"
}

# Refuses the request: $1 is a class for the program, the rest is text for people.
refuse() {
  # The laptop would take a refusal outside the frame for a broken connection, and send the request for ever.
  begin
  say "error $1 $2"
  finish 1
}

# Whether $1 is a number. Leading zeros are refused, because the shell would read those as octal.
is_number() {
  case $1 in
    0) return 0 ;;
    '' | 0* | *[!0-9]* | ????????????????*) return 1 ;;
  esac
}

# Whether $1 is the name of a handoff: lower-case letters, digits and dashes, at most 100.
is_name() {
  case $1 in
    '' | -* | *[!a-z0-9-]*) return 1 ;;
  esac
  [ ${#1} -le 100 ]
}

# Whether $1 consists of lower-case hex digits.
is_hex() {
  case $1 in
    '' | *[!0-9a-f]*) return 1 ;;
  esac
}

# Whether $1 is the name of a variable.
is_variable() {
  case $1 in
    '' | [0-9]* | *[!A-Za-z0-9_]*) return 1 ;;
  esac
}

# Whether $1 can be the id of a session.
is_session() {
  case $1 in
    '' | *[!A-Za-z0-9_-]*) return 1 ;;
  esac
  [ ${#1} -le 128 ]
}

# Whether $1 has the form `<writer>:<action>:<number>`, as in `next`.
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

# Prints the target of a link.
link_of() { readlink "$1" 2>/dev/null; }

# Sets $top to the highest number among the names that follow a prefix, 0 for none. The prefix is a path, such as that
# of `epoch/`.
highest() {
  top=0
  for entry in "$1"*; do
    entry=${entry#"$1"}
    if is_number "$entry" && [ "$entry" -gt "$top" ]; then top=$entry; fi
  done
}

# Sets $value to the value of the first line `<key> <value>` of a file. Fails when there is none.
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

# Prints the first $1 bytes of stdin. BSD's `head` rejects a count of 0.
first_bytes() { [ "$1" -eq 0 ] || head -c "$1"; }

# Sets $n, $job and $at to the number and the directories of one attempt.
at_attempt() {
  job=$root/work/$1 n=$2 at=$root/work/$1/$2
}

# Appends an event, which wakes everyone who waits for a change of state.
event() { say "$n $*" >>"$job/events"; }
