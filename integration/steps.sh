# shellcheck shell=sh disable=SC2034 # some of these are read by integration/run
# The steps of integration/run, which reads this file, and what they need.

install=yes # or no
one=        # the step of this process
why=        # the reason for its skip
LOGS=$PWD/target/run
TOOLS=$PWD/target/tools
CARGO_DENY_VERSION=0.20.2
CARGO_FUZZ_VERSION=0.13.1
CARGO_NEXTEST_VERSION=0.9.143
ZIGLANG_VERSION=0.17.0 # a C compiler for macOS that runs anywhere
MACOS=aarch64-apple-darwin
FUZZ_SECONDS=60 # each target
FUZZ_AT_ONCE=2
export CARGO_TERM_COLOR="${CARGO_TERM_COLOR:-never}" CARGO_INCREMENTAL="${CARGO_INCREMENTAL:-0}"
export HANDOFF_TEST_TOOLS="$TOOLS" # the npm packages of the tests with real agents
export PATH="$TOOLS/bin:$PATH"

# Seconds of each step on two cores while both lanes run: from a fresh clone, and when everything is built.
FRESH_SECONDS="format=5 shellcheck=15 lint=290 macos=105 supply-chain=115 fuzz=650 unit=1500 sshd=235 faults=1070 hostile=640 demo=720 farm=150"
BUILT_SECONDS="format=5 shellcheck=15 lint=50 macos=40 supply-chain=20 fuzz=260 unit=1000 sshd=200 faults=900 hostile=640 demo=20 farm=120"

# Prints to the terminal, and in a step to its log too.
say() {
    [ -z "$one" ] || printf '%s\n' "$*"
    printf '%s\n' "${one:+  $one:}$*" >&3
}

have() { command -v "$1" >/dev/null 2>&1; }

# --- installing -------------------------------------------------------------------------------------------------

as_root() {
    if [ "$(id -u)" = 0 ]; then "$@"; else sudo -n "$@"; fi
}

may_be_root() { [ "$(id -u)" = 0 ] || { have sudo && sudo -n true 2>/dev/null; }; }

apt_updated=no
# packages <apt names> -- <brew names>: installs them, or prints why it cannot.
packages() {
    apt_names='' brew_names='' side=apt
    for name in "$@"; do
        case $name in
            --) side=brew ;;
            *) if [ $side = apt ]; then apt_names="$apt_names $name"; else brew_names="$brew_names $name"; fi ;;
        esac
    done
    if [ $install = no ]; then
        say "  not installed (--no-install):$apt_names"
        return 1
    elif have apt-get && may_be_root; then
        say "  apt-get install$apt_names"
        if [ $apt_updated = no ]; then
            as_root apt-get update -qq >/dev/null 2>&1 || say "  apt-get update failed; the lists at hand are used"
            apt_updated=yes
        fi
        # shellcheck disable=SC2086 # a list of names
        said=$(as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $apt_names 2>&1) ||
            { printf '%s\n' "$said" | tail -n 5 | sed 's/^/    /'; return 1; }
    elif have brew && [ -n "$brew_names" ]; then
        say "  brew install$brew_names"
        # shellcheck disable=SC2086
        HOMEBREW_NO_AUTO_UPDATE=1 brew install --quiet $brew_names >/dev/null
    else
        say "  missing, and neither apt with root nor brew is here to install it:$apt_names"
        return 1
    fi
}

# need <command> <apt names> -- <brew names>
need() {
    command=$1
    shift
    have "$command" || { packages "$@"; have "$command"; }
}

# --- steps: 0 passed, 77 skipped with the reason in $why, anything else failed ------------------------------------

skip() { why=$*; return 77; }

component() {
    cargo "$1" --version >/dev/null 2>&1 && return 0
    [ $install = yes ] && have rustup && say "  rustup component add $2" && rustup component add "$2" >/dev/null 2>&1
    cargo "$1" --version >/dev/null 2>&1 || { need "cargo-$1" "$2" -- "$2" && cargo "$1" --version >/dev/null 2>&1; }
}

prepare_format() { component fmt rustfmt; }

step_format() {
    component fmt rustfmt || { skip "rustfmt is not installed"; return; }
    cargo fmt --check && cargo fmt --check --manifest-path fuzz/Cargo.toml
}

prepare_lint() { component clippy clippy; }

step_lint() {
    component clippy clippy || { skip "clippy is not installed"; return; }
    cargo clippy --locked --all-targets --all-features -- -D warnings || return 1
    RUSTDOCFLAGS="-D warnings" cargo doc --locked --no-deps --document-private-items --all-features
}

