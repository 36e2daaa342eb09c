"""Passwords: which are accepted, and their hashes.

What belongs here: length and form of a password, Argon2id through passlib's API, whether a hash is to be replaced.
Kept elsewhere: who may try how often (`attempts.py`).
"""

import unicodedata
from threading import BoundedSemaphore
from typing import Final

from passlib.hash import argon2

from boursomatic_assets import absorbed

MEMORY_KIB = 65_536
PASSES = 3
LANES = 4
"""Parameters of Argon2id: 64 MiB, t = 3, p = 4: the second recommended option of RFC 9106 (4), and more than OWASP
asks for (19 MiB, t = 2, p = 1)."""

SHORTEST: Final = 8
LONGEST: Final = 1_024
"""Characters of a password. NIST SP 800-63B asks for 8 at least, and to accept 64 or more; passlib takes 4,096
bytes."""

NO_HASH: Final = "!"
"""What an erased account has instead of a hash: no password fits it."""

_AT_ONCE = BoundedSemaphore(4)
"""Each hash takes 64 MiB while it is computed: a burst of log-ins waits instead of exhausting the memory."""


class PasswordError(ValueError):
    """A password that is not accepted; the message says why, and holds nothing of it."""


def require_acceptable(password: str) -> None:
    """Require that an account may have this password.

    Raises:
        PasswordError: it is too short or too long, holds a NUL, or is no text.
    """
    if len(_as_text(password)) < SHORTEST:
        raise PasswordError(f"the password has fewer than {SHORTEST} characters: choose a longer one")


def hashed(password: str) -> str:
    """Return the Argon2id hash of a password in NFC, with its parameters and a random salt.

    Raises:
        PasswordError: the password is not accepted.
    """
    require_acceptable(password)
    return _hash(password)


def _hash(password: str) -> str:
    hasher = argon2.using(type="ID", memory_cost=MEMORY_KIB, time_cost=PASSES, parallelism=LANES)
    with _AT_ONCE:
        return str(hasher.hash(_as_text(password)))


def fits(password: str, stored: str | None) -> bool:
    """Whether a password fits a stored hash.

    Without a hash, or with one that cannot be read, another hash of today's parameters is computed, so that the
    answer takes as long.
    """
    try:
        text = _as_text(password)
    except PasswordError:  # no account has it, so it fits none
        text, stored = "", None
    with _AT_ONCE:
        if stored is not None:
            try:
                return bool(argon2.verify(text, stored))
            except ValueError:  # its message may hold the hash
                unreadable = ValueError("a stored password hash is not one of Argon2")
                absorbed.record(unreadable, "the log-in is refused until the password is set anew")
        argon2.verify(text, _unfitting_hash())
        return False


def hashed_anew(password: str, stored: str) -> str | None:
    """Return a new hash of a password that fits one of another kind, less memory or fewer passes; None otherwise.

    A hash of more than today's parameters stays (passlib's `needs_update` would replace it too).
    """
    found = argon2.from_string(stored)
    if found.type == "id" and found.memory_cost >= MEMORY_KIB and found.rounds >= PASSES:
        return None
    return _hash(password)


def _unfitting_hash() -> str:
    """A hash of today's parameters that no known password fits."""
    return f"$argon2id$v=19$m={MEMORY_KIB},t={PASSES},p={LANES}${'A' * 22}${'A' * 43}"


def _as_text(password: str) -> str:
    if len(password) > LONGEST:
        raise PasswordError(f"the password has more than {LONGEST} characters: choose a shorter one")
    text = unicodedata.normalize("NFC", password)
    if len(text) > LONGEST:
        raise PasswordError(f"the password has more than {LONGEST} characters: choose a shorter one")
    if "\0" in text or any("\ud800" <= character <= "\udfff" for character in text):
        raise PasswordError("the password holds a NUL or is no text: choose one of characters that can be typed")
    return text
