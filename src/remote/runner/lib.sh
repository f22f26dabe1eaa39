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

# What is free where a directory lies; nothing where `df` cannot say.
free_kib() { quickly df -Pk "$1" | awk 'NR == 2 { print $4 + 0 }'; }
# BSD's `df` puts the inodes behind the blocks, and names them.
free_inodes() {
  quickly df -Pi "$1" | awk '
    NR == 1 { column = 4; for (i = 1; i <= NF; i++) if (tolower($i) == "ifree") column = i }
    NR == 2 && $(column - 1) + $column > 0 { print $column + 0 }'
}

# Whether less than $2 KiB are free there; what nobody can tell is no reason to do nothing.
has_less() {
  free=$(free_kib "$1")
  [ "${free:-$2}" -lt "$2" ]
}

# Whether a directory's file system has no room for anything of use.
is_full() { has_less "$1" 1024 || [ "$(free_inodes "$1")" = 0 ]; }

# Refuses because something could not be written below the root, in the system's own words where it has some.
refuse_write() {
  why=$({ { [ -n "${known-}" ] || mkdir -p "$root"; } && echo | tee "$root/.try.$$" >/dev/null; } 2>&1)
  rm -f "$root/.try.$$"
  why=${why##*: }
  [ -n "$why" ] || ! is_full "$root" || why="No space left on device"
  refuse disk-full "$1${why:+: $why}"
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

# The first bytes of stdin; BSD's head refuses to give none.
first_bytes() { [ "$1" -eq 0 ] || head -c "$1"; }

# Points the names of files at one attempt.
at_attempt() {
  job=$root/work/$1 n=$2 at=$root/work/$1/$2
}

# Wakes whoever waits for a change of state.
event() { say "$n $*" >>"$job/events"; }
