#!/usr/bin/env bash
# The steps of deploy/Dockerfile that do not depend on Docker: a checkout becomes an environment that can run.
# CI runs them in a copy of the checkout (tests/test_deploy.py), since it has no Docker.
set -euo pipefail
cd "$(dirname "$0")/.."

python3 -m venv .venv
.venv/bin/python -m pip install --quiet --require-hashes -r requirements.txt
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
.venv/bin/boursomatic --version
