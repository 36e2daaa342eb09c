"""Evaluation: metrics of a model and its baselines on out-of-sample sessions.

What belongs here: metrics of a record of out-of-sample scores (`metrics.py`), by ranking, classification and
portfolio, how sure they are (`intervals.py`), and the reliability diagram.
Kept elsewhere: the record itself (`learning/walk.py`), the decision that follows from the metrics
(`learning/gate.py`), the track record of recommendations (`tables/performance.py`).
"""
