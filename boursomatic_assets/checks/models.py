"""Asset checks of model versions and of the decisions about them.

What belongs here: what counts as a violation in `model_versions` and `model_decisions`.
Kept elsewhere: how versions are trained and decided about (`registry/`).
"""

from sqlalchemy import Connection, exists, false, func, select

from boursomatic_assets import registry
from boursomatic_assets.checks.findings.counting import check_unique_index, count_duplicates, count_violations
from boursomatic_assets.checks.invariant import Finding, invariant
from boursomatic_assets.learning.parameters import Parameters
from boursomatic_assets.registry.decisions import ACTIVE_VERSION_ID, GATE, VERSIONS
from boursomatic_assets.registry.model_files import ModelFileError


@invariant("model_versions")
def one_row_per_version(connection: Connection) -> Finding:
    """No version exists twice, and a unique index enforces it."""
    return count_duplicates(connection, "uq_model_versions_version", "model_versions", "version")


@invariant("model_versions")
def one_version_per_revision(connection: Connection) -> Finding:
    """No due date has two versions of one revision, and a unique index enforces it."""
    return count_duplicates(connection, "uq_model_versions_as_of_revision", "model_versions", "as_of, revision")


@invariant("model_versions")
def exactly_one_model_is_active(connection: Connection) -> Finding:
    """The champion, or without a champion the last one, is active, and no other version is.

    Before the first promotion no version is active. A unique index allows one active version only.
    """
    v, versions = VERSIONS.c, select(func.count()).select_from(VERSIONS)
    active = connection.scalar(versions.where(v.is_active))
    wrongly_active = (
        connection.scalar(versions.where(v.is_active != func.coalesce(v.id == ACTIVE_VERSION_ID, false()))) or 0
    )
    index_finding = check_unique_index(connection, "uq_model_versions_active")
    return Finding(errors=wrongly_active) + index_finding + Finding(figures={"active": active})


@invariant("model_versions")
def every_version_has_its_decision(connection: Connection) -> Finding:
    """The gate decided about every version as of its due date, and no version is champion before that."""
    decided = "SELECT FROM model_decisions d WHERE d.version_id = v.id AND d.effective_at = v.as_of"
    undecided = count_violations(
        connection, f"model_versions v WHERE NOT EXISTS ({decided} AND d.decided_by = :gate)", {"gate": GATE}
    )
    early = "model_decisions d JOIN model_versions v ON v.id = d.speaker_id WHERE v.as_of > d.effective_at"
    return undecided + count_violations(connection, early, {})


@invariant("model_versions")
def metrics_are_complete(connection: Connection) -> Finding:
    """Every version has the metrics of the specification and a SHA-256 of its parameters."""
    required = ["accuracy", "precision", "recall", "f1", "sharpe", "max_drawdown"]
    incomplete = "NOT (metrics_json::jsonb ?& CAST(:wanted AS text[])) OR params_hash !~ '^[0-9a-f]{64}$'"
    return count_violations(connection, f"model_versions WHERE {incomplete}", {"wanted": required})


@invariant("model_versions")
def active_model_file_is_intact(connection: Connection) -> Finding:
    """The active version's file exists, and its SHA-256 is the one in its name."""
    for path in connection.scalars(select(VERSIONS.c.model_path).where(VERSIONS.c.is_active)):
        try:
            registry.model_store().read(path)
        except ModelFileError as error:
            return Finding(errors=1, figures={"problem": str(error)})
    return Finding()


@invariant("model_versions", blocking=False)
def parameters_are_those_of_the_active_model(connection: Connection) -> Finding:
    """The newest version was trained with the parameters of this code, and with those of the version before it.

    A warning for each difference: a new recipe was trained, or will be trained on the next due date.
    """
    v = VERSIONS.c
    later = VERSIONS.alias().c
    newest_revision = ~exists().where(later.as_of == v.as_of, later.revision > v.revision)
    query = select(v.version, v.params_hash).where(newest_revision).order_by(v.as_of.desc())
    rows = connection.execute(query.limit(2)).all()
    if not rows:
        return Finding()
    newest, code_hash = rows[0], Parameters().params_hash()
    expected_hashes = (code_hash, *(row.params_hash for row in rows[1:]))
    differing = [other for other in expected_hashes if other != newest.params_hash]
    figures = {"version": newest.version, "params_hash": newest.params_hash, "params_hash_of_this_code": code_hash}
    return Finding(warnings=len(differing), figures=figures)


@invariant("model_versions", blocking=False)
def versions_follow_what_they_learned_from(connection: Connection) -> Finding:
    """The newest revision of each due date learned from the history that is stored now.

    A stale version stays until `boursomatic refresh --models` trains its due date again.
    """
    stale = [version.version for version in registry.stale_versions(connection, Parameters())]
    return Finding(warnings=len(stale), figures={"versions": ", ".join(stale)} if stale else {})
