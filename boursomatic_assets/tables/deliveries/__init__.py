"""Deliveries: what was delivered, and what became of it.

What belongs here: the ledgers of deliveries: what became of each line of a file (`files.py`), how many rows each
session got (`sessions.py`), which rows were rejected (`rejected_rows.py`) and which of them are meant
(`selection.py`), where a row is counted (`places.py`); rejected rows that are judged again (`verdicts.py`,
`replay.py`).
Kept elsewhere: which rows are valid (`quality/contract.py`), the bars themselves (`tables/merging.py`).
"""
