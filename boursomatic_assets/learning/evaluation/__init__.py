"""Evaluation: how good a model and its baselines were on sessions that they had not been trained on.

What belongs here: metrics of a record of out-of-sample scores (`metrics.py`), by ranking, classification and
portfolio, with bootstrap intervals.
Kept elsewhere: the record itself (`learning/walk.py`), what follows from the metrics (`learning/gate.py`).
"""
