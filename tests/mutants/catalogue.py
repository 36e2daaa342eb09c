"""The mutants, by what they break.

What belongs here: a line for each promise that a wrong line could break unseen, with the tests that see it.
Kept elsewhere: how they are judged (`__init__.py`).
"""

from mutants import Mutant
from mutants.advice import ADVICE
from mutants.learning import LEARNING

EVALUATION = "boursomatic_assets/learning/evaluation"
METRICS = "learning/evaluation/test_metrics.py"
INTERVALS = "learning/evaluation/test_intervals.py"
PORTFOLIO = "learning/evaluation/test_portfolio.py"

STATISTICS = (
    Mutant(
        "t of the rank IC without overlap",
        f"{EVALUATION}/metrics.py",
        "estimate = intervals.estimate_mean(ics, overlap)",
        "estimate = intervals.estimate_mean(ics, 1)",
        (f"{METRICS}::test_the_t_of_a_rank_ic_knows_that_labels_overlap",),
    ),
    Mutant(
        "interval of the rank IC without overlap",
        f"{EVALUATION}/metrics.py",
        '_mean_by_date(sessions, "rank_ic_score"), overlap)',
        '_mean_by_date(sessions, "rank_ic_score"), 1)',
        (f"{METRICS}::test_an_interval_knows_that_labels_overlap",),
    ),
    Mutant(
        "interval of the spread without overlap",
        f"{EVALUATION}/metrics.py",
        '_mean_by_date(sessions, "net_spread_score"), overlap)',
        '_mean_by_date(sessions, "net_spread_score"), 1)',
        (f"{METRICS}::test_an_interval_knows_that_labels_overlap",),
    ),
    Mutant(
        "errors of overlapping values as if they were independent",
        f"{EVALUATION}/intervals.py",
        "return int(min(0.4 * size ** (2 / 3), size / (1.5 * overlap)))",
        "return size - 1",
        (f"{INTERVALS}::test_overlapping_values_have_the_error_of_those_that_do_not_overlap",),
    ),
    Mutant(
        "intervals of the normal distribution",
        f"{EVALUATION}/intervals.py",
        "stdtrit(self.degrees, ",
        "stdtrit(1e9, ",
        (f"{INTERVALS}::test_the_interval_is_that_of_students_t",),
    ),
    Mutant(
        "interval of the Sharpe ratio of a day",
        f"{EVALUATION}/intervals.py",
        "return _estimate(year * ratio, year * ",
        "return _estimate(year * ratio, ",
        (f"{INTERVALS}::test_the_interval_of_the_sharpe_ratio_is_that_of_theory",),
    ),
    Mutant(
        "intervals from too few sessions",
        f"{EVALUATION}/intervals.py",
        "if count < LEAST_COSINES:",
        "if count < 1:",
        (
            f"{INTERVALS}::test_less_than_three_stretches_without_overlap_have_no_interval",
            f"{METRICS}::test_fewer_than_three_horizons_have_no_t_and_no_interval",
        ),
    ),
    Mutant(
        "information ratio by the days of a year",
        f"{EVALUATION}/metrics.py",
        "ranking.information_ratio(ics, self.horizon)",
        "ranking.information_ratio(ics, 1)",
        (f"{METRICS}::test_the_information_ratio_is_that_of_the_horizons_in_a_year",),
    ),
    Mutant(
        "information ratio by the root of 252",
        f"{EVALUATION}/ranking.py",
        "math.sqrt(SESSIONS_PER_YEAR / horizon)",
        "math.sqrt(SESSIONS_PER_YEAR)",
        (
            "learning/evaluation/test_ranking.py::test_the_information_ratio_is_annualised_by_the_horizons_in_a_year",
        ),
    ),
    Mutant(
        "rank IC over all sessions at once",
        f"{EVALUATION}/ranking.py",
        '(2 * column.rank().over("session"))',
        "(2 * column.rank())",
        ("learning/evaluation/test_ranking.py::test_the_rank_ic_is_the_correlation_of_scipy",),
    ),
    Mutant(
        "portfolio without costs",
        f"{EVALUATION}/portfolio.py",
        "daily_gains(trades, prices) - cost * amount",
        "daily_gains(trades, prices)",
        (
            f"{PORTFOLIO}::test_every_amount_bought_or_sold_costs",
            f"{METRICS}::test_the_portfolio_of_a_record_pays_for_what_it_trades",
        ),
    ),
    Mutant(
        "portfolio of a record without costs",
        f"{EVALUATION}/metrics.py",
        "_daily_portfolios(deciles, rows, closes, share, cost), horizon",
        "_daily_portfolios(deciles, rows, closes, share, 0.0), horizon",
        (f"{METRICS}::test_the_portfolio_of_a_record_pays_for_what_it_trades",),
    ),
    Mutant(
        "the whole book for each opening",
        f"{EVALUATION}/metrics.py",
        "share = min(1.0, stride / horizon)",
        "share = 1.0",
        (f"{METRICS}::test_each_session_opens_the_share_of_its_book_that_a_stride_is_of_a_horizon",),
    ),
    Mutant(
        "net spread without costs",
        f"{EVALUATION}/ranking.py",
        "gross - cost * traded",
        "gross - 0 * traded",
        ("learning/evaluation/test_ranking.py::test_the_decile_spread_by_hand",),
    ),
    Mutant(
        "drawdown that forgets the first loss",
        f"{EVALUATION}/portfolio.py",
        "np.concatenate(([1.0], np.maximum(1 + returns, 0)))",
        "np.maximum(1 + returns, 0)",
        (f"{PORTFOLIO}::test_the_drawdown_is_from_the_best_value_so_far_and_counts_the_first_loss",),
    ),
    Mutant(
        "labels that become known at the cutoff",
        f"{EVALUATION}/metrics.py",
        'pl.col("known_at") < cutoff)',
        'pl.col("known_at") <= cutoff)',
        (f"{METRICS}::test_nothing_from_the_cutoff_on_changes_a_metric",),
    ),
)

