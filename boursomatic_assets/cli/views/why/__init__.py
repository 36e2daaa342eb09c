"""Why: what the command line shows of the story of a recommendation, and of what moved one.

What belongs here: a module for each. Kept elsewhere: both themselves (`audit/story.py`, `audit/change.py`).
"""
