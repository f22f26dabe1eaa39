#!/bin/sh
# Three build hosts in containers, and a handoff on each.
#
#   integration/compose/farm.sh            up, a login and a handoff on every host, down
#   integration/compose/farm.sh up         brings the farm up, writes keys and a hosts.toml, and says how to use them
#   integration/compose/farm.sh logins     up, a login on every host, down (no handoff binary needed)
#   integration/compose/farm.sh down       takes down the farm of `up`
#   integration/compose/farm.sh --probe    reports whether it can run here: exit 0, or 1 with the reason on stderr
#
# Uses a running docker daemon. If there is none, as root, it starts a private one (data in target/farm, socket in a
# private directory, no iptables rules) and ends it with the farm. HANDOFF_BIN is the binary. The default is the release
# build.
set -eu
cd "$(dirname "$0")/../.."

HOSTS="buildbox bigbox hugebox"
FARM=$PWD/target/farm
STATE=$FARM/state # one line: the private directory of a farm that is up

say() { printf '%s\n' "$*"; }
die() { printf 'farm: %s\n' "$*" >&2; exit 1; }

compose() {
    if command -v docker-compose >/dev/null; then
        docker-compose --project-name handoff-farm "$@"
    else
        docker compose --project-name handoff-farm "$@"
    fi
}

probe() {
    command -v docker >/dev/null || die "docker is not installed"
    command -v docker-compose >/dev/null || docker compose version >/dev/null 2>&1 || die "docker-compose is not installed"
    command -v ssh-keygen >/dev/null || die "OpenSSH's client is not installed"
    docker info >/dev/null 2>&1 && return 0
    [ "$(id -u)" = 0 ] || die "no docker daemon answers, and only root can start one"
    command -v dockerd >/dev/null || die "no docker daemon answers, and dockerd is not installed"
}

# --- a private daemon ---------------------------------------------------------------------------------------------

start_daemon() {
    docker info >/dev/null 2>&1 && return 0
    export DOCKER_HOST="unix://$DIR/docker.sock"
    for driver in overlay2 vfs; do
        # A session of its own keeps Ctrl-C from the daemon: this script takes the hosts down first.
        setsid dockerd --data-root "$FARM/docker" --exec-root "$DIR/exec" --host "$DOCKER_HOST" --pidfile "$DIR/dockerd.pid" \
            --storage-driver $driver --bridge none --iptables=false --ip6tables=false >"$DIR/dockerd.log" 2>&1 &
        daemon=$!
        printf '%s\n' $daemon >"$DIR/daemon"
        tries=0
        while kill -0 $daemon 2>/dev/null && [ $tries -lt 60 ]; do
            docker info >/dev/null 2>&1 && { say "  dockerd of our own ($driver)"; return 0; }
            tries=$((tries + 1))
            sleep 0.5
        done
        end_process $daemon
    done
    tail -n 5 "$DIR/dockerd.log" >&2
    die "dockerd does not start here"
}

# end_process PID: sends TERM, and KILL after 20 s.
end_process() {
    kill "$1" 2>/dev/null || return 0
    tries=0
    while kill -0 "$1" 2>/dev/null; do
        [ $tries -lt 100 ] || { kill -9 "$1" 2>/dev/null || :; return 0; }
        tries=$((tries + 1))
        sleep 0.2
    done
}

# --- up and down --------------------------------------------------------------------------------------------------

up() {
    probe
    [ ! -e "$STATE" ] || (down)
    mkdir -p "$FARM"
    DIR=$(mktemp -d /tmp/handoff-farm.XXXXXX)
    printf '%s\n' "$DIR" >"$STATE"
    export HANDOFF_FARM_DIR="$DIR"
    start_daemon
    integration/compose/base.sh "$FARM"
    keys
    say "  building the image and starting $HOSTS"
    compose build --quiet buildbox >"$DIR/build.log" 2>&1 || { tail -n 20 "$DIR/build.log" >&2; die "the image does not build"; }
    # shellcheck disable=SC2086 # a list of names
    compose up --detach --no-build $HOSTS >"$DIR/up.log" 2>&1 || { tail -n 20 "$DIR/up.log" >&2; die "the hosts do not start"; }
    client_files
}

# Makes one login key and one host key. The three hosts share the host key.
keys() {
    mkdir -p "$DIR/host"
    ssh-keygen -q -t ed25519 -N '' -C handoff-farm -f "$DIR/key"
    ssh-keygen -q -t ed25519 -N '' -C handoff-farm-host -f "$DIR/host/host_key"
    cp "$DIR/key.pub" "$DIR/host/authorized_keys"
    chmod 755 "$DIR/host"
    chmod 644 "$DIR/host/authorized_keys"
    chmod 711 "$DIR"
}

