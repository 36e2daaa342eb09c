#!/usr/bin/env bash
# The steps of deploy/Dockerfile that do not depend on Docker: a checkout becomes an environment that can run.
# `make install` runs them too, and so does CI.
set -euo pipefail
cd "$(dirname "$0")/.."

"${PYTHON:-python3}" -m venv .venv
.venv/bin/python -m pip install --quiet --require-hashes -r requirements.txt
.venv/bin/python -m pip install --quiet --no-deps --no-build-isolation -e .
.venv/bin/boursomatic --version
