"""Bars from services of the network, asked for one instrument at a time.

What belongs here: one file for each service, the pace at which they are asked, and the order of several.
Kept elsewhere: what makes a raw bar good (`quality/`).
"""
