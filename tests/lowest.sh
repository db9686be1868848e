#!/usr/bin/env bash
# Runs a part of the tests with the lowest versions that pyproject.toml allows: what ships without extras, then with each
# of them, in environments of their own.
set -euo pipefail
cd "$(dirname "$0")/.."
uv=$PWD/.venv/bin/uv
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT

# Makes an environment for an extra ("" for none), with the lowest versions of what pyproject.toml asks for.
environment() {
  local extra=$1 name=${1:-none}
  "$uv" pip compile --quiet --resolution lowest-direct --python-version 3.11 pyproject.toml ${extra:+--extra "$extra"} \
    --prerelease if-necessary-or-explicit --no-header --no-annotate --output-file "$folder/$name.txt" >/dev/null
  "$uv" venv --quiet --python .venv/bin/python "$folder/$name"
  "$uv" pip install --quiet --python "$folder/$name" -r "$folder/$name.txt" pytest pytest-asyncio pytest-xdist hypothesis
  "$uv" pip install --quiet --python "$folder/$name" --no-deps --editable .
}

# Runs tests in the environment of an extra.
tested() {
  local extra=$1 name=${1:-none}
  shift
  echo "With the lowest versions${extra:+ of [$extra]}:"
  environment "$extra"
  "$folder/$name/bin/python" -m pytest -q -p no:cacheprovider -W default "$@"
}

tested "" tests/overrides/test_baggage.py tests/overrides/test_kinds.py tests/sdk/test_kinds.py tests/sdk/test_request.py \
  tests/sdk/test_propagator.py tests/sdk/test_flags.py tests/sdk/test_scope.py tests/sdk/test_logs.py tests/sdk/mends/test_message.py
tested openfeature tests/sdk/test_openfeature.py
tested client tests/client/test_retrying.py
tested server -n 2 tests/cli/test_app.py tests/client/test_client.py tests/server/test_serving.py tests/server/test_api.py \
  tests/server/test_metrics.py tests/server/test_scenarios.py tests/xds/test_golden.py \
  "tests/examples/test_examples.py::test_what_the_readme_says_is_true[two-services-2]"
tested kubernetes -n 2 tests/kubernetes_client tests/discovery/kubernetes tests/install/test_manifests.py tests/injection/test_manifests.py \
  tests/injection/test_hooks.py tests/offload
tested demo tests/demo/test_demo.py::test_the_whole_story_goes_right_and_leaves_nothing_behind
