#!/usr/bin/env bash
# The steps of deploy/Dockerfile that do not depend on Docker: a checkout becomes an environment that can run.
# They are those of `make install`, which CI runs; tests/test_deploy.py holds the two together.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 -m venv .venv
.venv/bin/python -m pip install --quiet --require-hashes -r requirements.txt
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
.venv/bin/boursomatic --version
