#!/usr/bin/env bash
# Brings the jars of a program into the user's cache, once, and prints their folder: jars.sh kafka | elasticmq | FOLDER
# The last line of an error says why they can't be had.
set -euo pipefail
cd "$(dirname "$0")"
cd "$1"

fail() { echo "Detour: $*" >&2; exit 2; }

folder="${XDG_CACHE_HOME:-$HOME/.cache}/detour/jars/$(basename "$PWD")-$(sha256sum pom.xml | cut -c1-16)"
if [ ! -e "$folder" ]; then
  command -v java >/dev/null || fail "no Java on this machine"
  command -v mvn >/dev/null || fail "no Maven on this machine (Debian's package: maven)"
  made=$(mktemp -d "${TMPDIR:-/tmp}/detour-jars-XXXXXX")
  trap 'rm -rf "$made"' EXIT
  mvn -q -B dependency:copy-dependencies -DoutputDirectory="$made/jars" >"$made/log" 2>&1 ||
    fail "Maven could not fetch $1: $(grep -m1 ERROR "$made/log" || true)"
  mkdir -p "$(dirname "$folder")"
  mv -T "$made/jars" "$folder" 2>/dev/null || [ -e "$folder" ]
fi
echo "$folder"
