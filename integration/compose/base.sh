#!/bin/sh
# Makes sure that the image debian:bookworm-slim exists. If it is missing, it is pulled, or else made with debootstrap.
#
#   integration/compose/base.sh CACHE-DIRECTORY
#
# debootstrap needs root and Debian's package archive, but no image registry. Its result is kept as
# CACHE-DIRECTORY/bookworm.tar. The script uses the daemon in DOCKER_HOST.
set -eu
image=debian:bookworm-slim
cache=${1:?a directory for what debootstrap makes}

docker image inspect $image >/dev/null 2>&1 && exit 0
if timeout 120 docker pull --quiet $image 2>/dev/null; then
    exit 0
fi

if [ ! -s "$cache/bookworm.tar" ]; then
    command -v debootstrap >/dev/null || { echo "no image registry is reachable, and debootstrap is missing" >&2; exit 1; }
    [ "$(id -u)" = 0 ] || { echo "no image registry is reachable, and debootstrap needs root" >&2; exit 1; }
    echo "  no image registry: making $image with debootstrap"
    mkdir -p "$cache"
    root=$(mktemp -d)
    trap 'rm -rf "$root"' EXIT
    # On a file system mounted nodev or noexec debootstrap fails with its own message. TMPDIR selects another directory.
    debootstrap --variant=minbase bookworm "$root" >"$cache/debootstrap.log" 2>&1 ||
        { tail -n 5 "$cache/debootstrap.log" >&2; exit 1; }
    rm -rf "$root"/var/cache/apt/archives/*.deb "$root"/usr/share/doc/* "$root"/usr/share/man/*
    tar -C "$root" -cf "$cache/bookworm.tar.part" .
    mv "$cache/bookworm.tar.part" "$cache/bookworm.tar"
fi
docker import "$cache/bookworm.tar" $image >/dev/null
