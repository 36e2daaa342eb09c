"""E-mail addresses: one form for each, whatever way it is typed.

What belongs here: what an address may be, and its form. Kept elsewhere: that one address has one account (unique
indexes of `users`).
"""

import re
import unicodedata
from typing import Final

import idna

LONGEST: Final = 254
"""Octets of an address (RFC 5321, 4.5.3.1.3: a path of 256 with its brackets)."""

LONGEST_LOCAL: Final = 64
"""Octets of a local part (RFC 5321, 4.5.3.1.1)."""

RESERVED: Final = ".invalid"
"""The end of domains that no address has (RFC 2606): released and erased accounts have such addresses."""

_ATOM = re.compile(r"[a-z0-9!#$%&'*+/=?^_`{|}~\x80-\U0010ffff-]+")
_ASCII = re.compile(r"[\x00-\x7f]+")


class EmailError(ValueError):
    """A text that is no e-mail address of an account; the message says why."""


def normalised(address: str) -> str:
    """Return an address in the form that is stored and compared.

    NFC; the domain as IDNA 2008 writes it in ASCII, after the mapping of UTS 46; the local part in lower case.
    Letters beyond ASCII are those of IDNA 2008 (RFC 5892), in the local part too: no invisible characters, no
    full-width ones. Quoted local parts and domains without a dot are refused.

    Raises:
        EmailError: it is no such address.
    """
    if len(address) > 4 * LONGEST:
        raise EmailError(f"the e-mail address is longer than {LONGEST} octets")
    local, at, domain = unicodedata.normalize("NFC", address.strip()).rpartition("@")
    if not (local and at and domain):
        raise EmailError("the e-mail address has no name and domain: write NAME@DOMAIN")
    whole = f"{_local_part(local)}@{_domain(domain)}"
    if len(whole.encode()) > LONGEST:
        raise EmailError(f"the e-mail address is longer than {LONGEST} octets")
    return whole


def normalised_or_none(address: str) -> str | None:
    """Return an address in its one form; None if it is none, so that no account has it."""
    try:
        return normalised(address)
    except EmailError:  # the caller treats it as an address without an account
        return None


def _local_part(local: str) -> str:
    lower = unicodedata.normalize("NFC", local.lower())
    if any(not _ATOM.fullmatch(atom) for atom in lower.split(".")):
        raise EmailError("the name in the e-mail address has a character, or a dot, that is not allowed there")
    if len(lower.encode(errors="surrogatepass")) > LONGEST_LOCAL:
        raise EmailError(f"the name in the e-mail address is longer than {LONGEST_LOCAL} octets")
    for letters in filter(None, _ASCII.split(lower)):
        _require_letters(letters)
    return lower


def _require_letters(letters: str) -> None:
    """Require that text beyond ASCII consists of letters, marks and digits."""
    try:
        idna.check_label(letters)
    except (idna.IDNAError, UnicodeError) as error:
        raise EmailError("the name in the e-mail address has a character that is not allowed there") from error


def _domain(domain: str) -> str:
    try:
        ascii_form = idna.encode(domain, uts46=True, std3_rules=True).decode().removesuffix(".")
    except (idna.IDNAError, UnicodeError) as error:
        raise EmailError("the domain of the e-mail address is not one that can exist") from error
    if "." not in ascii_form:
        raise EmailError("the domain of the e-mail address has no dot: write NAME@DOMAIN")
    return ascii_form
