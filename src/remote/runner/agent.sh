# What runs in the tree: its environment, the agent's binary and its session. A step that fails sets $detail to the
# reason.

# Sets the environment of everything that runs for the user. The caller is a subshell. The runner's own variables are
# not passed on. Sets $secrets and $value.
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
  # The shell itself splits the text into lines, because bash keeps the text of a here-document in a file.
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

# Sets $agent_path, where commands are searched: the host's own PATH first, then the directories that installers use.
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

# Finds a command by name and sets $found. It is searched in $agent_path, then by the login shell. Sets $agent_path.
find_command() {
  case $1 in '' | -* | *[!A-Za-z0-9._+-]*) return 1 ;; esac
  found=$(PATH=$agent_path command -v "$1" 2>/dev/null)
  case $found in /*) [ -x "$found" ] && return 0 ;; esac
  case ${SHELL-} in /*) ;; *) return 1 ;; esac
  bounded 5 "$scratch" "$SHELL" -lc "command -v $1"
  found=$(grep '^/' "$scratch" 2>/dev/null | tail -n 1)
  [ -n "$found" ] && [ -x "$found" ] || return 1
  # The directory of the command is searched too, because its interpreter may be there.
  agent_path=${found%/*}:$agent_path
}

# Longest time for the answer to --version, in seconds.
version_limit=20

# Sets $version to the first line that the command's --version prints, and $answered to the status of that call (124: it
# timed out). Fails when the version does not match the pattern.
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

# Whether the command that was just asked did not answer, which does not prove that it is another tool. Sets $silence to
# the reason.
is_silent() {
  silence="did not answer --version within $version_limit s"
  [ "$answered" -eq 124 ] && [ -z "$version" ]
}

# Finds the agent's binary and sets $agent. When no binary has the right version, one that did not answer is taken: a
# slow host must not end an attempt. Sets $scratch.
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
      detail="$found reports version '$version', so it is another tool"
      [ -n "$version" ] || detail="$found --version printed no version: exit status $answered"
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

# Records the id of the session, so that a later attempt can resume it. Sets $session.
keep_session() {
  session=$1
  [ "$(link_of "$job/session")" = "$1" ] && return 0
  rm -f "$job/session"
  ln -s "$1" "$job/session" && event session
}

# Sets $session to the session of this attempt (empty: none yet) and $start_as to how it is started. Sets $resumed and
# $session_mode.
find_session() {
  field "$spec/grant" session_mode
  session_mode=${value:-none}
  session=$(link_of "$job/session")
  is_session "$session" || session=
  # A grant that begins a session names it: one from before cannot be begun again.
  [ "$session_mode.$start_as.$n" != "preset.fresh.$first" ] || session=
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
      detail="the host could not create a session id"
      is_session "$session"
      ;;
    *)
      # No id is passed to the agent: its output will name the new session.
      session=
      rm -f "$job/session"
      ;;
  esac
}

# Asks the agent for a new session and sets $session to the last word of its last line. Sets $status.
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
  detail="the agent CLI created no session: exit status $status"
  [ "$status" -ne 124 ] || detail="the agent CLI created no session within 90 s"
  [ "$status" -eq 0 ] && is_session "$session" && keep_session "$session"
}

# Records the session that the agent's output names: only that one can be resumed, whatever id the agent was given. If a
# resume opened another session, the verdict depends on that.
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
