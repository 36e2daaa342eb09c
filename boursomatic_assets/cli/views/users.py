"""What the command line shows of accounts.

What belongs here: accounts and preferences as text and JSON, never a password or its hash. Kept elsewhere: options
(`cli/users.py`), what accounts are (`accounts/`).
"""

import datetime as dt
import json
from collections.abc import Sequence

from boursomatic_assets.accounts import Account, Preferences
from boursomatic_assets.cli.views.text import as_lines


def as_line(account: Account) -> str:
    """An account in one line: its address, id and state."""
    return f"{account.email}  {account.id}  {account.state}"


def list_as_table(every: Sequence[Account]) -> str:
    """Accounts as aligned lines."""
    if not every:
        return "there are no accounts: `boursomatic users create EMAIL` makes one"
    return as_lines([{name: _as_text(value) for name, value in _fields(account).items()} for account in every])


def list_as_json(every: Sequence[Account]) -> str:
    """Accounts as a JSON array of objects."""
    return json.dumps([_fields(account) for account in every], indent=2)


def as_text(account: Account, chosen: Preferences) -> str:
    """An account with its preferences, a fact a line."""
    facts = _fields(account) | _chosen(chosen)
    return "\n".join(f"{name + ':':<12}{_as_text(value)}" for name, value in facts.items())


def as_json(account: Account, chosen: Preferences) -> str:
    """An account with its preferences as a JSON object."""
    return json.dumps(_fields(account) | _chosen(chosen), indent=2)


def _fields(account: Account) -> dict[str, str | bool | None]:
    return {
        "email": account.email,
        "id": str(account.id),
        "state": account.state,
        "admin": account.is_admin,
        "created_at": _time(account.created_at),
    }


def _chosen(chosen: Preferences) -> dict[str, str | bool | None]:
    return {"profile": chosen.profile, "consent": chosen.consent, "consent_at": _time(chosen.consent_at)}


def _time(moment: dt.datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds") if moment else None


def _as_text(value: str | bool | None) -> str:
    if isinstance(value, bool):
        return "yes" if value else "no"
    return value or ""
