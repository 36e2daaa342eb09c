"""The assets, in data order; each is a sentence: typed inputs and one call to a pure function.

What belongs here: one file per asset, named like its table.
Kept elsewhere: what all of them share (`common.py`), everything that computes.
"""