# Checks that everything compiles for macOS. It links and runs nothing, so no Mac is needed.
prepare_macos() {
    component clippy clippy
    if ! has_target && [ $install = yes ] && have rustup; then
        say "  rustup target add $MACOS"
        rustup target add "$MACOS" >/dev/null 2>&1
    fi
    [ "$(uname -s)" = Darwin ] || python3 -m pip --version >/dev/null 2>&1 || packages python3-pip -- python
}

step_macos() {
    component clippy clippy || { skip "clippy is not installed"; return; }
    target=$MACOS
    has_target || { skip "Rust's standard library for $target is not installed (rustup target add $target)"; return; }
    # Part of the cryptography is written in C.
    if [ "$(uname -s)" != Darwin ]; then
        macos_compiler || { skip "a C compiler for macOS is not installed"; return; }
        export CC_aarch64_apple_darwin="$TOOLS/macos-cc"
    fi
    CARGO_TARGET_DIR=$PWD/target/macos cargo clippy --locked --all-targets --all-features --target "$target" -- -D warnings
}

has_target() { [ -n "$(ls "$(rustc --print target-libdir --target "$MACOS")" 2>/dev/null)" ]; }

# Makes target/tools/macos-cc, a compiler from a Python package.
macos_compiler() {
    zig=$TOOLS/zig/ziglang/zig
    if [ ! -x "$zig" ]; then
        [ $install = yes ] || return 1
        python3 -m pip --version >/dev/null 2>&1 || return 1
        say "  pip install ziglang $ZIGLANG_VERSION (100 MB, once; kept in target/tools)"
        python3 -m pip install --quiet --disable-pip-version-check --target "$TOOLS/zig" "ziglang==$ZIGLANG_VERSION" \
            >/dev/null 2>&1 || return 1
    fi
    # cargo passes a target name that this compiler does not know.
    cat >"$TOOLS/macos-cc" <<END && chmod +x "$TOOLS/macos-cc"
#!/bin/sh
for word; do
    shift
    case \$word in --target=*) ;; *) set -- "\$@" "\$word" ;; esac
done
export ZIG_GLOBAL_CACHE_DIR='$TOOLS/zig/cache' ZIG_LOCAL_CACHE_DIR='$TOOLS/zig/cache'
exec '$zig' cc -target aarch64-macos "\$@"
END
}

# Every file of the project that is a shell script by its name or its first line, without ignored files.
scripts() {
    git ls-files -co --exclude-standard | while IFS= read -r file; do
        case ${file##*/} in
            *.sh) printf '%s\n' "$file" ;;
            *.*) ;;
            *) [ ! -f "$file" ] || ! head -n 1 "$file" | grep -qE '^#! ?(/usr)?/bin/(env )?(ba|da)?sh' || printf '%s\n' "$file" ;;
        esac
    done
}

prepare_shellcheck() { need shellcheck shellcheck -- shellcheck; }

step_shellcheck() {
    have shellcheck || { skip "shellcheck is not installed"; return; }
    list=$(scripts) || return 1
    say "  $(printf '%s\n' "$list" | wc -l | tr -d ' ') scripts"
    printf '%s\n' "$list" | tr '\n' '\0' | xargs -0 shellcheck
}

# with_skips <command>…: runs tests, and lists the ones that could not run on this machine.
with_skips() {
    HANDOFF_TEST_SKIPS=$LOGS/$one.skips
    export HANDOFF_TEST_SKIPS
    : >"$HANDOFF_TEST_SKIPS" || return 1
    status=0
    "$@" || status=1
    [ ! -s "$HANDOFF_TEST_SKIPS" ] || say "  $(wc -l <"$HANDOFF_TEST_SKIPS" | tr -d ' ') skipped tests:"
    sort "$HANDOFF_TEST_SKIPS" | sed 's/^/    /' | while IFS= read -r line; do say "$line"; done
    return $status
}

# One set of features for all tests, so that the library is compiled once.
FEATURES="--locked --features integration"

# Runs tests with cargo-nextest, each in a process of its own and with a limit of time: .config/nextest.toml.
# The tests wait more than they compute, so one more than the number of cores runs at once.
tests() {
    cores=$(getconf _NPROCESSORS_ONLN 2>/dev/null) || cores=2
    # shellcheck disable=SC2086 # a list of words
    cargo nextest run $FEATURES --test-threads $((cores + 1)) "$@"
}

prepare_tests() {
    cargo nextest --version >/dev/null 2>&1 && return 0
    [ $install = yes ] || return 1
    say "  cargo install cargo-nextest $CARGO_NEXTEST_VERSION (minutes, once; kept in target/tools)"
    cargo install --debug cargo-nextest --version $CARGO_NEXTEST_VERSION --locked --quiet --root "$TOOLS"
}

