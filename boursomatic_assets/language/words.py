"""Words: what a reader is told of each feature, and how its number is written, in English and French.

What belongs here: one phrase and one unit per feature, in one table. Numbers follow the phrase in brackets, so
that no language has to bend its grammar to them.
Kept elsewhere: which features are named, and in which sentence (`justification.py`).
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass

import polars as pl

LANGUAGES = ("en", "fr")

RANK = "_rank"
"""Ends the name of a feature's rank within its market and session: a share, 0 to 1."""

OF_ITS_MARKET = "§"
"""Stands where a rank may say of what it is: said once in a sentence that names several ranks."""

ITS_MARKET = {"en": " of its market", "fr": " de son marché"}


@dataclass(frozen=True)
class Unit:
    """How a number is written.

    Attributes:
        en: The text around the number, with {} for it.
        fr: The same in French.
        scale: What the stored value is multiplied by.
        digits: Digits after the decimal point, at most.
        signed: Whether a positive number has a plus.
        offset: What is added to the stored value before it is scaled.
    """

    en: str
    fr: str
    scale: float = 1.0
    digits: int = 1
    signed: bool = False
    offset: float = 0.0


@dataclass(frozen=True)
class Phrase:
    """What a feature is called in a sentence, and the unit of its number."""

    unit: Unit
    en: str
    fr: str


RETURN = Unit("{} %", "{} %", scale=100, signed=True)
SHORT_RETURN = Unit("{} %", "{} %", scale=100, digits=2, signed=True)
BELOW_ONE = Unit("{} %", "{} %", scale=100, signed=True, offset=-1)
PERCENT = Unit("{} %", "{} %", scale=100)
YEARLY = Unit("{} % a year", "{} % par an", scale=100 * math.sqrt(252))
IMPACT = Unit("{} % per million", "{} % par million", scale=1e8, digits=4)
POINTS = Unit("{}", "{}", digits=0)
RATIO = Unit("{}", "{}", digits=2)
TIMES = Unit("{} times", "{} fois", digits=2)
SKEW = Unit("{}", "{}", signed=True)
DEVIATIONS = Unit("{} standard deviations", "{} écarts-types", signed=True)
SESSION = Unit("session {}", "séance {}", digits=0)

PHRASES: Mapping[str, Phrase] = {
    "ret_1d": Phrase(SHORT_RETURN, "its return of the day", "son rendement du jour"),
    "ret_5d": Phrase(RETURN, "its 5-day return", "son rendement sur 5 séances"),
    "ret_20d": Phrase(RETURN, "its 20-day return", "son rendement sur 20 séances"),
    "ret_60d": Phrase(RETURN, "its 60-day return", "son rendement sur 60 séances"),
    "ret_120d": Phrase(RETURN, "its 120-day return", "son rendement sur 120 séances"),
    "momentum_12_1": Phrase(
        RETURN, "its return over a year without the last month", "son rendement sur un an hors dernier mois"
    ),
    "rsi_14": Phrase(POINTS, "its relative strength index", "son indice de force relative"),
    "vol_20d": Phrase(YEARLY, "its 20-day volatility", "sa volatilité sur 20 séances"),
    "vol_250d": Phrase(YEARLY, "its volatility over a year", "sa volatilité sur un an"),
    "vol_ratio": Phrase(
        TIMES, "its 20-day volatility against that of 120 days", "sa volatilité sur 20 séances contre 120"
    ),
    "max_ret_20d": Phrase(RETURN, "its best day of the last 20", "sa meilleure séance des 20 dernières"),
    "range_20d": Phrase(PERCENT, "its mean daily range", "son amplitude moyenne par séance"),
    "overnight_20d": Phrase(SHORT_RETURN, "its mean overnight return", "son rendement moyen hors séance"),
    "skew_60d": Phrase(SKEW, "the skewness of its daily returns", "l'asymétrie de ses rendements"),
    "volume_zscore": Phrase(DEVIATIONS, "its volume against its 20-day mean", "son volume face à sa moyenne"),
    "volume_trend": Phrase(
        TIMES, "its 20-day volume against that of 120 days", "son volume sur 20 séances contre 120"
    ),
    "illiquidity_60d": Phrase(
        IMPACT, "its price move for the money traded", "sa variation rapportée aux montants échangés"
    ),
    "high_250d": Phrase(BELOW_ONE, "its distance from the year's high", "son écart au plus haut d'un an"),
    "beta_120d": Phrase(RATIO, "its beta to the market", "son bêta face au marché"),
    "idiosyncratic_vol_120d": Phrase(
        YEARLY, "its volatility apart from the market's", "sa volatilité hors celle du marché"
    ),
    "market_ret_20d": Phrase(RETURN, "the market's 20-day return", "le rendement du marché sur 20 séances"),
    "market_vol_20d": Phrase(YEARLY, "the market's 20-day volatility", "la volatilité du marché sur 20 séances"),
    "market_breadth_120d": Phrase(
        PERCENT, "the share of risers over 120 days", "la part de titres en hausse sur 120 séances"
    ),
    "session_of_month": Phrase(SESSION, "the time of the month", "le moment du mois"),
}
"""By the name of the feature itself: its rank is told as its value and its place in the market."""


