"""Wording: all texts of one language, and how it writes numbers, shares, features and flaws.

What belongs here: the type that every language fills in, and what is the same in all of them.
Kept elsewhere: the texts (`english.py`, `french.py`), digits and scale of features (`units.py`), which text is
chosen (`advice/justification.py`), why a version fails its gate (`learning/gate.py`).

A number follows the name of its feature in brackets, so no language has to inflect it.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_DOWN, Context
from typing import Any

import polars as pl

from boursomatic_assets.language.units import RANK_SUFFIX, UNITS, Unit

OF_ITS_MARKET = "§"
"""Marks where a rank may name its market: said once in a sentence that names several ranks."""

FLAW_FORMATS = {"rank_ic": ".4f", "rank_ic_t": ".2f", "log_loss": ".6f", "log_loss_no_skill": ".6f"}
"""Formats of the figures of a flaw; other figures keep their own digits."""

RATIOS = ("evidence", "against")
"""The figures of a flaw that are so many to one."""

THREE_DIGITS = Context(prec=3, rounding=ROUND_DOWN)


@dataclass(frozen=True)
class Wording:
    """The texts of one language.

    Attributes:
        code: The language, as BOURSOMATIC_LANGUAGE names it.
        decimal_point: Stands between the whole number and its digits.
        labels: The three labels.
        profiles: The three risk profiles.
        thirds: The third of its session that each label names.
        opening: Opens a BUY or SELL.
        hold_reasons: Opens a HOLD, by the failed condition of `advice/profiles.py`.
        support: None, one or two features, and the side that they support.
        evidence: Closes a justification with the evidence for its version.
        sides: The sides: for the recommendation, against it, for a better place, for a worse one.
        two_sides: Two of those as one sentence.
        abstentions: A HOLD without a champion, by the kind of the gate's decision.
        flaws: Why a version fails its gate, by the flaws of `learning/gate.py`.
        unspecified_flaw: The same for a decision without a stored flaw, with the reason of its record.
        features: The name of each feature.
        units: The text around a number, by the names of `units.py`.
        unknown: Stands for a missing value.
        above, below: Precede the share of the market that a rank is above or below.
        of_its_market: Names the market, where OF_ITS_MARKET is.
    """

    code: str
    decimal_point: str
    labels: Mapping[str, str]
    profiles: Mapping[str, str]
    thirds: Mapping[str, str]
    opening: str
    hold_reasons: Mapping[str, str]
    support: tuple[str, str, str]
    evidence: str
    sides: tuple[str, str, str, str]
    two_sides: str
    abstentions: Mapping[str, str]
    flaws: Mapping[str, str]
    unspecified_flaw: str
    features: Mapping[str, str]
    units: Mapping[str, str]
    unknown: str
    above: str
    below: str
    of_its_market: str

    def flaw(self, flaw: Mapping[str, Any]) -> str:
        """Return why a version fails its gate: the text of the flaw's `kind`, with its figures."""
        figures = {
            name: self.ratio(value)
            if name in RATIOS
            else format(value, FLAW_FORMATS.get(name, "g")).replace(".", self.decimal_point)
            for name, value in flaw.items()
            if name != "kind"
        }
        return self.flaws[flaw["kind"]].format(**figures)

    def number(self, values: pl.Expr, digits: int, *, signed: bool = False) -> pl.Expr:
        """Return numbers as text, with so many digits after the point, at most; zero has no sign."""
        rounded = values.round(digits)
        size = rounded.abs()
        text = (size.cast(pl.Int64) if digits == 0 else size).cast(pl.String)
        if self.decimal_point != ".":
            text = text.str.replace(".", self.decimal_point, literal=True)
        plus = pl.lit("+" if signed else "")
        sign = pl.when(rounded < 0).then(pl.lit("-")).when(rounded > 0).then(plus).otherwise(pl.lit(""))
        return sign + text

    def share(self, value: float) -> str:
        """Return a share that a person chose, in percent with its own digits: 0.385 is "38.5 %"."""
        return f"{100 * value:g} %".replace(".", self.decimal_point)

    def ratio(self, value: float) -> str:
        """Return how many to one something is: whole from 1000 on, else to three significant digits.

        It is rounded down: what is less than is asked for never reads as if it were as much.
        """
        if value >= 1000:
            return f"{math.floor(value)}"
        text = format(THREE_DIGITS.create_decimal(str(value)).normalize(), "f")
        return text.replace(".", self.decimal_point)

    def feature(self, feature: str, rows: pl.DataFrame) -> pl.Series:
        """Return a model feature of each row as text: "its 20-day return (+3.1 %, higher than 80 %§)".

        A rank is written as the value of its feature and the share of the market that it is above (from the
        middle on) or below, rounded down, since no instrument is above all.

        Args:
            feature: Its name, with or without RANK_SUFFIX.
            rows: The feature, and if it is a rank, the feature that it ranks (Float64; null where unknown).

        Raises:
            ValueError: The feature has no wording yet.
        """
        name = feature.removesuffix(RANK_SUFFIX)
        if name not in UNITS:
            raise ValueError(
                f"the feature {name!r} has no wording: add it to units, english and french in language/"
            )
        text = self._value(pl.col(name), UNITS[name])
        if feature != name:
            text = pl.concat_str(text, self._rank(pl.col(feature)), separator=", ", ignore_nulls=True)
        text = pl.when(pl.col(name).is_null()).then(pl.lit(self.unknown)).otherwise(text)
        return rows.select(pl.format("{} ({})", pl.lit(self.features[name]), text)).to_series()

    def _value(self, values: pl.Expr, unit: Unit) -> pl.Expr:
        scaled = (values + unit.offset) * unit.scale
        return pl.format(self.units[unit.name], self.number(scaled, unit.digits, signed=unit.signed))

    def _rank(self, rank: pl.Expr) -> pl.Expr:
        is_above = rank >= 0.5
        # A rank such as 0.29 is a hair less than 29 of 100 in floating point.
        percent = (pl.when(is_above).then(rank).otherwise(1 - rank) * 100 + 1e-9).floor().cast(pl.Int64)
        position = pl.when(is_above).then(pl.lit(self.above)).otherwise(pl.lit(self.below))
        return pl.format("{} {} %" + OF_ITS_MARKET, position, percent)