WALK = "learning/test_walk.py"

CLOCKS = (
    Mutant(
        "months that begin a day late",
        "boursomatic_assets/learning/walk.py",
        "months.setdefault((session.year, session.month), session)",
        "months.setdefault((session.year, (session.month - (session.day == 1) - 1) % 12 + 1), session)",
        (f"{WALK}::test_a_due_date_is_the_first_session_of_a_month_of_either_market",),
    ),
    Mutant(
        "the last due date is left out",
        "boursomatic_assets/learning/walk.py",
        "if first <= session <= last",
        "if first <= session < last",
        (f"{WALK}::test_due_dates_are_between_two_dates_with_both_of_them",),
    ),
    Mutant(
        "no embargo before a due date",
        "boursomatic_assets/learning/walk.py",
        "max(index - parameters.embargo, 0)",
        "max(index, 0)",
        (f"{WALK}::test_labels_are_known_an_embargo_before_the_due_date",),
    ),
    Mutant(
        "no purge of labels that are not known yet",
        "boursomatic_assets/learning/walk.py",
        "return (known_at < np.datetime64(label_cutoff(due, parameters)))",
        "return (ts < np.datetime64(label_cutoff(due, parameters)))",
        (
            f"{WALK}::test_the_training_set_is_every_row_with_a_known_label",
            f"{WALK}::test_nothing_later_changes_what_was_fitted_or_scored_before",
        ),
    ),
    Mutant(
        "sessions of a month counted from none",
        "boursomatic_assets/features/market_context.py",
        "session_of_month = 1 + ordinal",
        "session_of_month = ordinal",
        ("features/test_market_context.py::test_sessions_are_counted_within_their_month",),
    ),
    Mutant(
        "no time to settle",
        "boursomatic_assets/calendars/markets.py",
        "return self.close_time(session) + SETTLEMENT_DELAY",
        "return self.close_time(session)",
        (
            "calendars/test_markets.py::test_a_sessions_bars_are_final_an_hour_after_its_close",
            "tables/deliveries/test_sessions.py::test_a_session_is_provisional_until_it_is_delivered_after_it_has_settled",
        ),
    ),
    Mutant(
        "a session is over when it opens",
        "boursomatic_assets/calendars/slices.py",
        "closes := part.market.close_time(",
        "closes := part.market.open_time(",
        ("calendars/test_slices.py::test_a_session_is_final_from_its_close_on",),
    ),
    Mutant(
        "a look-back one session short",
        "boursomatic_assets/calendars/slices.py",
        "- sessions, 0)]",
        "- sessions + 1, 0)]",
        ("calendars/test_slices.py::test_looking_back_counts_the_sessions_of_the_own_market",),
    ),
    Mutant(
        "a look-ahead one session short",
        "boursomatic_assets/calendars/slices.py",
        'side="right") - 1 + sessions',
        'side="right") - 2 + sessions',
        ("calendars/test_slices.py::test_looking_ahead_counts_the_sessions_of_the_own_market",),
    ),
    Mutant(
        "the first open is the last one",
        "boursomatic_assets/calendars/markets.py",
        "return min(market.open_time(date)",
        "return max(market.open_time(date)",
        ("calendars/test_markets.py::test_the_first_open_is_that_of_the_markets_that_trade",),
    ),
)

