# Detour. Every target makes its own set-up; `make` alone prints this menu.

.DEFAULT_GOAL := menu
.PHONY: menu demo demo-once test test-propagation test-kubernetes test-all test-lowest lint unused format bench mutation lock clean setup

PYTHON_IN := .venv/bin/python
AT_ONCE := -n 3 --dist worksteal  # on two cores: many a test waits
LESS :=  # what of `make test` another suite runs as well

menu:
	@echo "Detour: opt one request at a time into a deployment under test"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:
	@setup/environment.sh

demo: setup ## a ride-hailing mesh on real Envoys, and its story; Ctrl-C takes it down
	@$(PYTHON_IN) -m detour demo

demo-once: setup ## the same, without staying up; fails if a hop went wrong
	@$(PYTHON_IN) -m detour demo --once

test: lint ## the test suite, in some minutes
	@setup/environment.sh tests
	@$(PYTHON_IN) -m coverage run -m pytest -q tests/overrides tests/mesh
	@$(PYTHON_IN) -m coverage report --fail-under=100 --show-missing --skip-covered
	@$(PYTHON_IN) -m pytest $(AT_ONCE) -m "not more" --ignore tests/overrides --ignore tests/mesh --ignore tests/kubernetes $(LESS)

test-propagation: setup ## every server, client and queue; writes docs/propagation.md where all could run
	@setup/environment.sh tests
	@$(PYTHON_IN) -m pytest $(AT_ONCE) tests/propagation
	@$(PYTHON_IN) -m pytest -m more tests/sdk tests/server tests/examples

test-kubernetes: setup ## the suite on a real Kubernetes cluster; needs root, and Go once
	@tests/kubernetes/tools/build.sh >/dev/null
	@tests/kubernetes/tools/helm/build.sh >/dev/null
	@$(PYTHON_IN) -m pytest tests/kubernetes

test-all: ## all of them, and what did not run
	@tests/all.sh

lint: setup ## format, style, types and layers; the web page's JavaScript too, where Node.js is
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/ruff check --quiet
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@setup/javascript.sh check

unused: setup ## dead code, and dependencies that are missing or not needed
	@.venv/bin/vulture
	@.venv/bin/deptry src
	@setup/javascript.sh unused

test-lowest: setup ## a part of the tests, with the lowest versions of dependencies that are allowed
	@tests/lowest.sh

format: setup ## put the code into shape
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix
	@setup/javascript.sh format

bench: setup ## measure; results go to bench/results
	@$(PYTHON_IN) -m bench

mutation: setup ## would the tests notice? A sample of small changes to the pure modules; ONLY=traffic/hops, SEED=1, SAMPLE=0
	@$(PYTHON_IN) -m bench.mutation $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(SAMPLE),--sample $(SAMPLE))

lock: setup ## write requirements.lock anew from pyproject.toml
	@.venv/bin/uv pip compile --quiet --upgrade pyproject.toml --all-extras --group dev --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-package detour-mesh \
	  --prerelease if-necessary-or-explicit -o requirements.lock
	@grep -oE '^uv==[0-9.]+' requirements.lock | .venv/bin/uv pip compile --quiet - --universal \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url -o setup/uv.lock

clean: ## remove the virtual environment and all caches
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
