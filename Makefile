# Every target makes what it needs: the first one on a fresh machine makes .venv from requirements.lock.
.DEFAULT_GOAL := help
PYTHON ?= python3
BIN := .venv/bin
READY := .venv/ready
SAMPLES := examples/partners/javascript/node_modules/ready

.PHONY: help run demo down test check unit integration faults bench schemas holidays lock

help: ## this list
	@awk -F ':.*## ' '/^[a-z%-]+:.*## / {sub("%", "<service>", $$1); printf "make %-14s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

run: $(READY) ## the whole platform on this machine, sample cases travelling through it; Ctrl-C ends it
	@$(BIN)/wegweiser run

demo: $(READY) ## the same, ends by itself; fails unless every sample case reached an end the agreement allows
	@$(BIN)/wegweiser demo

down: $(READY) ## stop what `make run` started, also what a killed one left behind
	@$(BIN)/wegweiser down

test: $(READY) $(SAMPLES) ## everything is proved on this machine, by three processes that share the files of tests: most of the time they wait; the slow ones come first
	$(BIN)/pytest --numprocesses 3 --dist loadfile --no-loadscope-reorder

check: $(READY) ## lint, format, types, import contracts
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: $(READY) ## tests that need no Kafka and no MongoDB
	$(BIN)/pytest tests/unit tests/contract

integration: $(READY) $(SAMPLES) ## tests of services against real backends, and from end to end
	$(BIN)/pytest tests/integration tests/e2e

faults: $(READY) ## tests that kill, stop and freeze processes
	$(BIN)/pytest tests/faults

bench: $(READY) ## the platform beside its peers, in one run; writes benchmarks/results/latest.json
	$(BIN)/python -m benchmarks

run-%: $(READY) ## one service in the foreground, with the settings of `make run` or of the environment
	@set -a; if [ -f var/services/$*.env ]; then . var/services/$*.env; fi; exec $(BIN)/wegweiser service $*

schemas: $(READY) ## write the JSON Schemas of new and changed contracts, and docs/events.md
	$(BIN)/wegweiser schemas
	$(BIN)/wegweiser events > docs/events.md

holidays: $(READY) ## write the table of Hesse's public holidays anew
	$(BIN)/python -m deploy.holiday_table

lock: $(READY) ## resolve the wheels and Kafka's jars anew
	$(BIN)/uv pip compile --quiet --universal --python-version 3.11 --all-extras --upgrade \
		--no-emit-index-url --generate-hashes --custom-compile-command 'make lock' \
		--output-file requirements.lock pyproject.toml
	$(BIN)/python -m deploy.embedded.java

$(SAMPLES): examples/partners/javascript/package-lock.json
	@if command -v npm > /dev/null; then \
		npm ci --silent --no-audit --no-fund --prefix examples/partners/javascript && touch $@; fi

$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo 'Python 3.11 or newer is needed; $(PYTHON) is '"$$($(PYTHON) --version 2>&1)"'. Name another: make PYTHON=python3.11' >&2; \
		exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --disable-pip-version-check --require-hashes --requirement requirements.lock
	$(BIN)/pip install --disable-pip-version-check --quiet --no-deps --editable .
	@touch $@