CONTRACT = "boursomatic_assets/quality/contract.py"
OF_CONTRACT = "quality/test_contract.py"

CONTRACTS = (
    Mutant(
        "bars a day in the future",
        CONTRACT,
        "return dt.datetime.now(dt.UTC).replace(tzinfo=None)",
        "return dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(days=1)",
        (f"{OF_CONTRACT}::test_a_bar_of_tomorrow_is_refused_and_one_of_today_is_kept",),
    ),
    Mutant(
        "bars of any future are certainly valid",
        CONTRACT,
        'pl.col("ts").is_between(part.start, _now())',
        '(pl.col("ts") >= part.start)',
        (f"{OF_CONTRACT}::test_a_bar_of_tomorrow_is_refused_and_one_of_today_is_kept",),
    ),
    Mutant(
        "a hundredth is noise",
        CONTRACT,
        "NOISE = 1e-6",
        "NOISE = 1e-2",
        (f"{OF_CONTRACT}::test_each_broken_rule_is_the_reason",),
    ),
    Mutant(
        "one of two contradicting bars is believed",
        CONTRACT,
        "return distinct.filter(~clash), valid",
        "return distinct.unique(['instrument', 'ts'], keep='first'), valid",
        (f"{OF_CONTRACT}::test_of_contradicting_twins_neither_is_believed",),
    ),
    Mutant(
        "a price of nothing",
        CONTRACT,
        "pl.any_horizontal(p <= 0 for p in price)",
        "pl.any_horizontal(p < 0 for p in price)",
        (f"{OF_CONTRACT}::test_each_broken_rule_is_the_reason",),
    ),
    Mutant(
        "an anomaly is told from the bar after",
        "boursomatic_assets/quality/price_jumps.py",
        'earlier = pl.col(*"ohlcvn").shift(1)',
        'earlier = pl.col(*"ohlcvn").shift(-1)',
        ("quality/test_anomalies.py::test_a_gap_is_told_when_it_ends",),
    ),
)

FEATURES = (
    Mutant(
        "the asset reads one session less",
        "boursomatic_assets/assets/features.py",
        "price_bars(part.looking_back(LOOKBACK))",
        "price_bars(part.looking_back(LOOKBACK - 1))",
        ("assets/test_features.py::test_a_row_is_that_of_the_whole_history_to_the_last_bit",),
    ),
    Mutant(
        "the look-back is stated one session short",
        "boursomatic_assets/features/lookback_blocks.py",
        "LOOKBACK = WARM_UP + BLOCK - 1",
        "LOOKBACK = WARM_UP + BLOCK - 2",
        (
            "features/test_indicators.py::test_less_look_back_than_stated_changes_a_row",
            "assets/test_features.py::test_a_row_is_that_of_the_whole_history_to_the_last_bit",
        ),
    ),
    Mutant(
        "a window of one bar less",
        "boursomatic_assets/features/panel.py",
        "return self._align(reduce_windows(values, bars, np.add), bars - 1) / bars",
        "return self._align(reduce_windows(values, bars - 1, np.add), bars - 2) / (bars - 1)",
        ("features/test_additional_indicators.py::test_a_feature_is_what_pandas_makes_of_the_bars_it_sees",),
    ),
    Mutant(
        "the market's return holds instruments that were away",
        "boursomatic_assets/features/market_context.py",
        "following = session[1:] - session[:-1] == 1",
        "following = session[1:] - session[:-1] >= 1",
        ("features/test_market_context.py::test_one_that_was_away_does_not_count_on_its_first_day_back",),
    ),
)

MERGING = "boursomatic_assets/tables/merging.py"
OF_MERGING = "tables/test_merging.py"
EXPIRY = "boursomatic_assets/tables/expiry.py"
OF_EXPIRY = "tables/test_expiry.py"

