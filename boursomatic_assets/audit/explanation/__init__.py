"""Explanation: how one recommendation came to be, and what moved it from one to another.

What belongs here: the story of a recommendation, and the parts of a change.
Kept elsewhere: replays (`audit/replay.py`), the facts that a story is made of (`audit/provenance.py`), how both
are shown (`cli/views/why/`).
"""
