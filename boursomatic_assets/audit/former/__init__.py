"""Former: how recommendations were made until 2026-11, kept so that those go on being proved.

What belongs here: the model (`model.py`) and the profiles (`profiles.py`) of that time, cut to what a replay
needs, and both as a recipe (`recipe.py`). No number here is ever changed: what was published rests on it.
Kept elsewhere: how recommendations are made now (`advice/`, `learning/`).
"""
