"""Files: bars from a folder of files, whose content shows their format.

What belongs here: reading vendors' files, from their bytes to raw bars.
Kept elsewhere: which bars are valid (`quality/contract.py`).
"""
