"""Symbols: an instrument's one name, from the spellings and identifiers that vendors use.

What belongs here: the canonical symbol and exchange of what a cell, a file's name or a folder says.
Kept elsewhere: which exchanges a market has (`calendars/markets.py`), other names of an instrument that is known
already (`tables/aliases.py`).

American symbols have a dot before a class of shares (BRK.B); those of Euronext have Yahoo's suffix of their city
(MC.PA). What is of no known form is never filed under an exchange: its exchange is null, and it is rejected.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

from boursomatic_assets.calendars.markets import MARKETS

US, EURONEXT = "US", MARKETS["EURONEXT"].exchanges[0]
_AMERICAN = frozenset(MARKETS["US"].exchanges)

EURONEXT_SUFFIXES = ("PA", "AS", "BR", "LS")
"""Yahoo's suffixes of Euronext's four cities, which are Reuters' too."""

MAX_LENGTH = 50
"""Characters of a symbol, as in the table `instruments`."""

LONGEST_TICKER = 5
"""Letters of an American symbol without its class of shares."""

UNKNOWN_FORM = "symbol is of an unknown form"

_CITY_BY_CODE = {
    **{"EPA": "PA", "AMS": "AS", "EBR": "BR", "ELI": "LS"},  # Google
    **{"XPAR": "PA", "ENXTPA": "PA", "XAMS": "AS", "ENXTAM": "AS", "XBRU": "BR", "ENXTBR": "BR", "XLIS": "LS"},
    **{"ENXTLS": "LS", "FP": "PA", "NA": "AS", "BB": "BR", "PL": "LS"},  # Bloomberg
}
_CITY_BY_EXCHANGE = {
    **{code: city for code, city in _CITY_BY_CODE.items() if len(code) > 2},
    **{"EURONEXTPARIS": "PA", "EURONEXTAMSTERDAM": "AS", "EURONEXTBRUSSELS": "BR", "EURONEXTLISBON": "LS"},
}
_AMERICAN_BY_CODE = {
    **{"NYSE": "NYSE", "XNYS": "NYSE", "NASDAQ": "NASDAQ", "XNAS": "NASDAQ", "NASDAQGS": "NASDAQ"},
    **{"NASDAQGM": "NASDAQ", "NASDAQCM": "NASDAQ", "NYSEMKT": "NYSEMKT", "XASE": "NYSEMKT", "AMEX": "NYSEMKT"},
    **{"NYSEAMERICAN": "NYSEMKT", "US": "US"},
    **{"UN": "NYSE", "UW": "NASDAQ", "UQ": "NASDAQ", "UR": "NASDAQ", "UA": "NYSEMKT"},  # Bloomberg
}
_EXCHANGE_BY_NAME = {
    **{name: exchange for name, exchange in _AMERICAN_BY_CODE.items() if len(name) > 2 or name == "US"},
    **dict.fromkeys((EURONEXT, *_CITY_BY_EXCHANGE), EURONEXT),
}
_AMERICAN_BY_REUTERS = {"OQ": "NASDAQ", "O": "NASDAQ", "N": "NYSE"}

_CITY = "|".join(EURONEXT_SUFFIXES)
_TICKER, _CLASS = r"(?P<ticker>[A-Z]{1,5})", r"(?:[-./ ](?P<share>[A-Z]))?"
_IDENTIFIER_LENGTH = 12
_ISIN = re.compile(r"[A-Z]{2}[A-Z0-9]{9}[0-9]")
_FIGI = re.compile(r"BBG[A-Z0-9]{8}[0-9]")


@dataclass(frozen=True)
class Listing:
    """A symbol and its exchange; the exchange is None where nothing says it for sure."""

    symbol: str
    exchange: str | None


def _american(match: re.Match[str], exchange: str = US) -> Listing:
    share = match.groupdict().get("share")
    return Listing(match["ticker"] + (f".{share}" if share else ""), exchange)


def _european(match: re.Match[str]) -> Listing:
    return Listing(f"{match['ticker']}.{match['city']}", EURONEXT)


def _of_code(match: re.Match[str]) -> Listing:
    """A ticker with the code of its exchange, as Google, TradingView, Bloomberg and MIC write it."""
    code = match["code"]
    if city := _CITY_BY_CODE.get(code):
        return Listing(f"{match['ticker']}.{city}", EURONEXT)
    if exchange := _AMERICAN_BY_CODE.get(code):
        return _american(match, exchange)
    return Listing(match[0], None)


