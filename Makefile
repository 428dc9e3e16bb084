# Everything starts here: `make run`, `make test`, `make check`, `make bench`. No other set-up is needed.

VENV := .venv
PYTHON := python3
BIN := $(VENV)/bin
ARGS :=
SOURCES := pyproject.toml setup.py blocker/serve/_udp.pyx

.DEFAULT_GOAL := help
.PHONY: help run test lab check format bench reference lock clean

help:  ## show this
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

run: $(VENV)/.installed  ## serve on 127.0.0.1:5353, metrics on 127.0.0.1:9353; ARGS="--upstream 127.0.0.1:5301"
	@exec $(BIN)/blocker run $(ARGS)

test: $(VENV)/.dev  ## run every test, and install what they need
	@.ci/system-packages test
	$(BIN)/python -m pytest $(ARGS)

lab: $(VENV)/.dev  ## a device, a gateway and an internet to play with, as root
	@.ci/system-packages test
	@exec $(BIN)/python -m tests.lab

check: $(VENV)/.dev  ## format, lint, types, layers, generated pages
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/python -m pytest -q tests/test_layers.py

format: $(VENV)/.dev  ## put the code into its form
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

bench: $(VENV)/.dev  ## measure, side by side with other servers; ARGS="blocked misses" chooses
	@.ci/system-packages bench
	$(BIN)/python -m tests.bench $(ARGS)

reference: $(VENV)/.dev  ## write docs/reference anew
	$(BIN)/blocker config reference > docs/reference/configuration.md

lock: $(VENV)/.dev  ## resolve the dependencies anew
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		--group build pyproject.toml -o requirements.lock
	$(BIN)/uv pip compile --quiet --universal --generate-hashes --no-header --python-version 3.11 \
		--group build --group dev pyproject.toml -o requirements-dev.lock

clean:  ## remove the virtual environment and what was built
	rm -rf $(VENV) build *.egg-info blocker/serve/_udp.c blocker/serve/*.so

$(VENV)/bin/pip:
	@.ci/make-venv $(PYTHON) $(VENV)

$(VENV)/.installed: $(VENV)/bin/pip requirements.lock $(SOURCES)
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

$(VENV)/.dev: $(VENV)/.installed requirements-dev.lock
	@$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	@touch $@
