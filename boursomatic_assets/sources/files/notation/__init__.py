"""Notation: how vendors write numbers and times.

What belongs here: the meaning of text cells, as all cells of a file show it together.
Kept elsewhere: which columns hold numbers and times (`layouts.py`), which bars are valid (`quality/contract.py`).
"""