TABLES = (
    Mutant(
        "a vanished recommendation is not archived",
        MERGING,
        "replaced = pl.concat([difference.vanished, difference.changed.select(difference.vanished.columns)])",
        "replaced = difference.changed.select(difference.vanished.columns)",
        (f"{OF_MERGING}::test_a_vanished_recommendation_is_archived_and_the_session_before_is_active_again",),
    ),
    Mutant(
        "a changed recommendation is overwritten",
        MERGING,
        "    written = pl.concat([difference.new, difference.changed])",
        "    _change(connection, grain.table, difference.changed)\n    written = pl.concat([difference.new])",
        (f"{OF_MERGING}::test_a_changed_recommendation_archives_the_old_row",),
    ),
    Mutant(
        "a superseded row becomes active",
        EXPIRY,
        "AND n.profile = p.profile AND n.superseded_at IS NULL",
        "AND n.profile = p.profile",
        (f"{OF_MERGING}::test_a_recommendation_that_changes_back_leaves_three_rows",),
    ),
    Mutant(
        "a correction of the past becomes active",
        EXPIRY,
        "ORDER BY n.as_of DESC LIMIT 1",
        "ORDER BY n.as_of LIMIT 1",
        (f"{OF_MERGING}::test_a_correction_of_the_past_does_not_become_active",),
    ),
    Mutant(
        "advice stays active beyond its horizon",
        EXPIRY,
        'pl.Series(elapsed) >= rows["horizon_days"]',
        'pl.Series(elapsed) > rows["horizon_days"]',
        (f"{OF_EXPIRY}::test_advice_expires_when_its_market_has_loaded_the_session_at_which_its_horizon_ends",),
    ),
    Mutant(
        "advice for a halted share stays active",
        EXPIRY,
        '.when(~pl.col("trades"))',
        ".when(pl.lit(False))",
        (f"{OF_EXPIRY}::test_advice_without_a_horizon_expires_when_its_instrument_is_inactive",),
    ),
    Mutant(
        "a vanished bar stays",
        MERGING,
        "if difference.vanished.height:",
        "if difference.vanished.height < 0:",
        (
            f"{OF_MERGING}::test_what_changed_is_counted",
            f"{OF_MERGING}::test_a_then_b_then_a_again_leaves_b_intact",
        ),
    ),
    Mutant(
        "an incomplete delivery removes bars",
        MERGING,
        "vanished=rows_outside(difference.vanished, grain.time_column, incomplete)",
        "vanished=rows_outside(difference.vanished, grain.time_column, [])",
        ("tables/test_revisions.py::test_bars_that_a_delivery_is_known_to_lack_stay_as_they_were",),
    ),
    Mutant(
        "sessions that were not delivered are emptied",
        MERGING,
        "if not grain.derived:",
        "if grain is None:",
        (f"{OF_MERGING}::test_a_session_that_was_not_delivered_stays",),
    ),
    Mutant(
        "a changed bar has no time of change",
        MERGING,
        '"updated_at = now()"',
        '"updated_at = t.updated_at"',
        (f"{OF_MERGING}::test_a_changed_bar_keeps_its_id_and_says_since_when",),
    ),
    Mutant(
        "a number that was missing is no change",
        "boursomatic_assets/tables/differences.py",
        'pl.col(name).ne_missing(pl.col(f"{name}_"))',
        'pl.col(name).ne(pl.col(f"{name}_")).fill_null(False)',
        ("tables/test_differences.py::test_every_row_is_new_changed_unchanged_or_vanished",),
    ),
    Mutant(
        "a removed bar leaves no revision",
        "boursomatic_assets/tables/revisions.py",
        "replaced = pl.concat([difference.changed.select(keys), difference.vanished.select(keys)])",
        "replaced = difference.changed.select(keys)",
        ("tables/test_revisions.py::test_bars_are_read_as_they_were_known_at_any_moment",),
    ),
    Mutant(
        "a bar is known before it is delivered",
        "boursomatic_assets/tables/revisions.py",
        "query.where(known_at >= _BARS_KNOWN_FROM)",
        "query",
        ("tables/test_revisions.py::test_bars_are_read_as_they_were_known_at_any_moment",),
    ),
    Mutant(
        "a year in a file is written beside",
        "boursomatic_assets/tables/merging.py",
        "    cold.require_in_table(connection, grain, part)\n",
        "",
        ("tables/archive/test_years.py::test_who_would_write_beside_a_file_is_refused",),
    ),
    Mutant(
        "a snapshot is taken before its tables are locked",
        "boursomatic_assets/tables/reading/moments.py",
        '("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ", _KEEP_TABLES)',
        '("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",)',
        ("end_to_end/test_partitioning.py::test_who_reads_while_a_table_is_rebuilt_sees_its_rows",),
    ),
)

REPLICAS = (
    Mutant(
        "a replica that is behind is read",
        "boursomatic_assets/database/replica/reading.py",
        "        if lag.bytes:",
        "        if lag.bytes < 0:",
        (
            "database/test_replica.py::test_a_replica_that_is_paused_is_not_read",
            "drills/test_replica.py::test_nobody_is_shown_an_older_session",
        ),
    ),
)

MUTANTS = (*STATISTICS, *CLOCKS, *CONTRACTS, *FEATURES, *TABLES, *REPLICAS, *LEARNING, *ADVICE)
