"""Claims: which runs live, and which may write.

What belongs here: claiming a run for this process (`holding.py`), and seeing and giving up those whose process is
gone or silent (`liveness.py`).
Kept elsewhere: when a run is claimed (`orchestration/dagster_patches/storages/run_storage.py`,
`orchestration/io_manager.py` on stock Dagster, `cli/launching.py`), who looks after others
(`orchestration/dagster_patches/launcher.py`).

A run holds a session-level advisory lock while it lives, so the server knows at once that its process is gone. The
lock is no fence, since a process that is stopped keeps it and a restart of the server drops it: the fence is the
row's `epoch`.
"""
