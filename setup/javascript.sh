#!/usr/bin/env bash
# Checks or formats the JavaScript of the web page (`check`, `format`), or looks for dead code (`unused`), there and in the
# SDK for TypeScript. Brings its tools on first use. Without Node.js it says so and does nothing.
set -euo pipefail
cd "$(dirname "$0")/.."
tools=$PWD/setup/javascript
page=src/detour/server/web/static

say() { echo "Detour: $*" >&2; }

command -v node >/dev/null && command -v npm >/dev/null || { say "no Node.js with npm: the web page's JavaScript is not checked"; exit 0; }

install_tools() {
  local stamp=$tools/node_modules/.lock
  cmp -s "$tools/package-lock.json" "$stamp" && return
  exec 9>"${TMPDIR:-/tmp}/detour-javascript.lock"
  flock 9
  (cd "$tools" && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
  cp "$tools/package-lock.json" "$stamp"
}

# Modules and exports of the page that nothing imports; knip wants a package.
unused_in_page() {
  local copy status=0
  copy=$(mktemp -d)
  cp "$page"/*.js "$copy"
  echo '{"name": "page", "type": "module", "knip": {"entry": ["app.js", "theme.js"], "project": ["*.js"]}}' >"$copy/package.json"
  "$tools/node_modules/.bin/knip" --no-progress --directory "$copy" || status=$?
  rm -rf "$copy"
  return "$status"
}

install_tools
case "${1:-}" in
  check) "$tools/node_modules/.bin/biome" check --error-on-warnings --log-level=error ;;
  format) "$tools/node_modules/.bin/biome" check --write ;;
  unused)
    unused_in_page
    [ -d sdk/typescript/node_modules ] || (cd sdk/typescript && npm ci --no-audit --no-fund --loglevel=error >/dev/null)
    "$tools/node_modules/.bin/knip" --no-progress --directory sdk/typescript
    ;;
  *) say "usage: $0 check|format|unused"; exit 2 ;;
esac
