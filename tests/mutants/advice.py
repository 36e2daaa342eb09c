"""Mutants of what is published: who may speak, directions, curves and the gate.

What belongs here: as in `catalogue.py`, which lists them with all others.
"""

from mutants import Mutant

SIGNALS, OF_SIGNALS = "boursomatic_assets/advice/signals.py", "advice/test_signals.py"
PROFILES = "boursomatic_assets/advice/profiles.py"
BANDS, OF_BANDS = "boursomatic_assets/advice/bands.py", "advice/test_bands.py"
CURVES, OF_CALIBRATION = "boursomatic_assets/learning/calibration/curves.py", "learning/test_calibration.py"
ZONES = "boursomatic_assets/learning/calibration/zones.py"
GATE, OF_GATE = "boursomatic_assets/learning/gate.py", "learning/test_gate.py"

ADVICE = (
    Mutant(
        "a refused model publishes BUY",
        SIGNALS,
        "if maker.abstention is not None:",
        "if False:",
        (f"{OF_SIGNALS}::test_an_abstention_is_hold_for_all_with_its_reason",),
    ),
    Mutant(
        "confidence of a label without a view",
        SIGNALS,
        "pl.when(given & (pl.col",
        "pl.when((pl.col",
        (f"{OF_SIGNALS}::test_a_profile_without_enough_evidence_has_no_view",),
    ),
    Mutant(
        "a profile speaks where a bolder one may not",
        PROFILES,
        "not all(is_proven(one, standing) for one in self.bolder)",
        "False",
        (f"{OF_SIGNALS}::test_a_profile_without_enough_evidence_has_no_view",),
    ),
    Mutant(
        "a profile speaks with too little evidence",
        PROFILES,
        "standing.evidence(profile.horizon) >= profile.evidence",
        "standing.evidence(profile.horizon) >= 1",
        (f"{OF_SIGNALS}::test_a_profile_without_enough_evidence_has_no_view",),
    ),
    Mutant(
        "a label that was not worth it is published",
        PROFILES,
        '"not_worth": pl.col("direction").is_in(standing.worth(profile.horizon)).not_(),',
        '"not_worth": pl.lit(False),',
        (f"{OF_SIGNALS}::test_a_label_that_was_not_worth_it_on_the_record_is_no_view",),
    ),
    Mutant(
        "any probability is enough",
        PROFILES,
        "return BASE_RATE + self.lift",
        "return 0.0",
        (f"{OF_SIGNALS}::test_each_profile_asks_for_its_own_lift_over_a_third",),
    ),
    Mutant(
        "what goes on is asked for as much as what begins",
        PROFILES,
        '"faded": pl.col("direction_probability") < pl.col("opposite_probability"),',
        '"faded": pl.col("direction_probability") < profile.minimum_confidence,',
        (
            f"{OF_SIGNALS}::"
            "test_a_direction_goes_on_while_it_is_likelier_than_its_opposite_and_the_end_of_the_scores_has_enough",
        ),
    ),
    Mutant(
        "the lowest scores come first",
        PROFILES,
        'qualified.rank("ordinal", descending=True)',
        'qualified.rank("ordinal")',
        (f"{OF_SIGNALS}::test_each_profile_takes_only_the_highest_scores_of_its_market",),
    ),
    Mutant(
        "an entry counts a session longer",
        BANDS,
        "entered < MEMORY)",
        "entered <= MEMORY)",
        (f"{OF_BANDS}::test_an_entry_counts_for_so_many_sessions",),
    ),
    Mutant(
        "staying is as hard as entering",
        BANDS,
        "holds(rank >= 1 - ENTRY, rank >= 1 - STAY)",
        "holds(rank >= 1 - ENTRY, rank >= 1 - ENTRY)",
        (
            f"{OF_BANDS}::"
            "test_a_buy_goes_on_in_the_best_three_tenths_and_is_to_be_entered_again_after_it_left_them",
        ),
    ),
    Mutant(
        "a better third that falls with the score",
        CURVES,
        "better=curve(record.better, prior.better, increasing=True)",
        "better=curve(record.better, prior.better, increasing=False)",
        (f"{OF_CALIBRATION}::test_a_higher_score_is_never_said_to_be_worse",),
    ),
    Mutant(
        "curves without a prior",
        CURVES,
        "weight = prior_sessions * rows_per_session / RANK_CELLS",
        "weight = 1e-9",
        (f"{OF_CALIBRATION}::test_the_curves_are_isotonic_regressions_of_the_means_drawn_to_the_prior",),
    ),
    Mutant(
        "expected returns that many ranks share",
        CURVES,
        "+ SLOPE * rank",
        "",
        (f"{OF_CALIBRATION}::test_a_higher_score_is_never_said_to_be_worse",),
    ),
    Mutant(
        "the return of the market is believed",
        CURVES,
        "sessions = record.sessions + market_prior_sessions",
        "sessions = record.sessions",
        (f"{OF_CALIBRATION}::test_the_return_of_the_market_is_drawn_to_zero",),
    ),
    Mutant(
        "a label is worth it by its hits alone",
        ZONES,
        "rate > BASE_RATE and sign * (mean - rest) > 0",
        "rate > BASE_RATE",
        (f"{OF_CALIBRATION}::test_a_buy_is_worth_it_if_it_was_right_more_often_and_returned_more",),
    ),
    Mutant(
        "a version without evidence is promoted",
        GATE,
        "if not evidence >= demand.least:",
        "if False:",
        (f"{OF_GATE}::test_a_challenger_without_enough_evidence_is_refused",),
    ),
    Mutant(
        "a disproved recipe goes on",
        GATE,
        "if against is not None and against >= demand.least:",
        "if against is None:",
        (f"{OF_GATE}::test_a_champion_whose_recipe_is_disproved_is_withdrawn",),
    ),
    Mutant(
        "another recipe may rank as badly as it likes",
        GATE,
        'if rank_ic and rank_ic["challenger"] <',
        'if False and rank_ic["challenger"] <',
        (f"{OF_GATE}::test_another_recipe_may_rank_worse_than_the_champion_within_the_tolerance",),
    ),
)
