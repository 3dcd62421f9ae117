# Thalweg's commands. Each sets up what it needs in .venv by itself; a machine needs Python 3.11 or newer, make and git.
#
#   make race ARGS="beale --seeds 3"        ARGS goes to the program
#   make test ARGS="tests/rules -k adam"    or to pytest
#   make test PYTHON=python3.13             which Python .venv is made with, the first time

PYTHON ?= python3
ARGS ?=

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet
RUNTIME := $(VENV)/.runtime-installed
DEVELOPMENT := $(VENV)/.development-installed

# The full MNIST, where it lies beside the checkout.
ifneq ($(wildcard ../shared/data),)
export THALWEG_DATA ?= $(abspath ../shared/data)
endif

.DEFAULT_GOAL := help
.PHONY: help race test coverage check format-check lint types layers docs bench format clean clean-venv
.DELETE_ON_ERROR:

help: ## This list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

race: $(RUNTIME) ## The main job: race the optimizers and write the report
	@$(BIN)/thalweg race $(ARGS)

test: $(DEVELOPMENT) ## All tests
	@$(BIN)/python -m pytest -n 2 --dist worksteal $(ARGS)

coverage: $(DEVELOPMENT) ## All tests, and which branches they reach
	@$(BIN)/python -m pytest -n 2 --dist worksteal --cov --cov-report=term $(ARGS)

check: format-check lint types layers docs ## Format, lint, types, layers, documentation

format-check: $(DEVELOPMENT)
	@$(BIN)/ruff format --check

lint: $(DEVELOPMENT)
	@$(BIN)/ruff check

types: $(DEVELOPMENT)
	@$(BIN)/basedpyright

layers: $(DEVELOPMENT)
	@$(BIN)/lint-imports --no-logo

docs: $(DEVELOPMENT) ## The documentation, in docs/_build/html
	@rm -rf docs/reference/generated
	@$(BIN)/python -m sphinx --builder html --fail-on-warning --keep-going --quiet docs docs/_build/html

bench: $(DEVELOPMENT) ## The speed of a step, against PyTorch in the same run
	@$(BIN)/python benchmarks/step.py $(ARGS)

format: $(DEVELOPMENT) ## Format and mend what can be mended
	@$(BIN)/ruff check --fix-only
	@$(BIN)/ruff format

clean: ## Remove what was built, not .venv and not a race's results
	rm -rf build dist docs/_build docs/reference/generated .coverage .pytest_cache .ruff_cache .hypothesis .import_linter_cache
	find src tests docs benchmarks -name __pycache__ -type d -prune -exec rm -rf {} + 2>/dev/null || true

clean-venv: ## Remove .venv; the next command sets it up again
	rm -rf $(VENV)

# -- the set-up

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		found=$$($(PYTHON) --version 2>&1) || found="not there"; \
		echo "Thalweg needs Python 3.11 or newer, but $(PYTHON) is $$found; name another: make PYTHON=python3.12" >&2; \
		exit 1; }
	@echo "Setting up .venv (once; PyTorch is large, so this takes a few minutes) …"
	@$(PYTHON) -m venv $(VENV)

$(RUNTIME): pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing what a race needs …"
	@$(PIP) install --constraint constraints.txt hatchling editables
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[video]'
	@touch $@

$(DEVELOPMENT): $(RUNTIME)
	@echo "Installing what development needs …"
	@$(PIP) install --constraint constraints.txt --no-build-isolation --editable '.[dev]'
	@touch $@
