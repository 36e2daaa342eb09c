"""What the command line shows to whoever operates the platform.

What belongs here: the state of it all, its workers, and its checks, as text.
Kept elsewhere: what `doctor` says (`views/diagnosis/`), the commands (`cli/operating/`, `cli/results.py`).
"""
