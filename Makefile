# Everything sets itself up in .venv; Python 3.11 or newer and make are all that is needed.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
V1 := .venv-openai-v1

.PHONY: demo test check lint types layers unit fuzz soak bench budgets clean

demo: $(BIN)/.ready
	$(BIN)/apiql demo

test: check unit

check: lint types layers

lint: $(BIN)/.ready-dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .

types: $(BIN)/.ready-dev
	$(BIN)/mypy

layers: $(BIN)/.ready-dev
	$(BIN)/lint-imports

unit: $(BIN)/.ready-dev $(V1)/.ready
	$(BIN)/pytest -n 2

# Random SQL over REST against plain DuckDB: a long run, with a seed that it prints.
fuzz: $(BIN)/.ready-dev
	$(BIN)/python -m tests.oracle --statements 20000

# 20 seeds of 10,000 requests, of which one in twenty fails: half an hour in which every row must be right.
soak: $(BIN)/.ready-dev
	$(BIN)/python -m tests.chaos.soak --seeds 20 --requests 10000

# ApiQL beside its peers, in less than ten minutes: a table, and all figures in benchmarks.json.
bench: $(BIN)/.ready-bench
	$(BIN)/python -m tests.benchmarks --json benchmarks.json

# Fails where something has become slower, larger or more talkative than it may be.
budgets: $(BIN)/.ready-bench
	$(BIN)/python -m tests.benchmarks.planning
	$(BIN)/python -m tests.benchmarks --budgets

# The package alone: enough to run ApiQL.
$(BIN)/.ready: pyproject.toml
	$(PYTHON) -c 'import sys; sys.exit("ApiQL needs Python 3.11 or newer") if sys.version_info < (3, 11) else None'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --upgrade "pip>=25.1"
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --editable .
	touch $@

# With what tests, linters and type checks need.
$(BIN)/.ready-dev: $(BIN)/.ready
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group dev
	touch $@

# With the peers of the benchmarks.
$(BIN)/.ready-bench: $(BIN)/.ready-dev
	$(BIN)/python -m pip install --quiet --disable-pip-version-check --group bench
	touch $@

# The vendor's last SDK that speaks v1 of the Assistants API, kept apart: it needs an old httpx.
$(V1)/.ready: $(BIN)/.ready
	test -x $(V1)/bin/python || $(PYTHON) -m venv $(V1)
	$(V1)/bin/python -m pip install --quiet --disable-pip-version-check "openai==1.20.0" "httpx<0.28"
	touch $@

clean:
	rm -rf $(VENV) $(V1) dist build .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
