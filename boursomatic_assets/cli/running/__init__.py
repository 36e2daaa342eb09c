"""What a person sees of runs that go on, and how he ends them.

What belongs here: lines of progress (`progress.py`), Ctrl-C (`interrupts.py`), what a terminal can show
(`terminals.py`).
Kept elsewhere: which runs there are (`launching.py`), how far a step is (`orchestration/progress.py`).
"""
