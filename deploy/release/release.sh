#!/usr/bin/env bash
# Publishes one artifact of a tagged version; the release workflow runs it as `make release`. Settings are environment variables:
#   WHAT             check, image, index, chart, python, npm or go
#   GITHUB_REF_NAME  the tag, such as v0.1.0
#   IMAGE            the image's name in its registry, without a tag; REGISTRY, ACTOR and TOKEN sign in there
# Outputs for later steps, such as digests, go to the file GITHUB_OUTPUT.
set -euo pipefail
cd "$(dirname "$0")/../.."

fail() { echo "Detour: $*" >&2; exit 2; }

version=${GITHUB_REF_NAME:?}
version=${version#v}
output() { echo "$1" >>"${GITHUB_OUTPUT:?}"; }

# The tag, the packages and the chart must agree, or nothing is published.
check() {
  grep -qx "__version__ = \"$version\"" src/detour/__init__.py || fail "src/detour/__init__.py has another version than $version"
  grep -qx "version: $version" deploy/helm/detour/Chart.yaml || fail "Chart.yaml has another version than $version"
  grep -qx "appVersion: \"$version\"" deploy/helm/detour/Chart.yaml || fail "Chart.yaml has another appVersion than $version"
  grep -q "^  \"version\": \"$version\",$" sdk/typescript/package.json || fail "package.json has another version than $version"
  output "version=$version"
}

# One architecture, on a machine of that kind.
image() {
  local tag architecture
  architecture=$(docker version --format '{{.Server.Arch}}')
  tag=$IMAGE:$version-$architecture
  docker login --username "$ACTOR" --password-stdin "$REGISTRY" <<<"$TOKEN"
  IMAGE=$tag BUILDER=docker deploy/image/build.sh
  docker push --quiet "$tag"
}

# The image of all architectures.
index() {
  docker login --username "$ACTOR" --password-stdin "$REGISTRY" <<<"$TOKEN"
  docker buildx imagetools create --tag "$IMAGE:$version" "$IMAGE:$version-amd64" "$IMAGE:$version-arm64"
  output "digest=$(docker buildx imagetools inspect "$IMAGE:$version" --format '{{.Manifest.Digest}}')"
}

# The published chart uses the published image.
chart() {
  local pushed
  helm registry login --username "$ACTOR" --password-stdin "$REGISTRY" <<<"$TOKEN"
  sed -i "s|^  repository: detour$|  repository: $IMAGE|" deploy/helm/detour/values.yaml
  grep -qx "  repository: $IMAGE" deploy/helm/detour/values.yaml || fail "values.yaml has no line with the image's name"
  helm lint --strict deploy/helm/detour
  helm package deploy/helm/detour --destination dist
  pushed=$(helm push "dist/detour-$version.tgz" "oci://$IMAGE-charts" 2>&1)
  echo "$pushed"
  output "digest=$(sed -n 's/^Digest: //p' <<<"$pushed")"
}

# PyPI trusts the workflow: no token is stored.
python() {
  .venv/bin/python -m hatchling build --directory dist/python
  .venv/bin/uv publish --trusted-publishing always dist/python/*
}

npm_package() { (cd sdk/typescript && npm ci && npm publish --provenance --access public); }

# A Go module in a folder has tags of its own; the module proxy reads the module from the repository.
go_module() {
  (cd sdk/go && go vet ./... && go build ./...)
  mkdir -p dist
  git archive --format=zip --output "dist/sdk-go-$version.zip" HEAD sdk/go
  git tag "sdk/go/v$version"
  git push origin "sdk/go/v$version"
}

case ${WHAT:-} in
  check | image | index | chart | python) "$WHAT" ;;
  npm) npm_package ;;
  go) go_module ;;
  *) fail "WHAT is '${WHAT:-}', not check, image, index, chart, python, npm or go" ;;
esac
