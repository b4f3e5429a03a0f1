# `make repro`: the whole default pipeline. `make test`: everything that CI runs. Both set themselves up.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
# Versions that are tested together; the package itself asks for ranges only.
CONSTRAINTS := constraints.txt
# PyPI's build for Linux is the CUDA one; a wheel of your own: `make setup TORCH=./torch-2.13.0....whl`.
TORCH ?= torch==2.13.0

export DO_NOT_TRACK = 1
# Two processes on the same cores: see gpd/__init__.py.
export GOMP_SPINCOUNT ?= 1000
export PREFECT_SERVER_ANALYTICS_ENABLED = false
export HF_HUB_DISABLE_TELEMETRY = 1

.PHONY: help setup repro test coverage lint docs audit prefect clean
help:
	@echo "make repro    prompts and clips -> students -> evaluation -> report (minutes on two cores)"
	@echo "make prefect  the same from web pages: a local Prefect server, its deployments and a worker"
	@echo "make docs     pages of gpd's modules in build/docs/, gpd.api first"
	@echo "make audit    known holes of the tested versions (asks pypi.org; AUDIT='-s osv' asks osv.dev)"
	@echo "make test     format, lint, types, import contracts, pages of the modules, tests"
	@echo "make coverage tests, and which lines of gpd/ and flows/ they reach"

setup: $(VENV)/.installed

$(VENV)/.installed: pyproject.toml $(CONSTRAINTS)
	$(PYTHON) -c 'import sys; v = sys.version_info[:2]; sys.exit(0 if (3, 11) <= v <= (3, 13) else f"gpd needs Python 3.11 to 3.13, this is {v[0]}.{v[1]}; choose one: make PYTHON=python3.12 ...")'
	test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet "$(TORCH)" -c $(CONSTRAINTS)
	$(BIN)/python -m pip install --quiet -e '.[dev]' -c $(CONSTRAINTS)
	$(BIN)/python -m gpd.pages.offline .dvc/offline.html
	PATH="$(CURDIR)/$(BIN):$$PATH" dvc config --local plots.html_template offline.html
	touch $@

# Stages at once, each with one thread; `make repro JOBS=1` is `dvc repro`. On a machine with a GPU always one.
repro: setup
	$(BIN)/python -m flows.repro $(JOBS)
	test ! -e registry.db || $(BIN)/gpd registry upgrade  # the file of an older gpd
	$(BIN)/gpd registry sync
	$(BIN)/gpd table

PORT ?= 4200
prefect: setup
	exec $(BIN)/python -m flows.serve --port $(PORT)

lint: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports

# Two processes with one thread each: torch's small products gain next to nothing from a second thread.
JOBS ?= 2
# Tests start many processes, which would else compile the package each time.
test: export PYTHONDONTWRITEBYTECODE =
test: lint docs
	bash tests/install_browser.sh
	OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder \
		--durations=20 --durations-min=5

# The same tests, processes that they start included; fails below the share in pyproject.toml, or if a test fails.
# A part of them: `make coverage TESTS="tests/core tests/registry" LEAST=0`.
TESTS ?= tests
LEAST ?=
coverage: export PYTHONDONTWRITEBYTECODE =
coverage: export COVERAGE_FILE = $(CURDIR)/.work/coverage/data
coverage: setup
	bash tests/install_browser.sh
	rm -rf .work/coverage && mkdir -p .work/coverage
	OMP_NUM_THREADS=1 $(BIN)/coverage run -m pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(TESTS); status=$$?; \
		$(BIN)/coverage combine --quiet && $(BIN)/coverage report --ignore-errors $(if $(LEAST),--fail-under=$(LEAST)) && exit $$status

# In an environment of its own: what it needs is no dependency of gpd. A package that the service does not have is an error.
AUDIT ?=
audit:
	test -x build/audit/bin/pip-audit || ($(PYTHON) -m venv build/audit && build/audit/bin/pip install --quiet pip-audit)
	build/audit/bin/pip-audit --strict --no-deps --disable-pip $(AUDIT) -r $(CONSTRAINTS)

# The folder is new each time, so that no page stays of a module that is gone.
docs: setup
	rm -rf build/docs
	$(BIN)/python docs/api.py build/docs

clean:
	rm -rf $(VENV) .work build *.egg-info
