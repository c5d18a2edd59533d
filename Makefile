# The front door: `make help` lists what there is. Every target sets up what it needs.

PYTHON ?= python3
VENV   := .venv
TOOLS  := .venv-proto
RUN    := $(VENV)/bin
PROTOS := $(wildcard proto/syntheflow/v1/*.proto)

.DEFAULT_GOAL := help
.PHONY: help setup demo test lint proto serve bench fuzz clean packages

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / {printf "  make %-7s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(VENV)/.ready-dev ## install everything, developers' tools too, into .venv

demo: $(VENV)/.ready ## the whole way on an invented company, into demo-output/ (minutes)
	@$(RUN)/syntheflow demo

test: $(VENV)/.ready-dev packages ## run all tests; ARGS="-k words" narrows them
	$(RUN)/python -m pytest $(ARGS)

lint: $(VENV)/.ready-dev $(TOOLS)/.ready ## style, types, import rules, the contract, and whether stubs are up to date
	$(RUN)/ruff check .
	$(RUN)/ruff format --check .
	$(RUN)/mypy
	PYTHONPATH=client_py:server $(RUN)/lint-imports
	.ci/contract $(RUN)/buf $(TOOLS)/bin/python

proto: $(TOOLS)/.ready ## make the Python stubs anew from proto/
	$(TOOLS)/bin/python -m grpc_tools.protoc -Iproto --python_out=client_py --pyi_out=client_py \
		--grpc_python_out=client_py $(PROTOS)

serve: $(VENV)/.ready ## start a server on this machine, data in ./syntheflow-data
	$(RUN)/syntheflow serve

bench: $(VENV)/.ready ## one table beside cheap peers, and related tables; see docs/benchmarks.md
	$(RUN)/python benchmarks/single_table.py $(ARGS)
	$(RUN)/python benchmarks/related_tables.py $(RELATED_ARGS)

fuzz: $(VENV)/.ready-dev ## search for files that readers do not stand; ARGS="--minutes 60"
	$(RUN)/python -m tests.fuzz $(or $(ARGS),--minutes 10)

clean: ## remove what make made: environments, caches, demo-output (not syntheflow-data)
	rm -rf $(VENV) $(TOOLS) demo-output .mypy_cache .pytest_cache .ruff_cache .import_linter_cache .hypothesis

# Stamps, so that a second call is quick. Torch comes first and alone: it is the
# one large download, and it stays when the project's own needs change.
PIP := -m pip install -qq --constraint constraints.txt

$(VENV)/.torch: constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name one: make PYTHON=...")'
	@echo "Installing torch into $(VENV), once; this may take some minutes ..."
	@test -x $(RUN)/python || $(PYTHON) -m venv $(VENV)
	@$(RUN)/python $(PIP) --upgrade pip
	@$(RUN)/python $(PIP) torch numpy
	@touch $@

$(VENV)/.ready: $(VENV)/.torch pyproject.toml
	@echo "Installing syntheflow and what it needs ..."
	@$(RUN)/python $(PIP) --editable '.[server]'
	@touch $@

$(VENV)/.ready-dev: $(VENV)/.ready
	@echo "Installing the developers' tools ..."
	@$(RUN)/python $(PIP) --group dev
	@touch $@

# The servers of databases that tests start.
packages:
	@tests/support/packages

# An old compiler on purpose: stubs that it makes work with every protobuf from 5.29 on.
$(TOOLS)/.ready:
	@echo "Installing the stubs' compiler into $(TOOLS) ..."
	@test -x $(TOOLS)/bin/python || $(PYTHON) -m venv $(TOOLS)
	@$(TOOLS)/bin/python -m pip install -qq grpcio-tools==1.71.2 grpcio==1.71.2 protobuf==5.29.6
	@touch $@
