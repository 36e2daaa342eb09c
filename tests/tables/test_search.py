"""Search: each word is in the justification or in the names of the instrument; the newest session comes first."""

import datetime as dt
from typing import Any

import pytest
from sqlalchemy import Engine, text
from worlds.platform import execute, rows

from boursomatic_assets.tables.search import advice
from boursomatic_assets.tables.search.advice import search

INSTRUMENTS = """
INSERT INTO instruments (id, symbol, exchange, name, sector) VALUES
    (gen_random_uuid(), 'AAPL', 'NASDAQ', 'Apple Inc.', 'Technology'),
    (gen_random_uuid(), 'TTE', 'EURONEXT', 'TotalEnergies', 'Energy'),
    (gen_random_uuid(), 'GLE', 'EURONEXT', 'Société Générale', 'Financials'),
    (gen_random_uuid(), 'ALL', 'NYSE', 'Allstate', 'Insurance'),
    (gen_random_uuid(), 'XOM', 'NYSE', 'Exxon', 'Energy')
"""
VERSION = """
INSERT INTO model_versions (id, version, params_hash, metrics_json, as_of)
VALUES (gen_random_uuid(), '2024-01', '0', '{}', '2024-01-02')
"""
ADVISE = """
INSERT INTO recommendations
    (id, instrument_id, model_version_id, profile, label, confidence, features_snapshot, as_of, justification)
SELECT gen_random_uuid(), i.id, m.id, :profile, 'BUY', 0.5, '{}', :as_of, :justification
FROM instruments i, model_versions m WHERE i.symbol = :symbol
"""
STRONG, WEAK = "BUY: strong momentum speaks for it; its volatility speaks against it.", "HOLD: weak momentum."
FRENCH = "ACHAT : sa volatilité est élevée, et ses rendements réguliers."
ADVICE = [
    ("AAPL", 8, "moderate", STRONG),
    ("TTE", 9, "moderate", STRONG),
    ("TTE", 10, "aggressive", WEAK),
    ("XOM", 11, "moderate", WEAK),
    ("GLE", 12, "moderate", FRENCH),
    ("ALL", 12, "conservative", None),
]

FOUND = [
    ("momentum", ["XOM 11", "TTE 10", "TTE 9", "AAPL 8"]),
    ("strong momentum in energy", ["TTE 9"]),
    ("STRONG energy", ["TTE 9"]),
    ("apple momentum", ["AAPL 8"]),
    ("TTE", ["TTE 10", "TTE 9"]),
    ("energy", ["XOM 11", "TTE 10", "TTE 9"]),
    ("société", ["GLE 12"]),
    ("Societe generale", ["GLE 12"]),
    ("volatilite elevee", ["GLE 12"]),
    ("rendement régulier", ["GLE 12"]),
    ("volatility", ["TTE 9", "AAPL 8"]),
    ('"strong momentum"', ["TTE 9", "AAPL 8"]),
    ('"momentum strong"', []),
    ('"strong momentum', ["TTE 9", "AAPL 8"]),
    ("momentum -weak", ["TTE 9", "AAPL 8"]),
    ("momentum -energy", ["AAPL 8"]),
    ('energy -"strong momentum"', ["XOM 11", "TTE 10"]),
    ("ALL", ["ALL 12"]),
    ("momentum apple energy", []),
]


@pytest.fixture
def advised(migrated: Engine) -> Engine:
    execute(migrated, INSTRUMENTS, VERSION)
    advise(migrated, ADVICE)
    return migrated


def advise(engine: Engine, told: list[tuple[str, int, str, str | None]]) -> None:
    with engine.begin() as connection:
        for symbol, day, profile, justification in told:
            values = {"symbol": symbol, "profile": profile, "justification": justification}
            connection.execute(text(ADVISE), values | {"as_of": dt.datetime(2024, 1, day, 21)})


def found(engine: Engine, typed: str, **options: Any) -> list[str]:
    """The symbols and days that a search finds."""
    query = "SELECT r.id::text, symbol || ' ' || extract(day FROM as_of) AS shown FROM recommendations r"
    shown = {
        row["id"]: row["shown"] for row in rows(engine, f"{query} JOIN instruments i ON i.id = instrument_id")
    }
    return [shown[identifier] for identifier in search(typed, **options).ids]


def test_every_word_is_found_in_the_justification_or_in_a_name(
    advised: Engine, monkeypatch: pytest.MonkeyPatch, subtests: pytest.Subtests
) -> None:
    """Whether it is among the newest rows, or must be looked for among all, by words or by instruments."""
    for newest, share in ((5_000, 0), (2, 0), (2, 1), (0, 0), (0, 1)):
        monkeypatch.setattr(advice, "NEWEST", newest)
        monkeypatch.setattr(advice, "FEW", share)
        for typed, expected in FOUND:
            with subtests.test(typed, newest=newest, share=share):
                assert found(advised, typed) == expected


