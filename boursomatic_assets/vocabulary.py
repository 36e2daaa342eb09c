"""The closed sets of values that the specification names: markets, profiles, labels, intervals, buckets, decisions.

What belongs here: values that several rooms and the tables agree on, as text.
Kept elsewhere: what a profile asks for (`advice/`), what a market is (`calendars/`), wording for people
(`language/`).
"""

from typing import Final

MARKET_NAMES: Final = ("US", "EURONEXT")
"""The keys of `calendars.markets.MARKETS`, for those who must not wait for calendars."""


PROFILES: Final = ("conservative", "moderate", "aggressive")


LABELS: Final = ("BUY", "HOLD", "SELL")


INTERVALS: Final = ("daily", "15m")


MARKET_CAP_BUCKETS: Final = ("small", "mid", "large")


PE_BUCKETS: Final = ("low", "medium", "high")


DECISIONS: Final = ("promoted", "refused", "withdrawn", "forced", "rolled back")
