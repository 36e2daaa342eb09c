"""The schema's specification as data, in its own notation: one line per column, one per index.

`TABLES` is the specification itself, which the first migration makes; `EXTENSIONS` is what was added to it.
A column's line reads `name | type | constraints`, an index's `name on (columns)` with its UNIQUE and WHERE.
"""

from dataclasses import dataclass

USERS = """
id                       | UUID         | PK
email                    | VARCHAR(255) | UNIQUE, NOT NULL
password_hash            | VARCHAR(255) | NOT NULL
is_admin                 | BOOLEAN      | NOT NULL, DEFAULT false
is_deleted               | BOOLEAN      | NOT NULL, DEFAULT false
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_users_email on (email)
ix_users_is_deleted on (is_deleted)
"""

USER_SETTINGS = """
id                       | UUID         | PK
user_id                  | UUID         | FK(users.id), UNIQUE, NOT NULL
risk_consent_accepted    | BOOLEAN      | NOT NULL, DEFAULT false
risk_consent_accepted_at | TIMESTAMP    | NULL
preferred_profile        | VARCHAR(50)  | DEFAULT 'moderate'
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()
updated_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_user_settings_user_id on (user_id)
"""

INSTRUMENTS = """
id                       | UUID         | PK
symbol                   | VARCHAR(50)  | NOT NULL
exchange                 | VARCHAR(50)  | NOT NULL
name                     | VARCHAR(255) | NULL
sector                   | VARCHAR(100) | NULL
market_cap_bucket        | VARCHAR(50)  | NULL
pe_bucket                | VARCHAR(50)  | NULL
is_active                | BOOLEAN      | NOT NULL, DEFAULT true
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()
updated_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_instruments_symbol on (symbol)
ix_instruments_exchange on (exchange)
ix_instruments_is_active on (is_active)
"""

PRICE_BARS = """
id                       | UUID         | PK
instrument_id            | UUID         | FK(instruments.id), NOT NULL
ts                       | TIMESTAMP    | NOT NULL
o                        | FLOAT        | NOT NULL
h                        | FLOAT        | NOT NULL
l                        | FLOAT        | NOT NULL
c                        | FLOAT        | NOT NULL
v                        | FLOAT        | NOT NULL
interval                 | VARCHAR(10)  | NOT NULL
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_price_bars_instrument_id on (instrument_id)
ix_price_bars_ts on (ts)
ix_price_bars_interval on (interval)
idx_price_bars_instrument_ts_interval on (instrument_id, ts, interval) UNIQUE
"""

FEATURES = """
id                       | UUID         | PK
instrument_id            | UUID         | FK(instruments.id), NOT NULL
ts                       | TIMESTAMP    | NOT NULL
ret_1d                   | FLOAT        | NULL
ret_5d                   | FLOAT        | NULL
ret_20d                  | FLOAT        | NULL
rsi_14                   | FLOAT        | NULL
momentum_5d              | FLOAT        | NULL
vol_20d                  | FLOAT        | NULL
atr_14                   | FLOAT        | NULL
volume_zscore            | FLOAT        | NULL
additional_features      | JSON         | NULL
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_features_instrument_id on (instrument_id)
ix_features_ts on (ts)
idx_features_instrument_ts on (instrument_id, ts) UNIQUE
"""

MODEL_VERSIONS = """
id                       | UUID         | PK
version                  | VARCHAR(100) | UNIQUE, NOT NULL
trained_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()
params_hash              | VARCHAR(64)  | NOT NULL
metrics_json             | JSON         | NOT NULL
model_path               | VARCHAR(500) | NULL
is_active                | BOOLEAN      | NOT NULL, DEFAULT false
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_model_versions_version on (version)
ix_model_versions_is_active on (is_active)
uq_model_versions_active on (is_active) UNIQUE WHERE is_active
"""  # the last one makes the specification's note a rule: "only one model should have is_active = true"

