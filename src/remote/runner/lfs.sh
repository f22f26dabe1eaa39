# Git LFS, with git-lfs and without it. A ship and a capture have pointers in their trees. The contents travel as blobs of
# one more commit, whose tree names each by its LFS id, the SHA-256. The host's files have the content.

# Prints the filter for files of Git LFS. Our git calls it with `note`: it reads the file itself, and notes whose content
# it replaced by a pointer, because only that content is in no tree. The agent's git calls it with `clean`, which stores
# the content as git-lfs does. `smudge` prints the content of a pointer, or the pointer where the content is not here.
print_lfs_filter() {
  cat <<'END'
print_pointer() { printf 'version https://git-lfs.github.com/spec/v1\noid sha256:%s\nsize %s\n' "$1" "$2"; }
sum() {
  if command -v sha256sum >/dev/null; then sha256sum; elif command -v shasum >/dev/null; then shasum -a 256; else openssl dgst -sha256 -r; fi |
    cut -c 1-64
}
# Sets $oid and $size to those of the pointer $1; empty if it has others than the two lines after the first.
is_pointer() {
  oid='' size=''
  [ "$(($(wc -c <"$1")))" -lt 1024 ] && head -n 1 "$1" | grep -q '^version https://git-lfs.github.com/spec/' &&
    grep -Eq '^oid sha256:[0-9a-f]{64}$' "$1" || return 1
  oid=$(sed -n 's/^oid sha256:\([0-9a-f]*\)$/\1/p' "$1") size=$(sed -n 's/^size \([0-9]*\)$/\1/p' "$1")
  print_pointer "$oid" "$size" | cmp -s - "$1" || oid=''
}
# Notes the file $2 with the id $3 in the notes $1, one a line; \001 stands for a newline.
note() { printf '%s %s/%s\n' "$3" "$(pwd -P)" "$(printf %s "$2" | tr '\n' '\001')" >>"$HANDOFF_LFS_NOTES$1"; }
# Whether the list $1 has the path $2: git stores that file without the filter.
is_raw() { [ -s "$1" ] && grep -qxF -e "$(printf %s "$2" | tr '\n' '\001')" "$1"; }
case $1 in
  sum) sum ;;
  note)
    if [ ! -s "$2" ]; then exit; fi
    ! is_raw "$HANDOFF_LFS/raw" "$2" || exec cat "$2"
    if is_pointer "$2"; then
      { [ -z "$oid" ] || note .pointers "$2" "$oid"; } && cat "$2"
    else
      oid=$(sum <"$2") && [ "${#oid}" -eq 64 ] && note '' "$2" "$oid" && print_pointer "$oid" "$(($(wc -c <"$2")))"
    fi
    ;;
  clean)
    store=$(git rev-parse --git-common-dir)/lfs
    ! is_raw "$store/handoff-raw" "$2" || exec cat
    mkdir -p "$store/tmp" && arrived=$store/tmp/handoff.$$ && cat >"$arrived" || exit 1
    if [ ! -s "$arrived" ] || is_pointer "$arrived"; then
      cat "$arrived" && rm -f "$arrived"
      exit
    fi
    oid=$(sum <"$arrived") size=$(($(wc -c <"$arrived"))) && [ "${#oid}" -eq 64 ] || exit 1
    rest=${oid#??}
    place=$store/objects/${oid%"$rest"}/${rest%"${rest#??}"}
    if [ -f "$place/$oid" ]; then rm -f "$arrived"; else mkdir -p "$place" && mv -f "$arrived" "$place/$oid"; fi &&
      print_pointer "$oid" "$size"
    ;;
  smudge)
    store=${HANDOFF_LFS-}
    [ -n "$store" ] || store=$(git rev-parse --git-common-dir)/lfs
    mkdir -p "$store/tmp" && arrived=$store/tmp/handoff.$$ && cat >"$arrived" || exit 1
    if is_pointer "$arrived" && [ -n "$oid" ]; then
      rest=${oid#??}
      place=$store/objects/${oid%"$rest"}/${rest%"${rest#??}"}/$oid
      blob=$(sed -n "s/^$oid //p" "$store/handoff-blobs" 2>/dev/null)
      if [ -f "$place" ]; then
        rm -f "$arrived"
        exec cat "$place"
      elif [ -n "$blob" ] && git cat-file -e "$blob" 2>/dev/null; then
        rm -f "$arrived"
        exec git cat-file blob "$blob"
      fi
    fi
    cat "$arrived" && rm -f "$arrived"
    ;;
esac
END
}

