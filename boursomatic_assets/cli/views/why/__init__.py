"""Why: what the command line shows of the story of a recommendation, and of what moved one.

What belongs here: a module for each. Kept elsewhere: both themselves (`audit/explanation/story.py`,
`audit/explanation/change.py`).
"""