RECOMMENDATIONS = """
id                       | UUID         | PK
instrument_id            | UUID         | FK(instruments.id), NOT NULL
model_version_id         | UUID         | FK(model_versions.id), NOT NULL
profile                  | VARCHAR(50)  | NOT NULL
label                    | VARCHAR(10)  | NOT NULL
confidence               | FLOAT        | NOT NULL
expected_return_pct      | FLOAT        | NULL
horizon_days             | INTEGER      | NULL
stop_loss                | FLOAT        | NULL
take_profit              | FLOAT        | NULL
justification            | TEXT         | NULL
features_snapshot        | JSON         | NOT NULL
generated_at             | TIMESTAMP    | NOT NULL, DEFAULT NOW()
is_active                | BOOLEAN      | NOT NULL, DEFAULT true

ix_recommendations_instrument_id on (instrument_id)
ix_recommendations_model_version_id on (model_version_id)
ix_recommendations_profile on (profile)
ix_recommendations_label on (label)
ix_recommendations_generated_at on (generated_at)
ix_recommendations_is_active on (is_active)
idx_recommendations_active_generated on (is_active, generated_at)
idx_recommendations_instrument_profile on (instrument_id, profile, generated_at)
"""

TABLES = {
    "users": USERS,
    "user_settings": USER_SETTINGS,
    "instruments": INSTRUMENTS,
    "price_bars": PRICE_BARS,
    "features": FEATURES,
    "model_versions": MODEL_VERSIONS,
    "recommendations": RECOMMENDATIONS,
}

