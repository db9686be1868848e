#!/usr/bin/env bash
# Makes .venv, with exactly what requirements.lock says. Does nothing if that has been done; safe to repeat.
# With the word "tests" it brings as well what some tests need, and skip without: root, and programs that redirect.
set -euo pipefail
cd "$(dirname "$0")/.."

python=${PYTHON:-python3}
stamp=.venv/.requirements
purpose=${1:-}

say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

# What parts of the demo and of the tests are left out without.
wished_packages() {
  command -v redis-server >/dev/null || echo redis-server
  [ "$purpose" = tests ] || return 0
  command -v nginx >/dev/null || [ -x /usr/sbin/nginx ] || echo nginx-light
  command -v chromium >/dev/null || echo chromium
  [ -x /usr/sbin/rabbitmq-server ] || echo rabbitmq-server
  compgen -G '/usr/lib/postgresql/*/bin/initdb' >/dev/null || echo postgresql
}

# Needed beside Python: a package's program, or a test for it, and the Debian package that brings it.
missing_packages() {
  "$python" -c 'import ensurepip, venv' 2>/dev/null || echo python3-venv
  command -v curl >/dev/null || echo curl
  [ "$purpose" = tests ] && [ "$(id -u)" = 0 ] || return 0
  command -v iptables >/dev/null || echo iptables
  command -v ip >/dev/null || echo iproute2
}

can_install() { [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; }

# Installs packages, and starts none of the services that they bring.
install_packages() {
  local policy=/usr/sbin/policy-rc.d made='' log status=0
  say "installing Debian's $* ..."
  if [ ! -e "$policy" ]; then printf '#!/bin/sh\nexit 101\n' >"$policy" && chmod +x "$policy" && made=yes; fi
  export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
  log=$({ apt-get -qq update && apt-get -qq -o DPkg::Lock::Timeout=120 install -y --no-install-recommends "$@"; } 2>&1) || status=$?
  [ -z "$made" ] || rm -f "$policy"
  [ "$status" = 0 ] || { say "apt-get could not install $*: $log"; return 1; }
}

# Made in this place, by this Python, to the end: scripts in bin/ name the place, packages lie in the Python's own folder.
environment_fits() {
  grep -qs "^version = $version\." .venv/pyvenv.cfg && grep -qsF " $PWD/.venv" .venv/pyvenv.cfg &&
    .venv/bin/python -c 'import pip' 2>/dev/null
}

version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2]); sys.exit(sys.version_info < (3, 11))' 2>/dev/null) ||
  fail "needs Python 3.11 or later as $python (set PYTHON to use another one)"
mapfile -t packages < <(missing_packages)
if [ ${#packages[@]} != 0 ]; then
  can_install || fail "missing: ${packages[*]}. Install with: sudo apt-get install ${packages[*]}"
  install_packages "${packages[@]}" || exit 2
fi
mapfile -t packages < <(wished_packages)
if [ ${#packages[@]} != 0 ] && can_install; then
  install_packages "${packages[@]}" || say "going on without ${packages[*]}"
fi

wanted=$({ echo "$version $PWD"; cat setup/environment.sh setup/uv.lock requirements.lock pyproject.toml; } | sha256sum)
[ "$(cat "$stamp" 2>/dev/null)" = "$wanted" ] && exit 0

if ! environment_fits; then
  say "making a virtual environment in .venv ..."
  "$python" -m venv --clear .venv
fi
say "installing what requirements.lock names (Envoy is 100 MB; the first time takes a minute) ..."
.venv/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r setup/uv.lock
.venv/bin/uv pip sync --quiet --python .venv/bin/python --require-hashes requirements.lock
.venv/bin/uv pip install --quiet --python .venv/bin/python --no-deps --no-build-isolation --editable .
echo "$wanted" >"$stamp"
