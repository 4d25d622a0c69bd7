# Two commands do all the set-up on a fresh machine: `make demo` and `make test`.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
LAUNCHERS := $(VENV)/.launchers
export ECGEXP_HOME ?= $(CURDIR)/runs

.PHONY: demo test property lint types bench bench-device setup tools clean

demo: setup
	$(BIN)/ecgexp run

test: setup $(LAUNCHERS)
	$(BIN)/python -m pytest -n auto --dist worksteal

# The kernels' property tests with 500 random cases per operator instead of a sample.
property: setup
	$(BIN)/python -m pytest -n auto -m slow tests/deploy/kernels --hypothesis-profile=property

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/yamllint --strict conf
	git ls-files 'firmware/*.c' 'firmware/*.h' | xargs -r $(BIN)/clang-format --dry-run -Werror

types: setup
	$(BIN)/mypy

bench: setup
	$(BIN)/python -m tests.bench

bench-device: setup
	$(BIN)/python -m tests.bench.device

setup: tools $(STAMP)

$(STAMP): pyproject.toml constraints.txt
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[deploy,search,postgres,dev]'
	@touch $@

# Joblib, submitit and Ray for sweeps: tests start real ones, the demo does without.
$(LAUNCHERS): $(STAMP)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[joblib,slurm,ray]'
	@touch $@

tools:
	@bash firmware/install-tools.sh

clean:
	rm -rf $(VENV) build dist
