"""Calibration: what a score, by its rank within its session, has been worth on the record.

What belongs here: probabilities and returns by rank, and what the ends of the ranks were worth.
Kept elsewhere: the scores (`learning/prediction.py`), metrics of the record (`learning/evaluation/`).
"""
