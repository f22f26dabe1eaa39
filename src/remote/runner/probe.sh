# The verb `probe`: what this machine is and has, and which of the requested agents are installed and logged in.

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
  say "inodes $(free_inodes "$root")"
  say "detach $detach"
  if tail_waits; then say "wait event"; else say "wait poll"; fi
  say "boot $boot"
  say "node $node"
  say "time $(date +%s)"
  probe_agents
  finish 0
}

# Prints the memory of this machine in bytes.
memory_bytes() {
  awk '/^MemTotal:/ { printf "%.0f", $2 * 1024 }' /proc/meminfo 2>/dev/null || sysctl -n hw.memsize 2>/dev/null
}

# Answers a line `agent <name>` for each agent, with its lines `version`, `path` and `login`. The login is checked in
# the environment of an attempt: the parts `spec/env` and `spec/unset`, and the secrets. Sets $spec and $n. Sets
# $scratch.
probe_agents() {
  need_builtin_printf
  [ -z "$parts" ] || take_blob
  scratch=$root/.probe.$$ spec=$root/.probe.$$.spec n=0
  trap 'rm -rf "$scratch" "$scratch.asks" "$spec" "$root/.request.$$"' EXIT
  mkdir -m 700 "$spec" || refuse_write "$spec could not be made"
  [ -z "$parts" ] || cut_parts "$spec"
  printf '%s' "$asks" >"$scratch.asks"
  find_path "$scratch.asks"
  while read -r word asked _; do
    [ "$word" = agent ] || continue
    if ! find_command "$asked"; then
      say "agent $asked - "
      continue
    fi
    field "$scratch.asks" "version $asked"
    if check_version "$found" "$value" || is_silent; then
      reported=$version
      ! is_silent || reported=$silence
      say "agent $asked $found $reported"
    else
      say "agent $asked - $version"
      continue
    fi
    field "$scratch.asks" "login $asked" || continue
    # shellcheck disable=SC2086 # the words of the command
    (
      child_env
      bounded 20 "$scratch" "$found" $value
    )
    say "login $asked $?"
  done <<END
$asks
END
}
