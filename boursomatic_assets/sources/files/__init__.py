"""Bars from a folder of files: what a file is shows in its content.

What belongs here: reading vendors' files, from their bytes to raw bars.
Kept elsewhere: what makes a raw bar good (`quality/`).
"""
