# Files that the user attached to the task. They are in the handoff's directory and outside every checkout, so no capture
# has them, and they are deleted with the handoff. The part `attached` of a grant has a line `<object> <name>` for each.

# Writes the attached files, read-only, unless they are there. Each is verified by its object id before every attempt.
# Sets $detail to the reason when it fails.
place_attached() {
  [ -s "$spec/attached" ] || return 0
  detail="an attached file could not be written, or its content is not here"
  steadily write_attached || { note_stall && return 1; }
  detail=
}

# Writes those that are missing or have other content.
write_attached() {
  { [ ! -h "$job/attached" ] || rm -f "$job/attached"; } && mkdir -p "$job/attached" && chmod 700 "$job/attached" || return 1
  while IFS= read -r line; do
    object=${line%% *} attached_name=${line#* }
    case $attached_name in '' | . | .. | */*) return 1 ;; esac
    is_hex "$object" || return 1
    if [ -h "$job/attached/$attached_name" ] || ! has_content "$job/attached/$attached_name" "$object"; then
      remove "$job/attached.new" && cache_git cat-file blob "$object" >"$job/attached.new" 2>/dev/null &&
        has_content "$job/attached.new" "$object" && chmod 400 "$job/attached.new" &&
        remove "$job/attached/$attached_name" && mv -f "$job/attached.new" "$job/attached/$attached_name" || return 1
    fi
  done <"$spec/attached"
  chmod 500 "$job/attached"
}

# Whether the file $1 has the content of the object $2.
has_content() { [ -f "$1" ] && [ "$(cache_git hash-object --no-filters --stdin <"$1" 2>/dev/null)" = "$2" ]; }

# Prints the part of a prompt that names the attached files, by their paths here.
tell_attached() {
  [ -s "$spec/attached" ] || return 0
  cat "$spec/prompt.attached"
  attached_at=$(cd "$job/attached" && pwd -P) || return 1
  while IFS= read -r line; do
    say "- $attached_at/${line#* }"
  done <"$spec/attached"
}
