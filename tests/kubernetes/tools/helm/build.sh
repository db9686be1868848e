#!/usr/bin/env bash
# Makes Helm, which checks and renders the chart; prints the folder that holds it. Built once, as the cluster's programs are.
set -euo pipefail
cd "$(dirname "$0")"

cache=${XDG_CACHE_HOME:-$HOME/.cache}/detour/helm
say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

# Where the machine has no Go, the cluster's programs were built with one of their own.
go=$(command -v go || echo "${XDG_CACHE_HOME:-$HOME/.cache}/detour/kubernetes/go/go/bin/go")
[ -x "$go" ] || fail "Helm needs Go to be built: run tests/kubernetes/tools/build.sh first"
export GOTOOLCHAIN=local GOFLAGS=-buildvcs=false CGO_ENABLED=0

# Helm's releases are told which Kubernetes they are for; otherwise it takes 1.20, and refuses charts for later ones.
util=helm.sh/helm/v3/pkg/chartutil
rules=helm.sh/helm/v3/pkg/lint/rules
flags="-s -w -X $util.k8sVersionMajor=1 -X $util.k8sVersionMinor=34 -X $rules.k8sVersionMajor=1 -X $rules.k8sVersionMinor=34"
key=$({ cat go.mod go.sum; echo "$flags"; "$go" env GOVERSION GOARCH; } | sha256sum | cut -c1-16)

mkdir -p "$cache"
exec 9>"$cache/lock"
flock 9
if [ ! -d "$cache/$key" ]; then
  say "building Helm (the first time takes a minute or two) ..."
  rm -rf "$cache/$key.part" && mkdir "$cache/$key.part"
  "$go" build -trimpath -ldflags "$flags" -o "$cache/$key.part/helm" helm.sh/helm/v3/cmd/helm ||
    fail "go build of Helm failed, for the reasons above"
  mv -T "$cache/$key.part" "$cache/$key"
fi
echo "$cache/$key"
