"""Simulated market: bars of made-up companies, which need no network and never change.

What belongs here: seeded draws, price paths, the candles around them, and the list of companies.
Kept elsewhere: which bars are valid (`quality/contract.py`), the calendar (`calendars/`).
"""
