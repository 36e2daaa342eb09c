"""Quality: what a good bar is.

What belongs here: the contract that keeps, merges or rejects each delivered row, the value that it gives
(`Delivery`), and what is unusual about good bars: anomalies, price jumps, restated history.
Kept elsewhere: where rows come from (`sources/`), where they are stored (`tables/`), what the UI shows
(`checks/`). Imports neither Dagster nor a database driver.
"""
