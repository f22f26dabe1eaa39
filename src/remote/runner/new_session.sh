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
  printf '%s' "$secrets" | (leave $shell "$0" watch "$nonce" "$root" "$shell" "$account_umask" "$name" "$n" "$wait_ref") \
    >/dev/null 2>>"$job/runner.log" &
}
