#!/usr/bin/env bash
# Moves the database's schema: db_migration.sh create|migrate|status|rollback|recreate [--yes]
# rollback and recreate drop every table; while one holds rows they need --yes or BOURSOMATIC_YES=1.
set -euo pipefail
checkout="$(cd "$(dirname "$(readlink -f "${BASH_SOURCE[0]}")")/.." && pwd)"
exec "$checkout/.venv/bin/python" -m boursomatic_assets.database.migrate "$@"
