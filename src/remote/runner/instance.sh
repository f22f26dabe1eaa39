# Identifies a root directory. The id is made once and never guessed. It differs where the root is a mount point without
# its file system, a directory that was wiped, or a restored snapshot.

# Sets $instance to the root's id and $raised to how many attempts were sent to it. Fails without an id.
read_instance() {
  instance='' raised=0
  [ -f "$root/instance" ] && read -r instance 2>/dev/null <"$root/instance" && is_hex "$instance" || return 1
  raised=$(($(wc -l <"$root/instance")))
}

# Refuses the request unless the root is the one that the laptop knows.
check_root() {
  [ -n "$known" ] || return 0
  read_instance || refuse_unmounted
  [ "$instance" = "${known% *}" ] || refuse instance "$root is not the directory that the attempt was sent to"
  [ "$raised" -ge "${known#* }" ] || refuse instance "$root is an older state of the directory the attempt was sent to"
}

# Refuses the request because the root has no id. Names the checkouts of which something is left: what deleted the root
# could not delete that, and no handoff owns it any more.
refuse_unmounted() {
  begin
  for path in "$root/trees"/*/*; do
    [ ! -d "$path" ] || say "left ${path%%"$nl"*}"
  done | head -n 20
  refuse unmounted "$root"
}

# Makes the root's id where the root is new. The id is written to a file that is then linked, so one of two requests at
# once makes it, and it is always complete.
make_root() {
  read_instance && return 0
  mkdir -p "$root" || refuse_write "$root could not be made"
  new=$root/.instance.$$
  od -An -tx1 -N16 /dev/urandom | tr -d ' \n' >"$new" && say "" >>"$new" &&
    { ln "$new" "$root/instance" 2>/dev/null || [ -f "$root/instance" ] || mv "$new" "$root/instance"; }
  rm -f "$new"
  read_instance || refuse_write "$root/instance could not be made"
}

# Records that an attempt was sent to this root, before any of it starts. This raises the counter.
register() { [ -f "$root/instance" ] && say "$name $n" >>"$root/instance"; }

# Whether the attempt was registered before. If its directory is missing, it may not start again.
is_registered() { grep -qxF "$name $n" "$root/instance" 2>/dev/null; }

# The verb `instance`: answers the root's id and counter.
run_instance() {
  read_request
  begin
  if [ -z "$dry" ]; then make_root; else read_instance || refuse_unmounted; fi
  say "instance $instance $raised"
  finish 0
}