def told(feature: str, rows: pl.DataFrame, language: str) -> pl.Series:
    """Return a model feature of each row in words: "its 20-day return (+3.1 %, higher than 80 %§)".

    A rank is told as the value of its feature and its place: higher (from the middle on) or lower than that
    share of the market, rounded down, since nobody is higher than all.

    Args:
        feature: Its name, with or without the end that says rank.
        rows: The feature, and if it is a rank, the feature that it ranks (Float64; null where unknown).
        language: One of LANGUAGES.

    Raises:
        ValueError: The feature has no words yet.
    """
    name = feature.removesuffix(RANK)
    if name not in PHRASES:
        raise ValueError(f"the feature {name!r} has no words: give it a phrase in words.PHRASES")
    phrase = PHRASES[name]
    value = _value(pl.col(name), phrase.unit, language)
    if feature != name:
        value = pl.concat_str(value, _place(pl.col(feature), language), separator=", ", ignore_nulls=True)
    unknown = {"en": "not known", "fr": "donnée manquante"}[language]
    value = pl.when(pl.col(name).is_null()).then(pl.lit(unknown)).otherwise(value)
    return rows.select(pl.format("{} ({})", pl.lit(getattr(phrase, language)), value)).to_series()


def number(values: pl.Expr, digits: int, language: str, *, signed: bool = False) -> pl.Expr:
    """Write a number with so many digits after the point, at most; zero has no sign."""
    rounded = values.round(digits)
    size = rounded.abs()
    text = (size.cast(pl.Int64) if digits == 0 else size).cast(pl.String)
    if language == "fr":
        text = text.str.replace(".", ",", literal=True)
    plus = pl.lit("+" if signed else "")
    sign = pl.when(rounded < 0).then(pl.lit("-")).when(rounded > 0).then(plus).otherwise(pl.lit(""))
    return sign + text


def share(value: float, language: str) -> str:
    """Write a share that someone chose, in percent with the digits that it has: 0.385 is "38.5 %"."""
    text = f"{100 * value:g} %"
    return text.replace(".", ",") if language == "fr" else text


def _value(values: pl.Expr, unit: Unit, language: str) -> pl.Expr:
    scaled = (values + unit.offset) * unit.scale
    return pl.format(getattr(unit, language), number(scaled, unit.digits, language, signed=unit.signed))


def _place(rank: pl.Expr, language: str) -> pl.Expr:
    higher, lower = {"en": ("higher than", "lower than"), "fr": ("au-dessus de", "au-dessous de")}[language]
    ahead = rank >= 0.5
    # A rank such as 0.29 is a hair less than 29 of 100 in floating point.
    percent = (pl.when(ahead).then(rank).otherwise(1 - rank) * 100 + 1e-9).floor().cast(pl.Int64)
    words = pl.when(ahead).then(pl.lit(higher)).otherwise(pl.lit(lower))
    return pl.format("{} {} %" + OF_ITS_MARKET, words, percent)
