"""Accounts: who may log in, and what each account prefers.

What belongs here: e-mail addresses in one form (`emails.py`), passwords and their hashes (`passwords.py`), limits
on attempts (`attempts.py`), the log-in (`login.py`), which accounts there are (`directory.py`), keeping them
(`keeping.py`), their profile and consent (`preferences.py`), and as whom the database is asked (`sessions.py`).
Kept elsewhere: the tables (`schema/accounts.py`); the functions, triggers and views that hold for SQL by hand too
(`migrations/`); commands (`cli/users.py`). Web sessions and tokens are the business of an application, which calls
`authenticate`.
"""

from boursomatic_assets.accounts import keeping, preferences
from boursomatic_assets.accounts.directory import Account, AccountError
from boursomatic_assets.accounts.emails import EmailError
from boursomatic_assets.accounts.login import LoginError, TooManyAttemptsError, authenticate
from boursomatic_assets.accounts.passwords import PasswordError
from boursomatic_assets.accounts.preferences import Preferences
from boursomatic_assets.accounts.sessions import acting_as, administration

__all__ = [
    "Account",
    "AccountError",
    "EmailError",
    "LoginError",
    "PasswordError",
    "Preferences",
    "TooManyAttemptsError",
    "acting_as",
    "administration",
    "authenticate",
    "keeping",
    "preferences",
]