EXTENSIONS = {
    "users": """
uq_users_lower_email on (lower(email::text)) UNIQUE
""",
    "login_attempts": """
id                       | UUID         | PK
kind                     | VARCHAR(10)  | NOT NULL
subject                  | VARCHAR(64)  | NOT NULL
failures                 | INTEGER      | NOT NULL, DEFAULT 0
failed_at                | TIMESTAMP    | NOT NULL, DEFAULT NOW()
waits_until              | TIMESTAMP    | NULL

ix_login_attempts_failed_at on (failed_at)
uq_login_attempts_kind_subject on (kind, subject) UNIQUE
""",
    "instruments": """
words                    | TSVECTOR     | NULL, DEFAULT generated

ix_instruments_words on (words)
ix_instruments_name_trigrams on (name)
uq_instruments_symbol_exchange on (symbol, exchange) UNIQUE
""",
    "price_bars": """
updated_at               | TIMESTAMP    | NULL
file_id                  | BIGINT       | NULL
line                     | INTEGER      | NULL
""",
    "features": """
updated_at               | TIMESTAMP    | NULL
""",
    "model_versions": """
as_of                    | TIMESTAMP    | NOT NULL
revision                 | INTEGER      | NOT NULL, DEFAULT 1
history_digest           | VARCHAR(64)  | NULL
history_read_at          | TIMESTAMP    | NULL

ix_model_versions_as_of on (as_of)
uq_model_versions_as_of_revision on (as_of, revision) UNIQUE
""",
    "recommendations": """
as_of                    | TIMESTAMP    | NOT NULL
superseded_at            | TIMESTAMP    | NULL
view                     | VARCHAR(10)  | NULL

ix_recommendations_as_of on (as_of)
ix_recommendations_active on (instrument_id) WHERE is_active
uq_recommendations_current on (instrument_id, profile, as_of) UNIQUE WHERE superseded_at IS NULL
""",
    "recommendation_expiries": """
id                       | UUID         | PK
recommendation_id        | UUID         | FK(recommendations.id), NOT NULL
session                  | TIMESTAMP    | NOT NULL
reason                   | VARCHAR(20)  | NOT NULL
decided_at               | TIMESTAMP    | NOT NULL, DEFAULT clock_timestamp()

uq_recommendation_expiries_recommendation_id_decided_at on (recommendation_id, decided_at) UNIQUE
""",
    "recommendation_words": """
id                       | UUID         | PK
instrument_id            | UUID         | NOT NULL
profile                  | VARCHAR(50)  | NOT NULL
as_of                    | TIMESTAMP    | NOT NULL
words                    | TSVECTOR     | NOT NULL

ix_recommendation_words_as_of on (as_of, id)
ix_recommendation_words_instrument_as_of on (instrument_id, as_of)
ix_recommendation_words_words on (words)
""",
    "summaries": """
id                       | UUID         | PK
name                     | VARCHAR(50)  | NOT NULL, UNIQUE
sources                  | VARCHAR(32)  | NOT NULL
""",
    "alerts": """
id                       | UUID         | PK
channel                  | VARCHAR(20)  | NOT NULL
subject                  | VARCHAR(200) | NOT NULL
kind                     | VARCHAR(10)  | NOT NULL
content                  | JSON         | NOT NULL
raised_at                | TIMESTAMP    | NOT NULL, DEFAULT NOW()
sent_at                  | TIMESTAMP    | NULL
failures                 | INTEGER      | NOT NULL, DEFAULT 0
retry_at                 | TIMESTAMP    | NULL
error                    | VARCHAR(300) | NULL

ix_alerts_unsent on (channel, raised_at) WHERE sent_at IS NULL
uq_alerts_channel_subject_raised_at on (channel, subject, raised_at) UNIQUE
""",
    "archive_files": """
id                       | UUID         | PK
asset                    | VARCHAR(50)  | NOT NULL
market                   | VARCHAR(50)  | NOT NULL
first_session            | TIMESTAMP    | NOT NULL
last_session             | TIMESTAMP    | NOT NULL
name                     | VARCHAR(200) | NOT NULL
size                     | BIGINT       | NOT NULL
row_count                | BIGINT       | NOT NULL
written_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()
superseded_at            | TIMESTAMP    | NULL
months                   | JSON         | NULL

uq_archive_files_current on (asset, market, first_session) UNIQUE WHERE superseded_at IS NULL
""",
    "run_claims": """
id                       | UUID         | PK
run_id                   | VARCHAR(36)  | NOT NULL, UNIQUE
epoch                    | INTEGER      | NOT NULL, DEFAULT 0
host                     | VARCHAR(255) | NOT NULL
pid                      | INTEGER      | NOT NULL
claimed_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()
seen_at                  | TIMESTAMP    | NOT NULL, DEFAULT NOW()
""",
    "model_decisions": """
id                       | UUID         | PK
version_id               | UUID         | FK(model_versions.id), NOT NULL
effective_at             | TIMESTAMP    | NOT NULL
kind                     | VARCHAR(20)  | NOT NULL
speaker_id               | UUID         | FK(model_versions.id), NULL
reason                   | TEXT         | NOT NULL
numbers                  | JSON         | NOT NULL
decided_by               | VARCHAR(255) | NOT NULL
decided_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_model_decisions_version_id on (version_id)
ix_model_decisions_speaker_id on (speaker_id)
uq_model_decisions_gate on (version_id) UNIQUE WHERE decided_by)::text = 'gate'::text
""",
    "rejected_bars": """
id                       | UUID         | PK
market                   | VARCHAR(50)  | NOT NULL
session                  | TIMESTAMP    | NULL
source                   | VARCHAR(50)  | NOT NULL
file                     | VARCHAR(500) | NULL
line                     | BIGINT       | NULL
raw                      | JSON         | NOT NULL
reason                   | VARCHAR(100) | NOT NULL
run_id                   | VARCHAR(50)  | NULL
rejected_at              | TIMESTAMP    | NOT NULL, DEFAULT NOW()
interval                 | VARCHAR(10)  | NOT NULL, DEFAULT 'daily'::character varying

ix_rejected_bars_market_session on (market, session)
ix_rejected_bars_reason on (reason)
""",
    "price_bar_revisions": """
id                       | UUID         | PK
instrument_id            | UUID         | FK(instruments.id), NOT NULL
ts                       | TIMESTAMP    | NOT NULL
interval                 | VARCHAR(10)  | NOT NULL
o                        | FLOAT        | NOT NULL
h                        | FLOAT        | NOT NULL
l                        | FLOAT        | NOT NULL
c                        | FLOAT        | NOT NULL
v                        | FLOAT        | NOT NULL
known_from               | TIMESTAMP    | NOT NULL
known_until              | TIMESTAMP    | NOT NULL
source                   | VARCHAR(50)  | NULL
file                     | VARCHAR(500) | NULL
run_id                   | VARCHAR(50)  | NULL
file_id                  | BIGINT       | NULL
line                     | INTEGER      | NULL

ix_price_bar_revisions_ts on (ts)
idx_price_bar_revisions_instrument_ts_interval on (instrument_id, ts, interval, known_until) UNIQUE
""",
    "delivered_sessions": """
id                       | UUID         | PK
market                   | VARCHAR(50)  | NOT NULL
session                  | TIMESTAMP    | NULL
interval                 | VARCHAR(10)  | NOT NULL
source                   | VARCHAR(50)  | NOT NULL
delivered                | INTEGER      | NOT NULL
kept                     | INTEGER      | NOT NULL
merged                   | INTEGER      | NOT NULL
rejected                 | INTEGER      | NOT NULL
repaired                 | INTEGER      | NOT NULL
provisional              | BOOLEAN      | NOT NULL
run_id                   | VARCHAR(50)  | NULL
delivered_at             | TIMESTAMP    | NOT NULL, DEFAULT NOW()

uq_delivered_sessions on (market, session, interval) UNIQUE
""",
    "track_record": """
id                       | UUID         | PK
recommendation_id        | UUID         | FK(recommendations.id), NOT NULL
instrument_id            | UUID         | FK(instruments.id), NOT NULL
ts                       | TIMESTAMP    | NOT NULL
profile                  | VARCHAR(50)  | NOT NULL
label                    | VARCHAR(10)  | NOT NULL
as_of                    | TIMESTAMP    | NOT NULL
horizon_days             | INTEGER      | NOT NULL
confidence               | FLOAT        | NOT NULL
expected_return_pct      | FLOAT        | NULL
realised_return_pct      | FLOAT        | NULL
outcome                  | VARCHAR(10)  | NULL
hit                      | BOOLEAN      | NULL
first_touched            | VARCHAR(10)  | NULL
touched_on               | TIMESTAMP    | NULL
view                     | VARCHAR(10)  | NULL
relative_return_pct      | FLOAT        | NULL
unscored                 | VARCHAR(20)  | NULL
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()
updated_at               | TIMESTAMP    | NULL

ix_track_record_recommendation_id on (recommendation_id)
ix_track_record_instrument_id on (instrument_id)
uq_track_record_ts_recommendation on (ts, recommendation_id) UNIQUE
""",
    "delivered_files": """
id                       | UUID          | PK
source                   | VARCHAR(50)   | NOT NULL
file                     | VARCHAR(500)  | NOT NULL
recognised               | VARCHAR(200)  | NULL
lines                    | BIGINT        | NOT NULL
header                   | BIGINT        | NOT NULL
blank                    | BIGINT        | NOT NULL
comments                 | BIGINT        | NOT NULL
footer                   | BIGINT        | NOT NULL
delivered                | BIGINT        | NOT NULL
problem                  | VARCHAR(1000) | NULL
passed_over              | BOOLEAN       | NOT NULL
gone                     | BOOLEAN       | NOT NULL, DEFAULT false
run_id                   | VARCHAR(50)   | NULL
read_at                  | TIMESTAMP     | NOT NULL, DEFAULT clock_timestamp()
digest                   | VARCHAR(64)   | NULL
file_id                  | BIGINT        | NULL

ix_delivered_files_file_id on (file_id)
uq_delivered_files_source_file_read_at on (source, file, read_at) UNIQUE
""",
    "audit_entries": """
id                       | UUID         | PK
table_name               | VARCHAR(50)  | NOT NULL
market                   | VARCHAR(50)  | NOT NULL
number                   | BIGINT       | NULL
kind                     | VARCHAR(20)  | NOT NULL
columns                  | TEXT[]       | NOT NULL
row_ids                  | UUID[]       | NOT NULL
times                    | TIMESTAMP[]  | NOT NULL
digests                  | BYTEA[]      | NOT NULL
content                  | BYTEA        | NOT NULL
digest                   | BYTEA        | NULL
transaction              | BIGINT       | NOT NULL, DEFAULT ((pg_current_xact_id())::text)::bigint
created_at               | TIMESTAMP    | NOT NULL, DEFAULT clock_timestamp()

ix_audit_entries_unsealed on (transaction) WHERE number IS NULL
uq_audit_entries_table_name_market_number on (table_name, market, number) UNIQUE
""",
    "audit_heads": """
id                       | UUID         | PK
table_name               | VARCHAR(50)  | NOT NULL
market                   | VARCHAR(50)  | NOT NULL
number                   | BIGINT       | NOT NULL
digest                   | BYTEA        | NOT NULL
changed_at               | TIMESTAMP    | NOT NULL, DEFAULT clock_timestamp()

uq_audit_heads_table_name_market on (table_name, market) UNIQUE
""",
    "audit_log": """
id                       | UUID         | PK
happened_at              | TIMESTAMP    | NOT NULL, DEFAULT clock_timestamp()
actor                    | VARCHAR(255) | NOT NULL
subject                  | VARCHAR(50)  | NOT NULL
subject_id               | UUID         | NULL
action                   | TEXT         | NOT NULL

ix_audit_log_happened_at on (happened_at)
ix_audit_log_subject on (subject, subject_id)
""",
    "instrument_aliases": """
id                       | UUID         | PK
symbol                   | VARCHAR(50)  | NOT NULL
exchange                 | VARCHAR(50)  | NOT NULL
instrument_id            | UUID         | FK(instruments.id), NOT NULL
created_at               | TIMESTAMP    | NOT NULL, DEFAULT NOW()

ix_instrument_aliases_instrument_id on (instrument_id)
uq_instrument_aliases_symbol_exchange on (symbol, exchange) UNIQUE
""",
    "computed_sessions": """
id                       | UUID         | PK
asset                    | VARCHAR(50)  | NOT NULL
market                   | VARCHAR(50)  | NOT NULL
session                  | TIMESTAMP    | NOT NULL
computed_at              | TIMESTAMP    | NOT NULL
changed_at               | TIMESTAMP    | NOT NULL

uq_computed_sessions_asset_market_session on (asset, market, session) UNIQUE
""",
}

