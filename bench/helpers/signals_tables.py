"""The tables of a contest of signals, as markdown.

What belongs here: wording and numbers. Kept elsewhere: the contest (`signals.py`).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import polars as pl

from boursomatic_assets.learning.evaluation.metrics import Metrics
from helpers import signals_ablation, signals_judged
from helpers.harness import Line
from helpers.signals_judged import CUT, ECE, RANK_IC, Published, met

RATIO = 1.0

PUBLISHED = (
    "For scale only, published figures on other stocks and features: microsoft/qlib, Alpha158 with LightGBM on"
    " Chinese stocks, IC 0.045 and rank IC 0.047; retrained every 20 days on 20-day labels rank IC 0.091,"
    " linear 0.107."
)
SEEN = (
    "**What was tuned on these bars, and how often the record was looked at.** The parameters of the booster"
    " were chosen on them, among a handful that hardly differ. Two recipes were frozen before they were looked"
    " at: the rank mean of own-market and pooled models (each says an expected rank), and the mean of the last"
    " four quarterly boosters. Five averages of boosters were compared here once, among them each recipe by"
    " itself, both together, and the own boosters alone. Evidence and zones were looked at about six times, the"
    " published result four times, and its turnover twice more. Two choices followed from these looks: that the"
    " evidence is the mean of several series, since one series depended on where the record began; and what is"
    " asked of a direction while it goes on, since otherwise it ended too soon. The lines on direction,"
    " calibration of labels, order and turnover were written and measured after that, and nothing was changed"
    " for them. So all figures on these bars are an upper bound of what the recipe would have shown; bars that"
    " were kept back are the judge."
)
FORMER = (
    "Before there were bands and relative labels, the shares of a session's BUYs that were none the session"
    " before were 0.077 and 0.111 (moderate and aggressive) of 64 US and 40 Euronext instruments, and 0.217 and"
    " 0.196 of 194 US instruments. That was another rule in other sessions, so these are not like for like;"
    " above, the same scores are held against themselves without bands."
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
        published: What would have been published.
    """

    name: str
    caution: str
    bars: int
    model: Metrics
    rivals: dict[str, Metrics]
    by_market: dict[str, Metrics]
    published: Published


def aims(contest: Contest, *, ranked: bool) -> Iterator[Line]:
    """Yield what was aimed at, and whether it was met."""
    model, name = contest.model, contest.name
    ic, ratio = model["rank_ic"], model["rank_ic_ir"]
    figure = f"{_with_interval(model, 'rank_ic', '.3f')}, information ratio {ratio:.2f}"
    aim = f"at least {RANK_IC:g}, ratio above {RATIO:g}" if ranked else "none for these"
    yield Line(
        f"mean rank IC of {name}", "no skill: 0", figure, aim, met(ic >= RANK_IC and ratio > RATIO) * ranked
    )
    rows = f"{model['rows']:,} rows of {contest.bars:,} bars, {model['start'][:10]} to {model['end'][:10]}"
    yield Line(
        f"expected calibration error of {name}",
        "true probabilities: 0",
        f"{model['ece']:.4f}",
        f"at most {ECE:g}",
        f"{met(model['ece'] <= ECE)} over all years together, {_single_years(model)}; {rows}",
    )
    yield from signals_judged.aims(contest.published, name)
    interval = model["intervals"]["decile_spread_net"]
    doubt = "the interval holds 0" if interval and interval[0] <= 0 <= interval[1] else ""
    figure = _with_interval(model, "decile_spread_net", ".2%")
    yield Line(f"net decile spread of {name}, 20 sessions", "0", figure, "told", doubt)


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
    yield from _table(head.split(", "), list(_published(contest.published.scored)))
    yield ""
    yield from _direction(contest)
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


def _published(scored: pl.DataFrame) -> Iterator[list[str]]:
    """Yield a line for each profile, label and view: rows, hits, confidence, mean return, relative return cut."""
    grouped = scored.group_by("profile", "label", "view").agg(
        n=pl.len(),
        hit=pl.col("hit").mean(),
        confidence=pl.col("confidence").mean(),
        realised=pl.col("realised_return_pct").mean(),
        relative=CUT.mean(),
    )
    for row in grouped.sort("profile", "label", "view").iter_rows(named=True):
        hit = "-" if row["hit"] is None else f"{row['hit']:.3f}"
        yield [
            row["profile"], row["label"], row["view"], f"{row['n']:,}", hit, f"{row['confidence']:.3f}",
            f"{row['realised']:.2f}%", f"{row['relative']:.2f}%",
        ]  # fmt: skip


def _direction(contest: Contest) -> Iterator[str]:
    """Yield the log losses of direction, of the scores and of random ones."""
    head = "log loss of direction in thousandths of a nat (1/2 has 693.147); rows; baseline; direction; both"
    yield from _table(head.split("; "), list(signals_ablation.told(contest.published.ablations)))


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