# Prints the contents in the trees of the commits on stdin, as lines `<LFS id> <blob>`.
list_contents() {
  sort -u | while IFS= read -r content_commit; do
    ! is_hex "$content_commit" || cache_git ls-tree "$content_commit" 2>/dev/null
  done | sed -n "s/^100644 blob \\([0-9a-f]*\\)$tab\\([0-9a-f]*\\)\$/\\2 \\1/p" | sort -u
}

# Prints the commits of the lines `content <commit>` in files.
content_lines() { cat "$@" 2>/dev/null | sed -n 's/^content \([0-9a-f]*\)$/\1/p'; }

# Prints the ids of the contents that the laptop has: those that it shipped to this handoff, and those that the files name.
list_held_contents() { content_lines "$@" "$job/spec"/*/ship | list_contents | cut -d ' ' -f 1; }

# Gives our git directory its filter. A full disk has no room to write it again.
place_lfs_filter() {
  mkdir -p "$job/capture.git/lfs" &&
    { print_lfs_filter | cmp -s - "$job/capture.git/lfs/filter.sh" || print_lfs_filter >"$job/capture.git/lfs/filter.sh"; }
} 2>/dev/null

# Lists for the filter the contents of the ship, and the files that the laptop stores without the filter.
place_contents() {
  say "$content" | list_contents >"$job/capture.git/lfs/handoff-blobs" && true >"$job/capture.git/lfs/raw" || return 1
  [ ! -f "$spec/lfs-raw" ] || cp "$spec/lfs-raw" "$job/capture.git/lfs/raw"
}

# Removes the pointers from the index whose content is here now, so that the checkout writes them again. They were noted
# by the comparison.
drop_pointers() {
  [ -s "$job/capture.git/lfs/pointers" ] || return 0
  while IFS= read -r line; do
    ! grep -q "^${line%% *} " "$job/capture.git/lfs/handoff-blobs" || printf '%s\n' "${line#*" $tree/"}"
  done <"$job/capture.git/lfs/pointers" | tr '\001\n' '\n\0' | capture_git update-index -z --force-remove --stdin
  rm -f "$job/capture.git/lfs/pointers"
}

# Gives the agent's repository $git the filter, for a host without git-lfs, and the contents, where git-lfs looks for
# them. git-lfs reaches no server by itself.
place_agent_lfs() {
  mkdir -p "$git/lfs/objects" && print_lfs_filter >"$git/lfs/handoff.sh" &&
    cp "$job/capture.git/lfs/handoff-blobs" "$git/lfs/handoff-blobs" &&
    cp "$job/capture.git/lfs/raw" "$git/lfs/handoff-raw" || return 1
  for lfs_verb in clean smudge; do
    set_config "filter.lfs.$lfs_verb" "sh \"\$(git rev-parse --git-common-dir)/lfs/handoff.sh\" $lfs_verb %f" || return 1
  done
  set_config filter.lfs.required false && set_config lfs.skipdownloaderrors true &&
    set_config lfs.locksverify false || return 1
  [ "$push" = yes ] || set_config lfs.url file:///no-lfs-server-in-a-handoff || return 1
  command -v git-lfs >/dev/null || return 0
  while read -r oid lfs_blob; do
    rest=${oid#??}
    folder=$git/lfs/objects/${oid%"$rest"}/${rest%"${rest#??}"}
    mkdir -p "$folder" && cache_git cat-file blob "$lfs_blob" >"$folder/.$oid" && mv -f "$folder/.$oid" "$folder/$oid" || return 1
  done <"$git/lfs/handoff-blobs"
}

# Prints what the filter noted.
list_noted() { [ ! -f "$job/capture.git/lfs/noted" ] || cat "$job/capture.git/lfs/noted"; }

# Lists the files among the agent's LFS objects as lines `<id> <path>`.
list_lfs_objects() {
  [ -z "${common_dir-}" ] || find "$common_dir/lfs/objects" -type f 2>/dev/null | LC_ALL=C sed -nE 's|^(.*/([0-9a-f]{64}))$|\2 \1|p'
}

