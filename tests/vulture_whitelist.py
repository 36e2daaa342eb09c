"""Names that vulture finds no use of, since a framework, a string or a user's own code uses them.

What belongs here: one name a line, under who uses it. What is dead goes out of the package instead; what is called
through its decorator is named in `pyproject.toml`.
"""

# SQLModel: columns that the schema holds, and that the platform writes by their names or leaves to others
_.actor
_.additional_features
_.blank
_.changed_at
_.claimed_at
_.comments
_.computed_at
_.delivered_at
_.features_snapshot
_.failed_at
_.first_touched
_.unscored
_.footer
_.happened_at
_.history_read_at
_.hit
_.last_session
_.market_cap_bucket
_.merged
_.metrics_json
_.pe_bucket
_.read_at
_.realised_return_pct
_.recognised
_.recommendation_id
_.rejected_at
_.relative_return_pct
_.row_ids
_.speaker_id
_.subject_id
_.trained_at
_.updated_at
_.version_id
_.waits_until

# Dagster: methods of what is subclassed, and what is put in their place
_.__class__
_.hide_parameters
_.config_type
_.check_run_worker_health
_.get_asset_check_execution_history
_.get_asset_check_state
_.get_step_stats_for_run
_.handle_output
_.has_partition_key
_.load_input
_.setup_for_execution
_.supports_check_run_worker_health
_.yield_for_execution
_._get_target_materialization_data
_._store_asset_check_evaluation_planned

# Other libraries and Python itself
_.worker_proc_alive_timeout  # Celery
_.celery  # dagster-celery
_.supports_resume_run
_.launch_run
_.get_run_worker_debug_info
include_container_logs
_.autocommit  # psycopg
_.color  # click
_.convert  # click
_.hide_exceptions  # yfinance
_.model_config  # pydantic
_.__cause__

# By a name in a string: addresses of roles, languages, the digest of all parameters, what dagster.yaml names
ClaimedRunLauncher
PlacesRunCoordinator
_.DATABASE_ACCOUNTS_URL
_.DATABASE_APP_URL
_.DATABASE_OWNER_URL
_.recipe

# For readers: the test that proves a patch
_.proof

# Imports in strings of types, and imported so that classes are known by name (ruff finds the unused ones)
ArrowConnection
ConfigurableClassData
backfill_policies
_.modified_ns  # boursomatic_assets.sources.files.formats.contents: a field that equality compares

# urllib and http.server: a handler's methods and attributes are used by their names
_.redirect_request
_.address_family
_.do_GET
_.log_message
_.timeout

# coloredlogs calls it for each text that gets a colour
_.ansi_wrap

# Dagster finds asset checks among the attributes of a module, lists of them too
CHECKS
