#!/usr/bin/env bash
# Builds the SDK for TypeScript, and what lies in a folder and depends on it, unless that has been done.
# The last line of an error says why it can't be done.
set -euo pipefail
folder=$1
cd "$(dirname "$0")/.."

say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

command -v node >/dev/null && command -v npm >/dev/null || fail "no Node.js with npm on this machine"
node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
  process.exit(major > 18 || (major === 18 && minor >= 19) ? 0 : 1)' || fail "Node.js $(node --version) is older than 18.19"

stamp=$folder/node_modules/.built
exec 9>"${TMPDIR:-/tmp}/detour-typescript.lock"
flock 9
wanted=$({ echo "$PWD $(node --version)"
  find sdk/typescript "$folder" -type d \( -name node_modules -o -name dist \) -prune -o -type f -print0 | sort -z | xargs -0 cat; } |
  sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

say "building $folder ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for part in sdk/typescript "$folder"; do
  (cd "$part" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) >"$log" 2>&1 ||
    fail "npm could not build $part: $(grep -v '^$' "$log" | tail -n 1)"
done
echo "$wanted" >"$stamp"
