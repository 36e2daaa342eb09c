"""Search: advice that has some words, in its justification or in the names of its instrument.

What belongs here: what is asked for as words (`words.py`), which instruments a word names (`names.py`), what must
be in the justification of which (`groups.py`), and the search itself (`advice.py`).
Kept elsewhere: the words of what is stored, which the database makes itself (migration 0019), how what was found
is shown (`cli/views/search.py`).
"""
