#!/usr/bin/env bash
# Installs what building the image from scratch needs. Where it can't be had: one line that says what, and status 2.
set -euo pipefail

say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

packages=()
for one in buildah mmdebstrap; do command -v "$one" >/dev/null || packages+=("$one"); done
[ "$(id -u)" = 0 ] || fail "building the image from scratch needs root"
[ ${#packages[@]} != 0 ] || exit 0
command -v apt-get >/dev/null || fail "building the image from scratch needs what Debian has as ${packages[*]}"
say "installing Debian's ${packages[*]} ..."
export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
log=$({ apt-get -qq update && apt-get -qq install -y --no-install-recommends "${packages[@]}"; } 2>&1) ||
  fail "apt-get could not install ${packages[*]}: $log"
