# Starts a process in its own session, with whatever tool this host has for that.

# Sets $detach to the tool that makes a session.
find_detach() {
  for detach in setsid perl bash python3; do
    command -v "$detach" >/dev/null 2>&1 && return 0
  done
  detach=none
}

# Becomes the command, as the leader of a new session. The caller is a subshell in the background.
leave() {
  # A shell without job control makes its background processes ignore INT and QUIT; tools expect the default.
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

# Starts a watcher for the attempt. A builtin writes its secrets to a pipe, so they never get into argv or onto a disk.
start_watcher() {
  find_detach
  # shellcheck disable=SC2086 # the shell is a list of words
  printf '%s' "$secrets" | (leave $shell "$0" watch "$nonce" "$root" "$shell" "$account_umask" "$name" "$n") \
    >/dev/null 2>>"$job/runner.log" &
}
