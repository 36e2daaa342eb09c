"""Wording: what people read of features, decisions and recommendations, in English and French.

What belongs here: words, sentences and how numbers are written, in one place by language.
Kept elsewhere: which sentence is chosen (`advice/`), messages and errors (where they arise, in English).
"""
