# Everything a user types. Each target sets up what it needs; a second call does no set-up work.
SHELL := /bin/bash
.DEFAULT_GOAL := help
PYTHON ?= python3
VENV := .venv
PY := $(VENV)/bin/python
UV_VERSION := 0.13.8
# The lock files that `setup` installs; EXTRAS="ray joblib" adds requirements/ray.txt and requirements/joblib.txt.
EXTRAS ?=
LOCKS := requirements/base.txt requirements/runtimes.txt requirements/dev.txt $(EXTRAS:%=requirements/%.txt)
STAMP := $(VENV)/.setup-$(shell cat $(LOCKS) | cksum | cut -d' ' -f1)
ARGS ?=
# Tests run on all cores; `make test SPREAD=` runs them in one process, as a debugger wants it.
# At most four at once: each holds two gigabytes of libraries.
WORKERS := $(shell n=$$(getconf _NPROCESSORS_ONLN 2>/dev/null || echo 2); if [ $$n -gt 4 ]; then n=4; fi; echo $$n)
SPREAD ?= -n $(WORKERS) --dist loadfile
KILLS ?= 100
SEED ?= 1
PLANT ?=
STUDY ?= imgsz_lr_seed

.PHONY: help setup sweep report ui dashboard stack test test-slow test-gpu bench architecture chaos hostile sbom audit lint format lock clean

help:  ## list the targets
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | awk -F'\t' '{printf "  make %-12s %s\n", $$1, $$2}'

setup: $(STAMP)  ## make .venv from the hash-pinned lock files (EXTRAS="ray joblib …" for more)

$(STAMP): $(LOCKS)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "detsweep needs CPython 3.11 or newer"; exit 2; }
	@test -x $(PY) || $(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/uv --version >/dev/null 2>&1 || $(PY) -m pip install -q --disable-pip-version-check --require-hashes -r requirements/uv.txt
	$(VENV)/bin/uv pip install -q --compile-bytecode --python $(PY) --require-hashes $(LOCKS:%=-r %)
	@rm -f $(VENV)/.setup-*; touch $@

sweep: setup  ## run the study sweeps/$(STUDY).yaml and write its decision (ARGS="key=value …" to override)
	@$(PY) -m src.run -m sweeps=$(STUDY) $(ARGS)

report: setup  ## write the latest sweep's report again (ARGS="sweep=NAME")
	@$(PY) -m src.report $(or $(ARGS),sweep=latest)

ui: setup  ## MLflow UI on the local store, at http://127.0.0.1:5000 (HOST=… demands a password)
	@$(PY) -m src.track.ui $(if $(HOST),host=$(HOST)) $(ARGS)

dashboard: setup  ## optuna-dashboard on the latest sweep (ARGS="sweep=NAME" or "storage=URL"; EXTRAS=dashboard)
	@$(PY) -m src.sweeper.dashboard $(ARGS)

stack: setup  ## MLflow's server with PostgreSQL and an S3 server on 127.0.0.1, until Ctrl-C (EXTRAS=postgresql)
	@$(PY) -m deploy $(ARGS)

test: setup  ## the default tests: CPU, offline, quick
	@$(PY) -m pytest $(SPREAD) $(ARGS)

test-slow: setup  ## the slow tier too: services, fault injection, simulations
	@$(PY) -m pytest -m "not gpu" $(ARGS)

test-gpu: setup  ## tests that need an NVIDIA GPU
	@$(PY) -m pytest -m gpu $(ARGS)

bench: setup  ## measure the promised figures, as ratios against named peers
	@$(PY) -m benchmarks $(ARGS)

architecture: setup  ## draw the rooms of src/ and their imports into docs/
	@$(PY) -m benchmarks.architecture

chaos: setup  ## kill toy sweeps again and again and count what is lost (KILLS=100 SEED=1, or PLANT=all: planted defects)
	@$(PY) -m benchmarks.chaos --kills $(KILLS) --seed $(SEED) $(PLANT:%=--plant %) $(ARGS)

lint: setup  ## ruff, mypy and the import contracts
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(PY) -m mypy
	@$(VENV)/bin/lint-imports

hostile: setup  ## hostile and broken input of every kind, as a table
	@$(PY) -m tests.hostile $(ARGS)

sbom:  ## bill of materials of the lock files, as CycloneDX JSON (sbom.cdx.json)
	@$(PYTHON) requirements/sbom.py $(ARGS)

audit: setup  ## hold the lock files against known advisories (needs pip-audit and a network)
	@$(PY) requirements/audit.py $(ARGS)

format: setup  ## mend what ruff can mend
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

lock: setup  ## write the lock files again from pyproject.toml
	@PATH="$(CURDIR)/$(VENV)/bin:$$PATH" bash requirements/lock.sh

clean:  ## remove outputs and generated reports; keeps .venv
	@find outputs -mindepth 1 ! -name .gitkeep -delete
	@find reports -mindepth 1 -maxdepth 1 ! -name templates -exec rm -r {} +
