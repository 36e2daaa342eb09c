"""`boursomatic doctor`: one check for each thing that a run needs.

What belongs here: the checks, each with one line about what it finds (`machine.py`, `server.py`,
`contents.py`), and what is made of them (`findings.py`). Kept elsewhere: the command (`cli/main.py`),
what is asked of the broker (`views/operating/workers.py`).
"""
