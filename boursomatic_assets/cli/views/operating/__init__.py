"""What the command line shows to whoever operates the platform.

What belongs here: the state of it all, its diagnosis, its workers, and its checks, as text.
Kept elsewhere: the commands (`cli/operating/`, `cli/results.py`), what is found out (the rooms below).
"""
