# make run   a three-node cluster of real processes on loopback, until Ctrl-C
# make test  the whole suite
# Both do all the set-up themselves. make verify: lint, types, contracts (changes nothing); make fix: format.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin

.PHONY: node proto run test verify fix bench sim setup clean differential

run: $(VENV)/.installed
	$(BIN)/raftwerk dev

test: $(VENV)/.dev
	$(BIN)/python -m pytest

verify: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(VENV)/.dev
	$(BIN)/python -m benchmarks.compare

MINUTES ?= 60
sim: $(VENV)/.installed
	$(BIN)/raftwerk sim --minutes $(MINUTES)

# Random requests to a real etcd and to raftwerk, until an answer differs
differential: $(VENV)/.dev
	$(BIN)/python -m tests.conformance.campaign $(MINUTES)

setup: $(VENV)/.dev

$(VENV)/.installed: pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable .
	touch $@

$(VENV)/.dev: $(VENV)/.installed
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --group dev
	if command -v npm >/dev/null; then $(MAKE) --no-print-directory node; fi
	touch $@

# Node's client of etcd, for the interoperation tests
node: tests/interop/node/node_modules/.package-lock.json

tests/interop/node/node_modules/.package-lock.json: tests/interop/node/package-lock.json
	npm ci --prefix tests/interop/node --ignore-scripts --no-audit --no-fund --silent
	touch $@

clean:
	rm -rf $(VENV) build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# After a change to src/raftwerk/api/*.proto; a test checks that it was done
proto: $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Isrc --python_out=src --mypy_out=quiet:src \
		src/raftwerk/api/*.proto
