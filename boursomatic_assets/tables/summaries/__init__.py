"""Summaries: materialised views of what reports ask for again and again.

What belongs here: which there are, refreshing them, and which are out of date (`refreshing.py`).
Kept elsewhere: what they hold (migration 0021), when they are refreshed (`automation/summaries.py`).
"""
