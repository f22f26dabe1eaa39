# What runs in the tree: its environment, the agent's binary, its session.

# The environment of everything that runs for the user; called in a subshell. What is ours is not passed on.
child_env() {
  umask "$account_umask"
  unset LC_ALL
  [ -z "$user_locale" ] || export LC_ALL="$user_locale"
  PATH=$agent_path
  while read -r variable; do
    # shellcheck disable=SC2163 # the variable that is named
    is_variable "$variable" && unset "$variable"
  done 2>/dev/null <"$spec/unset"
  # shellcheck source=/dev/null
  [ ! -f "$spec/env" ] || . "$spec/env"
  # Split into lines by the shell itself: bash keeps the text of a here-document in a file.
  IFS=$nl
  set -f
  for line in $secrets; do
    # The dot keeps newlines at the end of a value.
    value=$(printf '%b.' "${line#* }")
    export "${line%% *}=${value%.}"
  done
  set +f
  unset IFS
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

# Longest time for the answer to --version, in seconds.
version_limit=20

# The first line of a command's version, in $version, and how the question ended, in $answered: 124 when time was up. Fails
# when the version is not what the pattern wants.
check_version() {
  (
    PATH=$agent_path
    export PATH
    bounded "$version_limit" "$scratch" "$1" --version
  )
  answered=$?
  version=$(head -n 1 "$scratch" 2>/dev/null | tr -cd '\040-\176' | cut -c 1-200)
  [ -z "$2" ] || say "$version" | grep -qE -e "$2"
}

# Whether the command that was just asked gave no answer: no evidence that it is another tool. What is known is in $silence.
is_silent() {
  silence="did not answer --version within $version_limit s"
  [ "$answered" -eq 124 ] && [ -z "$version" ]
}

# The agent's binary, in $agent. One that did not answer is taken when no other has the right version: a slow host ends no
# attempt.
find_agent() {
  scratch=$at/scratch
  silent=
  detail="no agent is named"
  field "$spec/agent" version
  pattern=$value
  while IFS= read -r candidate; do
    case $candidate in 'binary '*) candidate=${candidate#binary } ;; *) continue ;; esac
    detail="$candidate was not found in $agent_path"
    find_command "$candidate" || continue
    if [ -n "$pattern" ] && ! check_version "$found" "$pattern"; then
      detail="$found calls itself '$version', which is another tool"
      [ -n "$version" ] || detail="$found --version printed no version: status $answered"
      ! is_silent || silent=${silent:-$found}
      continue
    fi
    agent=$found detail=
    rm -f "$scratch"
    return 0
  done 2>/dev/null <"$spec/agent"
  rm -f "$scratch"
  [ -n "$silent" ] || return 1
  say "attempt $n: $silent $silence; it is started all the same" >&2
  agent=$silent detail=
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
  if [ -z "$session" ] && field "$spec/grant" session && is_session "$value"; then
    keep_session "$value"
  fi
  [ -n "$session" ] && [ -f "$spec/run.resume" ] || start_as=fresh
  if [ "$start_as" != fresh ]; then
    resumed=$session
    return 0
  fi
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
  [ "$status" -ne 124 ] || detail="the agent made no session within 90 s"
  [ "$status" -eq 0 ] && is_session "$session" && keep_session "$session"
}

# The session that the stream opened is the one that can be resumed, whatever id the agent was given. A resume that opened
# another session is judged by that.
watch_session() {
  [ -z "$resumed" ] || return 0
  if [ -s "$spec/stream" ]; then
    seen_fact first || return 0
    seen_id=$value
  else
    [ "$session_mode" = stream ] && [ -z "$session" ] && [ -s "$spec/session_pattern" ] || return 0
    read -r pattern <"$spec/session_pattern"
    seen_id=$(head -c 262144 "$at/log" | LC_ALL=C sed -nE "$pattern" 2>/dev/null | head -n 1)
  fi
  if is_session "$seen_id"; then keep_session "$seen_id"; fi
}
