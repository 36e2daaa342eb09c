"""Layouts: what the columns of a file mean, by the words of its headers.

What belongs here: where the headers are (`recognition.py`), which of our columns a header is (`fields.py`), and
the layout that follows (`layout.py`).
Kept elsewhere: lines and cells (`files/formats/`), what cells mean (`files/notation/`).
"""
