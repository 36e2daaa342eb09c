"""E-mail addresses: one form for each, and texts that are none."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from boursomatic_assets.accounts.emails import LONGEST, EmailError, normalised

CAFE, CAFE_DECOMPOSED = "caf\u00e9@example.com", "cafe\u0301@example.com"

SPELLINGS = [
    (" Ada@Example.COM ", "ada@example.com"),
    ("ada@example.com.", "ada@example.com"),
    ("Ada.O'Brien+news@example.com", "ada.o'brien+news@example.com"),
    ("ada@b\u00fccher.de", "ada@xn--bcher-kva.de"),
    ("ada@BU\u0308CHER\u3002de", "ada@xn--bcher-kva.de"),
    ("ada@\uff45xample.com", "ada@example.com"),
    ("ada@stra\u00dfe.de", "ada@xn--strae-oqa.de"),
    ("CAFE\u0301@example.com", CAFE),
    (CAFE_DECOMPOSED, CAFE),
    ("\u212aate@example.com", "kate@example.com"),  # the Kelvin sign is a K
]

OTHERS = [
    ("strasse@example.com", "stra\u00dfe@example.com"),
    ("ada@example.com", "\u0430da@example.com"),  # a Cyrillic a
    ("ada@example.com", "ada@ex\u0430mple.com"),
]

NONE = {
    "empty": "",
    "no domain": "ada",
    "no name": "@example.com",
    "no dot": "ada@localhost",
    "a literal": "ada@[127.0.0.1]",
    "two at signs": "ada@home@example.com",
    "a space": "a da@example.com",
    "a quoted name": '"ada"@example.com',
    "a statement": "ada';DROP TABLE users;--@example.com",
    "dots": "ada..b@example.com",
    "a NUL": "ada\0@example.com",
    "a NUL in the domain": "ada@exa\0mple.com",
    "a line end": "ada@example.com\nBcc: bob@example.com",
    "an invisible space": "ad\u200ba@example.com",
    "an invisible joiner": "ad\u034fa@example.com",
    "full-width letters": "\uff41da@example.com",
    "a surrogate": "ad\ud800a@example.com",
    "an underscore in the domain": "ada@exa_mple.com",
    "no A-label": "ada@xn--zzzz.com",
    "a name that is too long": f"{'a' * 65}@example.com",
    "a domain that is too long": f"ada@{'a.' * 130}com",
    "a label that is too long": f"ada@{'a' * 64}.com",
}


@pytest.mark.parametrize(("typed", "form"), SPELLINGS)
def test_an_address_has_one_form(typed: str, form: str) -> None:
    assert normalised(typed) == form


@pytest.mark.parametrize(("one", "other"), OTHERS)
def test_addresses_that_look_alike_and_reach_different_mailboxes_stay_apart(one: str, other: str) -> None:
    assert normalised(one) != normalised(other)


@pytest.mark.parametrize("text", NONE.values(), ids=NONE)
def test_what_is_no_address_is_refused_in_a_sentence(text: str) -> None:
    with pytest.raises(EmailError, match="e-mail address"):
        normalised(text)


@given(local=st.text(max_size=70), domain=st.text(max_size=70).map(lambda name: f"{name}.com"))
@example(local="\u03a3", domain="example.com")
@example(local="\u0130", domain="example.com")
def test_the_form_of_a_form_is_itself_and_fits_the_column(local: str, domain: str) -> None:
    try:
        form = normalised(f"{local}@{domain}")
    except EmailError:
        return
    assert normalised(form) == form == form.lower()
    assert len(form) <= LONGEST
    assert "\0" not in form
