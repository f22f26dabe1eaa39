# Which root directory this is. It is made once and never guessed: a mount point without its file system, a directory that
# was wiped and a restored snapshot are told from the root that an attempt was started in.

# The root's id, in $instance, and how many attempts were sent to it, in $raised. Fails without one.
read_instance() {
  instance='' raised=0
  [ -f "$root/instance" ] && read -r instance 2>/dev/null <"$root/instance" && is_hex "$instance" || return 1
  raised=$(($(wc -l <"$root/instance")))
}

# Refuses unless the root is the one that the laptop knows.
check_root() {
  [ -n "$known" ] || return 0
  read_instance || refuse unmounted "$root"
  [ "$instance" = "${known% *}" ] || refuse instance "$root is another directory than the one the attempt was sent to"
  [ "$raised" -ge "${known#* }" ] || refuse instance "$root is an older state of the directory the attempt was sent to"
}

# Makes the root where nothing is known of it. Of two at once, one makes it: a link to a whole file is made or is not.
make_root() {
  read_instance && return 0
  mkdir -p "$root" || refuse_write "$root could not be made"
  new=$root/.instance.$$
  od -An -tx1 -N16 /dev/urandom | tr -d ' \n' >"$new" && say "" >>"$new" &&
    { ln "$new" "$root/instance" 2>/dev/null || [ -f "$root/instance" ] || mv "$new" "$root/instance"; }
  rm -f "$new"
  read_instance || refuse_write "$root/instance could not be made"
}

# Notes that an attempt was sent to this root, before anything of it starts. It raises the counter.
register() { [ -f "$root/instance" ] && say "$name $n" >>"$root/instance"; }

# Whether the attempt was registered before: without its directory, it may not start again.
is_registered() { grep -qxF "$name $n" "$root/instance" 2>/dev/null; }

run_instance() {
  read_request
  begin
  if [ -z "$dry" ]; then make_root; else read_instance || refuse unmounted "$root"; fi
  say "instance $instance $raised"
  finish 0
}
