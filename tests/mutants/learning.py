"""Mutants of what is learned and judged relative to a session: labels, the walk, training, evidence, outcomes.

What belongs here: as in `catalogue.py`, which lists them with all others.
"""

from mutants import Mutant

LABELS, OF_LABELS = "boursomatic_assets/learning/labels.py", "learning/test_labels.py"
WALK, OF_WALK = "boursomatic_assets/learning/walk.py", "learning/test_walk.py"
TRAINING, OF_TRAINING = "boursomatic_assets/learning/training.py", "learning/test_training.py"
PREDICTION = "boursomatic_assets/learning/prediction.py"
EVIDENCE, OF_EVIDENCE = (
    "boursomatic_assets/learning/evaluation/evidence.py",
    "learning/evaluation/test_evidence.py",
)
OUTCOMES, OF_OUTCOMES = "boursomatic_assets/advice/outcomes.py", "advice/test_outcomes.py"

LEARNING = (
    Mutant(
        "thirds of both markets together",
        LABELS,
        '/ pl.col(column).count()).over("market", "ts")',
        '/ pl.col(column).count()).over("ts")',
        (f"{OF_LABELS}::test_each_market_and_each_session_has_thirds_of_its_own",),
    ),
    Mutant(
        "equal returns in the order of their names",
        LABELS,
        "((pl.col(column).rank() - 0.5)",
        '((pl.col(column).rank("ordinal") - 0.5)',
        (f"{OF_LABELS}::test_equal_returns_share_a_label",),
    ),
    Mutant(
        "the edge of a third belongs to an end",
        LABELS,
        "share < BASE_RATE)",
        "share <= BASE_RATE)",
        (f"{OF_LABELS}::test_equal_returns_on_the_edge_of_a_third_are_in_the_middle",),
    ),
    Mutant(
        "relative returns without a cut",
        LABELS,
        "RELATIVE_LIMIT = 0.3",
        "RELATIVE_LIMIT = 30.0",
        (f"{OF_LABELS}::test_a_relative_return_is_cut_and_a_forward_return_is_not",),
    ),
    Mutant(
        "sampled sessions of each market by itself",
        LABELS,
        "return all_sessions()[::stride]",
        'return MARKETS["US"].sessions()[::stride]',
        (f"{OF_LABELS}::test_every_fifth_date_of_both_calendars_together_is_sampled",),
    ),
    Mutant(
        "one booster instead of four",
        WALK,
        "tuple(known[-parameters.boosters :])",
        "tuple(known[-1:])",
        (f"{OF_WALK}::test_a_month_is_scored_by_the_last_four_quarters_from_their_due_date_on",),
    ),
    Mutant(
        "boosters of the quarter after",
        WALK,
        "if quarter.due <= due])",
        "if quarter.due.toordinal() <= due.toordinal() + 31])",
        (f"{OF_WALK}::test_a_month_is_scored_by_the_last_four_quarters_from_their_due_date_on",),
    ),
    Mutant(
        "a market of few rows has boosters of its own",
        WALK,
        "if enough(own) and own.sum()",
        "if own.any() and own.sum()",
        (f"{OF_WALK}::test_a_market_with_too_few_rows_is_learned_with_the_other_alone",),
    ),
    Mutant(
        "a market of few sessions has boosters of its own",
        WALK,
        "if enough(own) and own.sum()",
        "if own.sum() >= parameters.minimum_training_rows and own.sum()",
        (f"{OF_WALK}::test_a_market_with_too_few_sessions_is_learned_with_the_other_alone",),
    ),
    Mutant(
        "a market's own booster learns from both",
        WALK,
        "own for name, own in of_market.items() if",
        "rows for name, own in of_market.items() if",
        (f"{OF_WALK}::test_a_markets_own_booster_learns_from_its_rows_alone",),
    ),
    Mutant(
        "boosters learn the level of the market",
        WALK,
        'labels["return_rank"].to_numpy() - 0.5',
        'labels["forward_return"].to_numpy()',
        (f"{OF_WALK}::test_the_target_is_the_rank_within_the_session_and_no_level_of_the_market",),
    ),
    Mutant(
        "the pooled booster alone scores",
        PREDICTION,
        "said[of_market] = (said[of_market] + own) / 2",
        "own = own / 2",
        (f"{OF_WALK}::test_a_score_is_the_mean_of_the_quarters_of_the_pooled_and_the_markets_own_booster",),
    ),
    Mutant(
        "scores ranked over all sessions",
        PREDICTION,
        'rows.select("market", "ts", score=score).select(ranks("score"))',
        'rows.select(market=pl.lit(1), ts=pl.lit(1), score=score).select(ranks("score"))',
        (f"{OF_WALK}::test_a_score_is_ranked_within_its_market_and_session",),
    ),
    Mutant(
        "contributions of the pooled booster to the score of all",
        PREDICTION,
        "added = ensemble(model.quarters, markets,",
        "added = ensemble([{POOLED: one[POOLED]} for one in model.quarters], markets,",
        (f"{OF_TRAINING}::test_contributions_and_a_constant_of_the_market_sum_to_the_score",),
    ),
    Mutant(
        "curves know the embargo",
        TRAINING,
        "    cutoff = label_cutoff(step.due, parameters)\n    model",
        "    cutoff = step.start\n    model",
        (
            f"{OF_TRAINING}::test_curves_evidence_and_zones_know_nothing_of_the_embargo",
            f"{OF_TRAINING}::test_its_curves_are_those_of_the_known_rows_that_its_profile_may_recommend",
        ),
    ),
    Mutant(
        "the record is judged by the curves of the month after",
        TRAINING,
        "curves = record.curves(label_cutoff(step.due, parameters))",
        "curves = record.curves(label_cutoff(date.fromordinal(step.due.toordinal() + 31), parameters))",
        (f"{OF_TRAINING}::test_each_month_of_the_record_is_judged_by_the_model_of_its_own_due_date",),
    ),
    Mutant(
        "curves of all volatilities",
        TRAINING,
        "if limit is not None else rows",
        "if limit is None else rows",
        (
            f"{OF_TRAINING}::test_its_curves_are_those_of_the_known_rows_that_its_profile_may_recommend",
            f"{OF_TRAINING}::test_its_zones_are_of_the_rows_that_its_profile_may_recommend",
        ),
    ),
    Mutant(
        "curves of both markets for each",
        TRAINING,
        "name: fit_curves(sums, pooled, *sessions)",
        "name: pooled",
        (f"{OF_TRAINING}::test_its_curves_are_those_of_the_known_rows_that_its_profile_may_recommend",),
    ),
    Mutant(
        "evidence of the rows within the limit",
        TRAINING,
        "EvidenceRecord.from_rows(rows, horizon)",
        "EvidenceRecord.from_rows(eligible, horizon)",
        (f"{OF_TRAINING}::test_its_evidence_is_of_all_scored_rows",),
    ),
    Mutant(
        "the training set of the due date, not of the boosters",
        TRAINING,
        "label_cutoff(newest.due, parameters).isoformat()",
        "label_cutoff(step.due, parameters).isoformat()",
        (f"{OF_TRAINING}::test_the_training_set_is_that_of_its_newest_boosters",),
    ),
    Mutant(
        "a bet that is free",
        EVIDENCE,
        "np.exp((stakes - stakes**2 / 2).sum(axis=1))",
        "np.exp((stakes - stakes**2 / 4).sum(axis=1))",
        (
            f"{OF_EVIDENCE}::test_over_all_signs_of_its_steps_it_is_one_to_one_at_most",
            f"{OF_EVIDENCE}::test_the_simulation_says_what_the_product_says",
        ),
    ),
    Mutant(
        "a bet that has seen the step",
        EVIDENCE,
        "before = np.cumsum(series**2) - series**2",
        "before = np.cumsum(series**2)",
        (f"{OF_EVIDENCE}::test_the_value_of_two_steps_by_hand",),
    ),
    Mutant(
        "bets of the year on each step",
        EVIDENCE,
        "math.sqrt(horizon / SESSIONS_PER_YEAR) * (series",
        "math.sqrt(1.0) * (series",
        (f"{OF_EVIDENCE}::test_the_value_of_two_steps_by_hand",),
    ),
    Mutant(
        "steps that overlap",
        EVIDENCE,
        "if not idle or ends[idle[-1]] <= start:",
        "if True:",
        (f"{OF_EVIDENCE}::test_steps_of_a_series_do_not_overlap_and_no_date_is_in_two",),
    ),
    Mutant(
        "every date is a step",
        EVIDENCE,
        "for start in starts if start < ends[0]]",
        "for start in starts[:1]]",
        (f"{OF_EVIDENCE}::test_no_part_of_a_record_is_forgotten",),
    ),
    Mutant(
        "the best of the series counts",
        EVIDENCE,
        '"value": float(np.mean(',
        '"value": float(np.max(',
        (f"{OF_EVIDENCE}::test_the_value_is_the_mean_over_the_series_and_against_is_its_mirror_image",),
    ),
    Mutant(
        "a date is known when the first market is",
        EVIDENCE,
        'pl.col("known_at").max(), pl.col("rank_ic").mean()',
        'pl.col("known_at").min(), pl.col("rank_ic").mean()',
        (f"{OF_EVIDENCE}::test_a_record_is_reduced_to_the_rank_ic_of_each_date_the_mean_of_its_markets",),
    ),
    Mutant(
        "an outcome of the cutoff itself counts as evidence",
        EVIDENCE,
        'filter(pl.col("known_at") < cutoff)',
        'filter(pl.col("known_at") <= cutoff)',
        (f"{OF_EVIDENCE}::test_an_outcome_counts_from_the_moment_after_it_is_known",),
    ),
    Mutant(
        "the outcome among all profiles",
        OUTCOMES,
        'together, gross = ("session", "profile", "horizon_days")',
        'together, gross = ("session", "horizon_days")',
        (f"{OF_OUTCOMES}::test_others_are_those_of_the_same_session_profile_and_horizon",),
    ),
    Mutant(
        "a HOLD without a view is scored",
        OUTCOMES,
        'pl.col("view").is_null() | (pl.col("view") == "given")',
        "pl.lit(True)",
        (f"{OF_OUTCOMES}::test_where_no_view_was_given_there_is_an_outcome_and_neither_a_hit_nor_a_miss",),
    ),
    Mutant(
        "a HOLD of a full list is scored",
        OUTCOMES,
        '(pl.col("view") == "given")',
        '(pl.col("view") != "none")',
        (f"{OF_OUTCOMES}::test_where_no_view_was_given_there_is_an_outcome_and_neither_a_hit_nor_a_miss",),
    ),
    Mutant(
        "a halted share is scored",
        OUTCOMES,
        'pl.col("last") > pl.col("first")',
        'pl.col("last") >= pl.col("first")',
        (f"{OF_OUTCOMES}::test_a_share_that_was_halted_all_along_has_no_return",),
    ),
    Mutant(
        "too little evidence reads as enough",
        "boursomatic_assets/language/wording.py",
        "rounding=ROUND_DOWN",
        'rounding="ROUND_HALF_EVEN"',
        ("advice/test_justification.py::test_evidence_is_rounded_down_so_that_it_never_reads_as_more",),
    ),
)
