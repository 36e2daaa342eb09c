# install: the environment in .venv    demo: simulated bars through to recommendations
# check: every linter, and the tests that need no database, in a minute    format: put code and imports in form
# test: everything that CI runs         drills: tests that are long by nature, of which `test` runs short twins
# dev: the Dagster UI on 127.0.0.1:3000
# mutants: lines broken on purpose, each of which a test must see
# test-on: the tests on another day, e.g. make test-on DAY="2026-11-29 12:00" (in UTC)
# bench: ratios into bench/RESULTS.md    lock: the pinned requirements, anew

PYTHON ?= python3
BIN := .venv/bin
export PIP_DISABLE_PIP_VERSION_CHECK = 1

LINTERS := lint-types lint-code lint-format lint-security lint-imports lint-dead-code
# Two at a time, each with its output in one piece; one after the other where make knows no such option (macOS).
PARALLEL := $(if $(filter output-sync,$(.FEATURES)),--jobs=2 --output-sync=target)

# A worker that has nothing left to do takes tests from the other one.
WORKERS := -n 2 --dist worksteal

.PHONY: install demo check test drills test-on mutants quick-tests $(LINTERS) format dev bench lock

install: .venv/.installed

.venv/.installed: requirements.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "error: Python 3.11 or later is needed: make PYTHON=python3.12"; exit 1; }
	PYTHON=$(PYTHON) deploy/install.sh
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

check: .venv/.tested
	@$(MAKE) --no-print-directory --keep-going $(PARALLEL) quick-tests $(LINTERS)

test: .venv/.tested
	@$(MAKE) --no-print-directory --keep-going $(PARALLEL) $(LINTERS)
	@scripts/require_compiler.sh
	$(BIN)/pytest $(WORKERS) -m "not drill"

drills: .venv/.tested
	@scripts/require_compiler.sh
	$(BIN)/pytest $(WORKERS) -m drill
	BOURSOMATIC_TEST_PARTITIONED=1 $(BIN)/pytest $(WORKERS) -m "not drill" tests/tables tests/schema tests/checks

quick-tests:
	$(BIN)/pytest $(WORKERS) -m "not database and not slow and not drill"

lint-code:
	$(BIN)/ruff check .

lint-format:
	$(BIN)/ruff format --check .

lint-types:
	$(BIN)/mypy

lint-security:
	$(BIN)/bandit --quiet --recursive boursomatic_assets migrations --configfile pyproject.toml

lint-imports:
	$(BIN)/lint-imports --no-logo

lint-dead-code:
	$(BIN)/vulture

test-on: .venv/.tested
	@scripts/require_compiler.sh
	$(BIN)/python tests/clock "$(DAY)" $(BIN)/pytest $(WORKERS) -m "not drill"

mutants: .venv/.tested
	$(BIN)/python tests/mutants

format: .venv/.tested
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .

dev: export BOURSOMATIC_AUTOMATION ?= 1
dev: install
	$(BIN)/boursomatic dev

bench: .venv/.tested
	$(BIN)/python bench/run.py

lock:
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header \
		--extra build --extra celery pyproject.toml -o requirements.txt
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-strip-extras --no-annotate --no-header \
		--extra build --extra celery --extra test -c requirements.txt pyproject.toml -o requirements-test.txt