SAMPLE_USER = """
INSERT INTO users (id, email, password_hash, is_admin, is_deleted)
VALUES (
    gen_random_uuid(),
    'test@example.com',
    '$argon2id$v=19$m=65536,t=3,p=4$...',  -- hashed password
    false,
    false
);
"""
SAMPLE_INSTRUMENT = """
INSERT INTO instruments (id, symbol, exchange, name, sector, is_active)
VALUES (
    gen_random_uuid(),
    'AAPL',
    'NASDAQ',
    'Apple Inc.',
    'Technology',
    true
);
"""
SAMPLE_QUERY = """
SELECT 
    r.id,
    i.symbol,
    i.exchange,
    r.profile,
    r.label,
    r.confidence,
    r.expected_return_pct,
    r.generated_at
FROM recommendations r
JOIN instruments i ON r.instrument_id = i.id
WHERE r.is_active = true
AND r.generated_at > NOW() - INTERVAL '7 days'
ORDER BY r.generated_at DESC;
"""  # noqa: W291 - as it stands in the specification


@dataclass(frozen=True)
class Column:
    """What the specification says of a column; `references` is `table.column`."""

    type: str
    nullable: bool
    default: str | None = None
    primary_key: bool = False
    unique: bool = False
    references: str | None = None


def columns(tables: dict[str, str]) -> dict[str, Column]:
    """Return every column, by `table.name`."""
    rows = (
        (table, line.split("|")) for table, text in tables.items() for line in text.splitlines() if "|" in line
    )
    return {f"{table}.{name.strip()}": _column(kind.strip(), words.strip()) for table, (name, kind, words) in rows}


def _column(kind: str, words: str) -> Column:
    said = words.split(", ")
    valued = {
        name: word.removeprefix(name) for word in said for name in ("DEFAULT ", "FK(") if word.startswith(name)
    }
    return Column(
        type=kind,
        nullable="NOT NULL" not in said and "PK" not in said,
        default=valued.get("DEFAULT "),
        primary_key="PK" in said,
        unique="UNIQUE" in said,
        references=valued["FK("].rstrip(")") if "FK(" in valued else None,
    )


def indexes(tables: dict[str, str]) -> dict[str, set[str]]:
    """Return the lines of the indexes, by table."""
    return {table: {line for line in text.splitlines() if " on (" in line} for table, text in tables.items()}
