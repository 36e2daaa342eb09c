"""The assets: declarations with typed inputs, each of which calls what computes its rows.

What belongs here: one file per asset, named like the asset; what the declarations share (`metadata.py`,
`policies.py`).
Kept elsewhere: the computations (`features/`, `learning/`, `advice/`, `quality/`), how rows are written
(`orchestration/io_manager.py`), groups and resources (`definitions.py`).
"""
