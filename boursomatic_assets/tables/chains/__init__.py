"""Chains of digests: proof that what was published is what is stored.

What belongs here: verifying the chains against their tables (`verification.py`), and their heads outside of the
database (`heads.py`).
Kept elsewhere: the triggers that grow the chains (`migrations/versions/0010_audit.py`), replaying a recommendation
(`audit/`).
"""
