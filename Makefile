SHELL := /bin/bash
PY ?= python3
VENV := .venv
BIN := $(VENV)/bin
PORT ?= 8000
STAMP := $(VENV)/.stamp-$(shell sha256sum requirements.lock | cut -c1-12)
export PORT

.PHONY: setup storefront run serve test torture torture-long lint bench performance schema lock

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

# The storefront's files in frontend/dist, where Node.js 20.19 or newer is there; served by run and serve.
storefront: setup
	@VENV=$(VENV) tools/storefront.sh

# The production server alone; its settings come from the environment.
serve: setup
	@exec $(BIN)/python tools/serve.py

test: setup
	VENV=$(VENV) tools/test.sh

# What we claim, tried until it breaks; docs/torture.md.
torture: setup
	$(BIN)/python -m torture gate

# Hours; Ctrl-C and the same command again goes on.
torture-long: setup
	$(BIN)/python -m torture long

lint: setup
	VENV=$(VENV) tools/lint.sh

# Each figure has a command of its own; this is all of them, one after the other. bench.nodes ends with 3 where nginx is
# not installed, and the others go on.
bench: setup
	$(BIN)/python -m bench.run
	$(BIN)/python -m bench.purchase
	$(BIN)/python -m bench.growth
	$(BIN)/python -m bench.nodes || test $$? = 3
	$(BIN)/python -m bench.jobs
	$(BIN)/python -m bench.bill
	$(BIN)/python -m bench.stream
	$(BIN)/python -m bench.attacks
	$(BIN)/python -m bench.statements

# Measures all that docs/performance.md shows and makes the page anew.
performance: setup
	$(BIN)/python -m bench.page

# The contract as a file; CI compares it with the code.
schema: setup
	DEBUG=1 $(BIN)/python manage.py export_schema backend.schema --path schema.graphql
	DEBUG=1 $(BIN)/python manage.py export_possible_types

# Newest versions that fit pyproject.toml, with hashes; needs uv.
lock:
	uv pip compile pyproject.toml --extra dev --universal --generate-hashes --no-emit-index-url --no-header --python-version 3.11 -o requirements.lock
