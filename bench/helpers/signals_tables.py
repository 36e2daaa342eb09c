"""The tables of a contest of signals, as markdown.

What belongs here: wording and numbers. Kept elsewhere: the contest (`signals.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from boursomatic_assets.learning.evaluation.metrics import Metrics
from boursomatic_assets.vocabulary import PROFILES
from helpers import signals_published
from helpers.harness import Line

RANK_IC, RATIO, ECE = 0.04, 1.0, 0.03

PUBLISHED = (
    "For scale only, published figures on other stocks and features: microsoft/qlib, Alpha158 with LightGBM on"
    " Chinese stocks, IC 0.045 and rank IC 0.047; retrained every 20 days on 20-day labels rank IC 0.091,"
    " linear 0.107."
)
RIVALS = {
    "ridge": "ridge regression on the same ranks",
    "reversal": "reversal: minus `ret_20d`",
    "momentum": "momentum: `ret_120d`",
    "naive": "the naive recipe, whose labels look 20 sessions ahead",
    "naive_purged": "the naive recipe, purged",
}


@dataclass(frozen=True)
class Contest:
    """What came of one universe.

    Attributes:
        name: What it is.
        caution: What one has to know of it, if anything.
        bars: How many were kept.
        model: The model's metrics.
        rivals: Those of the others, by contestant.
        by_market: The model's ranking, in one market alone.
        scored: What would have been published, as `signals_published.published` returns it.
    """

    name: str
    caution: str
    bars: int
    model: Metrics
    rivals: dict[str, Metrics]
    by_market: dict[str, Metrics]
    scored: pl.DataFrame


def aims(contest: Contest, *, ranked: bool) -> Iterator[Line]:
    """Yield what was aimed at, and whether it was met."""
    model, name = contest.model, contest.name
    ic, ratio = model["rank_ic"], model["rank_ic_ir"]
    figure = f"{_with_interval(model, 'rank_ic', '.3f')}, information ratio {ratio:.2f}"
    aim = f"at least {RANK_IC:g}, ratio above {RATIO:g}" if ranked else "none for these"
    yield Line(
        f"mean rank IC of {name}", "no skill: 0", figure, aim, _met(ic >= RANK_IC and ratio > RATIO) * ranked
    )
    rows = f"{model['rows']:,} rows of {contest.bars:,} bars, {model['start'][:10]} to {model['end'][:10]}"
    yield Line(
        f"expected calibration error of {name}",
        "true probabilities: 0",
        f"{model['ece']:.4f}",
        f"at most {ECE:g}",
        f"{_met(model['ece'] <= ECE)} over all years together, {_single_years(model)}; {rows}",
    )
    yield from _published_aims(contest)
    interval = model["intervals"]["decile_spread_net"]
    doubt = "the interval holds 0" if interval and interval[0] <= 0 <= interval[1] else ""
    figure = _with_interval(model, "decile_spread_net", ".2%")
    yield Line(f"net decile spread of {name}, 20 sessions", "0", figure, "told", doubt)


def _published_aims(contest: Contest) -> Iterator[Line]:
    """Yield what was aimed at for that which is published."""
    scored, name = contest.scored, contest.name
    score, expected = (signals_published.shadow(scored, column) for column in ("score", "expected_return_pct"))
    if score and expected:
        low, high = score.interval
        yield Line(
            f"shadow record of all months of {name}: mean rank IC of the score",
            "no skill: 0",
            f"{score.value:.3f} [{low:.3f}, {high:.3f}]",
            f"at least {RANK_IC:g}, the interval above 0",
            _met(score.value >= RANK_IC and low > 0),
        )
        yield Line(
            f"rank IC of `expected_return_pct` of {name}",
            "that of the score",
            f"{expected.value:.4f} against {score.value:.4f}",
            "within 0.002",
            _met(abs(expected.value - score.value) <= 0.002),
        )
    share = signals_published.upper_share(scored)
    yield Line(
        f"BUYs of {name} from the upper three tenths of the scores",
        "chance: 0.3",
        f"{share:.3f}",
        "at least 0.95",
        _met(share >= 0.95),
    )

    for profile in PROFILES:
        new = signals_published.newly_bought(scored, profile)
        yield Line(
            f"share of a session's BUYs of {name} that were none the session before, {profile}",
            "the list of that session",
            "no BUY" if new is None else f"{new:.3f}",
            "told",
        )


def _single_years(model: Metrics) -> str:
    """In how many years, each by itself, the calibration error reached its aim."""
    errors = [year["ece"] for year in model["by_year"].values()]
    return f"and in {sum(error <= ECE for error in errors)} of {len(errors)} by themselves"


def tables(contest: Contest) -> Iterator[str]:
    """Yield every table of one universe."""
    model = contest.model
    yield from ("", f"**{contest.name}**: {model['sessions']} sampled sessions, 90 % intervals in brackets", "")
    yield from _contestants(contest)
    yield from ("", f"{contest.caution} {PUBLISHED}".strip(), "")
    yield from _against_no_skill(model)
    yield ""
    head = "published, label, view, rows, hits, confidence, realised, relative cut at 30 %"
    yield from _table(head.split(", "), list(signals_published.table(contest.scored)))
    yield ""
    shown = ([f"{said:.3f}", f"{right:.3f}", f"{rows:,}"] for said, right, rows in model["reliability"])
    yield from _table(["mean confidence", "share correct", "rows"], shown)
    yield ""
    yield from _years(contest)


def _contestants(contest: Contest) -> Iterator[str]:
    head = "contestant, mean rank IC, ratio, t, decile spread, net, Sharpe, max drawdown, turnover a year"
    rows = {"the model": contest.model} | {RIVALS[name]: rival for name, rival in contest.rivals.items()}
    hold = ["always HOLD", "no ranking", "-", "-", "0", "0", "no trades", "0", "0"]
    yield from _table(head.split(", "), [*(_contestant(name, one) for name, one in rows.items()), hold])


def _contestant(name: str, one: Metrics) -> list[str]:
    return [
        name,
        _with_interval(one, "rank_ic", ".3f"),
        *(f"{one[figure]:.2f}" for figure in ("rank_ic_ir", "rank_ic_t")),
        f"{one['decile_spread']:.2%}",
        _with_interval(one, "decile_spread_net", ".2%"),
        _with_interval(one, "sharpe", ".2f"),
        f"{one['max_drawdown']:.0%}",
        f"{one['turnover']:.1f}",
    ]


def _against_no_skill(model: Metrics) -> Iterator[str]:
    hold = model["baselines"]["hold"]
    figures = {
        "accuracy": (model["accuracy"], hold["accuracy"], "always HOLD"),
        "macro F1": (model["f1"], hold["f1"], "always HOLD"),
        "log loss": (model["log_loss"], model["log_loss_no_skill"], "label shares so far"),
        "Brier score": (model["brier"], model["brier_no_skill"], "label shares so far"),
    }
    rows = ([name, f"{ours:.4f}", f"{theirs:.4f}", what] for name, (ours, theirs, what) in figures.items())
    ece = ["expected calibration error", f"{model['ece']:.4f}", "-", "-"]
    yield from _table(["probabilities", "the model", "no skill", "baseline"], [*rows, ece])


def _years(contest: Contest) -> Iterator[str]:
    """Yield the mean rank IC of each year and market, and the calibration error of the year."""
    columns = {**contest.by_market, **({"both": contest.model} if len(contest.by_market) > 1 else {})}
    years = {
        year: [_cell(one["by_year"].get(year)) for one in columns.values()] for year in contest.model["by_year"]
    }
    rows = [[year, *cells, f"{contest.model['by_year'][year]['ece']:.3f}"] for year, cells in years.items()]
    whole = ["all", *(f"{one['rank_ic']:.3f}" for one in columns.values()), f"{contest.model['ece']:.3f}"]
    yield from _table(["rank IC", *columns, "calibration error"], [*rows, whole])


def _cell(year: Metrics | None) -> str:
    return f"{year['rank_ic']:.3f}" if year and year["rank_ic"] is not None else "-"


def _table(head: Sequence[str], rows: Iterator[list[str]] | list[list[str]]) -> Iterator[str]:
    for row in (head, ["---"] * len(head), *rows):
        yield f"| {' | '.join(row)} |"


def _with_interval(one: Metrics, name: str, form: str) -> str:
    interval = one["intervals"][name]
    return (
        f"{one[name]:{form}} [{interval[0]:{form}}, {interval[1]:{form}}]" if interval else f"{one[name]:{form}}"
    )


def _met(reached: bool) -> str:
    return "met" if reached else "not met"
