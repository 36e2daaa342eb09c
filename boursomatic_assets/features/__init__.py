"""Features: indicators of a bar, computed from a fixed, finite look-back.

What belongs here: formulas, and what they are made of: panels, rolling windows, look-back blocks, the market's
context, ranks within a session. A row is the same, to the last bit, whichever range it was computed in.
Kept elsewhere: reading bars and writing features (`tables/`), what is learned from them (`learning/`).
Imports neither Dagster nor a database driver.
"""