def test_market_profile_and_first_session_are_asked_for_as_well(advised: Engine) -> None:
    assert found(advised, "energy", exchanges=["EURONEXT"]) == ["TTE 10", "TTE 9"]
    assert found(advised, "momentum", exchanges=["EURONEXT"]) == ["TTE 10", "TTE 9"]
    assert found(advised, "energy", profile="moderate") == ["XOM 11", "TTE 9"]
    assert found(advised, "energy", since=dt.date(2024, 1, 10)) == ["XOM 11", "TTE 10"]


def test_it_says_whether_there_are_more_than_asked_for(advised: Engine) -> None:
    assert (found(advised, "energy", limit=2), search("energy", limit=2).is_more) == (["XOM 11", "TTE 10"], True)
    assert (found(advised, "energy", limit=3), search("energy", limit=3).is_more) == (
        ["XOM 11", "TTE 10", "TTE 9"],
        False,
    )


def test_of_one_session_it_is_the_same_ones_whatever_way_they_are_found(
    advised: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    profiles = ("conservative", "moderate", "aggressive")
    advise(advised, [(symbol, 20, profile, "alike") for symbol in ("XOM", "TTE", "ALL") for profile in profiles])
    last = rows(
        advised, "SELECT id::text FROM recommendations WHERE justification = 'alike' ORDER BY id DESC LIMIT 4"
    )
    for newest, share in ((5_000, 0), (2, 0), (2, 1), (0, 0), (0, 1)):
        monkeypatch.setattr(advice, "NEWEST", newest)
        monkeypatch.setattr(advice, "FEW", share)
        assert search("alike", limit=4).ids == [row["id"] for row in last]


def test_a_misspelt_name_is_taken_for_the_one_that_it_is_like(advised: Engine) -> None:
    result = search("momentum aple")
    assert found(advised, "momentum aple") == ["AAPL 8"]
    assert result.read_as == {"aple": ["Apple Inc."]}
    assert search("momentum zebra").unknown == ["zebra"]
    nothing = search("apple energy -aple")
    assert (nothing.ids, nothing.read_as, nothing.unknown) == ([], {}, [])


def test_a_term_of_the_field_is_found_by_what_justifications_say_instead(advised: Engine) -> None:
    told = "BUY. Its 120-day return (3.10 %, higher than 92 % of its market) speaks for it."
    advise(advised, [("XOM", 15, "aggressive", told)])
    assert found(advised, "strong momentum in energy") == ["XOM 15", "TTE 9"]
    assert found(advised, "forte momentum Exxon") == ["XOM 15"]
    assert found(advised, "weak momentum Exxon") == ["XOM 11"]
    assert found(advised, "reversal") == []


def test_advice_that_was_superseded_is_not_found_and_what_replaced_it_is(advised: Engine) -> None:
    execute(
        advised,
        "UPDATE recommendations SET is_active = false, superseded_at = now()"
        " WHERE strpos(justification, 'strong') > 0 AND as_of < '2024-01-09'",
    )
    assert found(advised, "strong") == ["TTE 9"]
    advise(advised, [("AAPL", 8, "moderate", "BUY: a strong rebound.")])
    assert found(advised, "strong rebound") == ["AAPL 8"]


def test_a_new_name_is_found_at_once(advised: Engine) -> None:
    execute(advised, "UPDATE instruments SET name = 'Pear' WHERE symbol = 'AAPL'")
    assert found(advised, "pear") == ["AAPL 8"]
    assert found(advised, "apple momentum", limit=1) == []


def test_a_search_without_a_word_says_so(advised: Engine) -> None:
    for typed in ("", " ", "the in of", '""', "-", "- -", "-momentum", "\0", "%", "'", "\\"):
        with pytest.raises(ValueError, match="there is no word to search for in"):
            search(typed)


def test_signs_of_other_languages_are_no_more_than_text(advised: Engine) -> None:
    for typed in ("'; DROP TABLE x", "zz:*b", "!(mom & |", "100%", "mom\0entum", "\udc80xx", "%%s :xx {0}"):
        assert found(advised, typed) == [], typed


def test_a_search_that_is_too_long_is_refused(advised: Engine) -> None:
    with pytest.raises(ValueError, match="a search has at most 1,000 characters, not 10,000: shorten it"):
        search("x" * 10_000)
    with pytest.raises(ValueError, match="a search has at most 10 words, not 11: leave some out"):
        search("word " * 11)


def test_a_text_of_any_length_is_advice(advised: Engine) -> None:
    """Of which the beginning is found: a limit of the search must not refuse what another program advises."""
    advise(advised, [("AAPL", 15, "moderate", "beginning " + " ".join(map(str, range(300_000))))])
    assert found(advised, "beginning") == ["AAPL 15"]