# A test that needs a missing one of these is reported as skipped.
prepare_unit() {
    prepare_tests
    need git-crypt git-crypt -- git-crypt
    need git-annex git-annex -- git-annex
    need git-lfs git-lfs -- git-lfs
    need mkfs.vfat dosfstools --
    need mkfs.ext4 e2fsprogs --
}

step_unit() { with_skips tests --lib --bins --test layers --test docs --test cli; }

# Users build the release profile.
step_demo() { cargo run --locked --release -- demo </dev/null; }

# without_service <unit>…: Debian starts a package's service at its installation. The tests need only the program.
without_service() {
    { [ -d /run/systemd/system ] && [ $install = yes ] && have apt-get && may_be_root; } || return 0
    say "  masked, so that no service starts ('systemctl unmask' when you want it): $*"
    as_root systemctl mask --quiet "$@"
}

has_sshd() { have sshd || [ -x /usr/sbin/sshd ]; }

# If another one is missing, only the tests that need it are skipped, and each one is reported.
prepare_sshd() {
    prepare_tests
    has_sshd || { without_service ssh.service ssh.socket; packages openssh-server -- openssh; }
    need ssh openssh-client -- openssh
    need busybox busybox --
    need dropbear dropbear-bin -- dropbear
    need python3 python3-minimal -- python
    need npm npm -- node
    python3 -m pip --version >/dev/null 2>&1 || packages python3-pip -- python
}

step_sshd() {
    has_sshd || { skip "OpenSSH's sshd is not installed"; return; }
    have ssh || { skip "OpenSSH's ssh is not installed"; return; }
    with_skips tests --test integration
}

prepare_faults() {
    prepare_tests
    has_sshd || { without_service ssh.service ssh.socket; packages openssh-server -- openssh; }
    need ssh openssh-client -- openssh
    for command in fish zsh tcsh; do need $command $command -- $command; done
    need dropbear dropbear-bin -- dropbear
    need busybox busybox -- busybox
    need mkfs.ext4 e2fsprogs --
    need ss iproute2 --
    need git-crypt git-crypt -- git-crypt
    need git-annex git-annex -- git-annex
}

# Runs one test for each row of the fault matrix, and compares docs/faults.md with the results.
step_faults() {
    has_sshd || { skip "OpenSSH's sshd is not installed"; return; }
    HANDOFF_FAULTS=$PWD/target/faults
    export HANDOFF_FAULTS
    rm -rf "$HANDOFF_FAULTS" && mkdir -p "$HANDOFF_FAULTS" || return 1
    with_skips tests --test faults || return 1
    # shellcheck disable=SC2086 # a list of words
    rows=$(cargo test --quiet $FEATURES --test faults -- --ignored --exact --nocapture report::the_page_says_what_the_run_found 2>&1)
    status=$?
    printf '%s\n' "$rows"
    say "$(printf '%s\n' "$rows" | LC_ALL=C grep -a ' rows passed')"
    return $status
}

prepare_hostile() {
    has_sshd || { without_service ssh.service ssh.socket; packages openssh-server -- openssh; }
    need ssh openssh-client -- openssh
}

# Runs the same random stories each time, for ten minutes. On a slow machine they end 45 minutes after the start of the
# whole run, but run for at least one. HANDOFF_HOSTILE_SECONDS=36000 sets ten hours, HANDOFF_HOSTILE_FIRST=N selects other
# stories, HANDOFF_SEED=N runs one story.
step_hostile() {
    has_sshd || { skip "OpenSSH's sshd is not installed"; return; }
    left=$((HANDOFF_RUN_BEGAN + 2700 - $(date +%s)))
    [ $left -le 600 ] || left=600
    [ $left -ge 60 ] || left=60
    HANDOFF_HOSTILE_SECONDS=${HANDOFF_HOSTILE_SECONDS:-$left} HANDOFF_HOSTILE_FIRST=${HANDOFF_HOSTILE_FIRST:-1}
    export HANDOFF_HOSTILE_SECONDS HANDOFF_HOSTILE_FIRST
    say "  stories from $HANDOFF_HOSTILE_FIRST on for $HANDOFF_HOSTILE_SECONDS s"
    # This is one test; HANDOFF_HOSTILE_SECONDS sets how long it runs.
    # shellcheck disable=SC2086 # a list of words
    with_skips cargo test $FEATURES --test hostile -- --nocapture
}

prepare_fuzz() { need c++ g++ --; }

