"""English: every text that a justification is made of.

What belongs here: names of features, units, sentences, flaws.
Kept elsewhere: what each text means (`wording.py`), the same in French (`french.py`).
"""

from boursomatic_assets.language.wording import Wording

FEATURES = {
    "ret_1d": "its return of the day",
    "ret_5d": "its 5-day return",
    "ret_20d": "its 20-day return",
    "ret_60d": "its 60-day return",
    "ret_120d": "its 120-day return",
    "momentum_12_1": "its return over a year without the last month",
    "rsi_14": "its relative strength index",
    "vol_20d": "its 20-day volatility",
    "vol_250d": "its volatility over a year",
    "vol_ratio": "its 20-day volatility against that of 120 days",
    "max_ret_20d": "its best day of the last 20",
    "range_20d": "its mean daily range",
    "overnight_20d": "its mean overnight return",
    "skew_60d": "the skewness of its daily returns",
    "volume_zscore": "its volume against its 20-day mean",
    "volume_trend": "its 20-day volume against that of 120 days",
    "illiquidity_60d": "its price move for the money traded",
    "high_250d": "its distance from the year's high",
    "beta_120d": "its beta to the market",
    "idiosyncratic_vol_120d": "its volatility apart from the market's",
    "market_ret_20d": "the market's 20-day return",
    "market_vol_20d": "the market's 20-day volatility",
    "market_breadth_120d": "the share of risers over 120 days",
    "session_of_month": "the time of the month",
}

UNITS = {
    "percent": "{} %",
    "percent_a_year": "{} % a year",
    "percent_per_million": "{} % per million",
    "plain": "{}",
    "times": "{} times",
    "deviations": "{} standard deviations",
    "session": "session {}",
}

HOLD_REASONS = {
    "unproven": "{label_text}, without a view: the evidence for version {version} is {evidence} to 1 at {horizon}"
    " sessions, and the {profile_name} profile asks for {asked} to 1. ",
    "bolder_unproven": "{label_text}, without a view: the {bolder_name} profile, which asks for less evidence, has"
    " no view either. ",
    "not_worth": "{label_text}, without a view: on the record of {horizon} sessions {direction_label} was not"
    " worth"
    " more than the rest. ",
    "volatile": "{label_text}, without a view: its volatility of {volatility_percent} % a year is above the"
    " {limit}"
    " that the {profile_name} profile bears. ",
    "volatility_unknown": "{label_text}, without a view: its volatility is not known, and the {profile_name}"
    " profile"
    " bears {limit} a year. ",
    "middle": "{label_text}: its score is at neither end of its market's; {probability} % to end the next"
    " {horizon}"
    " sessions in the middle third of its market (33.3 % by chance). ",
    "unlikely": "{label_text}: {direction_label} has {best_probability} % at its end of the scores, and the"
    " {profile_name} profile asks for {minimum}. ",
    "faded": "{label_text}: {direction_label} has {direction_probability} %, and the opposite"
    " {opposite_probability} %. ",
    "bolder_disagrees": "{label_text}, with no place: the {bolder_name} profile, which dares more, does not advise"
    " {direction_label}. ",
    "positions_taken": "{label_text}, with no place: {direction_label} has {direction_probability} %, but it is"
    " number {position} in its market, and the {profile_name} profile takes {most_positions}. ",
}

ABSTENTIONS = {
    "refused": "{label}, without a view: no model is admitted to advise. Version {challenger}, examined on {date},"
    " was refused: {flaw}. {label} is therefore published for every instrument.",
    "withdrawn": "{label}, without a view: no model is admitted to advise any more. Version {challenger}, examined"
    " on {date}, was to follow {champion} with the same recipe, and was refused: {flaw}. {champion} was withdrawn"
    " with it, and {label} is therefore published for every instrument.",
}

FLAWS = {
    "short": "its record has {sessions} sampled sessions, and it takes {least}",
    "unmeasured": "its record has no evidence to judge it by",
    "unproven": "the evidence for it, on sessions that it had not seen, is {evidence} to 1 at {horizon} sessions,"
    " and it takes {least} to 1",
    "disproved": "the evidence against it is {against} to 1 at {horizon} sessions, and {least} to 1 withdraws it",
    "unskilled": "it shows no skill on sessions that it had not seen (mean rank IC {rank_ic}, t {rank_ic_t},"
    " and it takes a t of {least})",
    "uncalibrated": "its probabilities are worse than those without any skill (log loss {log_loss}, and it"
    " takes {log_loss_no_skill} + {tolerance})",
}
"""The last two are of decisions before 2026-12, which are still shown."""

ENGLISH = Wording(
    code="en",
    decimal_point=".",
    labels={"BUY": "BUY", "HOLD": "HOLD", "SELL": "SELL"},
    profiles={"conservative": "conservative", "moderate": "moderate", "aggressive": "aggressive"},
    thirds={"BUY": "the best third", "HOLD": "the middle third", "SELL": "the worst third"},
    opening="{label_text}: {probability} % to end the next {horizon} sessions in {third} of its market (33.3 % by"
    " chance). ",
    hold_reasons=HOLD_REASONS,
    support=("nothing speaks {}", "{} speaks {}", "{} and {} speak {}"),
    evidence=" Evidence {evidence} to 1.",
    sides=("for it", "against it", "for a better place", "for a worse one"),
    two_sides="{}; {}.",
    abstentions=ABSTENTIONS,
    flaws=FLAWS,
    unspecified_flaw="{reason}",
    features=FEATURES,
    units=UNITS,
    unknown="not known",
    above="higher than",
    below="lower than",
    of_its_market=" of its market",
)
