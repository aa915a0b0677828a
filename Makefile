# imbdense: `make train` shows the whole thing, `make test` proves it. Both set up what they need first.

PYTHON ?= python3
VENV ?= .venv
CORE_VENV ?= .venv-core
PY := $(VENV)/bin/python
export VENV

.DEFAULT_GOAL := help
.PHONY: help setup train test test-slow test-core lint types doctor clean

help: ## this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: ## the environment in .venv: system libraries, torch, mmcv, the rest (first run 10-25 minutes, then a second)
	@$(PYTHON) tools/setup_env.py

train: setup ## generate the embedded scenes, train plain and rebalanced, evaluate, write the report
	@$(PY) -m imbdense benchmark demo --work-dir work_dirs/demo

test: setup ## the test suite, one process per core
	@OMP_NUM_THREADS=1 $(PY) -m pytest -n auto --maxprocesses 8 --dist loadfile

test-slow: setup ## the long runs that `make test` leaves out
	@$(PY) -m pytest -m slow

test-core: ## imbdense.core alone, in an environment with only torch, numpy, scipy and pytest
	@VENV=$(CORE_VENV) $(PYTHON) tools/setup_env.py --core
	@$(CORE_VENV)/bin/python -m pytest tests/core

lint: setup ## ruff
	@$(PY) -m ruff check .

types: setup ## mypy on imbdense.core
	@$(PY) -m mypy

doctor: setup ## what is installed, what works, how to mend the rest
	@$(PY) -m imbdense doctor

clean: ## remove caches and results; the environments stay (rm -r .venv .venv-core)
	@rm -rf build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache work_dirs
	@find . -name __pycache__ -not -path './.venv*' -prune -exec rm -rf {} +
