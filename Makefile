# Every command a newcomer needs. Each target prepares what it needs and is quiet when nothing changed.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all lint types imports swift ci vectors clean help

help:  ## Show this help
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-10s %s\n", $$1, $$2}'

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Headway needs Python 3.11 or newer: set PYTHON=python3.x" >&2; exit 2; }
	@$(PYTHON) -m venv $(VENV)

$(VENV)/.demo: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Headway with what the demo needs (once) …" >&2
	@$(PIP) --editable '.[demo]'
	@touch $@

$(VENV)/.dev: pyproject.toml constraints.txt | $(BIN)/python
	@echo "Installing Headway with everything the tests need (once; PyTorch is large) …" >&2
	@$(PIP) --editable '.[demo,trainer,dev]'
	@touch $@ $(VENV)/.demo

demo: $(VENV)/.demo  ## The whole loop on real text, with a report at the end
	@$(BIN)/headway demo

test: $(VENV)/.dev  ## The suite that a plain machine can run
	@$(BIN)/python -m pytest -n 2 --dist worksteal -m 'not slow' -q

test-all: $(VENV)/.dev  ## Everything, the slow material too
	@$(BIN)/python -m pytest -n 2 --dist worksteal -q

lint: $(VENV)/.dev  ## Style
	@$(BIN)/ruff check . && $(BIN)/ruff format --check .

types: $(VENV)/.dev  ## mypy --strict
	@$(BIN)/mypy

imports: $(VENV)/.dev  ## The import contracts
	@$(BIN)/lint-imports

swift:  ## Build and test the Swift package, where Swift is installed
	@cd ios_fixtures && swift build -q && swift test -q

vectors: $(VENV)/.dev  ## Write the JSON vectors again after a change of behaviour
	@$(BIN)/python tests/vectors/make.py && $(BIN)/python tests/vectors/device_traces.py

clean:  ## Remove what the targets above made
	rm -rf $(VENV) demo-out .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache ios_fixtures/.build
