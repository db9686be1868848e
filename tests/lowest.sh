#!/usr/bin/env bash
# Runs a part of the tests with the lowest versions that pyproject.toml allows: first the SDK alone, then all that ships.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$PWD/.venv/bin/uv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Makes an environment with the lowest versions of what is asked for directly, by these extras.
environment() {
  local name=$1 extras=() extra
  shift
  for extra in "$@"; do extras+=(--extra "$extra"); done
  "$uv" pip compile --quiet --resolution lowest-direct --python-version 3.11 pyproject.toml "${extras[@]}" \
    --prerelease if-necessary-or-explicit --no-header --no-annotate --output-file "$folder/$name.txt" >/dev/null
  "$uv" venv --quiet --python .venv/bin/python "$folder/$name"
  "$uv" pip install --quiet --python "$folder/$name" -r "$folder/$name.txt" pytest pytest-asyncio hypothesis
  "$uv" pip install --quiet --python "$folder/$name" --no-deps --editable .
}

tested() {
  "$folder/$1/bin/python" -m pytest -q -p no:cacheprovider -W default "${@:2}"
}

environment sdk
tested sdk tests/overrides/test_baggage.py tests/overrides/test_kinds.py tests/sdk/test_kinds.py tests/sdk/test_request.py tests/sdk/test_propagator.py tests/sdk/test_flags.py \
  tests/sdk/test_scope.py tests/sdk/test_logs.py tests/sdk/mends/test_message.py
environment all server kubernetes openfeature
tested all tests/server/test_serving.py tests/server/test_api.py tests/server/test_metrics.py tests/server/test_scenarios.py \
  tests/xds/test_golden.py tests/install/test_manifests.py tests/injection/test_manifests.py tests/discovery/kubernetes \
  tests/sdk/test_openfeature.py