# A run keeps its corpus in target/fuzz/corpus. An input that breaks a target is stored in fuzz/artifacts.
step_fuzz() {
    have c++ || { skip "a C++ compiler is not installed"; return; }
    if ! cargo fuzz --version >/dev/null 2>&1; then
        [ $install = yes ] || { skip "cargo-fuzz is not installed (cargo install cargo-fuzz --locked)"; return; }
        say "  cargo install cargo-fuzz $CARGO_FUZZ_VERSION (a minute, once; kept in target/tools)"
        # The build without optimisation takes a third of the time, and the result is fast enough.
        cargo install --debug cargo-fuzz --version $CARGO_FUZZ_VERSION --locked --quiet --root "$TOOLS" ||
            { skip "cargo-fuzz could not be installed"; return; }
    fi
    if ! said=$(cargo fetch --locked --quiet --manifest-path fuzz/Cargo.toml 2>&1); then
        # An outdated lock file is a fault of the project. An unreachable registry is not.
        case $said in *"lock file"*) printf '%s\n' "$said"; return 1 ;; esac
        skip "the crates cannot be fetched"
        return
    fi
    host=$(rustc -vV | sed -n 's/^host: //p')
    # The coverage flags need nightly features. Without a sanitizer the stable compiler has all of them.
    RUSTC_BOOTSTRAP=1 cargo fuzz build --sanitizer none --target "$host" --target-dir target/fuzz || return 1
    lanes='' lane=0
    while [ $lane -lt $FUZZ_AT_ONCE ]; do
        fuzz_lane $lane &
        lanes="$lanes $!" lane=$((lane + 1))
    done
    bad=0
    for lane in $lanes; do wait "$lane" || bad=1; done
    return $bad
}

# Every FUZZ_AT_ONCE-th target, one after the other.
fuzz_lane() {
    turn=0 broken=0
    for source in fuzz/targets/*.rs; do
        turn=$((turn + 1))
        [ $((turn % FUZZ_AT_ONCE)) = "$1" ] || continue
        name=${source##*/}
        name=${name%.rs}
        seeds=fuzz/seeds/$name
        # Other tests use the same real output of agents.
        [ "$name" != dialects ] || seeds=tests/fixtures/agents
        mkdir -p "target/fuzz/corpus/$name" "fuzz/artifacts/$name" || return 1
        if "target/fuzz/$host/release/$name" -max_total_time="$FUZZ_SECONDS" -max_len=16384 -timeout=20 \
            -rss_limit_mb=1024 -artifact_prefix="fuzz/artifacts/$name/" "target/fuzz/corpus/$name" "$seeds" \
            >"target/fuzz/$name.log" 2>&1; then
            say "  $name: $(sed -n 's/^Done \([0-9]*\) runs in \([0-9]*\).*/\1 inputs in \2 s/p' "target/fuzz/$name.log")"
        else
            say "  $name: BROKEN; target/fuzz/$name.log ends"
            tail -n 25 "target/fuzz/$name.log" | sed 's/^/    /'
            broken=1
        fi
    done
    return $broken
}

step_supply_chain() {
    if ! cargo deny --version >/dev/null 2>&1; then
        [ $install = yes ] || { skip "cargo-deny is not installed (cargo install cargo-deny --locked)"; return; }
        say "  cargo install cargo-deny $CARGO_DENY_VERSION (minutes, once; kept in target/tools)"
        cargo install --debug cargo-deny --version $CARGO_DENY_VERSION --locked --quiet --root "$TOOLS" ||
            { skip "cargo-deny could not be installed"; return; }
    fi
    # The graph includes crates for other systems, which no build on this machine has fetched.
    cargo fetch --locked --quiet || { skip "the crates cannot be fetched"; return; }
    cargo deny --locked --offline check bans licenses sources || return 1
    if git ls-remote https://github.com/rustsec/advisory-db HEAD >/dev/null 2>&1; then
        cargo deny --locked check advisories
    else
        say "  skipped: advisories (the advisory database cannot be reached from here)"
    fi
}

# A running daemon is enough. Without one, Debian's packages have everything to start a private one.
prepare_farm() {
    integration/compose/farm.sh --probe >/dev/null 2>&1 && return 0
    if ! have docker || ! docker info >/dev/null 2>&1; then
        need debootstrap debootstrap --
        if ! have docker || ! have dockerd; then
            without_service docker.service docker.socket containerd.service
            # Newer releases of Debian have a separate package for the client.
            client=
            apt-cache show docker-cli >/dev/null 2>&1 && client=docker-cli
            # shellcheck disable=SC2086 # a name or none
            packages docker.io $client -- || :
        fi
    fi
    have docker-compose || docker compose version >/dev/null 2>&1 || need docker-compose docker-compose -- docker-compose
}

step_farm() {
    why=$(integration/compose/farm.sh --probe 2>&1) || return 77
    integration/compose/farm.sh
}
