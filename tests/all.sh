#!/usr/bin/env bash
# Runs every suite. The last lines say of each whether it ran, and why if it did not; fails if one of those that ran failed.
set -uo pipefail
cd "$(dirname "$0")/.."

verdicts=()
failed=0

run() {
  if make --no-print-directory "$@"; then verdicts+=("$1: passed"); else verdicts+=("$1: FAILED"); failed=1; fi
}

# A suite that needs more than PyPI and Debian: first what it needs, whose last line says why it can't be had.
run_if() {
  local suite=$1 needed=$2 log
  log=$(mktemp)
  if "$needed" 2> >(tee "$log" >&2) >/dev/null; then
    run "$suite"
  else
    verdicts+=("$suite: did not run. $(tail -n 1 "$log" | sed 's/^Detour: //')")
  fi
  rm -f "$log"
}

# A suite that leaves out what the machine does not have, and says so in a file.
run_telling() {
  local log
  log=$(mktemp)
  DETOUR_LEFT_OUT=$log run "$1"
  [ ! -s "$log" ] || verdicts[-1]+=". Left out: $(cat "$log")"
  rm -f "$log"
}

run test LESS="--ignore tests/propagation"
run test-lowest
run_telling test-propagation
run_if test-kubernetes tests/kubernetes/tools/build.sh
run_if test-image deploy/image/packages.sh

printf '\nSuites:\n'
printf '  %s\n' "${verdicts[@]}"
exit "$failed"
