"""The settings of workers: through which broker runs reach them.

What belongs here: the functions that `broker/` and the launcher ask. Kept elsewhere: the variables
(`variables.py`), queues and workers themselves (`broker/`).
"""

import re

from boursomatic_assets.settings.environment import settings_with_valid


def broker() -> str | None:
    """Return the address of the message broker with its password, `BOURSOMATIC_BROKER`; None: there is none."""
    return settings_with_valid("BOURSOMATIC_BROKER").BOURSOMATIC_BROKER


def public_broker() -> str:
    """Return the broker's address as it may be shown: without user and password.

    Raises:
        ValueError: None is set.
    """
    address = broker()
    if address is None:
        raise ValueError("no broker is set: set BOURSOMATIC_BROKER to its address")
    return re.sub(r"//[^@/]*@", "//", address)
