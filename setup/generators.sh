#!/usr/bin/env bash
# Installs the generators of API clients that tests run on the OpenAPI document, unless that has been done.
# The last line of an error says why it can't be done.
set -euo pipefail
cd "$(dirname "$0")/.."
folder=tests/generators

say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

command -v node >/dev/null && command -v npm >/dev/null || fail "no Node.js with npm on this machine"

stamp=$folder/node_modules/.installed
exec 9>"${TMPDIR:-/tmp}/detour-generators.lock"
flock 9
wanted=$({ echo "$PWD $(node --version)"; cat setup/generators.sh "$folder"/requirements.lock "$folder"/package*.json; } | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

say "installing generators of API clients ..."
log=$(mktemp)
trap 'rm -f "$log"' EXIT
{ .venv/bin/uv venv --quiet --clear --python .venv/bin/python "$folder/.venv" &&
  .venv/bin/uv pip sync --quiet --python "$folder/.venv/bin/python" --require-hashes "$folder/requirements.lock" &&
  (cd "$folder" && npm ci --no-audit --no-fund --loglevel=error); } >"$log" 2>&1 ||
  fail "the generators could not be installed: $(grep -v '^$' "$log" | tail -n 1)"
echo "$wanted" >"$stamp"
