# Everything runs from here. `make help` lists the targets.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
COVERED := tests/unit/model tests/unit/connectors tests/property tests/contract/test_repositories.py
MUTATION := $(VENV)/mutation
MUTATION_STAMP := $(MUTATION)/.installed

.DEFAULT_GOAL := help
.PHONY: help run demo test rest check format lint types contracts bench sim crash mutation coverage new-connector clean

help:  ## this list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:[^#]*## /\t/' | expand -t 14

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "Accord needs Python 3.11 or newer; say PYTHON=python3.11")'
	$(PYTHON) -m venv $(VENV)
	@# --no-deps: the lock is complete; resolving would trip over extras as soon as a newer release of one exists
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation -e .
	@touch $(STAMP)

install: $(STAMP)  ## make the environment (.venv); every other target does so by itself

run: $(STAMP)  ## the daemon; without accord.toml on the built-in sandbox
	$(BIN)/accord run

demo: $(STAMP)  ## the main job on the sandbox, bounded: seeds three systems and makes them agree
	$(BIN)/accord demo

test: $(STAMP)  ## all tests (PostgreSQL joins when one answers locally or ACCORD_TEST_POSTGRES_URL is set)
	$(BIN)/python -m pytest -n 2 --dist loadgroup

rest: $(STAMP)  ## all tests but those that `coverage` runs
	$(BIN)/python -m pytest -n 2 --dist loadgroup $(COVERED:%=--ignore=%)

check: format lint types contracts rest coverage  ## everything that must be green
	@echo "check: all green"

format: $(STAMP)  ## is the code formatted?
	$(BIN)/ruff format --check .

lint: $(STAMP)  ## ruff
	$(BIN)/ruff check .

types: $(STAMP)  ## mypy, strict: the program, scripts and tests
	$(BIN)/mypy

contracts: $(STAMP)  ## who may import whom
	$(BIN)/lint-imports --no-cache

coverage: $(STAMP)  ## tests of the pure modules and of intents, and 100 % of their branches: core/model, every translate, webhook and errors
	$(BIN)/python -m pytest -q -n 2 $(COVERED) --cov=core/model --cov=core/store --cov=connectors --cov-branch --cov-report=
	$(BIN)/python -m coverage report --fail-under=100 --include='core/model/*,core/store/intents.py,connectors/*/translate.py,connectors/*/translate/*,connectors/*/webhook.py,connectors/*/webhook/*,connectors/*/errors.py,connectors/*/errors/*' --skip-covered

bench: $(STAMP)  ## measure; prints JSON
	$(BIN)/python -m tests.benchmarks

sim: $(STAMP)  ## 5,000 simulated worlds
	$(BIN)/python -m tests.simulation --worlds 5000 --jobs 2

crash: $(STAMP)  ## every crash point, every provider, every fault; ends with how many deaths there were at each
	ACCORD_CRASH_MATRIX=all $(BIN)/python -m pytest -n 2 tests/crash tests/integration/daemon

$(MUTATION_STAMP): requirements.lock requirements-mutation.lock
	$(PYTHON) -m venv $(MUTATION)
	$(MUTATION)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --require-hashes -r requirements.lock -r requirements-mutation.lock
	@touch $(MUTATION_STAMP)

mutation: $(MUTATION_STAMP)  ## does a test notice every small change to merge, decide, match, intents, webhooks? some minutes
	$(MUTATION)/bin/python -m tests.mutation

new-connector: $(STAMP)  ## make new-connector NAME=acme: a connector that works, to be made the real one
	@$(BIN)/python -m scripts.new_connector "$(NAME)"

clean:  ## remove the environment and what runs left behind
	rm -rf $(VENV) var mutants .pytest_cache .mypy_cache .ruff_cache .hypothesis .coverage*
