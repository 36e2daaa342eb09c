"""Views: what the command line shows, as text and as JSON.

What belongs here: queries of the tables and how their rows are shown, one file for each subject.
Kept elsewhere: options and exit codes (`cli/`), figures that other rooms use too (`tables/`).
"""
