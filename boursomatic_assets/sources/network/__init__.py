"""Bars from services of the network, asked for one instrument at a time.

What belongs here: one file for each service, the client that paces requests, and the fallback.
Kept elsewhere: which bars are valid (`quality/contract.py`).
"""
