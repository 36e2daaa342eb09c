"""Views: what the command line shows, as text and as JSON.

What belongs here: questions to the tables and their answers, one file a subject.
Kept elsewhere: options and exit codes (`cli/`), figures that others use too (`tables/`).
"""
