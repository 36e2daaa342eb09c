"""Inputs that once went wrong: rows that were lost, stored with wrong values, or refused without need.

Each is one delivery, as small as it can be. Its bars are read, or its files or rows are told.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

import polars as pl
import pytest
from worlds.deliveries import HEADER, deliver, everything, faults, problems, sound

BAR = (50.1, 51.2, 49.8, 50.9, 120000.0)
NEXT_BAR = (50.9, 51.5, 50.2, 50.4, 98000.0)
THURSDAY, FRIDAY = dt.date(2024, 6, 13), dt.date(2024, 6, 14)
ROW = "2024-06-13,50.10,51.20,49.80,50.90,120000\n"
NEXT_ROW = "2024-06-14,50.90,51.50,50.20,50.40,98000\n"
KO = [("KO", "US", THURSDAY, *BAR), ("KO", "US", FRIDAY, *NEXT_BAR)]

PRICES = (10.0, 11.0, 9.0, 10.5, 1000.0)
CELLS = "10,11,9,10.5,1000"
TIDY = "symbol,date,open,high,low,close,volume\n"

BY_DATE = pl.DataFrame(
    {"date": [THURSDAY, FRIDAY], "open": [10.0, 11.0], "high": [12.0, 13.0], "low": [9.0, 10.0]}
    | {"close": [11.0, 12.0], "volume": [500, 600]}
)


def by_date(symbol: str, exchange: str) -> list[tuple[object, ...]]:
    return [(symbol, exchange, THURSDAY, 10, 12, 9, 11, 500), (symbol, exchange, FRIDAY, 11, 13, 10, 12, 600)]


def midnights(zone: str) -> pl.DataFrame:
    return BY_DATE.with_columns(pl.col("date").cast(pl.Datetime("us")).dt.replace_time_zone(zone))


@dataclass(frozen=True)
class Case:
    """A delivery.

    Attributes:
        files: their contents by name; frames are Parquet.
        bars: what is read: symbol, exchange, date, prices and volume.
        told: how what is said of a file begins, without its name.
        refused: why rows cannot be read, by line.
        declared: columns.yaml.
    """

    files: Mapping[str, str | bytes | pl.DataFrame]
    bars: list[tuple[object, ...]] = field(default_factory=list)
    told: Mapping[str, str] = field(default_factory=dict)
    refused: Mapping[int, str] = field(default_factory=dict)
    declared: str = ""


QUARTERS = "".join(f"2024-06-13 09:{minute}:00,{CELLS}\n" for minute in (30, 45))

CASES = {
    "stray_quotes": Case(
        {
            "bars.csv": "symbol;ts;o;h;l;c;v;remark\n"
            + "".join(
                f"{symbol}.PA;2024-06-13;10;11;9;10.5;1000;{remark}\n"
                for symbol, remark in (
                    ("AI", 'a pipe of 12" width'),
                    ("BN", "plain"),
                    ("MC", 'a tube of 6" width'),
                )
            )
        },
        [(symbol, "EURONEXT", THURSDAY, *PRICES) for symbol in ("AI.PA", "BN.PA", "MC.PA")],
    ),
    "carriage_returns_alone": Case({"KO.csv": (HEADER + ROW + NEXT_ROW).replace("\n", "\r")}, KO),
    "folder_per_symbol": Case(
        {"KO/prices.csv": HEADER + ROW, "IBM/prices.csv": HEADER + NEXT_ROW},
        [("IBM", "US", FRIDAY, *NEXT_BAR), KO[0]],
    ),
    "parts_of_a_dataset": Case(
        {"symbol=KO/part-0.parquet": BY_DATE, "symbol=IBM/part-0.parquet": BY_DATE},
        [*by_date("IBM", "US"), *by_date("KO", "US")],
    ),
    "wall_clock_of_new_york_15m": Case(
        {"KO.csv": "datetime,open,high,low,close,volume\n" + QUARTERS},
        told={"KO.csv": "times such as 2024-06-13 09:30:00 have no offset from UTC: state `zone:` for it in"},
    ),
    "thousands_taken_for_decimals": Case(
        {"NVR.tsv": HEADER.replace(",", "\t") + "2024-06-13\t7,601\t7,690\t7,555\t7,612\t17345\n"},
        told={"NVR.tsv": "decimal signs cannot be told from thousands: 4 numbers such as 7,601 fit both ways"},
    ),
    "thousands_that_are_stated": Case(
        {"NVR.tsv": HEADER.replace(",", "\t") + "2024-06-13\t7,601\t7,690\t7,555\t7,612\t17345\n"},
        [("NVR", "US", THURSDAY, 7601, 7690, 7555, 7612, 17345)],
        declared="'*': {decimal: '.'}",
    ),
    "names_of_european_shares": Case(
        {
            "bars.csv": TIDY
            + "".join(
                f"{name},2024-06-13,{CELLS}\n" for name in ("FR0000121014", "EPA:MC", "OR FP Equity", "MC-PA")
            )
        },
        [(symbol, "EURONEXT", THURSDAY, *PRICES) for symbol in ("MC.PA", "OR.PA")],
        refused=dict.fromkeys((2, 5), "symbol is of an unknown form"),
    ),
    "one_symbol_in_many_spellings": Case(
        {
            "bars.csv": TIDY
            + "".join(
                f"{name},2024-06-13,{CELLS}\n" for name in ("ko", " KO", "KO ", "mc.pa", "BRK/B", "BRK.B", "BRK B")
            )
        },
        [
            *[("BRK.B", "US", THURSDAY, *PRICES)] * 3,
            *[("KO", "US", THURSDAY, *PRICES)] * 3,
            ("MC.PA", "EURONEXT", THURSDAY, *PRICES),
        ],
    ),
    "last_and_close": Case(
        {"MC.PA.csv": "Date;Open;High;Low;Last;Close;Volume\n13/06/2024;712.5;720.1;705.2;715.3;716.9;3123\n"},
        [("MC.PA", "EURONEXT", THURSDAY, 712.5, 720.1, 705.2, 716.9, 3123)],
    ),
    "weeks_among_days": Case(
        {"KO.csv": HEADER + "".join(f"2024-05-{day:02},{CELLS}\n" for day in (6, 13, 20, 28))},
        refused=dict.fromkeys((2, 3, 4, 5), "bars lie weeks apart: they are no daily ones"),
    ),
    "json_beside_csv": Case(
        {
            "KO.csv": HEADER + ROW,
            "bars.json": '[{"symbol": "IBM", "date": "2024-06-13", "open": 10, "high": 11, "low": 9,'
            ' "close": 10.5, "volume": 1000}]',
        },
        [("IBM", "US", THURSDAY, *PRICES), KO[0]],
    ),
    "symbol_too_long": Case(
        {"bars.csv": f"{TIDY}KO,2024-06-13,{CELLS}\nA Company Whose Whole Name Stands Here,2024-06-13,{CELLS}\n"},
        [("KO", "US", THURSDAY, *PRICES)],
        refused={3: "symbol is of an unknown form"},
    ),
    "symbol_too_long_of_a_stated_exchange": Case(
        {"bars.csv": f"{TIDY}KO,2024-06-13,{CELLS}\n{'A' * 60},2024-06-13,{CELLS}\n"},
        [("KO", "NYSE", THURSDAY, *PRICES)],
        refused={3: "symbol is of an unknown form"},
        declared="'*': {exchange: NYSE}",
    ),
    "statement_symbol_on": Case(
        {"export.csv": HEADER + ROW}, [("ON", "US", THURSDAY, *BAR)], declared='"*.csv": {symbol: ON}'
    ),
    "statement_order_unknown": Case(
        {"KO.csv": HEADER + "06/07/2024,1,1,1,1,1\n"},
        told={"KO.csv": "columns.yaml: dates of '*.csv' is 'day first': wanted dmy, mdy or ymd"},
        declared='"*.csv": {dates: day first}',
    ),
    "instruments_of_a_french_spreadsheet": Case(
        {
            "MC.PA.csv": HEADER + ROW,
            "instruments.csv": "symbol;exchange;name\nMC.PA;EURONEXT;Société d'exemple\n".encode("cp1252"),
        },
        [("MC.PA", "EURONEXT", THURSDAY, *BAR)],
    ),
    "midnights_with_a_zone": Case(
        {"KO.parquet": midnights("America/New_York"), "MC.PA.parquet": midnights("Europe/Paris")},
        [*by_date("KO", "US"), *by_date("MC.PA", "EURONEXT")],
    ),
    "euronext_download": Case(
        {
            "FR0000121014-XPAR.csv": '\N{BOM}"Historical Data"\n"From 2024-06-13 to 2024-06-14"\nFR0000121014\n'
            'Date;Open;High;Low;Last;Close;"Number of Shares";"Number of Trades";Turnover\n'
            "14/06/2024;714.0;716.0;690.0;701.4;701.5;4123;250;2890000;700.2\n"
            "13/06/2024;712.5;720.1;705.2;715.3;715.2;3123;210;2230000;714.1\n"
        },
        [
            ("MC.PA", "EURONEXT", THURSDAY, 712.5, 720.1, 705.2, 715.2, 3123),
            ("MC.PA", "EURONEXT", FRIDAY, 714, 716, 690, 701.5, 4123),
        ],
        declared="'FR0000121014*': {symbol: MC.PA}",
    ),
    "euronext_download_of_an_unknown_share": Case(
        {"FR0000121014-XPAR.csv": HEADER + ROW},
        told={
            "FR0000121014-XPAR.csv": "no column names the symbol, and 'FR0000121014-XPAR' is none: name the file"
        },
    ),
    "currency_signs": Case(
        {"KO.csv": "Date,Close/Last,Volume,Open,High,Low\n06/13/2024,$50.90,120000,$50.10,$51.20,$49.80\n"}, KO[:1]
    ),
    "french_thousands": Case(
        {
            "RMS.PA.csv": "Date;Ouverture;Plus haut;Plus bas;Clôture;Volume\n"
            "13/06/2024;2\u202f112,50;2\u202f120,00;2\u202f105,50;2\u202f115,50;45\u202f678\n"
            "14/06/2024;2\u00a0114,00;2\u00a0116,00;2\u00a0090,00;2\u00a0101,00;51\u00a0234\n"
        },
        [
            ("RMS.PA", "EURONEXT", THURSDAY, 2112.5, 2120, 2105.5, 2115.5, 45678),
            ("RMS.PA", "EURONEXT", FRIDAY, 2114, 2116, 2090, 2101, 51234),
        ],
    ),
    "years_of_two_digits": Case(
        {"KO.csv": (HEADER + ROW).replace(",", ", ").replace("2024-06-13", "06/13/24")}, KO[:1]
    ),
    "stamped_at_the_close": Case({"KO.csv": (HEADER + ROW).replace("2024-06-13", "6/13/2024 16:00:00")}, KO[:1]),
    "dates_with_points_year_first": Case({"KO.csv": (HEADER + ROW).replace("2024-06-13", "2024.06.13")}, KO[:1]),
    "one_cell_too_many": Case({"KO.csv": HEADER + (ROW + NEXT_ROW).replace("\n", ",\n")}, KO),
    "workbook": Case(
        {"KO.csv": HEADER + ROW, "MSFT.xlsx": b"PK\x03\x04 cut"},
        KO[:1],
        told={"MSFT.xlsx": "cannot be unpacked: it is damaged, cut short or encrypted: deliver it again"},
    ),
    "exchange_column_empty": Case(
        {
            "bars.csv": TIDY.replace("date", "exchange,date")
            + f"MC.PA,,2024-06-13,{CELLS}\nKO,,2024-06-13,{CELLS}\n"
        },
        [("KO", "US", THURSDAY, *PRICES), ("MC.PA", "EURONEXT", THURSDAY, *PRICES)],
    ),
    "one_share_on_two_exchanges": Case(
        {
            "a.csv": TIDY.replace("date", "exchange,date")
            + f"PEP,NYSE,2024-06-13,{CELLS}\nPEP,NASDAQ,2024-06-14,{CELLS}\n",
            "pep.us.txt": "<TICKER>,<PER>,<DATE>,<TIME>,<OPEN>,<HIGH>,<LOW>,<CLOSE>,<VOL>,<OPENINT>\n"
            f"PEP.US,D,20240614,000000,{CELLS},0\n",
        },
        [
            ("PEP", "NYSE", THURSDAY, *PRICES),
            ("PEP", "NASDAQ", FRIDAY, *PRICES),
            ("PEP", "US", FRIDAY, *PRICES),
        ],
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_a_delivery_is_read_or_told(tmp_path: Path, name: str) -> None:
    case = CASES[name]
    source = deliver(tmp_path, case.files, case.declared)
    found = sound(source).with_columns(pl.col("ts").dt.date())
    assert found.rows() == case.bars
    assert faults(source) == case.refused
    told = problems(source)
    assert set(told) == set(case.told)
    assert all(
        told[file].startswith(f"{file}: {how}") and "\n" not in told[file] for file, how in case.told.items()
    )
    assert source.files()["delivered"].sum() >= everything(source).height == len(case.bars) + len(case.refused)
