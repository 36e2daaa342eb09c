"""Words: cells that repeat are read, and looked up by their numbers, as the same cells of text are."""

import csv
import io

import polars as pl
from hypothesis import given, settings
from hypothesis import strategies as st

from boursomatic_assets.sources.files.formats.text import Text, is_plain
from boursomatic_assets.sources.files.layouts.layout import Layout
from boursomatic_assets.sources.files.scan import scan_text
from boursomatic_assets.sources.words import distinct_cells, kind_of_words, look_up

CELLS = st.one_of(st.none(), st.sampled_from(["", "KO", "ko", " KO", "é", "2024-06-13"]))
PIECES = st.lists(st.lists(CELLS, max_size=5), min_size=1, max_size=4)
KNOWN = st.dictionaries(CELLS, st.one_of(st.none(), st.integers(0, 9)), max_size=5)


@settings(max_examples=200, deadline=None)
@given(PIECES, KNOWN)
def test_words_mean_what_the_same_text_means(pieces: list[list[str | None]], known: dict[str | None, int]) -> None:
    text = pl.concat([pl.Series("cells", piece, dtype=pl.String) for piece in pieces])
    words = text.cast(kind_of_words())
    asked = pl.Series(list(known), dtype=pl.String), pl.Series(list(known.values()), dtype=pl.Int64)

    found = look_up(words, *asked)

    assert found.to_list() == look_up(text, *asked).to_list() == [known.get(cell) for cell in text]
    assert found.chunk_lengths() == words.chunk_lengths() or text.is_empty()
    assert distinct_cells(words).sort().to_list() == distinct_cells(text).sort().to_list()


ROWS = st.lists(st.lists(st.text('AB" ,é', max_size=3), min_size=1, max_size=3), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(ROWS, st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]))
def test_a_text_is_read_as_the_same_words_and_text(rows: list[list[str]], quoting: int) -> None:
    written = io.StringIO()
    csv.writer(written, quoting=quoting, lineterminator="\n").writerows(rows)
    text = Text(written.getvalue().encode(), "utf-8", len(rows))
    assert is_plain(text, ",")
    headers = ("one", "two", "three")
    layout = Layout(",", 0, headers, ())

    words = scan_text(text, layout, words=headers).collect()

    assert words.with_columns(pl.col(headers).cast(pl.String)).equals(scan_text(text, layout).collect())
