"""Advice: a model's output as recommendations of three risk profiles, why, and their outcomes.

What belongs here: pure functions from frames to frames, and their text.
Kept elsewhere: the model (`learning/`), wording by language (`language/`), what is stored (`tables/`).
Imports neither Dagster nor a database driver.
"""
