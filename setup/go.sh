#!/usr/bin/env bash
# Builds the Go program that lies in a folder, into its folder `dist`, unless that has been done.
# The last line of an error says why it can't be done.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=$(cd "$1" && pwd)

say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

command -v go >/dev/null || fail "no Go on this machine"

stamp=$folder/dist/.built
exec 9>"${TMPDIR:-/tmp}/detour-go.lock"
flock 9
wanted=$({ echo "$PWD $(go version)"
  find sdk/go "$folder" -type d -name dist -prune -o -type f -print0 | sort -z | xargs -0 cat; } | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

say "building $folder ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p "$folder/dist"
(cd "$folder" && go build -buildvcs=false -o dist/service .) >"$log" 2>&1 ||
  fail "Go could not build $folder: $(grep -v '^$' "$log" | tail -n 1)"
echo "$wanted" >"$stamp"
