"""Which stored result of a check stands: SQL that those share who list failures and who count states.

What belongs here: the newest result of each partition. Nothing of Dagster is imported: it is only its table.
Kept elsewhere: which checks fail (`failed_checks.py`), how many partitions have each state (`counts/checks.py`).
"""

STANDING = """
WITH newest AS MATERIALIZED (
    SELECT DISTINCT ON (asset_key, check_name, partition) id, asset_key, check_name, partition, run_id,
        execution_status AS status, evaluation_event_storage_id AS told
    FROM asset_check_executions e
    WHERE evaluation_event_storage_id IS NOT NULL AND execution_status IN ('SUCCEEDED', 'FAILED')
        AND (partition IS NOT NULL OR NOT EXISTS (
            SELECT FROM asset_check_executions s
            WHERE s.asset_key = e.asset_key AND s.check_name = e.check_name AND s.run_id = e.run_id
                AND s.partition IS NOT NULL
                AND s.evaluation_event_storage_id = e.evaluation_event_storage_id OFFSET 0))
    ORDER BY asset_key, check_name, partition, evaluation_event_storage_id DESC
), checks AS (
    SELECT asset_key, check_name, max(told) AS last,
        coalesce(max(told) FILTER (WHERE partition IS NULL), 0) AS whole
    FROM newest GROUP BY asset_key, check_name
), standing AS (
    SELECT n.* FROM newest n JOIN checks c USING (asset_key, check_name)
    WHERE CASE WHEN n.partition IS NULL THEN told = last ELSE told > whole END
)
"""
"""A result of a whole check, without a partition, takes the place of all earlier ones of its partitions. That of a
run over a range is none: its partitions have their own beside it. (OFFSET 0 lets an index answer for the few of
these, whatever the statistics.)
"""
