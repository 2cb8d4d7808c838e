# `make demo` and `make test` set up a virtual environment on their first run.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
INSTALLED := $(VENV)/.installed

.PHONY: demo test test-all test-fast test-faults check format clean

# The demo does not need the networks for people: without an index, or with one that does not answer, it goes on.
demo: $(INSTALLED)
	@PIP_TIMEOUT=$${PIP_TIMEOUT:-5} PIP_RETRIES=$${PIP_RETRIES:-0} $(BIN)/zoetrope weights fetch people >/dev/null 2>&1 \
	    && echo "networks for videos of people: ready" \
	    || echo "networks for videos of people: not here, as no package index gave them; later: zoetrope weights fetch people"
	$(BIN)/zoetrope demo demo

# A worker and its Ray cluster take up to 4 GB of memory.
PYTEST := $(BIN)/python -m pytest -n logical --maxprocesses 4 --dist worksteal
PYTEST_ARGS ?=

test: $(INSTALLED)
	$(PYTEST) $(PYTEST_ARGS)

test-all: $(INSTALLED)
	$(PYTEST) -m "not full_size" $(PYTEST_ARGS)

test-fast: $(INSTALLED)
	$(PYTEST) -m "not slow and not full_size and not nightly" $(PYTEST_ARGS)

test-faults: $(INSTALLED)
	$(BIN)/python -m pytest tests/faults -p no:xdist -m "not full_size" $(PYTEST_ARGS)

check: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

format: $(INSTALLED)
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

clean:
	rm -rf demo $(VENV)

$(INSTALLED): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	    { echo "error: $(PYTHON) is $$($(PYTHON) --version 2>&1); Zoetrope needs Python 3.11 or newer: make PYTHON=python3.11 $(MAKECMDGOALS)"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt --editable '.[dev]'
	touch $@
