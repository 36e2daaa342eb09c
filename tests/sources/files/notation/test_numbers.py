"""Numbers as vendors write them, in the one way of writing that all cells of a file show."""

import polars as pl
import pytest

from boursomatic_assets.sources import SourceError
from boursomatic_assets.sources.files.notation.numbers import detect_decimal_sign, number_expr


def read(*cells: str, separator: str = ";") -> list[float | None]:
    """The numbers of the cells of a file, all together."""
    column = pl.Series("cell", cells)
    sign = detect_decimal_sign([column], separator, "KO.csv")
    return pl.DataFrame(column).select(number_expr("cell", sign)).to_series().to_list()


@pytest.mark.parametrize("cell", ["1,234.5", "1 234.5", "1'234.5", "1’234.5", "1234.50", "+1234.5", "1.2345E+03"])
def test_a_decimal_point_with_any_sign_between_thousands(cell: str) -> None:
    assert read(cell) == [1234.5]


@pytest.mark.parametrize("blank", [" ", "\N{NO-BREAK SPACE}", "\N{NARROW NO-BREAK SPACE}", "\N{THIN SPACE}"])
def test_blanks_of_any_width_may_stand_between_thousands(blank: str) -> None:
    assert read(f"2{blank}112,50", f"1{blank}234{blank}567", "999,5") == [2112.5, 1234567, 999.5]


@pytest.mark.parametrize("cell", ["1.234,5", "1 234,5", "1234,50", "1,2345e3"])
def test_a_decimal_comma(cell: str) -> None:
    assert read(cell) == [1234.5]


@pytest.mark.parametrize(
    "cell",
    ["$62.40", "62.40 $", "US$ 62.40", "62.40 USD", "€62.40", "62.40 €", "EUR 62.40", "CHF 62.40", "+$62.40"],
)
def test_a_currency_is_no_part_of_a_number(cell: str) -> None:
    assert read(cell) == [62.4]


@pytest.mark.parametrize("cell", ["-62.40", "62.40-", "(62.40)", "($62.40)", "−62.40", "-$62.40", "$-62.40"])
def test_a_negative_number_has_its_sign_before_it_or_behind_it_or_is_in_brackets(cell: str) -> None:
    assert read(cell) == [-62.4]


@pytest.mark.parametrize(
    ("cell", "number"),
    [
        ("4.19M", 4190000),
        ("4,19 Mio.", 4190000),
        ("0,31M", 310000),
        ("0.5K", 500),
        ("1.1b", 1100000000),
        ("1.2 bn", 1200000000),
        ("12 Mrd", 12000000000),
        ("1,234.5K", 1234500),
    ],
)
def test_an_abbreviation_is_exact(cell: str, number: float) -> None:
    """4.19 * 1e6 would be 4190000.0000000005."""
    assert read(cell) == [number]


def test_all_digits_of_a_number_count() -> None:
    assert read("10.500000000000002", "0.1", ".5", "5.") == [10.500000000000002, 0.1, 0.5, 5]


@pytest.mark.parametrize(
    "cell", ["ten", "12.5%", "1.2.3", "1..5", "10 5", "12 34", "0x10", "1_000", "１２", "5 days"]
)
def test_a_form_that_is_not_known_is_no_number(cell: str) -> None:
    assert read(cell, "10.5") == [None, 10.5]


@pytest.mark.parametrize("cell", ["", "-", "N/A", "null"])
def test_a_cell_that_says_nothing_is_no_number(cell: str) -> None:
    assert read(cell, "10.5") == [None, 10.5]


def test_what_is_not_finite_is_read_as_such_for_the_contract_to_refuse() -> None:
    assert [str(number) for number in read("NaN", "-inf", "1e400")] == ["nan", "-inf", "inf"]


@pytest.mark.parametrize(
    ("cells", "numbers"),
    [
        (["7,601", "7,5"], [7.601, 7.5]),
        (["7,601", "999.95"], [7601, 999.95]),
        (["7.601", "7,5"], [7601, 7.5]),
        (["7.601", "0.601"], [7.601, 0.601]),
        (["7.601", "17345.5"], [7.601, 17345.5]),
        (["7,601", "1,234,567"], [7601, 1234567]),
        (["7.601", "1.234.567"], [7601, 1234567]),
        (["7,601", "1.234,5"], [7.601, 1234.5]),
    ],
)
def test_one_cell_decides_how_another_one_is_read(cells: list[str], numbers: list[float]) -> None:
    assert read(*cells) == numbers


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        (["7,601", "7,690"], "decimal signs cannot be told from thousands: 2 numbers such as 7,601 fit both ways"),
        (["7.601"], "decimal signs cannot be told from thousands: 1 numbers such as 7.601 fit both ways"),
        (["4,190K"], "decimal signs cannot be told from thousands: 1 numbers such as 4,190K fit both ways"),
        (["1,5", "1.5"], "1 numbers can only have a decimal point and 1 only a decimal comma"),
    ],
)
def test_what_can_be_read_both_ways_or_neither_is_asked(cells: list[str], why: str) -> None:
    with pytest.raises(SourceError) as raised:
        read(*cells)
    assert str(raised.value) == f'KO.csv: {why}: state `decimal: "."` or `decimal: ","` for it in columns.yaml'


def test_a_single_error_among_many_cells_is_refused_alone() -> None:
    cells = [f"{n},5" for n in range(10, 40)]
    assert read("10.5", *cells)[:2] == [None, 10.5]


def test_between_commas_a_point_is_a_decimal_sign() -> None:
    assert read("7.601", separator=",") == [7.601]
    with pytest.raises(SourceError, match="fit both ways"):
        read("7,601", separator=",")
