SHELL := /bin/bash
PYTHON ?= python3
BIN := .venv/bin

.DEFAULT_GOAL := help
.PHONY: help setup setup-test demo test lint unit firmware bench docs clean

help: ## This help
	@echo "Boot a bare-metal machine from one HTTP(S) URL, and prove that it did."
	@grep -E '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## (.*)/  make \1\t\2/' | expand -t 18

setup: ## Set up what a boot needs: .venv, QEMU, kernel, loaders, firmware
	@PYTHON=$(PYTHON) tools/setup

setup-test:
	@PYTHON=$(PYTHON) tools/setup --test

demo: setup ## Boot a virtual server from one URL, live on the screen
	@$(BIN)/httpboot demo

test: setup-test lint ## Every test, the ones on real firmware included
	$(BIN)/pytest -n 2

lint: setup-test ## ruff, mypy, import-linter
	@$(BIN)/ruff check --quiet .
	@$(BIN)/ruff format --quiet --check .
	@$(BIN)/mypy --no-error-summary
	@$(BIN)/lint-imports --no-logo >/tmp/lint-imports.$$$$ || { cat /tmp/lint-imports.$$$$; rm -f /tmp/lint-imports.$$$$; exit 1; }; rm -f /tmp/lint-imports.$$$$

unit: setup-test ## The quick tests
	$(BIN)/pytest tests/unit tests/test_house.py

firmware: setup-test ## The tests on real firmware
	$(BIN)/pytest -n 2 tests/firmware tests/ironic

bench: setup-test ## Measure beside the peers; writes bench/RESULTS.md
	$(BIN)/python -m bench

docs: setup-test ## Check that the examples in docs/ do what they say
	$(BIN)/pytest tests/test_docs.py

clean: ## Remove what setup and tests made in this folder (not the cache of unpacked packages)
	rm -rf .venv .venv-glance .venv-ironic-oldest .venv-neutron .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache test-results
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
