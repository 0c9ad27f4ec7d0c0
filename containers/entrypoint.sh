#!/bin/sh
# Runs the BIDS App, or the program that is named first, as any user and with a root file system that is read-only.
# What libraries cache goes into a folder of this user alone, in the folder for temporary files.
set -eu

cache="${TMPDIR:-/tmp}/diffad-$(id -u)"
mkdir -p -m 700 "$cache" 2>/dev/null || true
if [ ! -d "$cache" ] || [ -L "$cache" ] || [ ! -O "$cache" ] || [ ! -w "$cache" ]; then
    cache=$(mktemp -d)
fi
if [ ! -w "${HOME:-/}" ]; then
    export HOME="$cache"
fi
export MPLCONFIGDIR="${MPLCONFIGDIR:-$cache/matplotlib}"
export NUMBA_CACHE_DIR="${NUMBA_CACHE_DIR:-$cache/numba}"
export XDG_CACHE_HOME="${XDG_CACHE_HOME:-$cache/cache}"
export DENO_DIR="${DENO_DIR:-$cache/deno}"

case "${1:-}" in
diffad | diffad-bids | python | python3 | sh | bash) exec "$@" ;;
*) exec diffad-bids "$@" ;;
esac
