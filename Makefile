SHELL := /bin/bash
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
STAMP := $(VENV)/.stamp-$(shell sha256sum requirements.lock | cut -c1-12)
export PORT

.PHONY: setup storefront run serve test lint bench schema lock

# The virtual environment; made anew only when requirements.lock changes.
setup: $(STAMP)

$(STAMP): requirements.lock
	@$(PY) -c 'import sys; sys.exit("Python 3.11 or newer is needed; this is %d.%d. Name another with: make PY=python3.11" % sys.version_info[:2]) if sys.version_info < (3, 11) else 0'
	@test -x $(BIN)/python || $(PY) -m venv $(VENV) || { echo "Python's venv is missing. On Debian: apt-get install python3-venv"; exit 1; }
	@echo "Setting up $(VENV) (half a minute, once)…"
	@$(BIN)/python -m pip install -q --disable-pip-version-check --require-hashes --only-binary :all: --no-binary python-alipay-sdk -r requirements.lock
	@rm -f $(VENV)/.stamp-*; touch $@

# The whole shop on this machine: simulator, server, demo data. Ctrl-C stops it all.
run: setup storefront
	@DEBUG=$${DEBUG:-1} $(BIN)/python tools/run.py

# The storefront's files in frontend/dist, where Node.js 20+ is there; served by run and serve.
storefront: setup
	@VENV=$(VENV) tools/storefront.sh

# The production server alone; its settings come from the environment.
serve: setup
	@exec $(BIN)/python tools/serve.py

test: setup
	VENV=$(VENV) tools/test.sh

lint: setup
	VENV=$(VENV) tools/lint.sh

# Each figure has a command of its own; this is all of them, one after the other.
bench: setup
	$(BIN)/python -m bench.run
	$(BIN)/python -m bench.attacks
	$(BIN)/python -m bench.jobs
	$(BIN)/python -m bench.bill
	$(BIN)/python -m bench.stream

# The contract as a file; CI compares it with the code.
schema: setup
	DEBUG=1 $(BIN)/python manage.py export_schema backend.schema --path schema.graphql
	DEBUG=1 $(BIN)/python manage.py export_possible_types

# Newest versions that fit pyproject.toml, with hashes; needs uv.
lock:
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o requirements.lock