_FORMS: tuple[tuple[str, Callable[[re.Match[str]], Listing]], ...] = (
    (rf"(?P<ticker>[A-Z0-9]{{1,12}})\.(?P<city>{_CITY})", _european),
    (rf"{_TICKER}{_CLASS}\.US", _american),
    (rf"{_TICKER}\.(?P<code>O|OQ|N)", lambda match: _american(match, _AMERICAN_BY_REUTERS[match["code"]])),
    (rf"(?P<code>[A-Z]{{2,12}}):{_TICKER}{_CLASS}", _of_code),
    (r"(?P<code>[A-Z]{2,12}):(?P<ticker>[A-Z0-9]{1,12})", _of_code),
    (rf"{_TICKER}{_CLASS}[ .](?P<code>X[A-Z]{{3}})", _of_code),
    (rf"{_TICKER}{_CLASS} (?P<code>[A-Z]{{2}})(?: EQUITY)?", _of_code),
    (rf"{_TICKER}(?:\.(?P<share>[A-C]))?", _american),
    (rf"{_TICKER}[- /](?P<share>[A-EGHIJKMP-SU-Z])", _american),
    (r"[A-Z0-9]{1,12}\.(?P<suffix>[A-Z]{1,3})", lambda match: Listing(match[0], match["suffix"])),
)
"""Forms that say their exchange, or that only an American symbol has, in the order in which they are tried.

Behind a point, only A, B and C are sure to be classes of shares: `AZN.L` trades in London, `NESN.S` in Zurich. A
suffix that is left names an exchange of no market here. `MC-PA` may be Paris or a preferred share of class A: it
is of no known form.
"""


def canonical(cell: str) -> str:
    """A symbol in capital letters, without blanks around it or invisible characters at its ends."""
    if cell.isascii() and cell.isalnum():  # as nearly all are
        return cell.upper()
    return re.sub(r"\s+", " ", cell.replace("\N{BOM}", "").replace("\N{ZERO WIDTH SPACE}", "")).strip().upper()


def read_listing(cell: str) -> Listing:
    """The listing that a cell alone says: AAPL.US is AAPL of US, EPA:MC is MC.PA of EURONEXT.

    A name of no known form keeps its spelling, and has no exchange.
    """
    name = canonical(cell)
    if _is_identifier(name):
        return Listing(name, None)
    if name.isascii() and name.isalpha() and len(name) <= LONGEST_TICKER:  # nearly all are of this form
        return Listing(name, US)
    for form, listing in _FORMS:
        if match := re.fullmatch(form, name):
            return listing(match)
    return Listing(name, None)


def read_listing_of(cell: str, exchange: str | None) -> Listing:
    """The listing that a cell says together with a stated exchange, if there is one.

    A stated exchange stands, also against what the symbol says: `US` beside IBM.N is US. But MC.PA is no share of
    an American exchange: then nothing says it for sure. An identifier of another system, such as an ISIN, stays as
    it is: it is no symbol, see `is_symbol`.
    """
    listing = read_listing(cell)
    if exchange is None or not (stated := read_exchange(exchange)):
        return listing
    name = canonical(cell)
    if listing.exchange == stated or {listing.exchange, stated} <= _AMERICAN:
        return Listing(listing.symbol, stated)
    if listing.exchange == EURONEXT and stated in _AMERICAN:
        return Listing(listing.symbol, None)
    if stated == EURONEXT and (
        match := re.fullmatch(rf"(?P<ticker>[A-Z0-9]{{1,12}})[-_ ](?P<city>{_CITY})", name)
    ):
        return _european(match)
    city = _CITY_BY_EXCHANGE.get(_code(exchange))
    if city and re.fullmatch(r"[A-Z0-9]{1,12}", name) and not _is_identifier(name):
        return Listing(f"{name}.{city}", stated)
    return Listing(name, stated)


def is_symbol(name: str) -> bool:
    """Whether a canonical name can be the symbol of a stated exchange: short, printable, no ISIN."""
    return 0 < len(name) <= MAX_LENGTH and name.isprintable() and not _is_identifier(name)


@lru_cache(maxsize=1024)
def read_exchange(cell: str) -> str:
    """An exchange as the platform calls it; one that is not known stays as it is, in capital letters."""
    return _EXCHANGE_BY_NAME.get(_code(cell), canonical(cell))


def _code(exchange: str) -> str:
    return canonical(exchange).replace(" ", "")


def _is_identifier(name: str) -> bool:
    """Whether it is an ISIN or a FIGI: of which share, only a register could say."""
    return len(name) == _IDENTIFIER_LENGTH and bool(_ISIN.fullmatch(name) or _FIGI.fullmatch(name))
