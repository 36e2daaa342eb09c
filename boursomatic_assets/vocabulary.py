"""The closed sets of values of the schema: markets, profiles, labels, intervals, buckets, decisions, roles.

What belongs here: values that tables and several rooms share, as text.
Kept elsewhere: the parameters of a profile (`advice/profiles.py`), the exchanges and sessions of a market
(`calendars/markets.py`), texts for people (`language/`).
"""

from typing import Final, Literal

MARKET_NAMES: Final = ("US", "EURONEXT")
"""The keys of `calendars.markets.MARKETS`, for modules that must not load calendars."""

PROFILES: Final = ("conservative", "moderate", "aggressive")

LABELS: Final = ("BUY", "HOLD", "SELL")

INTERVALS: Final = ("daily", "15m")
"""The intervals that the platform loads and computes with."""

INTERVAL_NAMES: Final = (*INTERVALS, "weekly", "monthly")
INTERVAL_PATTERN: Final = "^[1-9][0-9]*(s|m|h|d|w|mo)$"
"""How an interval is spelled in the tables, whoever writes it: one of the names, or a number and a unit."""

MARKET_CAP_BUCKETS: Final = ("small", "mid", "large")

PE_BUCKETS: Final = ("low", "medium", "high")

DECISIONS: Final = ("promoted", "retrained", "refused", "withdrawn", "forced", "rolled back")

VIEWS: Final = ("given", "capped", "none")
"""Whether a label is an opinion: given; HOLD since others came first; HOLD for want of a view."""

EXPIRY_REASONS: Final = ("horizon", "inactive", "renewed")

UNSCORED_REASONS: Final = ("no bar", "price basis")

ATTEMPT_KINDS: Final = ("account", "source")

Role = Literal["owner", "writer", "app", "account_admin", "reader"]

GRANTED_ROLES: Final[tuple[Role, ...]] = ("writer", "app", "account_admin", "reader")
"""The roles that a migration makes; the owner is whoever migrates."""

CHAINED_TABLES: Final = ("recommendations", "model_versions", "model_decisions")
"""The tables of which each row is in a chain of digests."""
