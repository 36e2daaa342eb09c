#!/usr/bin/env bash
# LightGBM's wheel needs the system's OpenMP runtime, which slim images lack: install it, or say how.
set -euo pipefail
cd "$(dirname "$0")/.."

has_openmp() { .venv/bin/python -c 'import lightgbm' >/dev/null 2>&1; }

has_openmp && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq libgomp1 >/dev/null
fi
has_openmp || { echo "error: LightGBM cannot be loaded: install the OpenMP runtime (Debian: libgomp1)" >&2; exit 1; }
