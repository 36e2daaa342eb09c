#!/usr/bin/env bash
# Tests on another day need a C compiler, which slim images lack: install one, or say how.
set -euo pipefail

has_compiler() { echo 'int main(void) { return 0; }' | cc -x c -o /dev/null - 2>/dev/null; }

has_compiler && exit 0
if [ "$(id -u)" = 0 ] && command -v apt-get >/dev/null; then
    apt-get update -qq && apt-get install -y -qq gcc libc6-dev >/dev/null
fi
has_compiler || { echo "error: there is no C compiler: install cc (Debian: gcc libc6-dev)" >&2; exit 1; }