# Prints the id of a file's content.
sum_of() { sh "$job/capture.git/lfs/filter.sh" sum <"$1"; }

# Stores stdin as a blob. Large contents are stored as they are, because most are compressed.
store_content() { cache_git -c core.bigFileThreshold=16m -c core.compression=0 hash-object -w --no-filters --stdin; }

# Captures the contents that the laptop lacks, as a commit in `kept`: of the files that the filter noted, and of all that
# the agent's repository stored, because a commit may have a pointer to it. Notes those that cannot be captured.
capture_contents() {
  contents=$own/contents
  list_held_contents "$job/spec"/*/held >"$contents" || return 1
  { list_noted && list_lfs_objects; } | sort -u | not_in "$contents" 1 >"$contents.new"
  true >"$contents.tree"
  while IFS= read -r line; do
    oid=${line%% *} path=$(say "${line#* }" | tr '\001' '\n')
    # A file that has changed since was noted again.
    if grep -q "$tab$oid\$" "$contents.tree" || [ ! -f "$path" ] || [ -h "$path" ]; then continue; fi
    if [ "$(sum_of "$path")" = "$oid" ] && lfs_blob=$(store_content <"$path") && is_hex "$lfs_blob"; then
      say "100644 blob $lfs_blob$tab$oid" >>"$contents.tree"
    fi
  done <"$contents.new"
  if [ -s "$contents.tree" ]; then
    oid=$(cache_git mktree <"$contents.tree") &&
      oid=$(commit_text "$oid" "LFS contents of" </dev/null | cache_git hash-object -t commit -w --stdin) &&
      is_hex "$oid" && say "$oid lfs" >>"$own/kept" && sed "s/.*$tab//" "$contents.tree" >>"$contents"
  fi
  find_lfs_lacking "$contents"
}

# Notes the contents that are not in the list $1: files whose content is still what was noted, and objects.
find_lfs_lacking() {
  list_noted | sort -u | not_in "$1" 1 | while IFS= read -r line; do
    path=$(say "${line#* }" | tr '\001' '\n')
    [ ! -f "$path" ] || [ "$(sum_of "$path")" != "${line%% *}" ] || printf '%s\0' "${path#"$tree"/}" | tr '\n\0' '?\n'
  done | lack
  find_lfs_objects_lacking "$1"
}

# Notes the agent's LFS objects that are not in the list $1.
find_lfs_objects_lacking() {
  [ -z "${common_dir-}" ] || find "$common_dir/lfs/objects" -type f 2>/dev/null | LC_ALL=C sed 's|.*/||' | not_in "$1" 0 |
    sed 's|^|.git/lfs/objects/|' | lack
}

# Removes from the index `seen` of a comparison the files whose content the laptop lacks: their pointers are equal.
drop_unheld_contents() {
  [ -s "$scratch/lfs-noted" ] || return 0
  [ -f "$scratch/contents" ] || list_held_contents "$held" >"$scratch/contents" || return 1
  not_in "$scratch/contents" 1 <"$scratch/lfs-noted" | while IFS= read -r line; do say "${line#*" $tree/"}"; done |
    tr '\001\n' '\n\0' | compare_git update-index -z --force-remove --stdin
}
