# make run   a three-node cluster of real processes on loopback, until Ctrl-C
# make test  the whole suite
# Both do all the set-up themselves. make verify: lint, types, contracts (changes nothing); make fix: format.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
COMPILED := .venv-compiled
# Else each server that the tests start would compile the whole package again
export PYTHONDONTWRITEBYTECODE :=
# Processes of pytest: each begins with half of the tests, in order, for neighbours share servers (the first half waits for them,
# the second one computes); who is through takes from the other. More of them on two
# processors could cost the clusters of tests their leaders
TWO := --numprocesses=2 --dist=worksteal

.PHONY: node proto run test test-compiled compiled verify fix bench limits sim differential setup clean

run: $(VENV)/.installed
	$(BIN)/raftwerk dev

test: $(VENV)/.dev
	$(BIN)/python -m pytest $(TWO)

# It has calls that are no Call, which compiled code does not take; what it tests is not compiled
FAKED := tests/server/test_slices.py
# It reads the interpreter's profile, which has no calls from C to C
PROFILED := tests/storage/test_lmdb_store.py::test_commit_replaces_current_when_the_state_is_durable

# The same code compiled to C (setup.py): the tests of the floors that are compiled, and the server from outside
test-compiled: $(COMPILED)/.installed
	$(COMPILED)/bin/python -m pytest $(TWO) tests/client tests/http2 tests/fuzz tests/kv tests/storage tests/wire tests/replica tests/server \
		tests/raft tests/paper tests/wal tests/properties tests/crash/test_kill.py \
		tests/sim/checkers tests/sim/test_machines.py tests/sim/test_run.py tests/sim/test_own_machine.py $(PROFILED:%=--deselect=%) $(FAKED:%=--ignore=%)

verify: $(VENV)/.dev
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

fix: $(VENV)/.dev
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

bench: $(COMPILED)/.installed $(VENV)/.dev
	$(COMPILED)/bin/python -m pip install --quiet --constraint constraints.txt --group dev
	$(COMPILED)/bin/python -m benchmarks.compare

# A million keys, 10,000 watchers, 1,000 connections and the other limits, on three real nodes
limits: $(VENV)/.dev
	$(BIN)/python -m benchmarks.limits

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

compiled: $(COMPILED)/.installed

# After the other one: both write src/raftwerk.egg-info
$(COMPILED)/.installed: pyproject.toml constraints.txt setup.py $(shell find src -name '*.py') | $(VENV)/.installed
	rm -rf build $(COMPILED)
	$(PYTHON) -m venv $(COMPILED)
	$(COMPILED)/bin/python -m pip install --quiet --upgrade 'pip>=25.1'
	RAFTWERK_COMPILE=1 $(COMPILED)/bin/python -m pip install --quiet --constraint constraints.txt --group test .
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
	rm -rf $(VENV) $(COMPILED) build src/*.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis

# After a change to src/raftwerk/api/*.proto; a test checks that it was done
proto: $(VENV)/.dev
	PATH="$(CURDIR)/$(BIN):$$PATH" $(BIN)/python -m grpc_tools.protoc -Isrc --python_out=src --mypy_out=quiet:src \
		src/raftwerk/api/*.proto
