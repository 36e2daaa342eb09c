# install: the environment in .venv    demo: simulated bars through to recommendations
# test: everything that CI runs         dev: the Dagster UI on 127.0.0.1:3000
# test-on: the tests on another day, e.g. make test-on DAY="2026-11-29 12:00" (in UTC)
# bench: ratios into bench/RESULTS.md    lock: the pinned requirements, anew

PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

.PHONY: install demo test test-on dev bench lock

install: .venv/.installed

.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or later is needed: make PYTHON=python3.12"; exit 1; }
	$(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements.txt
	$(BIN)/python -m pip install --quiet --no-deps --no-build-isolation -e .
	@scripts/require_openmp.sh
	@touch $@

.venv/.tested: .venv/.installed requirements-test.txt
	$(BIN)/python -m pip install --quiet --require-hashes -r requirements-test.txt
	@touch $@

demo: export BOURSOMATIC_SOURCE = simulated
demo: install
	$(BIN)/boursomatic db upgrade
	$(BIN)/boursomatic backfill
	$(BIN)/boursomatic recommendations

test: .venv/.tested
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/bandit --quiet --recursive boursomatic_assets migrations --configfile pyproject.toml
	@scripts/require_compiler.sh
	$(BIN)/pytest -n 2

test-on: .venv/.tested
	@scripts/require_compiler.sh
	$(BIN)/python tests/clock "$(DAY)" $(BIN)/pytest -n 2

dev: install
	$(BIN)/boursomatic dev

bench: .venv/.tested
	$(BIN)/python bench/run.py

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header \
		--extra build pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header \
		--extra build --extra test -c requirements.txt pyproject.toml -o requirements-test.txt
