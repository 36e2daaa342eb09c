"""Advice: a model's output as recommendations in three risk profiles, why, and what became of them.

What belongs here: pure functions from frames to frames, and their text.
Kept elsewhere: the model (`learning/`), wording by language (`language/`), what is stored (`tables/`).
Imports neither Dagster nor a database driver.
"""
