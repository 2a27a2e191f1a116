# make demo | test | classic | environment | bench | check | matrix | sync-docs | register
# PYTHON names the interpreter that the environment is made with: make demo PYTHON=python3.12

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin

.PHONY: demo test classic environment bench check matrix sync-docs register clean

demo: $(VENV)/.ready
	$(BIN)/python -m examples.demo

test: $(VENV)/.ready-test
	$(BIN)/python -m pytest tests --ignore=tests/classic --cov --cov-report=term-missing:skip-covered --cov-fail-under=90

# Microsoft's last real packages, in a Python 3.9 environment of their own (7 GB).
classic: $(VENV)/.ready-test
	bash tests/classic/setup.sh .venv-classic
	$(BIN)/python -m pytest tests/classic

# The matrix of the README: every step, Microsoft's and ours, on what each neighbour wrote.
matrix: $(VENV)/.ready-test
	bash tests/classic/setup.sh .venv-classic
	$(BIN)/python tests/classic/interoperability.py

# What conda.yaml installs with pip, alone in a fresh environment; the demo must run in it, and then
# it goes: it is as large as the environment of the tests.
environment: $(VENV)/.ready-test
	rm -rf .venv-azure
	$(PYTHON) -m venv .venv-azure
	$(BIN)/python -m tools.pip_part conda.yaml > .venv-azure/requirements.txt
	.venv-azure/bin/python -m pip install --disable-pip-version-check --quiet --requirement .venv-azure/requirements.txt
	.venv-azure/bin/python -m pip check --disable-pip-version-check
	.venv-azure/bin/python -m examples.demo
	rm -rf .venv-azure

# Takes hours. A target that is missed does not keep the others from being measured.
bench: $(VENV)/.ready-bench .venv-plain/.ready
	bash tests/classic/setup.sh .venv-classic
	@missed=; \
	for words in benchmarks.accuracy benchmarks.transformation benchmarks.scoring \
			benchmarks.training benchmarks.layers "benchmarks.indexing --ours .venv-plain" \
			benchmarks.checkpoints benchmarks.growth benchmarks.limits; do \
		echo "python -m $$words"; \
		$(BIN)/python -m $$words || missed="$$missed $${words%% *}"; \
	done; \
	test -z "$$missed" || { echo "a target is missed, or could not be told, in:$$missed" >&2; exit 1; }

check: $(VENV)/.ready-test
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

sync-docs: $(VENV)/.ready-test
	$(BIN)/python -m tools.sync_docs

# Registers every component; needs the az command with its ml extension, signed in.
# make register WORKSPACE=… RESOURCE_GROUP=… [SUBSCRIPTION=…]; what az has defaults for may be left out
register:
	@test -n "$(WORKSPACE)" || { echo "name the workspace: make register WORKSPACE=… RESOURCE_GROUP=…" >&2; exit 2; }
	@for spec in module_spec.yaml components/*/module_spec.yaml; do \
		echo "registering $$spec"; \
		az ml component create --file $$spec --workspace-name "$(WORKSPACE)" \
			$(if $(RESOURCE_GROUP),--resource-group "$(RESOURCE_GROUP)") \
			$(if $(SUBSCRIPTION),--subscription "$(SUBSCRIPTION)") || exit 1; \
	done

clean:
	rm -rf $(VENV) .venv-classic .venv-azure .venv-plain demo pipeline-run

$(VENV)/.ready: setup.py
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 10))' || \
		{ echo "needs Python 3.10 or newer, found $$($(PYTHON) --version); try make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable .
	@touch $@

$(VENV)/.ready-test: $(VENV)/.ready tests/constraints.txt
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test]' --constraint tests/constraints.txt
	@touch $@

$(VENV)/.ready-bench: $(VENV)/.ready-test
	$(BIN)/python -m pip install --disable-pip-version-check --quiet --editable '.[test,bench]' --constraint tests/constraints.txt
	@touch $@

# What the component needs and nothing else, as its users have it: no pandas.
.venv-plain/.ready: setup.py
	$(PYTHON) -m venv .venv-plain
	.venv-plain/bin/python -m pip install --disable-pip-version-check --quiet --editable .
	@touch $@
