#!/usr/bin/env bash
# Builds the SDK for TypeScript and the services of the suite that run on Node, unless that has been done.
# The last line of an error says why it can't be done.
set -euo pipefail
cd "$(dirname "$0")/../../.."

fail() { echo "Detour: $*" >&2; exit 2; }

command -v node >/dev/null && command -v npm >/dev/null || fail "no Node.js with npm on this machine"
node -e 'const [major, minor] = process.versions.node.split(".").map(Number);
  process.exit(major > 18 || (major === 18 && minor >= 19) ? 0 : 1)' || fail "Node.js $(node --version) is older than 18.19"

services=tests/propagation/typescript
stamp=$services/node_modules/.built
exec 9>"${TMPDIR:-/tmp}/detour-typescript.lock"
flock 9
wanted=$({ echo "$PWD $(node --version)"
  find sdk/typescript $services -type d \( -name node_modules -o -name dist \) -prune -o -type f -print0 | sort -z | xargs -0 cat; } |
  sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

log=$(mktemp)
trap 'rm -f "$log"' EXIT
for folder in sdk/typescript "$services"; do
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error && npm run --silent build) >"$log" 2>&1 ||
    fail "npm could not build $folder: $(grep -v '^$' "$log" | tail -n 1)"
done
echo "$wanted" >"$stamp"
