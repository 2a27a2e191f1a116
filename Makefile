# make demo | test | classic | bench | check | sync-docs
# PYTHON names the interpreter that the environment is made with: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test classic bench check sync-docs clean

demo: $(VENV)/.ready
	$(BIN)/python -m examples.demo

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest tests --ignore=tests/classic --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

# Microsoft's last real packages, in a Python 3.9 environment of their own (7 GB).
classic: $(VENV)/.ready-test
	bash tests/classic/setup.sh .venv-classic
	$(BIN)/python -m pytest tests/classic

bench: $(VENV)/.ready-test
	bash tests/classic/setup.sh .venv-classic
	$(BIN)/python -m benchmarks.accuracy --classic .venv-classic

check: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

sync-docs: $(VENV)/.ready-test
	$(BIN)/python -m tools.sync_docs

clean:
	rm -rf $(VENV) .venv-classic demo

$(VENV)/.ready: setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "needs Python 3.10 or newer, found $$($(PYTHON) --version); try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready tests/constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test]' --constraint tests/constraints.txt
	@touch $@