# Writes ssh_config, known_hosts, and a hosts.toml with the size of each host.
client_files() {
    : >"$DIR/known_hosts"
    printf '# written by integration/compose/farm.sh\n' | tee "$DIR/ssh_config" >"$DIR/hosts.toml"
    for host in $HOSTS; do
        port=$(compose port "$host" 22) && port=${port##*:}
        [ -n "$port" ] || die "$host has no port"
        printf '[127.0.0.1]:%s %s\n' "$port" "$(cut -d ' ' -f 1,2 "$DIR/host/host_key.pub")" >>"$DIR/known_hosts"
        cat >>"$DIR/ssh_config" <<END
Host $host
    HostName 127.0.0.1
    Port $port
    User dev
    IdentityFile $DIR/key
    IdentitiesOnly yes
    IdentityAgent none
    UserKnownHostsFile $DIR/known_hosts
    GlobalKnownHostsFile /dev/null
    StrictHostKeyChecking yes
END
        case $host in
            buildbox) size='cores = 1\nmemory = "1GiB"\nlabels = ["small"]' ;;
            bigbox) size='cores = 2\nmemory = "2GiB"\nlabels = ["large"]' ;;
            *) size='cores = 2\nmemory = "4GiB"\nlabels = ["large"]' ;;
        esac
        printf "\n[host.%s]\n$size\n" "$host" >>"$DIR/hosts.toml"
    done
}

down() {
    trap '' INT TERM HUP # a second Ctrl-C must not interrupt this
    [ -e "$STATE" ] || return 0
    DIR=$(cat "$STATE")
    export HANDOFF_FARM_DIR="$DIR"
    [ ! -S "$DIR/docker.sock" ] || export DOCKER_HOST="unix://$DIR/docker.sock"
    # A private daemon may have been interrupted before it answered. Its end also ends its containers.
    if ! compose down --timeout 2 --volumes >"$DIR/down.log" 2>&1; then
        [ -e "$DIR/daemon" ] || die "the hosts could not be taken down: $(tail -n 1 "$DIR/down.log")"
    fi
    if [ -e "$DIR/daemon" ]; then
        end_process "$(cat "$DIR/daemon")"
        umount "$DIR/exec/netns/default" 2>/dev/null || : # dockerd leaves this one mounted
    fi
    rm -rf "$DIR" "$STATE"
}

# --- logins and handoffs ------------------------------------------------------------------------------------------

logins() {
    for host in $HOSTS; do
        tries=0
        # shellcheck disable=SC2016 # expanded on the host
        until seen=$(ssh -F "$DIR/ssh_config" "$host" 'printf "%s, %s, agent %s, " "$(id -un)" "$(git --version)" "$(~/.local/bin/agent --version)";
            cat /sys/fs/cgroup/memory.max /sys/fs/cgroup/memory/memory.limit_in_bytes 2>/dev/null; :' 2>"$DIR/login.log" </dev/null); do
            tries=$((tries + 1))
            [ $tries -lt 40 ] || { cat "$DIR/login.log" >&2; die "no login on $host"; }
            sleep 0.25
        done
        say "  $host: $seen bytes of memory"
    done
}

handoffs() {
    if [ -z "${HANDOFF_BIN:-}" ]; then
        cargo build --release --locked --quiet || die "the binary does not build"
        HANDOFF_BIN=$PWD/target/release/handoff
    fi
    (handoff_on_each)
}

# Runs in a subshell, because it changes HOME and the working directory.
handoff_on_each() {
    export HOME="$DIR/home" XDG_CONFIG_HOME="$DIR/home/.config" XDG_STATE_HOME="$DIR/home/.local/state"
    export HANDOFF_HOSTS="$DIR/hosts.toml" HANDOFF_SSH_CONFIG="$DIR/ssh_config" GIT_CONFIG_NOSYSTEM=1
    unset SSH_AUTH_SOCK
    mkdir -p "$HOME"
    git config --global user.name "Farm Test"
    git config --global user.email farm@example.org
    cp -R config/demo/repo "$DIR/repo"
    cd "$DIR/repo"
    git init -q -b main && git add -A && git commit -qm "A project with a failing test"
    for host in $HOSTS; do
        if ! "$HANDOFF_BIN" run --host "$host" --id "farm-$host" --backoff 1s --check "sh test.sh" "make the failing test pass" >"$DIR/$host.log" 2>&1 </dev/null; then
            cat "$DIR/$host.log" >&2
            die "the handoff on $host failed"
        fi
        "$HANDOFF_BIN" diff "farm-$host" | grep -q '^[-+]' || die "the handoff on $host brought no change back"
        say "  $host: handed off, worked on and brought back"
    done
}

case ${1:-run} in
    --probe) probe ;;
    down) down ;;
    up)
        up
        logins
        say "farm: up. Try it:"
        say "  HANDOFF_SSH_CONFIG=$DIR/ssh_config HANDOFF_HOSTS=$DIR/hosts.toml handoff run --host buildbox \"your task\""
        say "and take it down with integration/compose/farm.sh down"
        ;;
    logins | run)
        trap down EXIT
        trap 'exit 130' INT TERM HUP
        up
        logins
        [ "${1:-run}" = logins ] || handoffs
        ;;
    *) die "no command ${1}; see the head of integration/compose/farm.sh" ;;
esac
